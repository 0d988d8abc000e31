//! Write-ahead, seen from the other side: when a change arrives at the cloud, its intent must be durable already.
//!
//! The journals are read as they stand on the disk, or in the world's own buckets, at that moment. As long as there is no run in any of them, whoever calls is
//! not modelswap (a person trying the API). Once there is one, every change must be announced: also one that is made after the
//! run has ended is a finding.

use super::journals::{self, Journals, announces};
use super::{Call, OnMutation};

/// Looks at the journals of a world.
#[derive(Debug)]
pub struct WriteAhead {
    journals: Journals,
}

impl WriteAhead {
    /// Watches these.
    pub fn new(journals: impl Into<Journals>) -> Self {
        Self { journals: journals.into() }
    }
}

impl OnMutation for WriteAhead {
    fn on_mutation(&self, call: &Call) -> Vec<(String, String, String)> {
        let journals = self.journals.read();
        let open: Vec<(String, Option<String>)> =
            journals.iter().flat_map(|records| journals::open_attempts(records, call.caller)).collect();
        if journals.is_empty() || open.iter().any(|(_, key)| key.as_deref().is_some_and(|key| announces(key, call))) {
            return Vec::new();
        }
        let open = if open.is_empty() {
            "no step has an open attempt".to_owned()
        } else {
            let said: Vec<_> =
                open.iter().map(|(step, key)| format!("{step} on {}", key.as_deref().unwrap_or("nothing"))).collect();
            format!("the open attempts are {}", said.join(", "))
        };
        let why = format!("it arrived before an attempt at it was durable: {open}");
        vec![("write-ahead".to_owned(), call.operation.clone(), why)]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::journal::record::frame;
    use crate::lab::state::{SharedCloud, StoredObject};

    const RULE: &str = "arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/edge/50dc/f2f7/4126";

    fn call(service: &str, operation: &str, params: &[(&str, &str)]) -> Call {
        Call {
            number: 1,
            at: jiff::Timestamp::UNIX_EPOCH,
            service: service.to_owned(),
            operation: operation.to_owned(),
            mutating: true,
            params: params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            outcome: None,
            fault: None,
            caller: None,
        }
    }

    fn found(facts: &[(u64, Value)], call: &Call) -> usize {
        let state = tempfile::tempdir().unwrap();
        std::fs::create_dir(state.path().join("chat")).unwrap();
        let lines = facts.iter().map(|(epoch, fact)| {
            frame(&serde_json::to_vec(&json!({"run": "R", "epoch": epoch, "fact": fact})).unwrap())
        });
        std::fs::write(state.path().join("chat/journal"), lines.collect::<Vec<_>>().concat()).unwrap();
        WriteAhead::new(state.path().to_owned()).on_mutation(call).len()
    }

    fn swap_of_rule() -> Vec<(u64, Value)> {
        vec![
            (1, json!({"fact": "opened", "purpose": "deploy"})),
            (1, json!({"fact": "prepared", "step": "s", "key": "alb app/edge/50dc/f2f7 rule chat.example.com"})),
        ]
    }

    #[test]
    fn a_change_without_a_durable_attempt_at_it_is_found() {
        let modify = call("elbv2", "ModifyRule", &[("RuleArn", RULE)]);
        let mut facts = swap_of_rule();
        assert_eq!(found(&facts, &modify), 1, "prepared is not yet announced");
        facts.push((1, json!({"fact": "attempt", "step": "s", "n": 1, "undo": false})));
        assert_eq!(found(&facts, &modify), 0);
        let other =
            call("route53", "ChangeResourceRecordSets", &[("change.0001", "DELETE a.example.com. A ttl=60 192.0.2.1")]);
        assert_eq!(found(&facts, &other), 1, "the attempt is at another register");
        facts.push((1, json!({"fact": "applied", "step": "s"})));
        assert_eq!(found(&facts, &modify), 1, "that attempt is over");
    }

    #[test]
    fn an_attempt_of_an_earlier_holder_announces_nothing() {
        let modify = call("elbv2", "ModifyRule", &[("RuleArn", RULE)]);
        let mut facts = swap_of_rule();
        facts.push((1, json!({"fact": "attempt", "step": "s", "n": 1, "undo": false})));
        facts.push((2, json!({"fact": "opened", "purpose": "resume"})));
        assert_eq!(found(&facts, &modify), 1);
    }

    #[test]
    fn a_journal_in_a_bucket_announces_as_one_on_the_disk_does() {
        let cloud = SharedCloud::default();
        let keep = |seq: usize, fact: &Value| {
            let body = json!({"run": "R", "epoch": 1, "fact": fact}).to_string();
            let object = StoredObject { body, etag: String::new(), at: jiff::Timestamp::UNIX_EPOCH };
            let mut cloud = cloud.lock();
            let bucket = cloud.buckets.entry("ops".to_owned()).or_default();
            bucket.insert(format!("state/chat/log/{seq:020}"), std::sync::Arc::new(object));
        };
        for (seq, (_, fact)) in swap_of_rule().iter().enumerate() {
            keep(seq + 1, fact);
        }
        let state = tempfile::tempdir().unwrap();
        let watch = WriteAhead::new(Journals::below(state.path().to_owned()).and_buckets_of(cloud.clone()));
        let modify = call("elbv2", "ModifyRule", &[("RuleArn", RULE)]);
        assert_eq!(watch.on_mutation(&modify).len(), 1);
        keep(3, &json!({"fact": "attempt", "step": "s", "n": 1, "undo": false}));
        assert_eq!(watch.on_mutation(&modify).len(), 0);
    }

    #[test]
    fn each_kind_of_register_is_told_from_its_like() {
        let group = |name: &str| format!("arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/{name}/9213");
        assert!(announces(
            "alb target group chat-b",
            &call("elbv2", "RegisterTargets", &[("TargetGroupArn", &group("chat-b"))])
        ));
        assert!(!announces(
            "alb target group chat-b",
            &call("elbv2", "RegisterTargets", &[("TargetGroupArn", &group("chat-bb"))])
        ));
        let change = |name: &str| {
            call("route53", "ChangeResourceRecordSets", &[("id", "Z1"), ("change.0001", &format!("CREATE {name} A"))])
        };
        assert!(announces("route53 example.com chat.example.com", &change("chat.example.com.")));
        assert!(!announces("route53 example.com chat.example.com", &change("other.example.com.")));
    }

    #[test]
    fn while_there_is_no_run_anybody_may_call() {
        let state = tempfile::tempdir().unwrap();
        assert!(WriteAhead::new(state.path().join("none")).on_mutation(&call("elbv2", "ModifyRule", &[])).is_empty());
    }
}
