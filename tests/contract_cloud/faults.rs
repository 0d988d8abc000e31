//! Each ordered fault fires where it was ordered, before or after the effect as its name says.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_route53::error::{ProvideErrorMetadata, SdkError};
use serde_json::{Value, json};

use crate::dns::{Create, change, live, set};
use crate::elb::{actions, forward, modify, weights};
use crate::support::world::Lab;

/// What a caller and the cloud see of a `ChangeResourceRecordSets` that a fault hits.
async fn hit(kind: Value) -> (String, bool) {
    let lab = Lab::start().await;
    let w = &lab.world;
    lab.desk.fault("ChangeResourceRecordSets", kind).await;
    let m = w.name("m");
    let seen = match change(w, &[(Create, set(&m, "A", 60, &["1.1.1.1"]))]).await {
        Ok(_) => "ok".to_owned(),
        Err((code, _)) => code,
    };
    let fired = lab.desk.faults().await.remove(0).fired;
    assert_eq!(fired.len(), 1, "the fault did not fire");
    assert_eq!(fired[0].operation, "ChangeResourceRecordSets");
    let call = lab.desk.calls().await.into_iter().find(|call| call.fault == Some(1)).unwrap();
    let effect = call.outcome.unwrap().effect;
    assert_eq!(effect, !live(w, &m).await.is_empty(), "the call log and the world differ");
    (seen, effect)
}

#[tokio::test]
async fn each_fault_takes_effect_or_does_not_as_its_name_says() {
    for (kind, seen, effect) in [
        ("reset_before", "none", false),
        ("reset_after", "none", true),
        ("error_500_before", "InternalFailure", false),
        ("error_500_after", "InternalFailure", true),
        ("error_503", "ServiceUnavailable", false),
        ("throttle", "Throttling", false),
        ("prior_request_not_complete", "PriorRequestNotComplete", false),
        ("access_denied", "AccessDenied", false),
        ("expired_token", "ExpiredToken", false),
        ("truncate", "none", true),
    ] {
        assert_eq!(hit(json!(kind)).await, (seen.to_owned(), effect), "{kind}");
    }
}

#[tokio::test]
async fn a_call_that_is_delivered_twice_takes_effect_once_and_the_second_is_answered() {
    let (seen, _) = hit(json!("twice")).await;
    assert_eq!(seen, "InvalidChangeBatch", "the second CREATE finds what the first has made");
}

#[tokio::test]
async fn a_time_out_is_never_answered() {
    for (kind, effect) in [("time_out_before", false), ("time_out_after", true)] {
        let lab = Lab::start().await;
        let w = &lab.world;
        lab.desk.fault("ModifyRule", json!(kind)).await;
        let list = vec![forward(&[(w.group("green"), 7)])];
        let call = modify(w, list);
        tokio::pin!(call);
        // Nothing is answered while the fault is under way; that it is, the call log tells.
        let logged = async {
            while lab.desk.calls().await.last().is_none_or(|call| call.outcome.is_none()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            answer = &mut call => panic!("{kind} was answered: {answer:?}"),
            () = logged => {}
        }
        assert_eq!(lab.desk.faults().await[0].fired.len(), 1);
        assert_eq!(weights(&actions(w).await[0]) == [(w.group("green").to_owned(), 7)], effect, "{kind}");
    }
}

#[tokio::test]
async fn a_late_request_lands_after_its_sender_has_given_up() {
    let lab = Lab::start().await;
    let w = &lab.world;
    lab.desk.fault("ModifyRule", json!({ "late_ms": 60_000 })).await;
    let green = [(w.group("green").to_owned(), 7)];
    {
        let call = modify(w, vec![forward(&[(w.group("green"), 7)])]);
        tokio::pin!(call);
        let fired = async {
            while lab.desk.faults().await[0].fired.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            answer = &mut call => panic!("answered: {answer:?}"),
            () = fired => {}
        }
    }
    lab.clock.advance(Duration::from_secs(59));
    assert_ne!(weights(&actions(w).await[0]), green);
    lab.clock.advance(Duration::from_secs(1));
    while weights(&actions(w).await[0]) != green {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stale_read_shows_the_world_before_the_last_change() {
    let lab = Lab::start().await;
    let w = &lab.world;
    let before = actions(w).await;
    modify(w, vec![forward(&[(w.group("green"), 7)])]).await.unwrap();
    lab.desk.fault("DescribeRules", json!("stale")).await;
    assert_eq!(actions(w).await, before);
    assert_eq!(weights(&actions(w).await[0]), [(w.group("green").to_owned(), 7)]);
}

#[tokio::test]
async fn a_reset_is_a_reset_and_not_a_clean_end() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let lab = Lab::start().await;
    lab.desk.fault("ListHostedZonesByName", json!("reset_before")).await;
    let mut stream = tokio::net::TcpStream::connect(lab.server.addr).await.unwrap();
    let request =
        "GET /2013-04-01/hostedzonesbyname HTTP/1.1\r\nHost: cloud\r\nAuthorization: AWS4-HMAC-SHA256 x\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let lost = stream.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(lost.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(lab.desk.faults().await[0].fired.len(), 1);

    lab.desk.fault("GetHostedZone", json!("reset_before")).await;
    let lost = lab.world.route53.get_hosted_zone().id(&lab.world.names.zone).send().await.unwrap_err();
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
}

#[tokio::test]
async fn a_client_that_does_not_sign_is_refused() {
    let lab = Lab::start().await;
    let url = format!("{}/2013-04-01/hostedzonesbyname", lab.world.url);
    let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 403);
    assert!(answer.text().await.unwrap().contains("MissingAuthenticationToken"));
}

#[tokio::test]
async fn an_operation_that_is_not_there_is_refused_by_name_and_logged() {
    let lab = Lab::start().await;
    let refused = lab.world.elb.describe_account_limits().send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidAction"));
    let refused = lab.world.route53.list_health_checks().send().await.unwrap_err();
    assert_eq!(refused.code(), Some("UnknownOperationException"));
    assert_eq!(lab.desk.calls().await.len(), 2);
}

#[tokio::test]
async fn a_shut_down_cloud_listens_no_more() {
    let lab = Lab::start().await;
    let addr = lab.server.addr;
    assert!(tokio::net::TcpStream::connect(addr).await.is_ok());
    lab.server.shutdown().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
    assert_eq!(Arc::strong_count(&lab.clock), 1, "something of the cloud is still running");
}
