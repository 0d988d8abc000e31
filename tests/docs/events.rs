//! docs/events.md has an example of every fact, every outcome and every kind of line, and the examples are what is written.

use modelswap::journal::fact::{Ask, Fact, FailureKind, Outcome, Purpose};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::pages::{page, root};

/// The names that a type's serde form knows: it lists them when it meets another.
fn names<T: DeserializeOwned>(wrong: Value) -> Vec<String> {
    let said = serde_json::from_value::<T>(wrong).err().expect("no type has a variant of this name").to_string();
    let (_, list) = said.split_once("expected ").unwrap_or_else(|| panic!("{said}"));
    let names: Vec<_> = list.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(names.len() >= 2, "{said}");
    names
}

/// Every line of JSON on the page.
fn examples() -> Vec<Value> {
    let blocks = page("docs/events.md").blocks().into_iter().filter(|b| b.language == "json");
    let lines = blocks.flat_map(|b| b.text.lines().map(|line| (b.at.clone(), line.to_owned())).collect::<Vec<_>>());
    let examples: Vec<Value> =
        lines.map(|(at, line)| serde_json::from_str(&line).unwrap_or_else(|e| panic!("{at}: {e}: {line}"))).collect();
    assert!(examples.len() > 20, "{}", examples.len());
    examples
}

#[test]
fn every_fact_has_an_example_that_is_one() {
    let examples = examples();
    let of =
        |name: &str| examples.iter().filter(|e| e["type"] == "fact" && e["fact"] == name).cloned().collect::<Vec<_>>();
    for name in names::<Fact>(json!({ "fact": "nonsense" })) {
        let here = of(&name);
        assert!(!here.is_empty(), "docs/events.md has no example of the fact `{name}`");
        for mut example in here {
            assert_eq!(example["version"], 1, "{example}");
            if name == "run_started" {
                // Left out of the lines; the journal has them.
                example["plan_text"] = json!("");
                example["resolved"] = json!({});
            }
            if let Err(why) = serde_json::from_value::<Fact>(example.clone()) {
                panic!("the example of `{name}` is none: {why}: {example}");
            }
        }
    }
}

#[test]
fn every_outcome_has_an_example_of_its_last_line() {
    let examples = examples();
    for name in names::<Outcome>(json!({ "outcome": "nonsense" })) {
        let found = examples.iter().find(|e| e["type"] == "finished" && e["outcome"] == name.as_str());
        let found = found.unwrap_or_else(|| panic!("docs/events.md has no `finished` line with the outcome `{name}`"));
        serde_json::from_value::<Outcome>(found.clone()).unwrap();
        assert!(found["exit"].is_u64(), "{found}");
    }
}

#[test]
fn every_word_of_a_fact_is_named() {
    let text = page("docs/events.md").text;
    let mut words = names::<Purpose>(json!("nonsense"));
    words.extend(names::<FailureKind>(json!("nonsense")));
    words.extend(names::<Ask>(json!({ "ask": "nonsense" })));
    for word in words {
        assert!(text.contains(&format!("`{word}`")), "docs/events.md does not say what `{word}` means");
    }
}

#[test]
fn every_type_of_line_has_an_example() {
    let examples = examples();
    let mut types = std::collections::BTreeSet::new();
    for directory in ["src/cli", "src/cli/lab", "src/report"] {
        for entry in std::fs::read_dir(root().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let found = text.split("\"type\": \"").skip(1).filter_map(|rest| rest.split_once('"'));
            types.extend(found.map(|(name, _)| name.to_owned()));
        }
    }
    assert!(types.len() >= 5, "{types:?}");
    types.retain(|name| !examples.iter().any(|e| e["type"] == name.as_str()));
    assert!(types.is_empty(), "docs/events.md has no example of lines of these types: {types:?}");
}
