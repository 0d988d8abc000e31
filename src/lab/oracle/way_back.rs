//! The way back stays: nothing is deregistered or stopped before traffic has left it; and on the way back it is restore, verify,
//! only then destroy.

use serde_json::Value;

use super::journals::{self, Journals};
use super::promises::{Broken, ended_at, is_reached};
use super::{Call, OnMutation, View};
use crate::lab::state::{Action, Cloud, RecordSet};

/// What traffic leads to in `after` and is there no more: targets that were deregistered, servers that have ended.
pub(super) fn taken_away(before: &View<'_>, after: &View<'_>) -> Vec<Broken> {
    let mut broken = Vec::new();
    for (arn, group) in &before.cloud.groups {
        for target in group.targets.iter().filter(|t| t.draining_until.is_none()) {
            let address = format!("{}:{}", target.id, target.port);
            let still = after.cloud.groups.get(arn).is_some_and(|group| {
                group.targets.iter().any(|t| (&t.id, t.port) == (&target.id, target.port) && t.draining_until.is_none())
            });
            let what = match (still, after.ended.contains(&address) && !before.ended.contains(&address)) {
                (false, _) => "was deregistered",
                (true, true) => "has ended",
                (true, false) => continue,
            };
            if let Some(rule) = rule_to(after.cloud, arn) {
                broken.push((
                    "way-back",
                    arn.clone(),
                    format!("{address} {what} while {rule} sends traffic to its group"),
                ));
            }
        }
    }
    for (id, zone) in &after.cloud.zones {
        let lingering = zone.lingering.iter().map(|l| &l.set);
        let sets = zone.records.iter().chain(&zone.served).filter(|set| set.weight != Some(0)).chain(lingering);
        let mut gone: Vec<_> = sets.filter_map(|set| Some((set, ended_value(before, after, set)?))).collect();
        gone.dedup_by(|a, b| (&a.0.name, &a.1) == (&b.0.name, &b.1));
        for (set, value) in gone {
            let why = format!("the server at {value} has ended while answers lead to it");
            broken.push(("way-back", format!("{} in {id}", set.name), why));
        }
    }
    broken
}

/// A rule that gives a group a share of what clients ask.
fn rule_to<'a>(cloud: &'a Cloud, group: &str) -> Option<&'a String> {
    let share = |action: &Action| match action {
        Action::Forward { groups, .. } => groups.iter().any(|(arn, weight)| arn == group && *weight > 0),
        Action::FixedResponse { .. } | Action::Redirect { .. } | Action::Authenticate { .. } => false,
    };
    cloud.rules.iter().find(|(_, rule)| rule.actions.iter().any(share) && is_reached(cloud, rule)).map(|(arn, _)| arn)
}

/// An address of a set whose server ended in this very step.
fn ended_value(before: &View<'_>, after: &View<'_>, set: &RecordSet) -> Option<String> {
    let ended = |value: &&String| ended_at(after, value) && !ended_at(before, value);
    set.values.iter().filter(|_| set.alias.is_none()).find(ended).cloned()
}

/// Looks at the journals below a state directory when something is destroyed.
#[derive(Debug)]
pub struct WayBack {
    journals: Journals,
}

impl WayBack {
    /// Watches these.
    pub fn new(journals: impl Into<Journals>) -> Self {
        Self { journals: journals.into() }
    }

    fn found(&self, on: &str) -> Vec<(String, String, String)> {
        let journals = self.journals.read();
        let open = journals.iter().flat_map(|records| unproven(records));
        let why =
            |step: String| format!("it was destroyed while the undo of {step}, which moves traffic, was not verified");
        open.map(|step| ("way-back".to_owned(), on.to_owned(), why(step))).collect()
    }
}

impl OnMutation for WayBack {
    fn on_mutation(&self, call: &Call) -> Vec<(String, String, String)> {
        if call.operation == "DeregisterTargets" { self.found(&call.operation) } else { Vec::new() }
    }

    fn on_end(&self, address: &str) -> Vec<(String, String, String)> {
        self.found(address)
    }
}

/// Steps of the newest run that move traffic, whose undo was begun and neither verified nor given up.
fn unproven(records: &[Value]) -> Vec<String> {
    let (mut moving, mut open, mut back): (Vec<&str>, Vec<&str>, Vec<&str>) = Default::default();
    for record in journals::newest_run(records) {
        let fact = &record["fact"];
        let Some(step) = fact["step"].as_str() else { continue };
        match fact["fact"].as_str() {
            Some("prepared") if moves_traffic(fact) => moving.push(step),
            // What is back is not moved again by the exact value that takes the place of a fence; by a late write it is.
            Some("attempt") if fact["undo"] == true && moving.contains(&step) && !back.contains(&step) => {
                open.push(step)
            }
            Some(end @ ("undone" | "undo_failed" | "settled")) => {
                open.retain(|s| *s != step);
                back.retain(|s| *s != step);
                back.extend((end != "undo_failed").then_some(step));
            }
            Some(_) | None => {}
        }
    }
    open.dedup();
    open.into_iter().map(str::to_owned).collect()
}

/// Whether a change of a router changes more than how long answers live.
fn moves_traffic(prepared: &Value) -> bool {
    let router = prepared["key"].as_str().is_some_and(|key| {
        key.starts_with("route53 ") || (key.starts_with("alb ") && !key.starts_with("alb target group "))
    });
    router && without_ttls(&prepared["before"]) != without_ttls(&prepared["want"])
}

fn without_ttls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| *name != "ttl_s");
            Value::Object(kept.map(|(name, value)| (name.clone(), without_ttls(value))).collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(without_ttls).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prepared(step: &str, before: &Value, want: &Value) -> Value {
        let key = "route53 example.com chat.example.com";
        json!({"fact": "prepared", "step": step, "key": key, "before": before, "want": want})
    }

    fn run(facts: Vec<Value>) -> Vec<Value> {
        facts.into_iter().map(|fact| json!({"run": "R", "epoch": 1, "fact": fact})).collect()
    }

    #[test]
    fn what_is_restored_is_verified_before_anything_is_destroyed() {
        let set = |value: &str, ttl_s: u32| json!({"sets": [{"values": [value], "ttl_s": ttl_s}]});
        let mut facts = vec![
            prepared("01-ttl", &set("a", 300), &set("a", 60)),
            prepared("02-swap", &set("a", 60), &set("b", 60)),
            json!({"fact": "attempt", "step": "02-swap", "n": 1, "undo": false}),
            json!({"fact": "applied", "step": "02-swap"}),
        ];
        assert_eq!(unproven(&run(facts.clone())), Vec::<String>::new(), "nothing goes back yet");
        facts.push(json!({"fact": "attempt", "step": "02-swap", "n": 1, "undo": true}));
        facts.push(json!({"fact": "applied", "step": "02-swap"}));
        assert_eq!(unproven(&run(facts.clone())), ["02-swap"], "written is not verified");
        facts.push(json!({"fact": "undone", "step": "02-swap", "evidence": "read back"}));
        facts.push(json!({"fact": "attempt", "step": "01-ttl", "n": 1, "undo": true}));
        assert_eq!(unproven(&run(facts)), Vec::<String>::new(), "a TTL leads nobody anywhere");
    }
}
