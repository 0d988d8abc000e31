//! What the pages tell people to type exists; what the program can end with and call is on the pages.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::pages::{page, pages, root};

/// What a verb, or a verb's verb, says about itself.
fn help(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_modelswap")).args(words).arg("--help").output().unwrap();
    if output.status.success() { String::from_utf8(output.stdout).unwrap() } else { String::new() }
}

fn verbs(help: &str) -> BTreeSet<String> {
    let list = help.split_once("Commands:\n").map(|(_, list)| list).unwrap_or_default();
    let lines = list.lines().take_while(|line| line.starts_with(' ') || line.is_empty());
    lines
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// Every command line of modelswap's on a page: in blocks, and between backticks elsewhere.
fn command_lines(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        for (at, _) in line.match_indices("modelswap ") {
            let before = line.get(..at).unwrap_or_default().trim_start();
            let is_typed = if fenced {
                matches!(before, "" | "- run: ") || before.ends_with("bin/")
            } else {
                before.ends_with('`')
            };
            if is_typed {
                // It ends with its backtick, or where a comment explains it.
                let command = line.get(at..).and_then(|rest| rest.split(['`', '#']).next()).unwrap_or_default();
                found.push(command.trim().to_owned());
            }
        }
    }
    found
}

#[test]
fn every_command_on_the_pages_exists_with_its_options() {
    let top = help(&[]);
    let known = verbs(&top);
    assert!(known.contains("deploy") && known.contains("rollback"), "{known:?}");
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in pages() {
        for line in command_lines(&page.text) {
            let words: Vec<_> = line.split_whitespace().skip(1).collect();
            let Some(verb) = words.first().filter(|w| w.starts_with(|c: char| c.is_ascii_lowercase())) else {
                continue;
            };
            seen += 1;
            if !known.contains(*verb) {
                wrong.push(format!("{}: there is no `modelswap {verb}`: {line}", page.path));
                continue;
            }
            let inner = words.get(1).filter(|w| *verb == "lab" && w.starts_with(|c: char| c.is_ascii_lowercase()));
            let asked: Vec<_> = std::iter::once(*verb).chain(inner.copied()).collect();
            let help = helps.entry(asked.join(" ")).or_insert_with(|| help(&asked));
            for option in words.iter().filter(|w| w.starts_with("--")) {
                let option = option.split('=').next().unwrap_or(option).trim_end_matches([',', ';', '.', ')']);
                if !help.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|word| word == option) {
                    wrong.push(format!("{}: `modelswap {}` has no {option}: {line}", page.path, asked.join(" ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 30, "only {seen} commands were found");
}

#[test]
fn every_exit_code_is_explained() {
    let source = std::fs::read_to_string(root().join("src/cli/failure.rs")).unwrap();
    let arms =
        source.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => ")?.1.strip_suffix(','));
    let codes: Vec<u8> = arms.filter_map(|code| code.parse().ok()).collect();
    assert!(codes.len() >= 13 && codes.contains(&74), "{codes:?}");
    let text = page("docs/incident.md").text;
    for code in codes {
        assert!(text.contains(&format!("\n| {code} |")), "docs/incident.md does not explain exit {code}");
    }
}

#[test]
fn every_call_to_aws_is_in_the_policy() {
    let mut calls = BTreeSet::new();
    let mut files = vec![root().join("src/providers")];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for kind in [
            "describe_",
            "list_",
            "get_",
            "modify_",
            "register_",
            "deregister_",
            "change_resource_",
            "create_",
            "delete_",
            "put_",
        ] {
            for (at, _) in text.match_indices(&format!(".{kind}")) {
                let name =
                    text.get(at + 1..).and_then(|rest| rest.split_once("()")).map(|(name, _)| name).unwrap_or_default();
                // `get_or_init` and its like take an argument.
                if !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                    calls.insert(camel(name));
                }
            }
        }
    }
    assert!(
        calls.contains("ChangeResourceRecordSets") && calls.contains("ModifyRule") && calls.len() > 12,
        "{calls:?}"
    );
    let text = page("docs/aws.md").text;
    let without: Vec<_> = calls
        .iter()
        .filter(|call| !text.contains(&format!(":{call}\"")) && !text.contains(&format!(":{call}`")))
        .collect();
    assert!(without.is_empty(), "docs/aws.md does not grant {without:?}");
    let granted = text
        .split('"')
        .filter_map(|word| word.strip_prefix("route53:").or_else(|| word.strip_prefix("elasticloadbalancing:")));
    let granted: Vec<_> = granted
        .filter(|name| !name.starts_with("ChangeResourceRecordSets") || *name == "ChangeResourceRecordSets")
        .collect();
    let idle: Vec<_> = granted.into_iter().filter(|name| !calls.contains(*name)).collect();
    assert!(idle.is_empty(), "docs/aws.md grants what is never called: {idle:?}");
}

fn camel(name: &str) -> String {
    let word = |w: &str| {
        w.chars()
            .next()
            .map(|c| c.to_ascii_uppercase().to_string() + w.get(1..).unwrap_or_default())
            .unwrap_or_default()
    };
    name.split('_').map(word).collect()
}
