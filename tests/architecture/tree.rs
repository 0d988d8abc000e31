//! The repository as a whole: small files, no forgotten test, nothing of one machine.

use std::path::Path;

use crate::source::{Source, files_below, read, root, rust_below};

/// A file is read at one sitting.
const LINES_MAX: usize = 500;

/// Directories of `tests/` that are no test target: what targets share, and data.
const NO_TARGETS: [&str; 7] = [
    "bench",      // measured by hand: see docs/performance.md
    "planted",    // bugs that the suites must notice: see docs/planted-bugs.md
    "support",    // modules that several targets use
    "rig",        // the same, for whole deploys
    "peers",      // installs other people's servers
    "plan_cases", // plans as text
    "snapshots",  // what insta keeps
];

#[test]
fn no_file_is_longer_than_500_lines() {
    let all = [rust_below("src"), rust_below("tests")].concat();
    let long: Vec<_> = all.iter().map(|s| (s.text.lines().count(), &s.path)).filter(|(n, _)| *n > LINES_MAX).collect();
    assert!(long.is_empty(), "split them: {long:?}");
}

#[test]
fn every_directory_of_tests_is_a_test_target() {
    let tests = root().join("tests");
    let mut targets = 0;
    for entry in std::fs::read_dir(&tests).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_dir() || NO_TARGETS.contains(&name.as_str()) {
            continue;
        }
        targets += 1;
        let beside = tests.join(format!("{name}.rs"));
        assert!(
            path.join("main.rs").is_file() || beside.is_file(),
            "tests/{name} has neither a main.rs nor a tests/{name}.rs: it is never run"
        );
    }
    assert!(targets > 0);
}

#[test]
fn every_test_file_is_reached_from_its_target() {
    let sources = rust_below("tests");
    // A target that lies elsewhere, such as a benchmark, is named by its path.
    let manifest = read(root().join("Cargo.toml")).text;
    let named = |s: &&Source| manifest.contains(&format!("path = \"{}\"", s.path));
    let forgotten: Vec<_> =
        sources.iter().filter(|s| !is_reached(s, &sources) && !named(s)).map(|s| s.path.clone()).collect();
    assert!(forgotten.is_empty(), "no `mod` names them, so they are never run: {forgotten:?}");
}

#[test]
fn a_forgotten_test_file_is_noticed() {
    let main = Source::new("tests/x/main.rs", "mod a;\n// mod b;");
    let (a, b) = (Source::new("tests/x/a.rs", ""), Source::new("tests/x/b.rs", ""));
    let all = [main, a.clone(), b.clone(), Source::new("tests/y.rs", "")];
    assert!(is_reached(&a, &all) && !is_reached(&b, &all) && is_reached(&all[3], &all));
    let shared = Source::new("tests/z/mod.rs", "");
    let user = Source::new("tests/x/main.rs", "#[path = \"../z/mod.rs\"]\nmod z;");
    assert!(is_reached(&shared, &[shared.clone(), user]) && !is_reached(&shared, std::slice::from_ref(&shared)));
}

/// Targets are found by cargo; everything else must be named by a file of its directory, or by one above.
fn is_reached(file: &Source, all: &[Source]) -> bool {
    let inner = file.path.strip_prefix("tests/").unwrap_or(&file.path);
    let Some((directory, name)) = inner.rsplit_once('/') else { return true };
    if name == "main.rs" {
        return true;
    }
    let module =
        if name == "mod.rs" { directory.rsplit('/').next().unwrap_or(directory) } else { name.trim_end_matches(".rs") };
    // `#[path = "../rig/mod.rs"]`, by whoever shares it.
    let shared = format!("#[path = \"../{inner}\"]");
    if all.iter().any(|other| other.text.contains(&shared) && !other.lines_with(&format!("mod {module};")).is_empty()) {
        return true;
    }
    let near = |other: &&Source| {
        let there = other.path.strip_prefix("tests/").unwrap_or(&other.path);
        let below = Path::new(there).parent().is_some_and(|p| directory.starts_with(&*p.to_string_lossy()));
        other.path != file.path && below
    };
    all.iter().filter(near).any(|other| !other.lines_with(&format!("mod {module};")).is_empty())
}

#[test]
fn nothing_mentions_a_machine_that_it_was_made_on() {
    let mut wrong = Vec::new();
    let mut read_files = 0;
    for path in files_below(&root()) {
        let source = read(path);
        read_files += 1;
        wrong.extend(machine_paths(&source));
    }
    assert!(read_files > 100, "{read_files} files are not the whole repository");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_path_of_one_machine_is_noticed() {
    for path in
        ["/wo|rk/x", "see /wo|rk", "/ro|ot/.cargo", "/tm|p/wt/a", "sha|red/design", "/ho|me/dana/x", "/Us|ers/dana/x"]
    {
        let path = path.replace('|', "");
        assert_eq!(machine_paths(&Source::new("README.md", &path)).len(), 1, "{path}");
    }
    for fine in ["network/workers", "frame/work", "/workers", "/tmp/modelswap", "~/.local/bin", "$HOME/x"] {
        assert_eq!(machine_paths(&Source::new("README.md", fine)), Vec::<String>::new());
    }
}

/// Lines that name a place which only a developer's machine has.
fn machine_paths(source: &Source) -> Vec<String> {
    // In two parts each, or this file would name them.
    let places =
        [("/wo", "rk"), ("/ro", "ot/"), ("/tm", "p/wt"), ("sha", "red/design"), ("/ho", "me/"), ("/Us", "ers/")];
    let names = |line: &str| {
        places.iter().any(|(front, back)| {
            let place = format!("{front}{back}");
            line.match_indices(&place).any(|(at, _)| {
                let before = line.get(..at).and_then(|l| l.chars().next_back());
                let after = line.get(at + place.len()..).and_then(|l| l.chars().next());
                let starts = !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '~' | '.' | '_' | '-'));
                let ends =
                    place.ends_with('/') || !after.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
                starts && ends
            })
        })
    };
    let lines = source.text.lines().enumerate().filter(|(_, line)| names(line));
    lines
        .map(|(n, line)| format!("{}:{}: {}", source.path, n + 1, line.chars().take(120).collect::<String>()))
        .collect()
}
