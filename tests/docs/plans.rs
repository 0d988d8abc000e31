//! Every YAML block is a plan, or a part of one: put into a plan that is known to be good, it must still be good.

use std::collections::BTreeMap;

use modelswap::plan::{Vars, parse};

use crate::pages::{Block, pages};

const GOOD: &str = include_str!("../../plans/demo.yaml");

#[test]
fn every_yaml_block_is_a_plan_or_a_part_of_one() {
    let blocks: Vec<_> = pages().iter().flat_map(super::pages::Page::blocks).filter(|b| b.language == "yaml").collect();
    assert!(blocks.len() >= 3, "{}", blocks.len());
    for block in blocks {
        let text = whole(&block);
        if let Err(findings) = parse(&block.at, &text, &Vars::none()) {
            let said: String = findings.iter().map(|f| f.rendered(false, 120)).collect();
            panic!("{}: {said}\n{text}", block.at);
        }
    }
}

#[test]
fn a_part_that_is_wrong_is_noticed() {
    let part = |text: &str| Block { at: "x:1".to_owned(), language: "yaml".to_owned(), text: text.to_owned() };
    let wrong = |text: &str| parse("x", &whole(&part(text)), &Vars::none()).is_err();
    assert!(!wrong("on_failure: hold\n"));
    assert!(wrong("on_failure: hald\n"));
    assert!(wrong("steps:\n  - provision: next\n  - swap: {router: elsewhere}\n"));
}

/// The block's own sections, and those of a good plan where it has none.
fn whole(block: &Block) -> String {
    let part = sections(&block.text);
    if part.contains_key("version") {
        return block.text.clone();
    }
    let mut all = sections(GOOD);
    for name in part.keys() {
        assert!(!name.is_empty(), "{}: a part of a plan begins with one of its keys", block.at);
    }
    all.extend(part);
    all.into_values().collect()
}

/// Top-level keys with everything below them.
fn sections(text: &str) -> BTreeMap<String, String> {
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    let mut now = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with(|c: char| c.is_ascii_lowercase()) {
            line.split(':').next().unwrap_or_default().clone_into(&mut now);
        }
        if line.trim().is_empty() && now.is_empty() {
            continue;
        }
        let section = sections.entry(now.clone()).or_default();
        section.push_str(line);
        section.push('\n');
    }
    sections
}
