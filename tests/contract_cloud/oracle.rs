//! The oracle logs every call, and finds each broken promise at the call that broke it.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::TargetDescription;
use modelswap::journal::record::frame;
use modelswap::lab::oracle::exclusive::Exclusive;
use modelswap::lab::oracle::way_back::WayBack;
use modelswap::lab::oracle::write_ahead::WriteAhead;
use modelswap::lab::oracle::{Call, OnMutation};
use serde_json::{Value, json};

use crate::dns::{Create, Delete, Upsert, balancer, change, live, set, weighted};
use crate::elb::{forward, modify};
use crate::support::world::INSYNC_AFTER;
use crate::support::world::Lab;

#[tokio::test]
async fn every_call_is_logged_with_its_parameters_and_outcome() {
    let lab = Lab::start().await;
    let w = &lab.world;
    let m = w.name("m");
    change(w, &[(Create, set(&m, "A", 60, &["1.1.1.1"]))]).await.unwrap();
    change(w, &[(Create, set(&m, "A", 60, &["1.1.1.1"]))]).await.unwrap_err();
    live(w, &m).await;
    let calls = lab.desk.calls().await;
    let shown: Vec<_> = calls
        .iter()
        .map(|c| (c.number, c.operation.as_str(), c.mutating, c.outcome.as_ref().unwrap().effect))
        .collect();
    assert_eq!(
        shown,
        [
            (1, "ChangeResourceRecordSets", true, true),
            (2, "ChangeResourceRecordSets", true, false),
            (3, "ListResourceRecordSets", false, false),
        ]
    );
    assert_eq!(calls[0].params["change.0001"], format!("CREATE {m} A ttl=60 1.1.1.1"));
    assert_eq!(calls[1].outcome.as_ref().unwrap().code.as_deref(), Some("InvalidChangeBatch"));
}

#[tokio::test]
async fn a_compared_swap_breaks_nothing_and_an_upsert_over_a_record_is_blind() {
    let lab = Lab::start().await;
    let w = &lab.world;
    let m = w.name("m");
    let a = set(&m, "TXT", 60, &["\"a\""]);
    let b = set(&m, "TXT", 60, &["\"b\""]);
    change(w, &[(Upsert, a.clone())]).await.unwrap();
    change(w, &[(Delete, a), (Create, b.clone())]).await.unwrap();
    assert_eq!(lab.desk.findings().await, []);
    change(w, &[(Upsert, b)]).await.unwrap();
    let findings = lab.desk.findings().await;
    assert_eq!((findings.len(), findings[0].promise.as_str(), findings[0].call), (1, "blind", 3));
}

#[tokio::test]
async fn the_last_address_of_a_name_is_not_to_be_deleted() {
    let lab = Lab::start().await;
    let w = &lab.world;
    let (v4, v6) = (set(&w.name("m"), "A", 60, &["203.0.113.10"]), set(&w.name("m"), "AAAA", 60, &["2001:db8::1"]));
    change(w, &[(Create, v4.clone()), (Create, v6.clone())]).await.unwrap();
    change(w, &[(Delete, v6)]).await.unwrap();
    assert_eq!(lab.desk.findings().await, []);
    change(w, &[(Delete, v4)]).await.unwrap();
    assert_eq!(lab.desk.broken().await, ["never-empty"]);
}

#[tokio::test]
async fn a_forward_without_weight_is_found_empty() {
    let lab = Lab::start().await;
    let w = &lab.world;
    modify(w, vec![forward(&[(w.group("blue"), 0), (w.group("green"), 0)])]).await.unwrap();
    assert_eq!(lab.desk.broken().await, ["never-empty"], "blue was not healthy, so nothing has gone dark");
}

#[tokio::test]
async fn traffic_to_a_group_that_is_not_healthy_is_found_dark() {
    let lab = Lab::start().await;
    let w = &lab.world;
    lab.heal("blue").await;
    modify(w, vec![forward(&[(w.group("blue"), 1), (w.group("green"), 0)])]).await.unwrap();
    assert_eq!(lab.desk.findings().await, [], "attached at weight 0");
    modify(w, vec![forward(&[(w.group("blue"), 9), (w.group("green"), 1)])]).await.unwrap();
    assert_eq!(lab.desk.broken().await, ["never-dark"], "green gets a tenth and is not healthy yet");
}

#[tokio::test]
async fn the_right_order_breaks_nothing() {
    let lab = Lab::start().await;
    let w = &lab.world;
    let (host, zone) = balancer(w).await;
    lab.heal("blue").await;
    change(w, &[(Create, crate::dns::alias(&w.name("chat"), &zone, &host))]).await.unwrap();
    modify(w, vec![forward(&[(w.group("blue"), 1), (w.group("green"), 0)])]).await.unwrap();
    lab.heal("green").await;
    modify(w, vec![forward(&[(w.group("blue"), 1), (w.group("green"), 1)])]).await.unwrap();
    modify(w, vec![forward(&[(w.group("blue"), 0), (w.group("green"), 1)])]).await.unwrap();
    assert_eq!(lab.desk.findings().await, []);
    // The listener's default still leads to blue, and so does the name: its last target must stay.
    let blue = TargetDescription::builder().id("203.0.113.10").port(8000).build();
    w.elb.deregister_targets().target_group_arn(w.group("blue")).targets(blue).send().await.unwrap();
    let findings = lab.desk.findings().await;
    let of = |promise: &str| findings.iter().filter(|f| f.promise == promise).count();
    assert_eq!((of("never-dark"), of("way-back"), findings.len()), (2, 1, 3), "{findings:?}");
    assert!(findings.iter().any(|f| f.on.starts_with("chat.")), "{findings:?}");
}

#[tokio::test]
async fn a_name_that_leads_to_nobody_is_found_dark() {
    let lab = Lab::start().await;
    let w = &lab.world;
    let blue = weighted(&w.name("m"), "blue", 100, 60, "203.0.113.10");
    let green = |weight, value| weighted(&w.name("m"), "green", weight, 60, value);
    change(w, &[(Create, blue), (Create, green(0, "192.0.2.99"))]).await.unwrap();
    assert_eq!(lab.desk.findings().await, [], "weight 0 is not asked for");
    change(w, &[(Delete, green(0, "192.0.2.99")), (Create, green(1, "192.0.2.99"))]).await.unwrap();
    assert_eq!(lab.desk.broken().await, ["never-dark"]);
}

#[tokio::test]
async fn a_hand_in_the_console_is_seen_by_the_api_and_not_blamed_on_the_deployer() {
    let lab = Lab::start().await;
    let w = &lab.world;
    let record = json!({ "name": w.name("m"), "kind": "A", "ttl_s": 5, "values": ["9.9.9.9"] });
    let full = json!({ "set_identifier": null, "weight": null, "alias": null, "health_check": null });
    let mut record = record;
    record.as_object_mut().unwrap().extend(full.as_object().unwrap().clone());
    lab.desk.edit(json!({ "set_record": { "zone": w.names.zone, "set": record } })).await;
    assert_eq!(live(w, &w.name("m")).await[0].ttl, Some(5));
    assert_eq!(lab.desk.findings().await, []);
    let mut cloud = lab.desk.cloud().await;
    cloud.zones.get_mut(&w.names.zone).unwrap().records.retain(|set| set.kind != "A");
    lab.desk.post("cloud", serde_json::to_value(cloud).unwrap()).await;
    assert!(live(w, &w.name("m")).await.is_empty());
}

#[derive(Debug)]
struct Suspicious;

impl OnMutation for Suspicious {
    fn on_mutation(&self, call: &Call) -> Vec<(String, String, String)> {
        assert!(call.mutating && call.outcome.is_none(), "asked before the effect, about mutating calls only");
        vec![("write-ahead".to_owned(), call.operation.clone(), "no intent in the journal".to_owned())]
    }
}

#[tokio::test]
async fn a_hook_sees_every_mutating_call_before_its_effect_even_a_refused_one() {
    let lab = Lab::start().await;
    let w = &lab.world;
    lab.oracle.watch(Arc::new(Suspicious));
    live(w, "x").await;
    change(w, &[(Delete, set(&w.name("m"), "A", 60, &["1.1.1.1"]))]).await.unwrap_err();
    let findings = lab.desk.findings().await;
    assert_eq!((findings.len(), findings[0].promise.as_str(), findings[0].call), (1, "write-ahead", 2));
}

const BLUE: &str = "203.0.113.10";
const GREEN: &str = "203.0.113.20";

/// A name that led to blue for a TTL of 60 s, and leads to green since now, as its name servers know.
async fn moved_to_green(lab: &Lab) {
    let w = &lab.world;
    let m = w.name("m");
    let (blue, green) = (set(&m, "A", 60, &[BLUE]), set(&m, "A", 60, &[GREEN]));
    change(w, &[(Create, blue.clone())]).await.unwrap();
    lab.clock.advance(INSYNC_AFTER);
    change(w, &[(Delete, blue), (Create, green)]).await.unwrap();
    lab.clock.advance(INSYNC_AFTER);
    assert_eq!(lab.desk.findings().await, []);
}

#[tokio::test]
async fn a_server_that_ends_while_answers_are_still_in_caches_is_found() {
    let lab = Lab::start().await;
    moved_to_green(&lab).await;
    lab.clock.advance(Duration::from_secs(59));
    lab.end_server("203.0.113.10:8000").await;
    let findings = lab.desk.findings().await;
    let promises: Vec<_> = findings.iter().map(|f| f.promise.as_str()).collect();
    // The listener's rules lead to blue's group too, but its target was never healthy there.
    assert!(promises.contains(&"never-dark") && promises.contains(&"way-back"), "{findings:?}");
    assert!(findings.iter().any(|f| f.promise == "never-dark" && f.on.contains("in caches until")), "{findings:?}");
}

#[tokio::test]
async fn a_server_that_ends_when_its_answers_are_forgotten_breaks_nothing() {
    let lab = Lab::start().await;
    let w = &lab.world;
    // No rule leads to blue either.
    lab.heal("green").await;
    for rule in [&w.names.rule, &w.names.listener] {
        let actions = json!([{ "Forward": { "groups": [[w.group("green"), 1]], "sticky_s": null } }]);
        let arn = lab
            .cloud
            .lock()
            .rules
            .iter()
            .find(|(arn, r)| *arn == rule || r.priority.is_none() && r.listener == *rule)
            .unwrap()
            .0
            .clone();
        lab.desk.edit(json!({ "set_actions": { "rule": arn, "actions": actions } })).await;
    }
    moved_to_green(&lab).await;
    lab.clock.advance(Duration::from_secs(60));
    lab.end_server("203.0.113.10:8000").await;
    assert_eq!(lab.desk.findings().await, []);
    lab.end_server("203.0.113.20:8000").await;
    assert!(lab.desk.broken().await.contains(&"never-dark".to_owned()), "green is what everything leads to");
}

#[tokio::test]
async fn a_target_that_is_deregistered_while_its_group_gets_traffic_is_found_even_when_others_are_healthy() {
    let lab = Lab::start().await;
    let w = &lab.world;
    lab.heal("blue").await;
    let target = |id: &str| TargetDescription::builder().id(id).port(8000).build();
    w.elb.register_targets().target_group_arn(w.group("blue")).targets(target(GREEN)).send().await.unwrap();
    let health = json!({ "group": w.group("blue"), "id": GREEN, "port": 8000, "health": "Healthy" });
    lab.desk.edit(json!({ "set_health": health })).await;
    w.elb.deregister_targets().target_group_arn(w.group("blue")).targets(target(GREEN)).send().await.unwrap();
    assert_eq!(lab.desk.broken().await, ["way-back"]);
}

/// Two balancers behind a name: once it leads to the other one, nobody asks what stands behind the first.
#[tokio::test]
async fn what_stands_behind_a_balancer_that_no_name_leads_to_any_more_may_go() {
    for (front_or_other, found) in [("192.0.2.10", vec!["way-back"]), ("192.0.2.12", vec![])] {
        let lab = Lab::start().await;
        let w = &lab.world;
        change(w, &[(Create, set(&w.name("m"), "A", 60, &[front_or_other]))]).await.unwrap();
        lab.heal("blue").await;
        let target = |id: &str| TargetDescription::builder().id(id).port(8000).build();
        w.elb.register_targets().target_group_arn(w.group("blue")).targets(target(GREEN)).send().await.unwrap();
        w.elb.deregister_targets().target_group_arn(w.group("blue")).targets(target(GREEN)).send().await.unwrap();
        let broken = lab.desk.broken().await;
        assert_eq!(broken.iter().filter(|b| *b == "way-back").collect::<Vec<_>>(), found, "{broken:?}");
    }
}

/// A state directory with a journal of these facts: epoch, process and fact.
fn journal(facts: &[(u64, u32, Value)]) -> tempfile::TempDir {
    let state = tempfile::tempdir().unwrap();
    std::fs::create_dir(state.path().join("chat")).unwrap();
    let line = |(epoch, pid, fact): &(u64, u32, Value)| {
        let record = json!({ "run": "R", "epoch": epoch, "actor": { "pid": pid }, "fact": fact });
        frame(&serde_json::to_vec(&record).unwrap())
    };
    std::fs::write(state.path().join("chat/journal"), facts.iter().map(line).collect::<Vec<_>>().concat()).unwrap();
    state
}

/// What the oracle finds when this process swaps the records of `m`, with this journal on the disk.
async fn found_with(facts: &[(u64, u32, Value)]) -> Vec<String> {
    let (lab, state) = (Lab::start().await, journal(facts));
    lab.oracle.watch(Arc::new(WriteAhead::new(state.path().to_owned())));
    lab.oracle.watch(Arc::new(Exclusive::new(state.path().to_owned())));
    let w = &lab.world;
    change(w, &[(Create, set(&w.name("m"), "TXT", 60, &["\"a\""]))]).await.unwrap();
    lab.desk.broken().await
}

#[tokio::test]
async fn whose_call_it_is_is_known_so_a_displaced_holder_that_begins_something_is_found() {
    let (me, other) = (std::process::id(), 1);
    let attempt = |epoch, pid| (epoch, pid, json!({ "fact": "attempt", "step": "s", "n": 1, "undo": false }));
    let opened = |epoch, pid| (epoch, pid, json!({ "fact": "opened" }));
    let prepared = (1, me, json!({ "fact": "prepared", "step": "s", "key": "route53 w.example.com m.w.example.com" }));
    let run = |more: &[(u64, u32, Value)]| [&[opened(1, me), prepared.clone()][..], more].concat();
    let none: [&str; 0] = [];
    assert_eq!(found_with(&run(&[attempt(1, me)])).await, none, "announced, and nobody else is there");
    assert_eq!(found_with(&run(&[])).await, ["write-ahead"], "not announced");
    assert_eq!(found_with(&run(&[attempt(1, me), opened(2, other)])).await, none, "sent before the other came");
    assert_eq!(found_with(&run(&[opened(2, other), attempt(1, me)])).await, ["exclusive"], "begun after it");
    assert_eq!(found_with(&run(&[opened(2, other)])).await, ["write-ahead", "exclusive"], "neither");
}

#[tokio::test]
async fn what_is_destroyed_before_the_way_back_is_verified_is_found() {
    let undo = json!({ "fact": "attempt", "step": "s", "n": 1, "undo": true });
    let undone = json!({ "fact": "undone", "step": "s", "evidence": "read back" });
    let prepared = json!({
        "fact": "prepared", "step": "s", "key": "alb app/front/1/2 default action", "before": { "a": 1 }, "want": { "b": 1 },
    });
    for (facts, found) in [
        (vec![(1, 1, prepared.clone()), (1, 1, undo.clone())], vec!["way-back"]),
        (vec![(1, 1, prepared), (1, 1, undo), (1, 1, undone)], vec![]),
    ] {
        let (lab, state) = (Lab::start().await, journal(&facts));
        lab.oracle.watch(Arc::new(WayBack::new(state.path().to_owned())));
        let w = &lab.world;
        let green = TargetDescription::builder().id(GREEN).port(8000).build();
        w.elb.deregister_targets().target_group_arn(w.group("green")).targets(green).send().await.unwrap();
        assert_eq!(lab.desk.broken().await, found);
    }
}
