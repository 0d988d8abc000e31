//! Every plan of a small world, every failure, every crash: what is decided keeps its promises.

use proptest::prelude::*;

use super::*;
use crate::journal::fact::{Fact, Purpose};

mod claims;
#[allow(clippy::wildcard_enum_match_arm, clippy::needless_pass_by_value, reason = "a model in a test")]
mod late;
mod sim;
mod worlds;

use sim::{Crash, End, FAULTS, Fault, Trouble, World};
use worlds::{Plan, branches, name, whole};

fn plans() -> [Plan; 2] {
    [whole(), branches()]
}

fn finished(world: &mut World, trouble: &Trouble) -> Outcome {
    match world.go(trouble) {
        End::Finished(outcome) => {
            claims::of_end(world, &outcome);
            outcome
        }
        End::Crashed => panic!("it crashed unasked"),
    }
}

/// Deployed, and finalized where the plan has that.
fn deployed(plan: &Plan, finalized: bool) -> World {
    let mut world = World::new(plan, OnFailure::Rollback);
    assert_eq!(finished(&mut world, &Trouble::default()), Outcome::Deployed);
    if finalized {
        world.open(Purpose::Finalize);
        assert_eq!(finished(&mut world, &Trouble::default()), Outcome::Finalized);
    }
    world
}

fn is_rolled_back(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::RolledBack { .. })
}

/// Every step with every way to fail, and none at all. A step that only looks has fewer.
fn failures(plan: &Plan) -> Vec<Option<(StepId, Fault)>> {
    let of = |id: &StepId| FAULTS.map(|fault| Some((id.clone(), fault)));
    let all = plan.shapes.iter().flat_map(|s| of(&s.id));
    let looks =
        |id: &StepId, fault: Fault| plan.effects.contains_key(id) || matches!(fault, Fault::Look | Fault::NotHolding);
    std::iter::once(None).chain(all.filter(|f| f.as_ref().is_some_and(|(id, fault)| looks(id, *fault)))).collect()
}

/// Ends of one go and what it cost to write down: how many facts.
fn go(world: &mut World, trouble: &Trouble) -> (Outcome, usize) {
    let begin = world.facts.len();
    let outcome = finished(world, trouble);
    (outcome, world.facts.len() - begin)
}

#[test]
fn every_failure_ends_as_the_policy_says_and_the_end_tells_the_truth() {
    for plan in plans() {
        for policy in [OnFailure::Rollback, OnFailure::Hold, OnFailure::Ask] {
            for step in failures(&plan) {
                let mut world = World::new(&plan, policy);
                let trouble = Trouble { step: step.clone(), ..Trouble::default() };
                let outcome = finished(&mut world, &trouble);
                let of_deploy = step
                    .as_ref()
                    .filter(|(id, _)| plan.shapes.iter().any(|s| s.id == *id && s.section == Section::Deploy));
                match (of_deploy, policy) {
                    (None, _) => assert_eq!(outcome, Outcome::Deployed),
                    (Some((_, Fault::Drift)), _) => {
                        assert!(matches!(outcome, Outcome::Held { kind: FailureKind::Drift, .. }), "{outcome:?}")
                    }
                    (Some((_, fault)), OnFailure::Hold | OnFailure::Ask) => {
                        let unknown = matches!(fault, Fault::LostAfter | Fault::LostBefore);
                        let kind = if unknown { FailureKind::Unknown } else { FailureKind::Failed };
                        assert!(matches!(&outcome, Outcome::Held { kind: k, .. } if *k == kind), "{outcome:?}");
                    }
                    (Some(_), OnFailure::Rollback) => {
                        assert!(is_rolled_back(&outcome), "{outcome:?}");
                        assert_eq!(world.registers, plan.before);
                    }
                }
                // What was held goes back when it is told to.
                if matches!(outcome, Outcome::Held { .. }) && world.state.has_effects() {
                    world.roll_back(false);
                    let back = finished(&mut world, &Trouble::default());
                    let foreign = world.plan.before.keys().any(|r| world.is_foreign(r));
                    assert_eq!(is_rolled_back(&back), !foreign, "{back:?}");
                }
            }
        }
    }
}

/// What burns the way back is never a reason to go back by itself, whatever the policy.
#[test]
fn every_failure_of_finalize_holds_and_going_back_undoes_its_steps_first() {
    for step in failures(&whole()) {
        let mut world = deployed(&whole(), false);
        world.open(Purpose::Finalize);
        let of_finalize = step
            .as_ref()
            .is_some_and(|(id, _)| world.plan.shapes.iter().any(|s| s.id == *id && s.section == Section::Finalize));
        let outcome = finished(&mut world, &Trouble { step, ..Trouble::default() });
        assert_eq!(matches!(outcome, Outcome::Held { .. }), of_finalize, "{outcome:?}");
        let begin = world.facts.len();
        world.roll_back(false);
        let back = finished(&mut world, &Trouble::default());
        let foreign = world.plan.before.keys().any(|r| world.is_foreign(r));
        assert_eq!(is_rolled_back(&back), !foreign, "{back:?}");
        let undone: Vec<Phase> = world.facts[begin..].iter().filter_map(|f| phase_undone(&world, f)).collect();
        assert!(undone.is_sorted(), "{undone:?}");
        assert!(foreign || undone.contains(&Phase::Traffic));
    }
}

fn phase_undone(world: &World, fact: &Fact) -> Option<Phase> {
    let Fact::Undone { step, .. } = fact else { return None };
    world.plan.shapes.iter().find(|s| s.id == *step).map(|s| s.phase)
}

/// Kill it at every fact, on either side of it, and let another process go on.
#[test]
fn every_crash_resumes_to_the_same_end() {
    for plan in plans() {
        for step in failures(&plan) {
            let trouble = Trouble { step, ..Trouble::default() };
            let mut undisturbed = World::new(&plan, OnFailure::Rollback);
            let (outcome, facts) = go(&mut undisturbed, &trouble);
            for crash in (0..facts).flat_map(|at| [true, false].map(|before_fact| Crash { at, before_fact })) {
                let mut world = World::new(&plan, OnFailure::Rollback);
                if let End::Finished(_) = world.go(&Trouble { crash: Some(crash), ..trouble.clone() }) {
                    continue;
                }
                let unwinding = world.state.unwinding.clone();
                world.open(Purpose::Resume);
                assert_eq!(finished(&mut world, &trouble), outcome, "crash at {crash:?}");
                assert!(
                    unwinding.is_none() || world.state.unwinding == unwinding,
                    "a resumed unwinding goes on unwinding"
                );
                if !matches!(outcome, Outcome::Held { .. }) {
                    assert_eq!(world.registers, undisturbed.registers, "crash at {crash:?}");
                }
            }
        }
    }
}

/// Kill it at every fact and go back instead.
#[test]
fn after_every_crash_a_rollback_restores_everything_and_a_second_one_does_nothing() {
    for plan in plans() {
        for step in failures(&plan) {
            let trouble = Trouble { step, ..Trouble::default() };
            let (_, facts) = go(&mut World::new(&plan, OnFailure::Rollback), &trouble);
            for crash in (0..facts).flat_map(|at| [true, false].map(|before_fact| Crash { at, before_fact })) {
                let mut world = World::new(&plan, OnFailure::Rollback);
                world.go(&Trouble { crash: Some(crash), ..trouble.clone() });
                world.roll_back(false);
                let back = finished(&mut world, &Trouble::default());
                let foreign = plan.before.keys().any(|r| world.is_foreign(r));
                assert_eq!(is_rolled_back(&back), !foreign, "crash at {crash:?}: {back:?}");
                if !foreign {
                    assert_eq!(world.registers, plan.before, "crash at {crash:?}");
                    assert!(!world.state.has_effects());
                }
                second_rollback_does_nothing(world);
            }
        }
    }
}

fn second_rollback_does_nothing(mut world: World) {
    let (registers, complete) = (world.registers.clone(), !world.state.has_effects());
    world.roll_back(false);
    let begin = world.facts.len();
    let back = finished(&mut world, &Trouble::default());
    assert_eq!(world.registers, registers);
    assert_eq!(is_rolled_back(&back), complete);
    assert!(!complete || world.facts.len() == begin + 1, "{:?}", &world.facts[begin..]);
}

/// A second crash inside the recovery, at every fact of it.
#[test]
fn every_crash_inside_the_way_back_resumes_to_the_same_end() {
    for plan in plans() {
        for finalized in
            [false, true].into_iter().filter(|f| !f || plan.shapes.iter().any(|s| s.section == Section::Finalize))
        {
            let start = deployed(&plan, finalized);
            for undo in undo_failures(&plan) {
                let trouble = Trouble { undo, ..Trouble::default() };
                let mut undisturbed = start.clone();
                undisturbed.roll_back(false);
                let (outcome, facts) = go(&mut undisturbed, &trouble);
                for crash in (0..facts).flat_map(|at| [true, false].map(|before_fact| Crash { at, before_fact })) {
                    for purpose in [Purpose::Resume, Purpose::Rollback] {
                        let mut world = start.clone();
                        world.roll_back(false);
                        if let End::Finished(_) = world.go(&Trouble { crash: Some(crash), ..trouble.clone() }) {
                            continue;
                        }
                        if purpose == Purpose::Rollback {
                            world.roll_back(false)
                        } else {
                            world.open(purpose)
                        }
                        assert_eq!(finished(&mut world, &trouble), outcome, "crash at {crash:?}, {purpose:?}");
                        assert_eq!(world.registers, undisturbed.registers, "crash at {crash:?}, {purpose:?}");
                    }
                }
            }
        }
    }
}

fn undo_failures(plan: &Plan) -> Vec<Option<(StepId, FailureKind)>> {
    let kinds = [FailureKind::Failed, FailureKind::Drift, FailureKind::Unknown];
    let all = plan.effects.keys().flat_map(|id| kinds.map(|kind| Some((id.clone(), kind))));
    std::iter::once(None).chain(all).collect()
}

#[test]
fn whatever_cannot_be_undone_is_named_and_a_rollback_without_that_trouble_finishes_it() {
    for plan in plans() {
        for finalized in
            [false, true].into_iter().filter(|f| !f || plan.shapes.iter().any(|s| s.section == Section::Finalize))
        {
            for undo in undo_failures(&plan).into_iter().flatten() {
                let mut world = deployed(&plan, finalized);
                world.roll_back(false);
                let (id, _) = undo.clone();
                let outcome = finished(&mut world, &Trouble { undo: Some(undo), ..Trouble::default() });
                if world.state.step(&id).attempts == 0 {
                    assert!(is_rolled_back(&outcome), "{outcome:?}");
                    continue;
                }
                let Outcome::RollbackIncomplete { left, traffic_restored, .. } = &outcome else {
                    panic!("{outcome:?}")
                };
                assert!(left.contains(&format!("`{id}`: no way back")), "{left:?}");
                let shape = plan.shapes.iter().find(|s| s.id == id).unwrap();
                assert_eq!(*traffic_restored, shape.phase > Phase::Traffic, "{id}: {outcome:?}");
                // What does not rely on it is back.
                if shape.phase == Phase::Traffic {
                    let other = if shape.group.as_ref().unwrap().as_str() == "alb" { "dns" } else { "alb" };
                    assert_eq!(world.registers[other], plan.before[other], "{id}");
                }
                assert_eq!(world.registers["hook"] == plan.before["hook"], id != name("hook"), "{id}");
                world.roll_back(false);
                assert!(is_rolled_back(&finished(&mut world, &Trouble::default())));
                assert_eq!(world.registers, plan.before);
            }
        }
    }
}

#[test]
fn what_was_started_is_kept_on_demand_and_a_later_rollback_stops_it() {
    for plan in plans() {
        let mut world = deployed(&plan, false);
        world.roll_back(true);
        assert!(is_rolled_back(&finished(&mut world, &Trouble::default())));
        for (register, before) in &plan.before {
            assert_eq!(world.registers[register] != *before, ["env-b", "in-b"].contains(register), "{register}");
        }
        world.roll_back(false);
        assert!(is_rolled_back(&finished(&mut world, &Trouble::default())));
        assert_eq!(world.registers, plan.before);
    }
}

/// A step stays with all that comes before it; what comes after it is as that step left it. Whoever goes on after a crash ends there too.
#[test]
fn a_rollback_to_a_step_undoes_what_came_after_it_and_a_whole_one_the_rest() {
    for plan in plans() {
        for finalized in
            [false, true].into_iter().filter(|f| !f || plan.shapes.iter().any(|s| s.section == Section::Finalize))
        {
            let start = deployed(&plan, finalized);
            let mut left = plan.before.clone();
            for stays in plan.shapes.iter().filter(|s| start.state.step(&s.id).verified.is_some()) {
                if let Some(effect) = plan.effects.get(&stays.id) {
                    let now = effect.on(&left[effect.register]);
                    left.insert(effect.register, now);
                }
                let mut world = start.clone();
                world.roll_back_to(&stays.id);
                let (outcome, facts) = go(&mut world, &Trouble::default());
                assert_eq!(outcome, Outcome::RolledBack { why: "asked".to_owned(), to: Some(stays.id.clone()) });
                assert_eq!(world.registers, left, "back to `{}`", stays.id);
                for crash in (0..facts).flat_map(|at| [true, false].map(|before_fact| Crash { at, before_fact })) {
                    let mut world = start.clone();
                    world.roll_back_to(&stays.id);
                    world.go(&Trouble { crash: Some(crash), ..Trouble::default() });
                    world.open(Purpose::Resume);
                    assert_eq!(finished(&mut world, &Trouble::default()), outcome, "crash at {crash:?}");
                    assert_eq!(world.registers, left, "back to `{}`, crash at {crash:?}", stays.id);
                }
                world.roll_back_to(&stays.id);
                assert_eq!(go(&mut world, &Trouble::default()), (outcome, 1), "typed twice it does nothing");
                world.roll_back(false);
                assert!(is_rolled_back(&finished(&mut world, &Trouble::default())));
                assert_eq!(world.registers, plan.before);
            }
        }
    }
}

#[test]
fn until_stops_after_its_step_and_resume_goes_on_to_the_end() {
    for plan in plans() {
        for shape in plan.shapes.iter().filter(|s| s.section == Section::Deploy) {
            let mut world = World::new(&plan, OnFailure::Rollback);
            let outcome = finished(&mut world, &Trouble { until: Some(shape.id.clone()), ..Trouble::default() });
            assert!(matches!(&outcome, Outcome::Held { why, .. } if why.contains(shape.id.as_str())), "{outcome:?}");
            assert!(world.state.step(&shape.id).verified.is_some());
            for later in plan.shapes.iter().filter(|s| s.after.contains(&shape.id)) {
                assert_eq!(world.state.step(&later.id).prepared, None, "`{}` began after `{}`", later.id, shape.id);
            }
            world.open(Purpose::Resume);
            assert_eq!(finished(&mut world, &Trouble::default()), Outcome::Deployed);
        }
    }
}

#[test]
fn an_abort_holds_forward_and_does_not_stop_the_way_back() {
    for plan in plans() {
        let (_, facts) = go(&mut World::new(&plan, OnFailure::Rollback), &Trouble::default());
        for abort in 0..facts - 1 {
            let mut world = World::new(&plan, OnFailure::Rollback);
            let outcome = finished(&mut world, &Trouble { abort: Some(abort), ..Trouble::default() });
            assert!(matches!(&outcome, Outcome::Held { why, .. } if why.contains("eve")), "{abort}: {outcome:?}");
            world.open(Purpose::Resume);
            assert_eq!(
                finished(&mut world, &Trouble::default()),
                Outcome::Deployed,
                "{abort}: it was for the process that got it"
            );
            world.roll_back(false);
            let outcome = finished(&mut world, &Trouble { abort: Some(abort.min(5)), ..Trouble::default() });
            assert!(is_rolled_back(&outcome), "{outcome:?}");
        }
    }
}

/// Two automations that fight, or a step that a person must judge, are worse than a pause: whichever failed first.
#[test]
fn of_two_failures_at_once_the_one_that_holds_counts() {
    let failed = |id: &str, kind| Fact::Failed { step: name(id), failure: Failure { kind, why: String::new() } };
    for (one, other) in [(FailureKind::Failed, FailureKind::Drift), (FailureKind::Drift, FailureKind::Failed)] {
        let mut world = World::new(&branches(), OnFailure::Rollback);
        world.state.fold(world.now, &failed("attach", one));
        world.state.fold(world.now, &failed("lower", other));
        let moves = decide(&world.plan.shapes, world.policy, &world.state, world.now, &Situation::default());
        assert!(matches!(&moves[..], [Move::Finish(Outcome::Held { kind: FailureKind::Drift, .. })]), "{moves:?}");
    }
}

#[test]
fn after_an_end_nothing_is_decided() {
    for plan in plans() {
        let world = deployed(&plan, false);
        assert_eq!(decide(&plan.shapes, world.policy, &world.state, world.now, &Situation::default()), []);
    }
}

/// Every router goes back at once, and no other phase is undone at the same time.
#[test]
fn traffic_of_all_routers_goes_back_at_the_same_time() {
    for plan in plans() {
        let mut world = deployed(&plan, false);
        world.roll_back(false);
        let moves = decide(&plan.shapes, world.policy, &world.state, world.now, &Situation::default());
        let mut groups: Vec<Vec<StepId>> = moves.iter().map(sim::steps_of).collect();
        groups.sort();
        assert_eq!(groups, [vec![name("attach"), name("swap-alb")], vec![name("swap-dns")]]);
        let busy = [name("attach"), name("swap-alb")];
        let moves =
            decide(&plan.shapes, world.policy, &world.state, world.now, &Situation { busy: &busy, until: None });
        assert_eq!(moves, [Move::Undo(vec![name("swap-dns")])]);
    }
}

fn any_trouble() -> impl Strategy<Value = Trouble> {
    let step = proptest::option::of((0..13_usize, 0..FAULTS.len()));
    let undo = proptest::option::of((0..13_usize, 0..3_usize));
    let crash = proptest::option::of((0..60_usize, any::<bool>()));
    let schedule = proptest::collection::vec(0..6_usize, 0..80);
    (step, undo, crash, proptest::option::of(0..60_usize), schedule).prop_map(|(step, undo, crash, abort, schedule)| {
        let shapes = branches().shapes;
        let kinds = [FailureKind::Failed, FailureKind::Drift, FailureKind::Unknown];
        let of = |n: usize| shapes[n % shapes.len()].id.clone();
        Trouble {
            step: step.map(|(n, fault)| (of(n), FAULTS[fault])),
            undo: undo.map(|(n, kind)| (of(n), kinds[kind])),
            crash: crash.map(|(at, before_fact)| Crash { at, before_fact }),
            abort,
            until: None,
            schedule,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// Branches at any speed, with any trouble, and what comes after it: every claim about moves, world and end.
    #[test]
    fn whatever_the_schedule_the_claims_hold(first in any_trouble(), second in any_trouble(), back in any::<bool>(), keep in any::<bool>()) {
        let mut world = World::new(&branches(), OnFailure::Rollback);
        for trouble in [first, second] {
            if let End::Finished(outcome) = world.go(&trouble) {
                claims::of_end(&world, &outcome);
            }
            if back { world.roll_back(keep) } else { world.open(Purpose::Resume) }
        }
        finished(&mut world, &Trouble::default());
        world.roll_back(false);
        let outcome = finished(&mut world, &Trouble::default());
        let foreign = world.plan.before.keys().any(|r| world.is_foreign(r));
        prop_assert_eq!(is_rolled_back(&outcome), !foreign);
        prop_assert!(foreign || world.registers == world.plan.before);
    }
}
