//! Write-ahead, seen from the other side: when a change arrives at the cloud, its intent must be durable already.
//!
//! The journals are read as they stand on the disk, or in the world's own buckets, at that moment. As long as there is no run in any of them, whoever calls is
//! not modelswap (a person trying the API). Once there is one, every change must be announced: also one that is made after the
//! run has ended is a finding.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Call, OnMutation};
use crate::journal::record::{Framed, unframe};
use crate::lab::state::{Cloud, SharedCloud};

/// Looks at the journals below a state directory.
#[derive(Debug)]
pub struct WriteAhead {
    state: PathBuf,
    buckets: Option<SharedCloud>,
}

impl WriteAhead {
    /// Watches the journals at `state/*/journal`.
    pub fn new(state: PathBuf) -> Self {
        Self { state, buckets: None }
    }

    /// Watches those in the world's buckets as well.
    #[must_use]
    pub fn and_buckets_of(self, cloud: SharedCloud) -> Self {
        Self { buckets: Some(cloud), ..self }
    }

    fn journals(&self) -> Vec<Vec<Value>> {
        let services = std::fs::read_dir(&self.state).into_iter().flatten().flatten();
        let local = services.map(|service| records(&service.path().join("journal")));
        let kept = self.buckets.as_ref().map(|cloud| kept(&cloud.lock())).unwrap_or_default();
        local.chain(kept).filter(|records| !records.is_empty()).collect()
    }
}

impl OnMutation for WriteAhead {
    fn on_mutation(&self, call: &Call) -> Vec<(String, String, String)> {
        let journals = self.journals();
        let open: Vec<(String, Option<String>)> = journals.iter().flat_map(|records| open_attempts(records)).collect();
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

/// The records that are whole.
fn records(journal: &Path) -> Vec<Value> {
    let bytes = std::fs::read(journal).unwrap_or_default();
    let (mut records, mut rest) = (Vec::new(), bytes.as_slice());
    while let Framed::Whole(payload, taken) = unframe(rest) {
        records.extend(serde_json::from_slice::<Value>(payload));
        rest = rest.get(taken..).unwrap_or_default();
    }
    records
}

/// The journals in buckets: the objects below each `…/log/`, in the order of their names.
fn kept(cloud: &Cloud) -> Vec<Vec<Value>> {
    let mut journals: BTreeMap<(&str, &str), Vec<Value>> = BTreeMap::new();
    for (bucket, objects) in &cloud.buckets {
        for (key, object) in objects {
            let Some((log, _)) = key.rsplit_once('/').filter(|(folder, _)| folder.ends_with("/log")) else { continue };
            let records = journals.entry((bucket, log)).or_default();
            records.extend(serde_json::from_str::<Value>(&object.body));
        }
    }
    journals.into_values().collect()
}

/// Steps of the newest holder with an attempt and no outcome yet, and the register that each named when it was prepared.
fn open_attempts(records: &[Value]) -> Vec<(String, Option<String>)> {
    let Some(newest) = records.last() else { return Vec::new() };
    let mut keys: BTreeMap<&str, &str> = BTreeMap::new();
    let mut open: Vec<&str> = Vec::new();
    for record in records.iter().filter(|r| r["run"] == newest["run"]) {
        let fact = &record["fact"];
        let Some(step) = fact["step"].as_str() else { continue };
        match fact["fact"].as_str() {
            Some("prepared") => {
                keys.extend(fact["key"].as_str().map(|key| (step, key)));
            }
            // What a holder before announced, another may not rely on: it announces its own.
            Some("attempt") if record["epoch"] == newest["epoch"] => open.push(step),
            Some("applied" | "failed" | "undo_failed" | "verified" | "undone") => open.retain(|s| *s != step),
            Some(_) | None => {}
        }
    }
    open.into_iter().map(|step| (step.to_owned(), keys.get(step).map(|key| (*key).to_owned()))).collect()
}

/// Whether `key` names what `call` changes. Keys are made by the providers: `route53 ZONE NAME`, `alb LISTENER rule HOST`,
/// `alb target group NAME`.
fn announces(key: &str, call: &Call) -> bool {
    let words: Vec<&str> = key.split(' ').collect();
    let given = |name: &str| call.params.get(name).map(String::as_str).unwrap_or_default();
    match (call.service.as_str(), words.as_slice()) {
        ("route53", ["route53", _, name]) => {
            let changes = call.params.iter().filter(|(param, _)| param.starts_with("change."));
            let mut names = changes.filter_map(|(_, change)| change.split(' ').nth(1));
            names.all(|found| found.trim_end_matches('.') == *name)
        }
        ("elbv2", ["alb", "target", "group", name]) => {
            given("TargetGroupArn").contains(&format!(":targetgroup/{name}/"))
        }
        ("elbv2", ["alb", listener, ..]) => {
            given("RuleArn").contains(&format!(":listener-rule/{listener}/"))
                || given("ListenerArn").ends_with(&format!(":listener/{listener}"))
        }
        (_, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::journal::record::frame;
    use crate::lab::state::StoredObject;

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
        let watch = WriteAhead::new(state.path().to_owned()).and_buckets_of(cloud.clone());
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
