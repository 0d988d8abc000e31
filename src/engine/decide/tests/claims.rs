//! What must be true of every decision, of the world at every moment, and of every end.

use std::collections::BTreeSet;

use super::sim::{World, steps_of};
use crate::engine::decide::Move;
use crate::ids::StepId;
use crate::journal::fact::Outcome;
use crate::plan::graph::{Phase, Section, Shape};

/// Claims about what may happen next.
pub(super) fn of_moves(world: &World, moves: &[Move], busy: &[StepId]) {
    let state = &world.state;
    let said = || format!("{moves:?} while {busy:?} after {:#?}", world.facts);
    let shape = |id: &StepId| world.plan.shapes.iter().find(|s| s.id == *id).expect("a step of the plan");
    let mut moved = BTreeSet::new();
    for id in moves.iter().flat_map(steps_of) {
        assert!(!busy.contains(&id) && moved.insert(id), "two moves for one step at once: {}", said());
    }
    let stopping = state.steps.values().any(|s| s.failed.is_some()) || asked_to_stop(world);
    for next in moves {
        match next {
            Move::Prepare(_) | Move::Apply(_) | Move::Verify(_) => {
                assert!(state.unwinding.is_none(), "forward while going back: {}", said());
                assert!(!stopping, "something begins after a failure: {}", said());
            }
            Move::Undo(_) => assert!(state.unwinding.is_some(), "back while going forward: {}", said()),
            Move::Wait { until, .. } => assert!(*until > world.now, "a wait for what is past: {}", said()),
            Move::Unwind { .. } => {
                assert!(state.unwinding.is_none() && busy.is_empty(), "it turns round twice: {}", said())
            }
            Move::Finish(_) => {
                assert!(busy.is_empty() && moves.len() == 1, "an end while something is under way: {}", said())
            }
            Move::Observe { .. } => {
                let back = |s: &Shape| state.step(&s.id).attempts == 0 || state.step(&s.id).undone.is_some();
                let traffic = world.plan.shapes.iter().filter(|s| s.phase == Phase::Traffic);
                assert!(traffic.clone().all(back), "the traffic is not back: {}", said());
                assert!(!state.observed.contains_key(crate::engine::decide::RESTORED), "told twice: {}", said());
            }
        }
        for id in steps_of(next) {
            let holds = |id: &StepId| state.step(id).verified.is_some();
            if state.unwinding.is_none() {
                assert!(shape(&id).after.iter().all(holds), "`{id}` before what it comes after: {}", said());
                assert!(!holds(&id), "`{id}` is done already: {}", said());
            }
        }
        match next {
            Move::Prepare(id) => {
                assert!(state.step(id).prepared.is_none(), "the way back would be forgotten: {}", said())
            }
            Move::Apply(id) => {
                assert!(state.step(id).prepared.is_some(), "no way back is durable: {}", said());
                assert!(shape(id).effect && state.step(id).applied.is_none(), "{}", said());
                let waits = shape(id).after_tail_of.as_ref().filter(|_| state.step(id).attempts == 0);
                let tail =
                    waits.and_then(|of| state.tails.iter().find(|t| t.environment == *of && t.until > world.now));
                assert!(tail.is_none(), "clients may still come: {}", said());
            }
            Move::Verify(id) => assert!(state.step(id).applied.is_some() || !shape(id).effect, "{}", said()),
            Move::Undo(ids) => {
                let shapes: Vec<&Shape> = ids.iter().map(shape).collect();
                assert!(ids.iter().all(|id| state.step(id).attempts > 0), "undo of what had no attempt: {}", said());
                assert!(ids.iter().any(|id| state.step(id).undone.is_none()), "undo of what is undone: {}", said());
                assert!(
                    ids.iter().all(|id| state.step(id).undo_failed.is_none()),
                    "it failed in this process: {}",
                    said()
                );
                let one = ids.len() == 1
                    || shapes
                        .iter()
                        .all(|s| s.group.is_some() && s.group == shapes[0].group && s.phase == shapes[0].phase);
                assert!(one, "one write for several registers: {}", said());
                let all = world.going_back();
                let first = all.iter().find(|s| same_write(s, shapes[0]) && state.step(&s.id).attempts > 0);
                assert_eq!(first.map(|s| &s.id), ids.first(), "the first knows what was there before: {}", said());
                shapes.iter().for_each(|s| turn(world, s, &said));
            }
            Move::Wait { .. } | Move::Unwind { .. } | Move::Finish(_) | Move::Observe { .. } => {}
        }
    }
}

fn same_write(one: &Shape, other: &Shape) -> bool {
    one.id == other.id || (one.phase == other.phase && one.group.is_some() && one.group == other.group)
}

pub(super) fn asked_to_stop(world: &World) -> bool {
    world.state.asked.iter().any(|(ask, _)| !matches!(ask, crate::journal::fact::Ask::Approve { .. }))
}

/// Whether it is the turn of a step on the way back.
fn turn(world: &World, shape: &Shape, said: &dyn Fn() -> String) {
    let state = &world.state;
    let with_effect = || world.going_back().iter().filter(|s| state.step(&s.id).attempts > 0);
    let undone = |s: &Shape| state.step(&s.id).undone.is_some();
    // One write for several steps fails for all of them, though it is told of one after the other.
    let failed =
        |s: &Shape| with_effect().any(|other| same_write(s, other) && state.step(&other.id).undo_failed.is_some());
    let settled = |s: &Shape| undone(s) || failed(s);
    let of = |phase: Phase| with_effect().filter(move |s| s.phase == phase);
    match shape.phase {
        Phase::Serve => {}
        Phase::Traffic => assert!(of(Phase::Serve).all(undone), "traffic goes where nothing serves yet: {}", said()),
        Phase::Stop => {
            assert!(
                of(Phase::Serve).chain(of(Phase::Traffic)).all(undone),
                "it is stopped before the traffic is back: {}",
                said()
            );
            assert!(!state.unwinding.as_ref().is_some_and(|u| u.keep), "it was to be kept: {}", said());
            let tail = shape.undo_after_tail_of.as_ref();
            let tail = tail.and_then(|of| state.tails.iter().find(|t| t.environment == *of && t.until > world.now));
            assert!(tail.is_none(), "clients may still come: {}", said());
        }
        Phase::Rest => {
            let traffic = of(Phase::Traffic).filter(|s| s.group == shape.group);
            assert!(traffic.clone().all(undone), "its TTL before its traffic: {}", said());
            let serve_failed = of(Phase::Serve).any(|s| !undone(s));
            assert!(serve_failed || of(Phase::Traffic).all(settled), "the rest before the traffic: {}", said());
            if shape.group.is_some() {
                let others = of(Phase::Rest).filter(|s| s.group.is_none());
                assert!(others.clone().all(settled), "TTLs come last: {}", said());
            }
        }
    }
    // Of what is undone in the same phase, the later step goes first; only traffic goes at the same time.
    if shape.phase != Phase::Traffic {
        let place = |s: &Shape| world.plan.shapes.iter().position(|other| other.id == s.id);
        let later = of(shape.phase)
            .filter(|s| s.group.is_some() == shape.group.is_some() && place(s) > place(shape) && !same_write(s, shape));
        for other in later {
            assert!(settled(other), "`{}` before `{}`: {}", shape.id, other.id, said());
        }
    }
}

/// Claims about the world, each time that something changes in it.
pub(super) fn of_world(world: &World, changed: &str) {
    let registers = &world.registers;
    let said = || format!("{registers:#?} after {:#?}", world.facts);
    for router in ["alb", "dns"] {
        let live = registers[router]["live"].as_str().unwrap();
        assert_eq!(registers[router][live], true, "`{router}` leads to {live}, which it does not know: {}", said());
        for (register, field) in [("env", "runs"), ("in", "registered")] {
            let of = registers.get(format!("{register}-{live}").as_str()).unwrap();
            assert_eq!(of[field], true, "`{router}` leads to {live}, which serves nothing: {}", said());
        }
    }
    if let Some((_, environment)) = changed.split_once('-') {
        let stopped = registers[changed].as_object().unwrap().values().any(|v| *v == false);
        assert!(!stopped || !world.is_asked(environment), "{environment} stops while clients may come: {}", said());
    }
}

/// Claims about an end: it says what is true of the world, no more and no less.
pub(super) fn of_end(world: &World, outcome: &Outcome) {
    let state = &world.state;
    let said = || format!("{outcome:?}: {:#?} after {:#?}", world.registers, world.facts);
    let keep = state.unwinding.as_ref().is_some_and(|u| u.keep);
    let done = |section: Section| {
        let of = world.plan.shapes.iter().filter(|s| s.section <= section);
        of.clone().all(|s| state.step(&s.id).verified.is_some())
    };
    let not_back: Vec<&Shape> = world
        .going_back()
        .iter()
        .filter(|s| state.step(&s.id).has_effect() && !(keep && s.phase == Phase::Stop))
        .collect();
    match outcome {
        Outcome::Deployed => assert!(done(Section::Deploy) && state.unwinding.is_none(), "{}", said()),
        Outcome::Finalized => assert!(done(Section::Finalize) && state.unwinding.is_none(), "{}", said()),
        Outcome::RolledBack { .. } => assert!(not_back.is_empty(), "something is left and nobody is told: {}", said()),
        Outcome::RollbackIncomplete { left, traffic_restored, .. } => {
            let named: BTreeSet<&str> = left.iter().map(|line| line.split('`').nth(1).unwrap()).collect();
            // Of what is kept on demand, only what could not have been undone anyway may be named.
            let must: BTreeSet<&str> = not_back.iter().map(|s| s.id.as_str()).collect();
            let may: BTreeSet<&str> =
                world.plan.shapes.iter().filter(|s| state.step(&s.id).has_effect()).map(|s| s.id.as_str()).collect();
            assert!(must.is_subset(&named) && named.is_subset(&may) && !named.is_empty(), "{}", said());
            let back = ["alb", "dns"].iter().all(|r| world.registers[r]["live"] == "a");
            assert!(!traffic_restored || back, "the traffic is not back: {}", said());
        }
        Outcome::Held { .. } => assert!(state.unwinding.is_none(), "{}", said()),
    }
    let gone_back = matches!(outcome, Outcome::RolledBack { .. } | Outcome::RollbackIncomplete { .. });
    for (register, before) in world.plan.before.iter().filter(|_| gone_back) {
        let changed_by = |s: &Shape| {
            world.plan.effects.get(&s.id).is_some_and(|e| e.register == *register) && state.step(&s.id).has_effect()
        };
        let excused = world.plan.shapes.iter().any(changed_by);
        assert!(excused || world.registers[register] == *before, "`{register}` is not what it was: {}", said());
    }
}
