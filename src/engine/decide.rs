//! The whole policy: what may happen next, from what is durable. No I/O, no clock, no `async`.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::ids::{RouterName, StepId};
use crate::journal::fact::{Ask, Failure, FailureKind, Outcome};
use crate::journal::state::{Goal, RunState, Unwinding};
use crate::plan::graph::{Phase, Section, Shape};
use crate::plan::model::OnFailure;

/// What the loop may do now. Moves of one answer may be done at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// Look, so that the way back is known.
    Prepare(StepId),
    /// Make the effect. Only ever said of a step whose `Prepared` is durable.
    Apply(StepId),
    /// See whether it holds.
    Verify(StepId),
    /// Take back, with one write, what these steps did to one register; the first one knows what was there before them all.
    Undo(Vec<StepId>),
    /// Nothing can be done for this step before then.
    Wait {
        /// Which step.
        step: StepId,
        /// Until when.
        until: Timestamp,
        /// For what.
        why: String,
    },
    /// Write down something that people wait for.
    Observe {
        /// What.
        what: String,
        /// In a few words.
        detail: String,
    },
    /// Turn round.
    Unwind {
        /// Why.
        why: String,
    },
    /// The run has reached an end.
    Finish(Outcome),
}

/// What the loop knows beside the journal.
#[derive(Debug, Default)]
pub struct Situation<'a> {
    /// Steps with a move under way.
    pub busy: &'a [StepId],
    /// Stop after this step.
    pub until: Option<&'a StepId>,
}

/// What may happen next. Empty while moves are under way that must land first.
pub fn decide(
    shapes: &[Shape],
    policy: OnFailure,
    state: &RunState,
    now: Timestamp,
    situation: &Situation<'_>,
) -> Vec<Move> {
    if state.outcome.is_some() {
        return Vec::new();
    }
    if state.unwinding.is_some() {
        return unwind(shapes, state, now, situation);
    }
    if let Some(stop) = stopped(shapes, policy, state) {
        // The first failure starts nothing new; what is under way lands first.
        return if situation.busy.is_empty() { vec![stop] } else { Vec::new() };
    }
    forward(shapes, state, now, situation)
}

/// Why the run goes no further forward, if it does not.
fn stopped(shapes: &[Shape], policy: OnFailure, state: &RunState) -> Option<Move> {
    if let Some((_, by)) = state.asked.iter().find(|(ask, _)| matches!(ask, Ask::Abort | Ask::Yield)) {
        return Some(hold(FailureKind::Failed, format!("{by} asked it to stop")));
    }
    let failures = || shapes.iter().filter_map(|s| Some((s, state.step(&s.id).failed.as_ref()?)));
    // Of several at once, one that only a person can judge counts, wherever it stands in the plan.
    let for_a_person = |(shape, failure): &(&Shape, &Failure)| shape.holds || failure.kind == FailureKind::Drift;
    let (shape, failure) = failures().find(for_a_person).or_else(|| failures().next())?;
    let why = format!("step `{}` failed: {}", shape.id, failure.why);
    if shape.holds {
        return Some(hold(failure.kind, why));
    }
    match (failure.kind, policy) {
        // Somebody else is at work on the same thing: two automations fighting is worse than a pause.
        (FailureKind::Drift, _) | (_, OnFailure::Hold | OnFailure::Ask) => Some(hold(failure.kind, why)),
        (FailureKind::Failed | FailureKind::Unknown, OnFailure::Rollback) => Some(Move::Unwind { why }),
    }
}

fn hold(kind: FailureKind, why: String) -> Move {
    Move::Finish(Outcome::Held { why, kind })
}

fn forward(shapes: &[Shape], state: &RunState, now: Timestamp, situation: &Situation<'_>) -> Vec<Move> {
    let goal = match state.goal {
        Goal::Deployed => Section::Deploy,
        Goal::Finalized => Section::Finalize,
    };
    let holds = |id: &StepId| state.step(id).verified.is_some();
    let mut moves = Vec::new();
    let mut open = false;
    for shape in shapes.iter().filter(|s| s.section <= goal) {
        if holds(&shape.id) {
            if situation.until == Some(&shape.id) {
                let why = format!("stopped after `{}`, as asked", shape.id);
                return if situation.busy.is_empty() { vec![hold(FailureKind::Failed, why)] } else { Vec::new() };
            }
            continue;
        }
        open = true;
        if situation.busy.contains(&shape.id) || !shape.after.iter().all(holds) {
            continue;
        }
        moves.push(next_for(shape, state, now));
    }
    if open {
        return moves;
    }
    vec![Move::Finish(if goal == Section::Finalize { Outcome::Finalized } else { Outcome::Deployed })]
}

/// The next move of one step whose turn it is.
fn next_for(shape: &Shape, state: &RunState, now: Timestamp) -> Move {
    let step = state.step(&shape.id);
    let id = shape.id.clone();
    if step.prepared.is_none() {
        return Move::Prepare(id);
    }
    if step.attempts == 0
        && let Some(environment) = &shape.after_tail_of
        && let Some(tail) =
            state.tails.iter().filter(|t| t.environment == *environment && t.until > now).max_by_key(|t| t.until)
    {
        return Move::Wait { step: id, until: tail.until, why: tail.why.clone() };
    }
    // An attempt without an answer may have taken effect or not: `apply` is right after either.
    if shape.effect && step.applied.is_none() { Move::Apply(id) } else { Move::Verify(id) }
}

/// What comes after a step, as the plan is written: what goes back when that step stays.
fn later<'a>(shapes: &'a [Shape], stays: Option<&StepId>) -> &'a [Shape] {
    let at = stays.and_then(|stays| shapes.iter().position(|shape| shape.id == *stays));
    at.map_or(shapes, |at| shapes.get(at + 1..).unwrap_or_default())
}

/// Steps that are undone by one write, oldest first.
struct Group<'a> {
    shapes: Vec<&'a Shape>,
    phase: Phase,
}

impl Group<'_> {
    fn ids(&self) -> Vec<StepId> {
        self.shapes.iter().map(|s| s.id.clone()).collect()
    }

    fn register(&self) -> Option<&RouterName> {
        self.shapes.first().and_then(|s| s.group.as_ref())
    }
}

/// What was changed and how it goes back, in the order of going back.
fn groups<'a>(shapes: &'a [Shape], state: &RunState) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for shape in shapes.iter().filter(|s| s.effect && state.step(&s.id).attempts > 0) {
        let joins = |g: &&mut Group<'a>| {
            g.phase == shape.phase && shape.group.is_some() && g.register() == shape.group.as_ref()
        };
        match groups.iter_mut().rev().find(joins) {
            Some(group) => group.shapes.push(shape),
            None => groups.push(Group { shapes: vec![shape], phase: shape.phase }),
        }
    }
    groups.reverse();
    // What is left of a register in the last phase is its TTL, and TTLs come last.
    groups.sort_by_key(|g| (g.phase, g.phase == Phase::Rest && g.register().is_some()));
    groups
}

fn unwind(shapes: &[Shape], state: &RunState, now: Timestamp, situation: &Situation<'_>) -> Vec<Move> {
    let unwinding = state.unwinding.clone().expect("BUG: only called while unwinding");
    let groups = groups(later(shapes, unwinding.to.as_ref()), state);
    let done = |g: &Group<'_>| g.shapes.iter().all(|s| state.step(&s.id).undone.is_some());
    let failed = |g: &Group<'_>| g.shapes.iter().any(|s| state.step(&s.id).undo_failed.is_some());
    let mut moving = None;
    let mut left = BTreeSet::new();
    let mut moves = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        if done(group) {
            continue;
        }
        if failed(group) || left.iter().any(|l| groups.get(*l).is_some_and(|f| relies(group, f))) {
            left.insert(at);
            continue;
        }
        if unwinding.keep && group.phase == Phase::Stop {
            continue;
        }
        // One after the other, because what is next may rely on this one. Only traffic does not wait: every router at once.
        let together = moving.is_some_and(|phase| phase == Phase::Traffic && group.phase == Phase::Traffic);
        if moving.is_some() && !together {
            break;
        }
        moving = Some(group.phase);
        if !group.shapes.iter().any(|s| situation.busy.contains(&s.id)) {
            moves.push(undo_move(group, state, now));
        }
    }
    if moving.is_some() {
        let returning = groups.iter().any(|g| g.phase <= Phase::Traffic && !done(g));
        // Where only some of the steps go back, some of the traffic may stay where they led it.
        let said = state.observed.contains_key(RESTORED) || unwinding.to.is_some();
        if moves.is_empty() || returning || said || !groups.iter().any(|g| g.phase == Phase::Traffic) {
            return moves;
        }
        return vec![Move::Observe {
            what: RESTORED.to_owned(),
            detail: "all of it is where it was before".to_owned(),
        }];
    }
    if !situation.busy.is_empty() {
        return Vec::new();
    }
    vec![Move::Finish(end_of_unwinding(&groups, &left, state, unwinding))]
}

/// What is observed when the traffic is back, long before everything is: people wait for this line.
pub const RESTORED: &str = "traffic restored";

fn undo_move(group: &Group<'_>, state: &RunState, now: Timestamp) -> Move {
    let waits_for = group.shapes.iter().filter_map(|s| s.undo_after_tail_of.as_ref());
    let tail = waits_for
        .flat_map(|environment| state.tails.iter().filter(move |t| t.environment == *environment))
        .filter(|t| t.until > now)
        .max_by_key(|t| t.until);
    match (tail, group.shapes.first()) {
        (Some(tail), Some(first)) => Move::Wait { step: first.id.clone(), until: tail.until, why: tail.why.clone() },
        (_, _) => Move::Undo(group.ids()),
    }
}

/// Whether `group` must not be undone because `failed` was not: traffic never goes where nothing serves, and nothing stops
/// that may still be asked.
fn relies(group: &Group<'_>, failed: &Group<'_>) -> bool {
    match (failed.phase, group.phase) {
        (Phase::Serve, Phase::Serve | Phase::Traffic | Phase::Stop) | (Phase::Traffic | Phase::Stop, Phase::Stop) => {
            true
        }
        (_, Phase::Rest) => failed.register().is_some() && failed.register() == group.register(),
        (Phase::Traffic | Phase::Stop | Phase::Rest, Phase::Serve | Phase::Traffic | Phase::Stop) => false,
    }
}

fn end_of_unwinding(groups: &[Group<'_>], left: &BTreeSet<usize>, state: &RunState, unwinding: Unwinding) -> Outcome {
    let Unwinding { why, to, .. } = unwinding;
    if left.is_empty() {
        return Outcome::RolledBack { why, to };
    }
    let says = |shape: &&Shape| -> String {
        let failure: Option<&Failure> = state.step(&shape.id).undo_failed.as_ref();
        format!(
            "`{}`: {}",
            shape.id,
            failure.map_or("not tried, it relies on what could not be undone", |f| f.why.as_str())
        )
    };
    // A process may have died between two words about one write: what was said to be back is not left.
    let is_left = |shape: &&&Shape| state.step(&shape.id).undone.is_none();
    let left_groups = || groups.iter().enumerate().filter(|(at, _)| left.contains(at)).map(|(_, g)| g);
    Outcome::RollbackIncomplete {
        why,
        left: left_groups().flat_map(|g| g.shapes.iter().filter(is_left).map(says).collect::<Vec<_>>()).collect(),
        traffic_restored: !left_groups().any(|g| g.phase <= Phase::Traffic),
    }
}

#[cfg(test)]
mod tests;
