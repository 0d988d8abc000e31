//! A room uses only the rooms that stand here. To open another door, write it here, and in docs/architecture.md why.

use crate::source::{Source, rust_below};

/// What every room may use: names, quantities, time, and where the loopback world's stand-ins listen.
const LEAVES: [&str; 4] = ["ids", "units", "clock", "world"];

/// Room, whether it may use the leaves, and what else it may use.
const DOORS: &[(&str, bool, &[&str])] = &[
    ("ids", false, &[]),
    ("units", false, &[]),
    ("clock", false, &[]),
    ("world", false, &["ids"]),
    // When a record was written is handed in, so not even the clock.
    ("journal", false, &["ids"]),
    // What a plan says about a back-end, as types. Nothing that decides.
    ("providers", true, &["plan::model"]),
    ("probes", true, &["plan::model"]),
    ("steps", true, &["plan::model", "providers", "probes", "journal::fact", "journal::state"]),
    ("plan", true, &["providers", "probes", "steps", "journal::fact"]),
    // No provider and no kind of step: what went wrong, what a step can do, and the shape of a graph are all it knows.
    (
        "engine",
        true,
        &[
            "journal",
            "plan::graph",
            "plan::model::OnFailure",
            "providers::ProviderError",
            "steps::Step",
            "steps::StepError",
            "steps::Cx",
            "steps::Verdict",
            // What is seen of a register after the way back: a late write, or somebody else's.
            "steps::Stands",
            "steps::Drifted",
            "report::Reporter",
        ],
    ),
    ("report", true, &["journal"]),
    ("lab", true, &["journal"]),
    // What fuzzers and their short form in the tests call; not part of a normal build.
    ("fuzzing", false, &["journal", "probes::fuzzing", "providers::fuzzing"]),
    ("cli", true, &["journal", "providers", "probes", "steps", "plan", "engine", "report", "lab"]),
];

#[test]
fn every_room_uses_only_its_doors() {
    let sources = rust_below("src");
    let wrong: Vec<_> = sources.iter().flat_map(strays).collect();
    assert!(wrong.is_empty(), "doors that are not listed in {}:\n{}", file!(), wrong.join("\n"));
}

#[test]
fn every_room_is_listed_and_every_listed_room_exists() {
    let sources = rust_below("src");
    let mut rooms: Vec<_> = sources.iter().filter_map(|s| s.module().first().copied()).collect();
    rooms.sort_unstable();
    rooms.dedup();
    let mut listed: Vec<_> = DOORS.iter().map(|(room, _, _)| *room).collect();
    listed.sort_unstable();
    assert_eq!(rooms, listed);
}

#[test]
fn every_door_is_used() {
    let sources = rust_below("src");
    let uses = |room: &str, door: &str| {
        let here = sources.iter().filter(|s| s.module().first() == Some(&room));
        here.flat_map(|s| paths(&s.code())).any(|path| fits(&path, door))
    };
    // The trait itself is only named where steps are compiled; the engine calls it.
    let unused = DOORS.iter().flat_map(|(room, _, doors)| doors.iter().map(move |door| (*room, *door)));
    let unused: Vec<_> = unused.filter(|(room, door)| *door != "steps::Step" && !uses(room, door)).collect();
    assert!(unused.is_empty(), "doors that nobody goes through any more: {unused:?}");
}

#[test]
fn a_door_that_is_not_listed_is_noticed() {
    let found = |path: &str, text: &str| strays(&Source::new(path, text)).len();
    assert_eq!(found("src/engine/decide.rs", "use crate::journal::{fact::Fact, state::{Goal, RunState}};"), 0);
    assert_eq!(found("src/engine/decide.rs", "use crate::{journal::fact::Fact, providers::dns::route53::Route53};"), 1);
    assert_eq!(found("src/engine/decide.rs", "use crate::providers::{ProviderError, Settled};"), 1);
    assert_eq!(found("src/providers/x.rs", "fn f() { crate::engine::decide::decide() }"), 1);
    assert_eq!(found("src/providers/x.rs", "use crate::plan::model::Alb; // crate::plan::graph"), 0);
    assert_eq!(found("src/journal/record.rs", "use super::super::plan::Plan;"), 1);
    assert_eq!(found("src/steps/set.rs", "use crate::cli::Exit as E;"), 1);
    assert_eq!(found("src/units.rs", "use crate::clock::Clock;"), 1);
    assert_eq!(found("src/lab/state.rs", "use modelswap::cli;"), 1);
}

/// Uses of rooms that the file's own room may not use.
fn strays(source: &Source) -> Vec<String> {
    let module = source.module();
    let Some(room) = module.first() else { return Vec::new() };
    // A room's tests may need a world to stand in.
    if module.contains(&"tests") {
        return Vec::new();
    }
    let Some((_, leaves, doors)) = DOORS.iter().find(|(name, _, _)| name == room) else {
        return vec![format!("{}: the room `{room}` has no doors listed", source.path)];
    };
    let code = source.code();
    let may = |path: &Vec<String>| {
        let leaf = *leaves && LEAVES.iter().any(|leaf| fits(path, leaf));
        leaf || fits(path, room) || doors.iter().any(|door| fits(path, door))
    };
    let mut wrong: Vec<_> = paths(&code).into_iter().filter(|path| !may(path)).map(|path| path.join("::")).collect();
    if climbs_out(&code, module.len()) {
        wrong.push("super:: up to the crate's root (write crate::)".to_owned());
    }
    if code.contains("modelswap::") {
        wrong.push("modelswap:: (write crate::)".to_owned());
    }
    wrong.into_iter().map(|what| format!("{}: {what}", source.path)).collect()
}

/// Whether `path` goes through `door`, or stops on the way to it (`use crate::plan::model;`).
fn fits(path: &[String], door: &str) -> bool {
    let door: Vec<_> = door.split("::").collect();
    path.len() >= door.len() && path.iter().zip(&door).all(|(a, b)| a == b)
}

/// Every path that begins at `crate::`, groups taken apart.
fn paths(code: &str) -> Vec<Vec<String>> {
    let starts = code.match_indices("crate::").filter(|(at, _)| {
        !code.get(..*at).is_some_and(|before| before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$'))
    });
    starts.flat_map(|(at, start)| tree(code.get(at + start.len()..).unwrap_or_default(), &[]).0).collect()
}

/// The paths of one use tree, and what is left of the code behind it.
fn tree<'a>(code: &'a str, before: &[String]) -> (Vec<Vec<String>>, &'a str) {
    let code = code.trim_start();
    if let Some(mut rest) = code.strip_prefix('{') {
        let mut all = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(end) = rest.strip_prefix('}') {
                return (all, end);
            }
            let (some, behind) = tree(rest, before);
            all.extend(some);
            let behind = behind.trim_start();
            // `Name as Other` and whatever else stands before the next comma.
            let end = behind.find([',', '}']).unwrap_or(behind.len());
            rest = behind.get(end..).unwrap_or_default();
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None if rest.is_empty() => return (all, rest),
                None => {}
            }
        }
    }
    let end = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
    let (name, rest) = code.split_at(end);
    let mut path = before.to_vec();
    if !name.is_empty() {
        path.push(name.to_owned());
    }
    match rest.strip_prefix("::") {
        Some(inner) if inner.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '{') => tree(inner, &path),
        Some(_) | None => (vec![path], rest),
    }
}

/// Whether a chain of `super::` leaves the room.
fn climbs_out(code: &str, depth: usize) -> bool {
    let chain = "super::".repeat(depth.max(1));
    depth > 0 && code.contains(&chain) && !is_only_of_inner_modules(code, &chain)
}

/// `use super::*` of a module of tests is one level deeper than its file.
fn is_only_of_inner_modules(code: &str, chain: &str) -> bool {
    let tests = code.find("mod tests {").unwrap_or(code.len());
    let deeper = format!("{chain}super::");
    code.match_indices(chain).all(|(at, _)| at > tests) && !code.contains(&deeper)
}
