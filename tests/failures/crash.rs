//! Suites A and B: the process dies at each point of each step, by `kill -9`; whatever is typed next, and from wherever, ends as
//! planned or as before.

use std::sync::Arc;

use super::ends;
use super::points::{self, Point};
use super::trace::{Phase, Undisturbed, up};
use crate::rig::cells::{self, Case, Cell, case};
use crate::rig::{World, journal, look};
use crate::{part, plans};

/// What is typed after the crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Resume,
    Rollback,
    /// From a machine of another name, which sees the same state.
    RollbackElsewhere,
}

impl Then {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Resume => "resume",
            Self::Rollback => "rollback",
            Self::RollbackElsewhere => "rollback elsewhere",
        }
    }
}

/// Where the journal is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Local,
}

/// One line more here for each store.
const STORES: [(Kept, &str); 1] = [(Kept::Local, "local")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suite_a_a_crash_at_each_point_of_each_step_is_harmless() {
    let mut cases = Vec::new();
    for plan in plans() {
        let reference = Arc::new(Undisturbed::of(plan).await);
        for phase in Phase::ALL {
            for (n, point) in points::of(reference.trace(phase)).into_iter().enumerate() {
                // The ways on take turns; suite B takes each of them.
                let then = if n % 2 == 0 { Then::Resume } else { Then::Rollback };
                let name = format!("{plan}: {} killed {point}, then {}", phase.name(), then.name());
                cases.push(case(name, dies(plan, phase, point, then, Arc::clone(&reference))));
            }
        }
    }
    cells::suite("A", part(cases, 3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suite_b_from_each_crash_each_way_on_leads_to_its_end() {
    let reference = Arc::new(Undisturbed::of("demo").await);
    let mut cases: Vec<Case> = Vec::new();
    for phase in [Phase::Deploy, Phase::Rollback] {
        for point in points::of(reference.trace(phase)) {
            for then in [Then::Resume, Then::Rollback, Then::RollbackElsewhere] {
                for (kept, store) in STORES {
                    let Kept::Local = kept;
                    let name = format!("{} killed {point}, then {}, {store}", phase.name(), then.name());
                    cases.push(case(name, dies("demo", phase, point.clone(), then, Arc::clone(&reference))));
                }
            }
        }
    }
    // Each point has three ways: a step of an odd number takes them in turn.
    cells::suite("B", part(cases, 17)).await;
}

async fn dies(plan: &'static str, phase: Phase, point: Point, then: Then, reference: Arc<Undisturbed>) -> Cell {
    let world = up(plan).await;
    phase.before(&world).await;
    if let Err(why) = point.kill(&world, &phase.command(&world)).await {
        return Cell::NotReached(why);
    }
    recovers(&world, phase, then, &reference).await;
    ends::sound(&world).await;
    world.down().await;
    Cell::Passed
}

/// Types what is typed next, and looks whether it leads where it should.
pub(crate) async fn recovers(world: &World, phase: Phase, then: Then, reference: &Undisturbed) {
    let written = journal::of(world);
    // A run that is not in the journal has changed nothing, so there is nothing to go on with or back from.
    if written.log.newest().is_none() {
        return begin_again(world, then, reference).await;
    }
    match then {
        Then::Resume => {
            let ended = world.run(&["resume", "--output", "json"]).await;
            ended.must_be(0, "resume");
            ends::truthful(world, reference, &ended).await;
            match phase {
                Phase::Deploy => ends::as_planned(world, reference).await,
                Phase::Finalize => {
                    // One that was not begun in the journal is begun now.
                    world.run(&["finalize", "--now"]).await.must_be(0, "finalize");
                    ends::as_finalized(world, reference).await;
                }
                Phase::Rollback | Phase::RollbackFinalized => {
                    // A run that had not turned round yet goes on forward; back it must still go.
                    world.run(&["rollback"]).await.must_be(0, "rollback");
                    ends::as_before(world, reference).await;
                }
            }
            world.run(&["resume"]).await.must_be(0, "resume of what is done");
        }
        Then::Rollback => back(world, reference).await,
        Then::RollbackElsewhere => {
            let why = ["--takeover", "--reason", "the machine of the deploy is gone"];
            let ended = world.run_elsewhere(&[&["rollback", "--output", "json"][..], &why].concat()).await;
            assert!(
                matches!(ended.code, Some(0 | 5)),
                "rollback elsewhere ended with {:?}: {}",
                ended.code,
                ended.stderr
            );
            ends::truthful(world, reference, &ended).await;
            assert_eq!(look::live(world).await.as_deref(), Ok("a"), "{}", world.said());
            // Processes are the business of the host they run on: there the rest is done.
            back(world, reference).await;
        }
    }
}

async fn back(world: &World, reference: &Undisturbed) {
    let ended = world.run(&["rollback", "--output", "json"]).await;
    ended.must_be(0, "rollback");
    ends::truthful(world, reference, &ended).await;
    ends::as_before(world, reference).await;
    let calls = world.mutations().await;
    let again = world.run(&["rollback"]).await;
    again.must_be(0, "one more rollback");
    assert!(again.stderr.contains("already"), "{}", again.stderr);
    assert_eq!(world.mutations().await, calls, "undo of nothing is nothing");
}

async fn begin_again(world: &World, then: Then, reference: &Undisturbed) {
    match then {
        Then::Resume => {
            world.deploy().await.must_be(0, "the deploy again");
            ends::as_planned(world, reference).await;
        }
        Then::Rollback | Then::RollbackElsewhere => {
            let ended = world.run(&["rollback"]).await;
            assert!(matches!(ended.code, Some(0 | 2)), "nothing is there to roll back: {ended:?}");
            ends::as_before(world, reference).await;
        }
    }
}
