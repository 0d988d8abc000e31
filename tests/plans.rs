//! Every plan that is shown to anybody can be used as it is.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]

use modelswap::plan::{Vars, parse};

fn plans() -> Vec<(String, String)> {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let files = std::fs::read_dir(directory).expect("plans/ is there");
    let paths = files.map(|entry| entry.expect("an entry").path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|e| e == "yaml"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).expect("a plan can be read"))
    };
    yaml.map(read).collect()
}

#[test]
fn every_example_parses_without_a_finding() {
    let plans = plans();
    assert!(plans.len() >= 5, "{}", plans.len());
    for (name, text) in plans {
        match parse(&name, &text, &Vars::none()) {
            Ok(parsed) => {
                let said: String = parsed.warnings.iter().map(|w| w.rendered(false, 120)).collect();
                assert!(said.is_empty(), "{said}");
            }
            Err(findings) => {
                let said: String = findings.iter().map(|f| f.rendered(false, 120)).collect();
                panic!("{said}");
            }
        }
    }
}

#[test]
fn every_example_tells_the_editor_its_schema() {
    for (name, text) in plans() {
        assert!(text.starts_with("# yaml-language-server: $schema=../docs/plan.schema.json\n"), "{name}");
    }
}

#[test]
fn what_is_recorded_reads_back_as_the_same_plan() {
    for (name, text) in plans() {
        let plan = parse(&name, &text, &Vars::none()).unwrap().plan;
        let recorded = serde_json::to_value(&plan).unwrap();
        let read: modelswap::plan::model::Plan = serde_json::from_value(recorded.clone()).unwrap();
        assert_eq!(read, plan, "{name}");
        assert_eq!(serde_json::to_value(&read).unwrap(), recorded, "{name}");
    }
}

#[test]
fn a_changed_example_is_another_plan() {
    let (name, text) = plans().into_iter().find(|(name, _)| name == "alb-blue-green.yaml").unwrap();
    let plan = |vars| parse(&name, &text, &vars).unwrap().plan;
    let one = plan(Vars::none());
    let other = plan(Vars::none().var("revision", "0000000"));
    assert_eq!(one.release.revision.as_deref(), Some("41de9c2"));
    assert_eq!(other.release.revision.as_deref(), Some("0000000"));
    assert_ne!(serde_json::to_value(one).unwrap(), serde_json::to_value(other).unwrap());
}
