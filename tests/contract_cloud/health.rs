//! Facts about target health, some of them in time.
//! Sources: TargetHealth in the API reference; "Health checks", "Register targets", "Deregistration delay" in the ALB guide.

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::error::ProvideErrorMetadata;
use aws_sdk_elasticloadbalancingv2::types::TargetDescription;

use crate::elb::{forward, modify};
use crate::support::world::{Lab, World};

fn target(id: &str, port: i32) -> TargetDescription {
    TargetDescription::builder().id(id).port(port).build()
}

/// `id:port state/reason` of every target of a group.
async fn health(w: &World, group: &str) -> Vec<String> {
    shown(w, group, None).await
}

async fn shown(w: &World, group: &str, only: Option<TargetDescription>) -> Vec<String> {
    let ask = w.elb.describe_target_health().target_group_arn(w.group(group)).set_targets(only.map(|t| vec![t]));
    let found = ask.send().await.unwrap();
    let one = |d: &aws_sdk_elasticloadbalancingv2::types::TargetHealthDescription| {
        let (target, health) = (d.target().unwrap(), d.target_health().unwrap());
        let reason = health.reason().map(|r| format!("/{}", r.as_str())).unwrap_or_default();
        format!("{}:{} {}{reason}", target.id().unwrap(), target.port().unwrap(), health.state().unwrap().as_str())
    };
    found.target_health_descriptions().iter().map(one).collect()
}

pub(crate) async fn targets_are_keyed_by_id_and_port(w: World) {
    let group = w.group("three");
    let register = w.elb.register_targets().target_group_arn(group);
    register.targets(target("10.0.1.5", 8080)).targets(target("10.0.1.5", 8081)).send().await.unwrap();
    let ports = async || {
        let found = w.elb.describe_target_health().target_group_arn(group).send().await.unwrap();
        let live = found.target_health_descriptions().iter();
        let live = live.filter(|d| d.target_health().unwrap().state().unwrap().as_str() != "draining");
        live.map(|d| d.target().unwrap().port().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ports().await, [8080, 8081]);
    let deregister = w.elb.deregister_targets().target_group_arn(group).targets(target("10.0.1.5", 8081));
    deregister.send().await.unwrap();
    assert_eq!(ports().await, [8080]);
    let garbage = w.elb.register_targets().target_group_arn(group).targets(target("garbage", 80)).send().await;
    assert!(garbage.unwrap_err().into_service_error().is_invalid_target_exception());
}

pub(crate) async fn deregistering_an_unknown_target_succeeds(w: World) {
    let unknown = w.elb.deregister_targets().target_group_arn(w.group("three")).targets(target("10.9.9.9", 1));
    unknown.send().await.unwrap();
}

#[tokio::test]
async fn a_target_is_unused_until_a_rule_names_its_group_even_at_weight_0() {
    let lab = Lab::start().await;
    let w = &lab.world;
    assert_eq!(health(w, "green").await, ["203.0.113.20:8000 unused/Target.NotInUse"]);
    lab.heal("green").await;
    assert_eq!(
        health(w, "green").await,
        ["203.0.113.20:8000 unused/Target.NotInUse"],
        "whatever the server itself would say"
    );
    modify(w, vec![forward(&[(w.group("blue"), 1), (w.group("green"), 0)])]).await.unwrap();
    assert_eq!(
        health(w, "green").await,
        ["203.0.113.20:8000 initial/Elb.RegistrationInProgress"],
        "checking begins with the attachment, not with what was known before"
    );
    lab.heal("green").await;
    assert_eq!(health(w, "green").await, ["203.0.113.20:8000 healthy"]);
    modify(w, vec![forward(&[(w.group("blue"), 1)])]).await.unwrap();
    assert_eq!(health(w, "green").await, ["203.0.113.20:8000 unused/Target.NotInUse"]);
}

#[tokio::test]
async fn a_deregistered_target_drains_for_the_delay_and_its_ip_cannot_come_back_before() {
    let lab = Lab::start().await;
    let w = &lab.world;
    lab.heal("blue").await;
    let blue = || target("203.0.113.10", 8000);
    let register = || w.elb.register_targets().target_group_arn(w.group("blue")).targets(blue()).send();
    w.elb.deregister_targets().target_group_arn(w.group("blue")).targets(blue()).send().await.unwrap();
    lab.clock.advance(Duration::from_secs(299));
    assert_eq!(health(w, "blue").await, ["203.0.113.10:8000 draining/Target.DeregistrationInProgress"]);
    let refused = register().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidTarget"), "the way back is blocked for the deregistration delay");
    assert_eq!(health(w, "blue").await, ["203.0.113.10:8000 draining/Target.DeregistrationInProgress"]);
    lab.clock.advance(Duration::from_secs(1));
    assert!(health(w, "blue").await.is_empty());
    assert_eq!(shown(w, "blue", Some(blue())).await, ["203.0.113.10:8000 unused/Target.NotRegistered"]);
    register().await.unwrap();
    assert_eq!(health(w, "blue").await, ["203.0.113.10:8000 initial/Elb.RegistrationInProgress"]);
}

#[tokio::test]
async fn deregistering_twice_does_not_make_the_delay_longer() {
    let lab = Lab::start().await;
    let w = &lab.world;
    for _ in 0..2 {
        let deregister = w.elb.deregister_targets().target_group_arn(w.group("blue"));
        deregister.targets(target("203.0.113.10", 8000)).send().await.unwrap();
        lab.clock.advance(Duration::from_secs(200));
    }
    assert!(health(w, "blue").await.is_empty());
}
