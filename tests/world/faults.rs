//! Each change of a deploy, hit by each fault that leaves its outcome open: the end is as planned, or as before, or truthfully
//! neither.

use std::sync::Arc;

use serde_json::json;

use crate::rig::cells::{self, Cell, case};
use crate::rig::reference::Reference;
use crate::rig::{self, Pace, World, journal, look};

const PACE: Pace = Pace { time: 60, load_s: 5 };

/// What leaves the caller without an answer that says what happened; and a refusal that passes.
const KINDS: [&str; 4] = ["time_out_after", "reset_before", "error_500_after", "throttle"];

/// With `MODELSWAP_FAULTS=full`: their counterparts on the other side of the effect too.
const KINDS_FULL: [&str; 4] = ["time_out_before", "reset_after", "error_500_before", "truncate"];

fn kinds() -> impl Iterator<Item = &'static str> {
    let full = std::env::var("MODELSWAP_FAULTS").is_ok_and(|v| v == "full");
    KINDS.into_iter().chain(KINDS_FULL.into_iter().filter(move |_| full))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_of_a_deploy_survives_every_fault() {
    let reference = Arc::new(Reference::of(&rig::plan("demo"), PACE).await);
    assert!(reference.mutations.len() >= 6, "{:?}", reference.mutations);
    let mut cases = Vec::new();
    for (at, op) in reference.mutations.iter().enumerate() {
        let nth = reference.mutations[..=at].iter().filter(|o| *o == op).count();
        for kind in kinds() {
            let fault = Fault { op: op.clone(), nth, kind };
            cases.push(case(format!("{kind} of {op} {nth}"), survives(fault, Arc::clone(&reference))));
        }
    }
    cells::all(cases).await;
}

struct Fault {
    op: String,
    nth: usize,
    kind: &'static str,
}

async fn survives(fault: Fault, reference: Arc<Reference>) -> Cell {
    let world = World::up(&rig::plan("demo"), PACE).await;
    world.order_fault(&json!({ "op": fault.op, "nth": fault.nth, "kind": fault.kind })).await;
    let ended = world.deploy().await;
    let faults = world.oracle("faults").await;
    if faults[0]["fired"].as_array().is_none_or(Vec::is_empty) {
        return Cell::NotReached(format!("the fault did not fire: {}", ended.stderr));
    }
    match ended.code {
        Some(0) => {
            look::must_equal(&look::routers(&world).await, &reference.deployed, "exit 0 is as planned", &ended.stderr);
            assert_eq!(world.running(), [1, 1], "{}", ended.stderr);
        }
        Some(3) => is_as_before(&world, &reference, &ended.stderr).await,
        // It stands in between and says so; then the way back must be open.
        Some(4 | 9) => world.run(&["rollback"]).await.must_be(0, "the rollback of what is held"),
        code => panic!("exit {code:?}: {}", ended.stderr),
    }
    if ended.code != Some(3) {
        world.run(&["rollback"]).await.must_be(0, "the rollback");
        is_as_before(&world, &reference, &ended.stderr).await;
    }
    assert_eq!(world.oracle("findings").await, json!([]), "{}", ended.stderr);
    assert_eq!(journal::of(&world).torn, 0);
    world.down().await;
    Cell::Passed
}

async fn is_as_before(world: &World, reference: &Reference, said: &str) {
    look::must_equal(&look::routers(world).await, &reference.before, "rolled back is as before", &world.said());
    assert_eq!(world.running(), [1, 0], "{said}");
}
