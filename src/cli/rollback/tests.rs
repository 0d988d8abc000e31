//! Which run a rollback means.

use super::*;
use crate::ids::{ServiceName, StepId};
use crate::journal::actor::Actor;
use crate::journal::fact::RunStarted;
use crate::journal::record::{Record, VERSION, payload};

fn id(n: u32) -> RunId {
    RunId::new(format!("R{n}")).expect("BUG: a good name")
}

/// Runs that each changed something, and how they ended.
fn log(ends: &[Outcome]) -> Log {
    let empty = String::new;
    let mut log = Log::default();
    for (n, end) in (1..).zip(ends) {
        let started = RunStarted {
            format: 1,
            plan_name: empty(),
            plan_text: empty(),
            digest: empty(),
            resolved: serde_json::Value::Null,
        };
        let step = StepId::new("swap").expect("BUG: a good name");
        let undone = Fact::Undone { step: step.clone(), evidence: empty(), tails: Vec::new() };
        let mut facts =
            vec![Fact::RunStarted(Box::new(started)), Fact::Attempt { step: step.clone(), n: 1, undo: false }];
        facts.extend(matches!(end, Outcome::RolledBack { .. }).then_some(undone));
        facts.push(Fact::Finished { outcome: end.clone() });
        for fact in facts {
            let record = Record {
                v: VERSION,
                seq: log.head.seq + 1,
                prev: log.head.hash.clone(),
                service: ServiceName::new("chat").expect("BUG: a good name"),
                run: id(n),
                epoch: u64::from(n),
                id: empty(),
                actor: Actor::here("dana".to_owned(), None),
                at: jiff::Timestamp::UNIX_EPOCH,
                fact,
            };
            log.push(&payload(&record).0, &record).expect("BUG: a good record");
        }
    }
    log
}

fn back() -> Outcome {
    Outcome::RolledBack { why: String::new(), to: None }
}

#[test]
fn a_second_rollback_undoes_nothing_and_the_one_before_only_when_it_is_named() {
    let meant = |ends: &[Outcome], named: Option<u32>| {
        to_undo(&log(ends), named.map(id).as_ref()).map(|run| run.run.to_string())
    };
    assert_eq!(meant(&[Outcome::Deployed, Outcome::Deployed], None), Some("R2".to_owned()));
    assert_eq!(meant(&[Outcome::Deployed, back()], None), None, "the release before is not undone unasked");
    assert_eq!(meant(&[Outcome::Deployed, back()], Some(1)), Some("R1".to_owned()));
    assert_eq!(meant(&[back()], Some(1)), None, "nothing is left of it");
    // What was named is never replaced by a run that is not the newest with effects: the caller compares.
    assert_eq!(meant(&[Outcome::Deployed, Outcome::Deployed], Some(1)), Some("R2".to_owned()));
    let left = Outcome::RollbackIncomplete { why: String::new(), left: Vec::new(), traffic_restored: true };
    assert_eq!(meant(&[Outcome::Deployed, left], None), Some("R2".to_owned()), "what is left is tried again");
}
