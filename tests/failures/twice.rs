//! Suite C: what is typed after a crash is killed as well, and typed again.

use std::sync::Arc;

use super::crash::{Then, recovers};
use super::ends;
use super::points::{self, Point};
use super::trace::{Phase, Trace, Undisturbed, up};
use crate::part;
use crate::rig::World;
use crate::rig::cells::{self, Cell, case};

/// Where a recovery dies: on a side of the first record of its kind that it writes.
const ALWAYS: [&str; 6] =
    ["torn:opened", "after:opened", "before:finished", "torn:finished", "after:finished", "before:opened"];
const BACK: [&str; 2] = ["torn:unwinding", "after:unwinding"];
const EFFECT: [&str; 5] = ["torn:attempt", "after:attempt", "before:applied", "torn:applied", "after:applied"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suite_c_a_second_crash_inside_the_recovery_is_harmless_too() {
    let reference = Arc::new(Undisturbed::of("demo").await);
    let mut cases = Vec::new();
    let mut turn = 0;
    for phase in [Phase::Deploy, Phase::Rollback] {
        let trace = reference.trace(phase);
        for point in points::of(trace) {
            for then in [Then::Resume, Then::Rollback] {
                let seconds = seconds(phase, trace, &point, then);
                // The whole product is some 2,000; each first point meets one second point of each way, and each
                // kind of second point meets each kind of first point.
                let Some(second) = seconds.get(turn % seconds.len().max(1)).copied() else { continue };
                turn += 1;
                let name = format!("{} killed {point}, {} killed {second}", phase.name(), then.name());
                cases.push(case(name, dies_twice(phase, point.clone(), then, second, Arc::clone(&reference))));
            }
        }
    }
    cells::suite("C", part(cases, 13)).await;
}

/// The second points that a recovery from the first surely passes.
fn seconds(phase: Phase, trace: &Trace, point: &Point, then: Then) -> Vec<&'static str> {
    let (before, after) = trace.records.split_at(point.at.min(trace.records.len()));
    let is = |fact: &'static str| move |record: &&serde_json::Value| record["fact"]["fact"] == fact;
    let has = |records: &[serde_json::Value], fact: &'static str| records.iter().any(|r| is(fact)(&r));
    if !has(before, "run_started") && phase == Phase::Deploy {
        return Vec::new();
    }
    let over = has(before, "finished");
    // A run that has its end is not taken in hand by a resume, nor one that is back by a rollback.
    let takes = match (phase, then) {
        (Phase::Deploy, Then::Resume) => !over,
        (Phase::Deploy, _) => true,
        (_, Then::Resume) => has(before, "opened") && !over,
        (_, _) => !over,
    };
    if !takes {
        return Vec::new();
    }
    let effect = match (phase, then) {
        (Phase::Deploy, Then::Resume) => has(after, "attempt"),
        (Phase::Deploy, _) => has(before, "attempt"),
        (_, Then::Resume) => has(before, "unwinding") && has(after, "attempt"),
        (_, _) => has(after, "attempt"),
    };
    let back = then != Then::Resume;
    let parts = [(true, &ALWAYS[..]), (back, &BACK[..]), (effect, &EFFECT[..])];
    parts.into_iter().filter(|(there, _)| *there).flat_map(|(_, points)| points.iter().copied()).collect()
}

async fn dies_twice(phase: Phase, first: Point, then: Then, second: &'static str, reference: Arc<Undisturbed>) -> Cell {
    let world = up("demo").await;
    phase.before(&world).await;
    if let Err(why) = first.kill(&world, &phase.command(&world)).await {
        return Cell::NotReached(why);
    }
    if let Some(cell) = dies_again(&world, then, second).await {
        return cell;
    }
    recovers(&world, if then == Then::Resume { phase } else { Phase::Rollback }, then, &reference).await;
    ends::sound(&world).await;
    world.down().await;
    Cell::Passed
}

async fn dies_again(world: &World, then: Then, second: &str) -> Option<Cell> {
    let verb = if then == Then::Resume { "resume" } else { "rollback" };
    let ended = world.run_into(second, &[verb]).await;
    let missed = ended.signal != Some(9);
    missed.then(|| Cell::NotReached(format!("the {verb} ended with {:?} instead: {}", ended.code, ended.stderr)))
}
