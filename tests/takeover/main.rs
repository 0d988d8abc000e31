//! Two real processes on the loopback world: one is stopped in the middle of a step with a request in the air, the other takes
//! its run over and rolls back, the first goes on. It changes nothing any more, and its late request does not win.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]

#[path = "../rig/mod.rs"]
mod rig;

mod drift;
mod pause;

use modelswap::journal::fact::{Fact, Outcome};
use rig::background::until;
use rig::{Pace, World, journal, look};
use rustix::process::Signal;
use serde_json::{Value, json};

/// A request may arrive for 15.5 minutes: 23 s at this pace.
const PACE: Pace = Pace { time: 40, load_s: 5 };

/// How late the request arrives, in milliseconds of the world: after the other process has taken over (which gives the first one
/// ten real seconds to make room) and has put the traffic back, and while it still watches.
const LATE_MS: u64 = 800_000;

struct Late {
    operation: &'static str,
    /// Which of its calls is the one that moves the traffic.
    nth: u32,
}

/// The deploy is stopped with its request in the air, taken over, and goes on. What the late request came to.
async fn taken_over(plan: &str, late: Late) -> (World, Vec<Fact>, Value) {
    let world = World::up(&rig::plan(plan), PACE).await;
    let before = look::routers(&world).await;
    world.order_fault(&json!({ "op": late.operation, "nth": late.nth, "kind": { "late_ms": LATE_MS } })).await;
    let first = world.start("first", &["deploy", world.plan_text(), "--yes"]);
    until("the request is on its way", || async { fired(&world).await.is_some() }).await;
    first.signal(Signal::STOP);
    let call = fired(&world).await.unwrap();

    let second = world.start("second", &["rollback", "--takeover", "--reason", "the first hangs"]);
    until("the run is taken over", || async {
        journal::of(&world).records.iter().any(|r| matches!(&r.fact, Fact::Opened { reason: Some(_), .. }))
    })
    .await;
    first.signal(Signal::CONT);
    let first = first.ended().await;
    first.must_be(7, "the displaced process");
    assert!(first.stderr.contains("took over this run"), "{}", first.stderr);
    assert!(first.stderr.contains("starts nothing further"), "{}", first.stderr);

    second.ended().await.must_be(0, "the rollback");
    look::must_equal(&look::routers(&world).await, &before, "all is as it was before", &world.said());
    assert_eq!(world.running(), [1, 0]);
    // Who wrote what: nothing of the first one's after it was displaced, and no change that nobody had announced.
    let records = journal::of(&world).records;
    let taken = records.iter().position(|r| r.epoch == 2).unwrap();
    assert!(records[taken..].iter().all(|r| r.epoch == 2), "the first one wrote on");
    assert_eq!(world.oracle("findings").await, json!([]), "{}", world.said());
    let facts: Vec<Fact> = records[taken..].iter().map(|r| r.fact.clone()).collect();
    assert!(matches!(facts.last(), Some(Fact::Finished { outcome: Outcome::RolledBack { .. } })), "{facts:?}");
    let calls = world.oracle("calls").await;
    let arrived = calls.as_array().unwrap().iter().find(|c| c["number"] == call).unwrap().clone();
    assert!(!arrived["outcome"].is_null(), "it never arrived, so nothing was shown: {arrived}");
    (world, facts, arrived)
}

async fn fired(world: &World) -> Option<Value> {
    world.oracle("faults").await[0]["fired"].as_array()?.first().map(|fired| fired["call"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_change_of_a_name_is_refused_and_its_exact_ttl_comes_back() {
    let (world, facts, arrived) = taken_over("demo-dns", Late { operation: "ChangeResourceRecordSets", nth: 2 }).await;
    let at = |what: &dyn Fn(&Fact) -> bool| facts.iter().position(what);
    let touched = at(&|f| matches!(f, Fact::Touched { .. })).expect("the fence is written down");
    let attempt = at(&|f| matches!(f, Fact::Attempt { undo: true, .. })).unwrap();
    let restored = at(&|f| matches!(f, Fact::Observed { what, .. } if what == "traffic restored")).unwrap();
    let settled = at(&|f| matches!(f, Fact::Settled { .. })).expect("it says when nothing can arrive any more");
    assert!(touched < attempt && attempt < restored && restored < settled, "{facts:?}");
    assert_eq!(at(&|f| matches!(f, Fact::Observed { what, .. } if what == "late write")), None, "{facts:?}");
    assert!(arrived["outcome"].to_string().contains("InvalidChangeBatch"), "it was not refused: {arrived}");
    world.down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_change_of_a_rule_is_seen_and_put_right() {
    let (world, facts, arrived) = taken_over("demo-alb", Late { operation: "ModifyRule", nth: 2 }).await;
    let restored = facts.iter().position(|f| matches!(f, Fact::Observed { what, .. } if what == "traffic restored"));
    let late = facts.iter().position(|f| matches!(f, Fact::Observed { what, .. } if what == "late write"));
    assert!(late.is_some() && restored < late, "it did not win for a moment, so nothing was shown: {facts:?}");
    assert!(!arrived["outcome"].to_string().contains("rror"), "it was refused: {arrived}");
    world.down().await;
}
