//! Suite D: each call of a deploy, a resume and a rollback meets each fault of HTTP; the end is as planned, or as before, or
//! truthfully neither.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::ends;
use super::trace::{Phase, Trace, Undisturbed, traced, up};
use crate::part;
use crate::rig::cells::{self, Cell, case};
use crate::rig::{World, look};

/// What leaves the outcome of a write open, and refusals.
const OF_WRITES: [&str; 13] = [
    "time_out_before",
    "time_out_after",
    "reset_before",
    "reset_after",
    "truncate",
    "error_500_before",
    "error_500_after",
    "error_503",
    "throttle",
    "prior_request_not_complete",
    "access_denied",
    "expired_token",
    "twice",
];

/// A read has no effect, so only one side of it.
const OF_READS: [&str; 10] = [
    "time_out_before",
    "reset_before",
    "truncate",
    "error_500_before",
    "error_503",
    "throttle",
    "prior_request_not_complete",
    "access_denied",
    "expired_token",
    "stale",
];

/// World time after which a delayed request lands: longer than its sender waits for the answer.
const LATE_MS: u64 = 900_000;

/// Which command is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Deploy,
    /// Of a deploy that died before it moved traffic.
    Resume,
    Rollback,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deploy => "deploy",
            Self::Resume => "resume",
            Self::Rollback => "rollback",
        })
    }
}

impl Command {
    async fn before(self, world: &World) {
        match self {
            Self::Deploy => {}
            Self::Resume => {
                let died = world.run_into("after:verified@04-check", &Phase::Deploy.command(world)).await;
                assert_eq!(died.signal, Some(9), "{}", died.stderr);
            }
            Self::Rollback => world.deploy().await.must_be(0, "deploy"),
        }
    }

    fn typed(self, world: &World) -> Vec<&str> {
        match self {
            Self::Deploy => Phase::Deploy.command(world),
            Self::Resume => vec!["resume", "--output", "json"],
            Self::Rollback => Phase::Rollback.command(world),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suite_d_every_call_survives_every_fault() {
    let reference = Arc::new(Undisturbed::of("demo").await);
    let mut cases = Vec::new();
    for command in [Command::Deploy, Command::Resume, Command::Rollback] {
        let trace = match command {
            Command::Deploy => reference.trace(Phase::Deploy).clone(),
            Command::Rollback => reference.trace(Phase::Rollback).clone(),
            Command::Resume => {
                let world = up("demo").await;
                command.before(&world).await;
                let trace = traced(&world, &command.typed(&world)).await;
                world.down().await;
                trace
            }
        };
        for (op, nth, kind) in faults(&trace) {
            let name = format!("{command}: {kind} of {op} {nth}");
            cases.push(case(name, survives(command, (op, nth, kind), Arc::clone(&reference))));
        }
    }
    cells::suite("D", part(cases, 19)).await;
}

/// Each write with each fault of writes; of reads, which are polled as often as it takes, the first call of each operation and one
/// of the later ones that is sure to come.
fn faults(trace: &Trace) -> Vec<(String, u32, Value)> {
    let mut faults = Vec::new();
    for (op, nth, _) in trace.sites(true) {
        faults.extend(OF_WRITES.iter().map(|kind| (op.clone(), nth, json!(kind))));
        faults.push((op, nth, json!({ "late_ms": LATE_MS })));
    }
    let mut reads: BTreeMap<String, u32> = BTreeMap::new();
    for (op, nth, _) in trace.sites(false) {
        reads.insert(op, nth);
    }
    for (op, last) in reads {
        let mut sites = vec![1, (last / 4).max(1)];
        sites.dedup();
        for nth in sites {
            faults.extend(OF_READS.iter().map(|kind| (op.clone(), nth, json!(kind))));
        }
    }
    faults
}

async fn survives(command: Command, (op, nth, kind): (String, u32, Value), reference: Arc<Undisturbed>) -> Cell {
    let world = up("demo").await;
    command.before(&world).await;
    world.order_fault(&json!({ "op": op, "nth": nth, "kind": kind })).await;
    let ended = world.run(&command.typed(&world)).await;
    let faults = world.oracle("faults").await;
    if faults[0]["fired"].as_array().is_none_or(Vec::is_empty) {
        return Cell::NotReached(format!("the fault did not fire: {}", ended.stderr));
    }
    ends::truthful(&world, &reference, &ended).await;
    match ended.code {
        // Refused before anything was done: nothing is, and nothing is to be gone back from.
        Some(2 | 6 | 7 | 8) if command == Command::Deploy => {
            ends::as_before(&world, &reference).await;
            assert_eq!(world.mutations().await, 0, "{}", ended.stderr);
        }
        // It stands in between and says so; then the way back must be open.
        Some(0 | 2..=9) => {
            world.run(&["rollback"]).await.must_be(0, "the rollback");
            ends::as_before(&world, &reference).await;
            assert_eq!(look::live(&world).await.as_deref(), Ok("a"));
            ends::sound(&world).await;
        }
        code => panic!("exit {code:?}: {}", ended.stderr),
    }
    assert_eq!(world.oracle("findings").await, json!([]), "{}", world.said());
    world.down().await;
    Cell::Passed
}
