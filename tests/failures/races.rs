//! Suite F: eight processes at once for one service; one of them wins, and nobody's effects are between its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;

use super::ends;
use super::trace::{Phase, Undisturbed, up};
use crate::full;
use crate::rig::cells::{self, Case, Cell, case};
use crate::rig::{Ended, World, journal};

const RACERS: usize = 8;
const ROUNDS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suite_f_of_eight_processes_one_has_the_run() {
    let reference = Arc::new(Undisturbed::of("demo").await);
    let mut cases: Vec<Case> = Vec::new();
    for round in 1..=if full() { ROUNDS } else { 1 } {
        cases.push(case(format!("deploy, round {round}"), deploys(Arc::clone(&reference))));
        cases.push(case(format!("resume after a crash, round {round}"), resumes(Arc::clone(&reference))));
        cases.push(case(format!("rollback, round {round}"), rollbacks(Arc::clone(&reference))));
    }
    cells::suite("F", cases).await;
}

async fn race(world: &World, command: &[&str]) -> Vec<Ended> {
    join_all((0..RACERS).map(|_| world.run(command))).await
}

/// One reached the end; the others changed nothing: somebody else has it (7), or had it (0 or 6, and nothing was done).
async fn deploys(reference: Arc<Undisturbed>) -> Cell {
    let world = up("demo").await;
    let ended = race(&world, &Phase::Deploy.command(&world)).await;
    let won = ended.iter().filter(|e| e.stdout.contains(r#""outcome":"deployed""#)).count();
    assert_eq!(won, 1, "{}", world.said());
    assert!(ended.iter().all(|e| matches!(e.code, Some(0 | 2 | 6 | 7))), "{}", world.said());
    ends::as_planned(&world, &reference).await;
    one_holder_at_a_time(&world, 1);
    over(world).await
}

async fn resumes(reference: Arc<Undisturbed>) -> Cell {
    let world = up("demo").await;
    let died = world.run_into("after:attempt@05-swap", &Phase::Deploy.command(&world)).await;
    if died.signal != Some(9) {
        return Cell::NotReached(format!("it ended with {:?} instead: {}", died.code, died.stderr));
    }
    let ended = race(&world, &["resume", "--output", "json"]).await;
    let won = ended.iter().filter(|e| e.stdout.contains(r#""outcome":"deployed""#)).count();
    assert_eq!(won, 1, "{}", world.said());
    assert!(ended.iter().all(|e| matches!(e.code, Some(0 | 7))), "{}", world.said());
    ends::as_planned(&world, &reference).await;
    one_holder_at_a_time(&world, 2);
    over(world).await
}

/// Here those who come later ask the one who is at it to make room; whoever ends it, ends it completely.
async fn rollbacks(reference: Arc<Undisturbed>) -> Cell {
    let world = up("demo").await;
    world.deploy().await.must_be(0, "deploy");
    let ended = race(&world, &["rollback", "--output", "json"]).await;
    assert!(ended.iter().any(|e| e.code == Some(0)), "{}", world.said());
    assert!(ended.iter().all(|e| matches!(e.code, Some(0 | 4 | 7))), "{}", world.said());
    ends::as_before(&world, &reference).await;
    over(world).await
}

async fn over(world: World) -> Cell {
    ends::sound(&world).await;
    world.down().await;
    Cell::Passed
}

/// The records of each holder stand together, and there were so many of them.
fn one_holder_at_a_time(world: &World, holders: usize) {
    let mut pids: BTreeMap<u64, u32> = BTreeMap::new();
    let mut newest = 0;
    for record in journal::of(world).records {
        assert!(record.epoch >= newest, "epoch {} after {newest}", record.epoch);
        newest = record.epoch;
        let pid = *pids.entry(record.epoch).or_insert(record.actor.pid);
        assert_eq!(pid, record.actor.pid, "two processes wrote in epoch {}", record.epoch);
    }
    assert_eq!(pids.len(), holders, "{pids:?}");
    assert_eq!(json!(pids.values().collect::<std::collections::BTreeSet<_>>().len()), json!(holders));
}
