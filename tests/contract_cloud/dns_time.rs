//! Facts about Route 53 in which time passes.

use aws_sdk_route53::types::ChangeStatus;
use std::time::Duration;

use crate::dns::{Create, Delete, Upsert, change, live, set};
use crate::support::world::{INSYNC_AFTER, Lab, route53_client};

async fn status(lab: &Lab, id: &str) -> ChangeStatus {
    lab.world.route53.get_change().id(id).send().await.unwrap().change_info.unwrap().status
}

async fn served(lab: &Lab, name: &str) -> Vec<String> {
    let cloud = lab.desk.cloud().await;
    let zone = &cloud.zones[&lab.world.names.zone];
    zone.served.iter().filter(|set| set.name == name).flat_map(|set| set.values.clone()).collect()
}

#[tokio::test]
async fn a_change_is_pending_then_insync_and_only_then_served() {
    let lab = Lab::start().await;
    let m = lab.world.name("m");
    let id = change(&lab.world, &[(Create, set(&m, "A", 60, &["1.1.1.1"]))]).await.unwrap();
    let moment = Duration::from_millis(1);
    lab.clock.advance(INSYNC_AFTER.saturating_sub(moment));
    assert_eq!(status(&lab, &id).await, ChangeStatus::Pending);
    assert_eq!(
        live(&lab.world, &m).await.len(),
        1,
        "a listing includes pending changes: it is no proof of propagation"
    );
    assert!(served(&lab, &m).await.is_empty());
    lab.clock.advance(moment);
    assert_eq!(status(&lab, &id).await, ChangeStatus::Insync);
    assert_eq!(served(&lab, &m).await, ["1.1.1.1"]);
}

#[tokio::test]
async fn name_servers_learn_of_a_change_without_anybody_asking_the_api() {
    let lab = Lab::start().await;
    let m = lab.world.name("m");
    change(&lab.world, &[(Create, set(&m, "A", 60, &["1.1.1.1"]))]).await.unwrap();
    lab.clock.advance(INSYNC_AFTER);
    let served = || lab.cloud.lock().zones[&lab.world.names.zone].served.iter().any(|set| set.name == m);
    while !served() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn each_change_has_its_own_id_and_they_are_served_in_order() {
    let lab = Lab::start().await;
    let m = lab.world.name("m");
    let (a, b) = (set(&m, "A", 60, &["1.1.1.1"]), set(&m, "A", 60, &["2.2.2.2"]));
    let first = change(&lab.world, &[(Create, a.clone())]).await.unwrap();
    lab.clock.advance(Duration::from_secs(10));
    let second = change(&lab.world, &[(Delete, a), (Create, b)]).await.unwrap();
    assert_ne!(first, second);
    lab.clock.advance(Duration::from_secs(10));
    assert_eq!(
        (status(&lab, &first).await, status(&lab, &second).await),
        (ChangeStatus::Insync, ChangeStatus::Pending)
    );
    assert_eq!(served(&lab, &m).await, ["1.1.1.1"]);
    lab.clock.advance(Duration::from_secs(10));
    assert_eq!(served(&lab, &m).await, ["2.2.2.2"]);
}

#[tokio::test]
async fn a_protected_set_refuses_every_change() {
    let lab = Lab::start().await;
    let m = lab.world.name("m");
    change(&lab.world, &[(Create, set(&m, "A", 60, &["1.1.1.1"]))]).await.unwrap();
    let protect = serde_json::json!({ "zone": lab.world.names.zone, "name": m, "kind": "A" });
    lab.desk.edit(serde_json::json!({ "protect": protect })).await;
    for action in [Delete, Upsert] {
        let refused = change(&lab.world, &[(action, set(&m, "A", 60, &["1.1.1.1"]))]).await.unwrap_err();
        assert_eq!(refused.0, "InvalidChangeBatch");
    }
    change(&lab.world, &[(Create, set(&m, "AAAA", 60, &["2001:db8::1"]))]).await.unwrap();
}

#[tokio::test]
async fn the_sixth_request_of_a_second_is_throttled_with_http_400() {
    let lab = Lab::start().await;
    lab.desk.post("throttle", serde_json::json!({ "on": true })).await;
    let zone = || lab.world.route53.get_hosted_zone().id(&lab.world.names.zone).send();
    for _ in 0..5 {
        zone().await.unwrap();
    }
    let refused = zone().await.unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 400);
    assert_eq!(aws_sdk_route53::error::ProvideErrorMetadata::code(&refused), Some("Throttling"));
    lab.clock.advance(Duration::from_secs(1));
    zone().await.unwrap();
}

#[tokio::test]
async fn the_sdk_knows_throttling_and_prior_request_not_complete_as_worth_a_retry() {
    let lab = Lab::start().await;
    let patient = route53_client(&lab.world.url, 3);
    for kind in ["throttle", "prior_request_not_complete", "error_503"] {
        lab.desk.fault("GetHostedZone", serde_json::json!(kind)).await;
        patient.get_hosted_zone().id(&lab.world.names.zone).send().await.unwrap();
    }
    assert!(lab.desk.faults().await.iter().all(|fault| fault.fired.len() == 1));
    assert_eq!(lab.desk.calls().await.len(), 6, "each was tried twice");
}
