//! Carrying a run on to its end, with the witness at the door and signals heard; and saying how it ended.

use std::sync::Arc;

use serde_json::{Value, json};

use super::desk::Desk;
use super::{Exit, Failure};
use crate::engine::cancel::Cancel;
use crate::engine::drive::{Drive, End};
use crate::ids::StepId;
use crate::journal::fact::{FailureKind, Outcome};
use crate::journal::state::RunState;
use crate::journal::writer::{Journal, JournalError};
use crate::plan::compile::Backends;
use crate::plan::graph::Graph;
use crate::plan::resolve::Resolved;

/// What is carried on.
#[derive(Debug)]
pub(super) struct Carry<'a> {
    pub(super) resolved: &'a Resolved,
    pub(super) backends: &'a Backends,
    pub(super) graph: &'a Graph,
    pub(super) until: Option<StepId>,
}

/// Drives the run to an end and says what is true then.
pub(super) async fn carry(mut journal: Journal, carry: &Carry<'_>, desk: &Desk) -> Result<Exit, Failure> {
    let claimed = super::claims::Claimed::take(&mut journal, carry, desk).await?;
    let cancel = Cancel::default();
    let signals = tokio::spawn(hear(cancel.clone()));
    let witness = super::witness::Watching::start(carry.resolved, carry.backends, desk).await;
    let mut reporter = desk.reporter(witness.as_ref().map(super::witness::Watching::says));
    reporter.begin(&desk.around(&carry.resolved.plan.service), journal.state());
    let mut drive = Drive::new(carry.graph, journal, reporter, Arc::clone(&desk.clock), cancel);
    drive.until = carry.until.clone();
    if let Some(witness) = &witness {
        drive.observe = Some(witness.observer());
    }
    let end = drive.run().await;
    signals.abort();
    let seen = match witness {
        Some(witness) => Some(witness.finish().await),
        None => None,
    };
    let state = drive.journal.into_inner().state().clone();
    // What is held may still be changed back; its claims stay.
    if let Some(claimed) = claimed.filter(|_| matches!(&end, Ok(End::Finished(_))) && !state.is_unfinished()) {
        claimed.release().await;
    }
    match end {
        Ok(End::Finished(outcome)) => Ok(finished(&outcome, &state, carry, seen.as_ref(), desk)),
        Ok(End::Interrupted { by }) => Err(interrupted(&by, carry, desk)),
        Err(error) => Err(stopped_by_journal(&error, &state, carry, desk)),
    }
}

/// First signal: stop. Second: exit now; the journal is true already.
#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "a second signal means now; nothing is left to be written down"
)]
async fn hear(cancel: Cancel) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        return;
    };
    for time in 0.. {
        let by = tokio::select! {
            _ = int.recv() => "SIGINT",
            _ = term.recv() => "SIGTERM",
        };
        if time > 0 {
            std::process::exit(i32::from(Exit::Held.code()));
        }
        cancel.request(by);
    }
}

fn finished(outcome: &Outcome, state: &RunState, carry: &Carry<'_>, seen: Option<&Value>, desk: &Desk) -> Exit {
    let Resolved { plan, live, next, .. } = carry.resolved;
    let (service, at) = (&plan.service, &desk.state_option);
    let exit = exit_of(outcome, state);
    let back = format!("modelswap rollback {service}{at}");
    match outcome {
        Outcome::Deployed => {
            desk.tell(&format!("{next} serves {}; {live} stays up as the way back", plan.release.model));
            if let Some(finalize) = &plan.finalize {
                desk.tell(&format!("next: modelswap finalize {service}{at}   (after {})", finalize.after));
            }
            desk.tell(&format!("back: {back}"));
        }
        Outcome::Finalized => {
            desk.tell(&format!("{next} serves {}; {live} is gone, going back starts it again", plan.release.model));
            desk.tell(&format!("back: {back}"));
        }
        // A run that moved no traffic has given none back either.
        Outcome::RolledBack { why, to: Some(step) } => {
            desk.tell(&format!("what came after `{step}` is undone, verified ({why})"));
            desk.tell(&format!("`{step}` and what came before it stay; back to the beginning: {back}"));
        }
        Outcome::RolledBack { why, .. } if !moves_traffic(carry) => {
            desk.tell(&format!("everything is as it was before the run, verified ({why})"))
        }
        Outcome::RolledBack { why, .. } => desk.tell(&format!("all traffic is on {live} again, verified ({why})")),
        Outcome::RollbackIncomplete { left, traffic_restored, .. } => {
            let traffic =
                if *traffic_restored { format!("traffic is on {live}") } else { "traffic was NOT restored".to_owned() };
            desk.tell(&format!("{traffic}; left for you:"));
            for line in left {
                desk.tell(&format!("  {line}"));
            }
            desk.tell(&format!("when you have put it right: {back}"));
            for line in super::drift::ways_on(carry.graph, state, &back) {
                desk.tell(&format!("  or: {line}"));
            }
        }
        Outcome::Held { why, .. } => {
            desk.tell(&format!("held: {why}"));
            desk.tell(&format!("go on: modelswap resume {service}{at}   go back: {back}"));
        }
    }
    let mut object = json!({
        "type": "finished", "service": service, "run": state.run,
        "exit": exit.code(), "live": live, "next": next, "witness": seen,
    });
    if let (Some(object), Ok(Value::Object(fields))) = (object.as_object_mut(), serde_json::to_value(outcome)) {
        object.extend(fields);
    }
    desk.result(&object);
    exit
}

fn moves_traffic(carry: &Carry<'_>) -> bool {
    carry.graph.nodes.iter().any(|node| node.shape.effect && node.shape.phase == crate::plan::graph::Phase::Traffic)
}

/// What the end means to whoever called. A rollback that was asked for is a success when it is complete.
fn exit_of(outcome: &Outcome, state: &RunState) -> Exit {
    match outcome {
        Outcome::Deployed | Outcome::Finalized => Exit::Done,
        Outcome::RolledBack { .. } if state.unwinding.as_ref().is_some_and(|u| u.asked) => Exit::Done,
        Outcome::RolledBack { .. } => Exit::RolledBack,
        Outcome::RollbackIncomplete { .. } => Exit::RollbackIncomplete,
        Outcome::Held { kind: FailureKind::Unknown, .. } => Exit::Unknown,
        Outcome::Held { kind: FailureKind::Drift, .. } if !state.has_effects() => Exit::Drift,
        Outcome::Held { .. } => Exit::Held,
    }
}

fn interrupted(by: &str, carry: &Carry<'_>, desk: &Desk) -> Failure {
    let (service, at) = (&carry.resolved.plan.service, &desk.state_option);
    Failure::new(Exit::Held, format!("interrupted by {by}; what was done stays in place"))
        .hint(format!("go on: modelswap resume {service}{at}   go back: modelswap rollback {service}{at}"))
}

fn stopped_by_journal(error: &JournalError, state: &RunState, carry: &Carry<'_>, desk: &Desk) -> Failure {
    let (service, at) = (&carry.resolved.plan.service, &desk.state_option);
    match error {
        JournalError::Displaced { .. } | JournalError::Held { .. } => {
            Failure::new(Exit::Busy, format!("{error}; this process starts nothing further"))
                .hint(format!("modelswap status {service}{at}"))
        }
        JournalError::Store(error) => {
            let effects =
                state.steps.iter().filter(|(_, s)| s.has_effect()).map(|(id, _)| id.to_string()).collect::<Vec<_>>();
            Failure::new(Exit::Journal, format!("stopped before the next effect: {error}"))
                .detail(format!(
                    "in place: {}",
                    if effects.is_empty() { "nothing".to_owned() } else { effects.join(", ") }
                ))
                .hint(format!(
                    "when there is room again: modelswap resume {service}{at}   or   modelswap rollback {service}{at}"
                ))
        }
    }
}

/// A run that another process holds, or a journal that cannot be opened.
pub(super) fn not_ours(error: &JournalError, desk: &Desk) -> Failure {
    match error {
        JournalError::Held { .. } => {
            Failure::new(Exit::Busy, error.to_string()).detail("nothing was done").hint(format!(
                "modelswap status{}   shows how far it is; in an incident, `modelswap rollback` asks it to stop",
                desk.state_option
            ))
        }
        JournalError::Displaced { .. } => Failure::new(Exit::Busy, error.to_string()).detail("nothing was done"),
        JournalError::Store(error) => desk.cannot_keep(error),
    }
}

#[cfg(test)]
mod tests;
