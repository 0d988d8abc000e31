//! The points at which a process can die, from what it wrote and called when it lived.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};

use super::trace::Trace;
use crate::rig::{Ended, World, journal};

/// Where a process dies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    /// In the words of the matrix: `torn intent`.
    pub(crate) label: &'static str,
    /// The step it happens to; of a record that belongs to none, what it says.
    pub(crate) of: String,
    /// After how many records of the undisturbed run it lies.
    pub(crate) at: usize,
    how: How,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum How {
    /// On a side of a record: `torn:applied@05-swap`.
    Record(&'static str, String),
    /// While this call is in the air, before or after its effect.
    Call { op: String, nth: u32, kind: &'static str },
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.label, self.of)
    }
}

/// Label of each side of each kind of record.
fn label(side: &str, fact: &str) -> Option<&'static str> {
    Some(match (side, fact) {
        ("before", "prepared") => "before capture",
        ("torn", "prepared") => "torn capture",
        ("torn", "attempt") => "torn intent",
        ("after", "attempt") => "intent durable, unsent",
        ("before", "applied") => "answered, unrecorded",
        ("torn", "applied") => "torn outcome",
        ("after", "applied") => "in wait",
        ("before", "verified" | "undone") => "end of wait",
        ("torn", "verified" | "undone") => "torn verdict",
        // These three are on either side of nothing but themselves.
        ("after", "prepared" | "verified" | "undone") | ("before", "attempt") => return None,
        ("before", _) => "before",
        ("torn", _) => "torn",
        (_, _) => "after",
    })
}

/// Every point of a command.
pub(crate) fn of(trace: &Trace) -> Vec<Point> {
    let mut points = Vec::new();
    let mut seen = BTreeSet::new();
    for (n, record) in trace.records.iter().enumerate() {
        let (fact, step) = (record["fact"]["fact"].as_str().expect("a name"), record["fact"]["step"].as_str());
        if !seen.insert((fact, step)) {
            continue;
        }
        let which = step.map_or_else(|| fact.to_owned(), |step| format!("{fact}@{step}"));
        for (side, at) in [("before", n), ("torn", n), ("after", n + 1)] {
            let Some(label) = label(side, fact) else { continue };
            let of = step.unwrap_or(fact).to_owned();
            points.push(Point { label, of, at, how: How::Record(side, which.clone()) });
        }
    }
    for (op, nth, call) in trace.sites(true) {
        let (at, step) = sender(trace, call);
        for (label, kind) in [("sent, unapplied", "kill_before"), ("applied, answer lost", "kill_after")] {
            let of = format!("{step} ({op} {nth})");
            points.push(Point { label, of, at, how: How::Call { op: op.clone(), nth, kind } });
        }
    }
    points
}

/// The step that sent a call, which is the one with an open attempt at a register of the call's service; and how many records
/// stood before the answer's.
fn sender(trace: &Trace, call: &Value) -> (usize, String) {
    let family = if call["service"] == "route53" { "route53 " } else { "alb " };
    let (at, mut open, mut n) = (call["at"].as_str().expect("a time"), Vec::new(), 0);
    for record in trace.records.iter().take_while(|r| r["at"].as_str().expect("a time") <= at) {
        n += 1;
        let fact = &record["fact"];
        let Some(step) = fact["step"].as_str() else { continue };
        match fact["fact"].as_str() {
            Some("attempt") => open.push(step),
            Some("applied") => open.retain(|s| *s != step),
            _ => {}
        }
    }
    let key_of = |step: &str| {
        let prepared = trace.records.iter().find(|r| r["fact"]["fact"] == "prepared" && r["fact"]["step"] == step);
        prepared.and_then(|r| r["fact"]["key"].as_str()).unwrap_or_default().to_owned()
    };
    // What was prepared by a command before is not in this trace; then any open attempt will do for a name.
    let found = open.iter().rev().find(|step| key_of(step).starts_with(family)).or(open.last());
    (n, found.map_or_else(|| "?".to_owned(), |step| (*step).to_owned()))
}

impl Point {
    /// Runs a command into this point; why not, where it did not die there.
    pub(crate) async fn kill(&self, world: &World, command: &[&str]) -> Result<Ended, String> {
        let wrote = journal::of(world).records.len();
        let ended = match &self.how {
            How::Record(side, which) => world.run_into(&format!("{side}:{which}"), command).await,
            How::Call { op, nth, kind } => {
                world.order_fault(&json!({ "op": op, "nth": nth, "kind": kind })).await;
                world.run(command).await
            }
        };
        if ended.signal != Some(9) {
            return Err(format!("it ended with {:?} instead: {}", ended.code, ended.stderr));
        }
        let now = journal::of(world);
        match &self.how {
            How::Record(side, which) => {
                assert_eq!(now.torn > 0, *side == "torn", "{} bytes behind the last record", now.torn);
                let is = |record: &modelswap::journal::record::Record| {
                    let fact = serde_json::to_value(&record.fact).expect("facts are JSON");
                    let name = fact["fact"].as_str().expect("a name").to_owned();
                    fact["step"].as_str().map_or(name.clone(), |step| format!("{name}@{step}")) == *which
                };
                let written = now.records.iter().skip(wrote).filter(|record| is(record)).count();
                assert_eq!(written, usize::from(*side == "after"), "records of {which} after a crash {side} it");
            }
            How::Call { kind, .. } => {
                let faults = world.oracle("faults").await;
                let fired = faults.as_array().and_then(|f| f.last()).and_then(|f| f["fired"][0]["call"].as_u64());
                let Some(number) = fired else { return Err(format!("the order did not fire: {faults}")) };
                let calls = world.oracle("calls").await;
                let call = calls.as_array().into_iter().flatten().find(|call| call["number"] == number);
                let effect = call.map(|call| call["outcome"]["effect"] == true);
                assert_eq!(effect, Some(*kind == "kill_after"), "{call:?}");
            }
        }
        Ok(ended)
    }
}
