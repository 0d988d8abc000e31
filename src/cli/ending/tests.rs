//! No end is told as another.

use super::*;
use crate::ids::{RunId, ServiceName};
use crate::journal::actor::Actor;
use crate::journal::fact::{Fact, RunStarted};
use crate::journal::record::{Record, VERSION};

/// A run, with an effect that is not undone or without, that turned round because a person asked or by itself.
fn state(effect: bool, asked: bool) -> RunState {
    let empty = String::new;
    let started =
        RunStarted { format: 1, plan_name: empty(), plan_text: empty(), digest: empty(), resolved: Value::Null };
    let record = Record {
        v: VERSION,
        seq: 1,
        prev: empty(),
        service: ServiceName::new("chat").expect("BUG: a good name"),
        run: RunId::generate(1),
        epoch: 1,
        id: empty(),
        actor: Actor::here("dana".to_owned(), None),
        at: jiff::Timestamp::UNIX_EPOCH,
        fact: Fact::RunStarted(Box::new(started)),
    };
    let mut state = RunState::begin(&record).expect("BUG: a beginning");
    let turn = Fact::Unwinding { why: empty(), unproven: false, keep: false, asked, to: None };
    state.fold(record.at, &turn);
    if effect {
        let step = StepId::new("swap").expect("BUG: a good name");
        state.fold(record.at, &Fact::Attempt { step, n: 1, undo: false });
    }
    state
}

#[test]
fn only_what_was_asked_for_and_verified_ends_with_zero() {
    let held = |kind| Outcome::Held { why: String::new(), kind };
    let back = || Outcome::RolledBack { why: String::new(), to: None };
    let incomplete =
        |traffic_restored| Outcome::RollbackIncomplete { why: String::new(), left: Vec::new(), traffic_restored };
    for (outcome, effect, asked, exit) in [
        (Outcome::Deployed, true, false, Exit::Done),
        (Outcome::Finalized, true, false, Exit::Done),
        (back(), false, true, Exit::Done),
        (back(), false, false, Exit::RolledBack),
        (incomplete(true), true, true, Exit::RollbackIncomplete),
        (incomplete(false), true, false, Exit::RollbackIncomplete),
        (held(FailureKind::Unknown), true, false, Exit::Unknown),
        (held(FailureKind::Unknown), false, false, Exit::Unknown),
        (held(FailureKind::Drift), false, false, Exit::Drift),
        (held(FailureKind::Drift), true, false, Exit::Held),
        (held(FailureKind::Failed), true, false, Exit::Held),
        (held(FailureKind::Failed), false, false, Exit::Held),
    ] {
        assert_eq!(exit_of(&outcome, &state(effect, asked)), exit, "{outcome:?}, effect {effect}, asked {asked}");
    }
}
