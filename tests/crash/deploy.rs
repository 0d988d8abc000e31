//! A deploy that is cut off at each of its records.

use std::fmt;
use std::sync::Arc;

use crate::rig::cells::{self, Case, Cell, case};
use crate::rig::reference::Reference;
use crate::rig::{self, World, look};
use crate::{Moment, PACE, full, must_be_sound, must_have_died, plans};

/// What is typed after the crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Resume,
    Rollback,
}

impl fmt::Display for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resume => "resume",
            Self::Rollback => "rollback",
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_that_is_killed_at_any_record_goes_on_or_goes_back() {
    for plan in plans() {
        let reference = Arc::new(Reference::of(&rig::plan(plan), PACE).await);
        cells::all(cases(plan, &reference)).await;
    }
}

fn cases(plan: &'static str, reference: &Arc<Reference>) -> Vec<Case> {
    let mut cases = Vec::new();
    for seq in 1..=reference.deploy_records {
        let (one, other) = if seq % 2 == 0 { (Then::Resume, Then::Rollback) } else { (Then::Rollback, Then::Resume) };
        // Cut off right after a record, nothing was done with it; in the middle of the next one, the world has changed already.
        let mut cells = vec![(Moment::After, one), (Moment::Torn, other)];
        if full() {
            cells.extend([(Moment::After, other), (Moment::Torn, one), (Moment::Before, one), (Moment::Before, other)]);
        }
        for (moment, then) in cells {
            let name = format!("{plan}: killed {moment} {seq}, then {then}");
            cases.push(case(name, cut_off(plan, (moment, seq), then, Arc::clone(reference))));
        }
    }
    cases
}

async fn cut_off(plan: &'static str, (moment, seq): (Moment, u64), then: Then, reference: Arc<Reference>) -> Cell {
    let world = World::up(&rig::plan(plan), PACE).await;
    let died = world.run_into(&format!("{moment}:{seq}"), &["deploy", world.plan_text(), "--yes"]).await;
    if died.code == Some(0) {
        return Cell::NotReached(format!("it ended before record {seq}"));
    }
    must_have_died(&died, &world, moment, seq);
    let nothing_written = moment != Moment::After && seq == 1;
    match then {
        Then::Resume if nothing_written => world.deploy().await.must_be(0, "the deploy again"),
        Then::Resume => world.run(&["resume"]).await.must_be(0, "resume"),
        Then::Rollback if nothing_written => {
            let ended = world.run(&["rollback"]).await;
            assert!(matches!(ended.code, Some(0 | 2)), "nothing is there to roll back: {ended:?}");
        }
        Then::Rollback => world.run(&["rollback"]).await.must_be(0, "rollback"),
    }
    match then {
        Then::Resume => {
            look::must_equal(&look::routers(&world).await, &reference.deployed, "resumed is as planned", &world.said());
            assert_eq!(world.running(), [1, 1]);
            world.run(&["resume"]).await.must_be(0, "resume of what is done");
        }
        Then::Rollback => {
            look::must_equal(
                &look::routers(&world).await,
                &reference.before,
                "rolled back is as before",
                &world.said(),
            );
            assert_eq!(world.running(), [1, 0]);
        }
    }
    must_be_sound(&world).await;
    world.down().await;
    Cell::Passed
}
