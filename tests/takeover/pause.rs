//! A run that is paused brings to an end what it has begun, begins nothing new, and goes on when it is asked to.

use std::collections::BTreeSet;

use modelswap::journal::fact::{Ask, Fact};
use modelswap::journal::record::Record;

use crate::rig::background::until;
use crate::rig::{self, Pace, World, journal};

const PACE: Pace = Pace { time: 20, load_s: 30 };

fn begun(records: &[Record]) -> BTreeSet<String> {
    let begun = records.iter().filter_map(|r| match &r.fact {
        Fact::Prepared { step, .. } => Some(step.to_string()),
        _ => None,
    });
    begun.collect()
}

fn has(world: &World, what: impl Fn(&Fact) -> bool) -> bool {
    journal::of(world).records.iter().any(|r| what(&r.fact))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_run_begins_nothing_until_it_is_asked_to_go_on() {
    let world = World::up(&rig::plan("demo-alb"), PACE).await;
    let run = world.start("deploy", &["deploy", world.plan_text(), "--yes"]);
    until("the model is being started", || async { has(&world, |f| matches!(f, Fact::Attempt { .. })) }).await;
    let asked = world.run(&["pause"]).await;
    asked.must_be(0, "pause");
    assert!(asked.stderr.contains("modelswap resume chat"), "{}", asked.stderr);
    let before = begun(&journal::of(&world).records);
    until("what was begun is done", || async { has(&world, |f| matches!(f, Fact::Verified { .. })) }).await;

    // Two more commands, each of which takes longer than the next step would need to begin.
    let status = world.run(&["status"]).await;
    assert!(status.stdout.contains("paused"), "{}", status.stdout);
    assert!(status.stdout.contains("modelswap resume chat"), "{}", status.stdout);
    let again = world.run(&["pause"]).await;
    again.must_be(0, "pause, a second time");
    assert!(again.stderr.contains("paused already"), "{}", again.stderr);
    assert_eq!(begun(&journal::of(&world).records), before, "something began while it was paused");

    let on = world.run(&["resume"]).await;
    on.must_be(0, "resume of a paused run");
    assert!(on.stderr.contains("asked to go on"), "{}", on.stderr);
    run.ended().await.must_be(0, "the deploy that was paused");
    assert!(has(&world, |f| matches!(f, Fact::Asked { ask: Ask::GoOn, .. })));
    let nobody = world.run(&["pause"]).await;
    nobody.must_be(0, "pause where nobody is at work");
    assert!(nobody.stderr.contains("nothing to pause"), "{}", nobody.stderr);
    world.down().await;
}
