//! Many small cases of one claim: each in a world of its own, a few at a time, all told at the end.

use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Instant;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Semaphore;

/// How many worlds are up at a time, whatever the number of tests, where nobody says (`MODELSWAP_AT_ONCE`).
const AT_ONCE: usize = 2;
static WORLDS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(at_once()));

fn at_once() -> usize {
    std::env::var("MODELSWAP_AT_ONCE").ok().and_then(|n| n.parse().ok()).unwrap_or(AT_ONCE)
}

/// What came of a case that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Passed,
    /// What the case is about did not happen; it proves nothing.
    NotReached(String),
}

/// A case: what it is called, and how it is done. It fails by a panic.
pub(crate) type Case = (String, Pin<Box<dyn Future<Output = Cell> + Send>>);

/// A case of this name.
pub(crate) fn case(name: impl Into<String>, cell: impl Future<Output = Cell> + Send + 'static) -> Case {
    (name.into(), Box::pin(cell))
}

/// Does every case, a few at a time, prints what came of each, and fails unless all passed.
/// `MODELSWAP_CELLS=TEXT` keeps those whose name contains the text: for a look at one of them.
pub(crate) async fn all(cases: Vec<Case>) {
    suite("", cases).await;
}

/// The same for a suite of the fault matrix: what came of each cell is also written, as a line of JSON, to the file that
/// `MODELSWAP_CELLS_OUT` names.
pub(crate) async fn suite(suite: &str, mut cases: Vec<Case>) {
    if let Ok(text) = std::env::var("MODELSWAP_CELLS") {
        cases.retain(|(name, _)| name.contains(&text));
    }
    let total = cases.len();
    assert!(total > 0, "no cases: nothing would be proven");
    let (mut waiting, mut running) = (cases.into_iter(), FuturesUnordered::new());
    let (mut passed, mut not_passed) = (0, Vec::new());
    loop {
        while running.len() < at_once() {
            let Some((name, cell)) = waiting.next() else { break };
            // A task of its own: a panic in it ends the case and not the suite.
            let task = tokio::spawn(async move {
                let _world = WORLDS.acquire().await.expect("never closed");
                let began = Instant::now();
                let ended = tokio::spawn(cell).await;
                (ended, began.elapsed().as_millis())
            });
            running.push(async move { (name, task.await.expect("only the cell can panic")) });
        }
        let Some((name, (ended, ms))) = running.next().await else { break };
        match ended {
            Ok(Cell::Passed) => {
                passed += 1;
                write_down(suite, &name, "passed", 1, ms, "");
                println!("passed      {name}");
            }
            Ok(Cell::NotReached(why)) => {
                write_down(suite, &name, "not_reached", 1, ms, &why);
                println!("not reached {name}: {why}");
                not_passed.push(format!("not reached {name}: {why}"));
            }
            Err(panicked) => {
                let why = panicked.try_into_panic().map_or_else(|e| e.to_string(), |panic| said(panic.as_ref()));
                write_down(suite, &name, "failed", 1, ms, &why);
                println!("FAILED      {name}: {why}");
                not_passed.push(format!("failed {name}: {why}"));
            }
        }
    }
    let not_reached = not_passed.iter().filter(|w| w.starts_with("not reached")).count();
    println!("{total} cells: {passed} passed, {} failed, {not_reached} not reached", not_passed.len() - not_reached);
    assert!(not_passed.is_empty(), "{} of {total} cells:\n{}", not_passed.len(), not_passed.join("\n"));
}

/// A line for whoever counts the cells of a suite; of `cells` that came to the same where they are too many for a line each.
pub(crate) fn write_down(suite: &str, name: &str, came: &str, cells: usize, ms: u128, why: &str) {
    let Some(path) = std::env::var_os("MODELSWAP_CELLS_OUT").filter(|_| !suite.is_empty()) else { return };
    let line = serde_json::json!({ "suite": suite, "cell": name, "came": came, "cells": cells, "ms": ms, "why": why });
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    let mut file = file.expect("the cells can be written down");
    file.write_all(format!("{line}\n").as_bytes()).expect("the cells can be written down");
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
    text.unwrap_or_else(|| "it panicked".to_owned())
}
