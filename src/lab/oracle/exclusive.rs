//! Exclusive: one holder at a time. Once another has taken a run in hand, the one before starts nothing new.
//!
//! A request that it had sent before may still land; that one was announced before the other came. Whose call it is, the kernel
//! says: the process at the other end of the connection.

use std::path::PathBuf;

use serde_json::Value;

use super::journals::{self, announces};
use super::{Call, OnMutation};

/// Looks at the journals below a state directory.
#[derive(Debug)]
pub struct Exclusive {
    state: PathBuf,
}

impl Exclusive {
    /// Watches the journals at `state/*/journal`.
    pub fn new(state: PathBuf) -> Self {
        Self { state }
    }
}

impl OnMutation for Exclusive {
    fn on_mutation(&self, call: &Call) -> Vec<(String, String, String)> {
        journals::of(&self.state).iter().filter_map(|records| displaced(records, call)).collect()
    }
}

/// The call of a holder that is one no more, unless the journal of its own time announces it.
fn displaced(records: &[Value], call: &Call) -> Option<(String, String, String)> {
    let own = journals::epoch_of(records, call.caller)?;
    let newer = records.iter().position(|r| r["epoch"].as_u64() > Some(own))?;
    let in_time = records.get(..newer).unwrap_or_default();
    let announced = journals::open_attempts(in_time, call.caller);
    if announced.iter().any(|(_, key)| key.as_deref().is_some_and(|key| announces(key, call))) {
        return None;
    }
    let why = format!(
        "process {} has the run in epoch {own}, and record {} opened a newer one before it began this",
        call.caller.unwrap_or_default(),
        newer + 1
    );
    Some(("exclusive".to_owned(), call.operation.clone(), why))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    const RULE: &str = "arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/edge/50dc/f2f7/4126";

    fn record(epoch: u64, pid: u32, fact: &Value) -> Value {
        json!({"run": "R", "epoch": epoch, "actor": {"pid": pid}, "fact": fact})
    }

    fn call_of(pid: u32) -> Call {
        Call {
            number: 1,
            at: jiff::Timestamp::UNIX_EPOCH,
            service: "elbv2".to_owned(),
            operation: "ModifyRule".to_owned(),
            mutating: true,
            params: BTreeMap::from([("RuleArn".to_owned(), RULE.to_owned())]),
            outcome: None,
            fault: None,
            caller: Some(pid),
        }
    }

    fn run(attempts: &[(u64, u32)]) -> Vec<Value> {
        let mut records = vec![
            record(1, 10, &json!({"fact": "opened"})),
            record(
                1,
                10,
                &json!({"fact": "prepared", "step": "s", "key": "alb app/edge/50dc/f2f7 rule chat.example.com"}),
            ),
        ];
        for (epoch, pid) in attempts {
            records.push(record(*epoch, *pid, &json!({"fact": "attempt", "step": "s", "n": 1, "undo": false})));
        }
        records
    }

    #[test]
    fn a_displaced_holder_that_begins_something_is_found_and_its_late_request_is_not() {
        let mut records = run(&[(1, 10)]);
        assert_eq!(displaced(&records, &call_of(10)), None, "it holds the run");
        records.push(record(2, 20, &json!({"fact": "opened"})));
        assert_eq!(displaced(&records, &call_of(10)), None, "it was sent before, and lands late");
        records.push(record(2, 20, &json!({"fact": "attempt", "step": "s", "n": 2, "undo": true})));
        assert_eq!(displaced(&records, &call_of(20)), None, "the new holder may");

        let mut records = run(&[]);
        records.push(record(2, 20, &json!({"fact": "opened"})));
        assert!(displaced(&records, &call_of(10)).is_some(), "it announced nothing in time");
        records.push(record(1, 10, &json!({"fact": "attempt", "step": "s", "n": 1, "undo": false})));
        assert!(displaced(&records, &call_of(10)).is_some(), "a journal that takes an older epoch is no lock");
    }
}
