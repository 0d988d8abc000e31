//! A rollback that is cut off at each of its records, and typed again.

use std::sync::Arc;

use crate::rig::cells::{self, Cell, case};
use crate::rig::reference::Reference;
use crate::rig::{self, World, journal, look};
use crate::{Moment, PACE, full, must_be_sound, must_have_died, plans};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_that_is_killed_at_any_record_is_completed_by_the_next() {
    for plan in plans() {
        let reference = Arc::new(Reference::of(&rig::plan(plan), PACE).await);
        let mut cases = Vec::new();
        for nth in 1..=reference.rollback_records {
            let turn = if nth % 2 == 0 { Moment::Torn } else { Moment::After };
            for moment in if full() { vec![Moment::After, Moment::Torn] } else { vec![turn] } {
                // Both finish what was begun: a resume goes on in the direction in which the run was going.
                let verb = if nth % 4 < 2 { "resume" } else { "rollback" };
                // What has not turned round yet is not on its way back.
                let turned = if moment == Moment::After { nth > 1 } else { nth > 2 };
                let verb = if turned { verb } else { "rollback" };
                let name = format!("{plan}: rollback killed {moment} its record {nth}, then {verb}");
                cases.push(case(name, cut_off(plan, (moment, nth), verb, Arc::clone(&reference))));
            }
        }
        cells::all(cases).await;
    }
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
    let died = world.run_into(&format!("{moment}:{seq}"), &["rollback"]).await;
    if died.code == Some(0) {
        return Cell::NotReached(format!("it ended before its record {nth}"));
    }
    must_have_died(&died, &world, moment, seq);
    world.run(&[verb]).await.must_be(0, "the next");
    look::must_equal(&look::routers(&world).await, &reference.before, "rolled back is as before", &world.said());
    assert_eq!(world.running(), [1, 0]);
    let again = world.run(&["rollback"]).await;
    again.must_be(0, "one more rollback");
    assert!(again.stderr.contains("already"), "{}", again.stderr);
    must_be_sound(&world).await;
    world.down().await;
    Cell::Passed
}
