//! A finalize that is cut off at each of its records: it goes on, or everything goes back, and A serves again.

use std::sync::Arc;

use crate::rig::cells::{self, Cell, case};
use crate::rig::reference::Reference;
use crate::rig::{self, World, journal, look};
use crate::{Moment, PACE, full, must_be_sound, must_have_died, plans};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finalize_that_is_killed_at_any_record_goes_on_or_goes_back() {
    for plan in plans() {
        let reference = Arc::new(Reference::of(&rig::plan(plan), PACE).await);
        let mut cases = Vec::new();
        for nth in 1..=records(plan).await {
            let (one, other) = if nth % 2 == 0 { ("resume", "rollback") } else { ("rollback", "resume") };
            let mut cells = vec![(Moment::Torn, one)];
            if full() {
                cells.extend([(Moment::Torn, other), (Moment::After, one), (Moment::After, other)]);
            }
            for (moment, verb) in cells {
                let name = format!("{plan}: finalize killed {moment} its record {nth}, then {verb}");
                cases.push(case(name, cut_off(plan, (moment, nth), verb, Arc::clone(&reference))));
            }
        }
        cells::all(cases).await;
    }
}

/// How many records an undisturbed finalize writes.
async fn records(plan: &str) -> u64 {
    let world = World::up(&rig::plan(plan), PACE).await;
    world.deploy().await.must_be(0, "deploy");
    let deployed = journal::of(&world).log.head.seq;
    world.run(&["finalize", "--now"]).await.must_be(0, "finalize");
    let records = journal::of(&world).log.head.seq - deployed;
    world.down().await;
    records
}

async fn cut_off(
    plan: &'static str,
    (moment, nth): (Moment, u64),
    verb: &'static str,
    reference: Arc<Reference>,
) -> Cell {
    let world = World::up(&rig::plan(plan), PACE).await;
    world.deploy().await.must_be(0, "deploy");
    let seq = journal::of(&world).log.head.seq + nth;
    let died = world.run_into(&format!("{moment}:{seq}"), &["finalize", "--now"]).await;
    if died.code == Some(0) {
        return Cell::NotReached(format!("it ended before its record {nth}"));
    }
    must_have_died(&died, &world, moment, seq);
    world.run(&[verb]).await.must_be(0, verb);
    if verb == "rollback" {
        look::must_equal(&look::routers(&world).await, &reference.before, "rolled back is as before", &world.said());
        assert_eq!(world.running(), [1, 0]);
    } else {
        world.run(&["finalize", "--now"]).await.must_be(0, "finalize of what is finalized, or was not begun");
        assert_eq!(look::live(&world).await.as_deref(), Ok("b"));
        assert_eq!(world.running(), [0, 1]);
    }
    must_be_sound(&world).await;
    world.down().await;
    Cell::Passed
}
