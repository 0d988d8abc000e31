use crate::plan::model::{Access, Serves};
use crate::probes::health::{identity, prove as climb};
use crate::probes::testing::{self, Reply};

use super::*;

fn want(revision: Option<&str>) -> Release {
    Release { model: "iris".to_owned(), revision: revision.map(str::to_owned) }
}

/// Proves a server that is truthful where `answers` does not say otherwise.
async fn with(answers: Value, revision: Option<&str>) -> Proof {
    let url = testing::server(move |asked| match answers.get(&asked.path) {
        Some(Value::Number(status)) => Reply::Whole(u16::try_from(status.as_u64().unwrap()).unwrap(), String::new()),
        Some(answer) => testing::json(answer),
        None => match asked.path.as_str() {
            "/v2/models/iris/ready" => testing::json(&json!({"name": "iris", "ready": true})),
            "/v2/models/iris" => testing::json(&json!({"name": "iris", "versions": ["2"]})),
            "/v2/models/iris/infer" => testing::json(&json!({"model_name": "iris", "outputs": [{"data": [1]}]})),
            _ => Reply::Whole(404, String::new()),
        },
    })
    .await;
    let serves = Serves::Kserve(Kserve { infer: Some(json!({"inputs": []})), access: Access::default() });
    climb(&testing::asker().await, &url, &serves, &want(revision)).await
}

#[tokio::test]
async fn a_ready_model_that_infers_serves() {
    let Proof::Serves { identity, evidence } = with(json!({}), Some("2")).await else { panic!() };
    assert_eq!((identity, evidence.as_str()), (want(Some("2")), "iris version 2 inferred 1 outputs"));
}

#[tokio::test]
async fn each_lie_is_seen() {
    let kinds = [
        (json!({"/v2/models/iris/ready": 503}), None, "NotYet { rung: Healthy"),
        (json!({"/v2/models/iris/ready": {"name": "iris", "ready": false}}), None, "NotYet { rung: Healthy"),
        (json!({"/v2/models/iris": {"name": "other"}}), None, "Wrong { rung: Identity"),
        (json!({}), Some("1"), "Wrong { rung: Identity"),
        (json!({"/v2/models/iris": {"name": "iris"}}), Some("1"), "CannotTell { rung: Identity"),
        (
            json!({"/v2/models/iris": {"name": "iris", "versions": ["1", "2"]}}),
            Some("1"),
            "CannotTell { rung: Identity",
        ),
        (json!({"/v2/models/iris/infer": 400}), None, "Wrong { rung: Completion"),
        (json!({"/v2/models/iris/infer": 500}), None, "NotYet { rung: Completion"),
        (json!({"/v2/models/iris/infer": {"model_name": "iris", "outputs": []}}), None, "NotYet { rung: Completion"),
        (json!({"/v2/models/iris/infer": {"model_name": "old", "outputs": [1]}}), None, "Wrong { rung: Completion"),
        (json!({"/v2/models/iris/infer": {"outputs": [1]}}), None, "CannotTell { rung: Completion"),
    ];
    for (answers, revision, kind) in kinds {
        let proof = format!("{:?}", with(answers.clone(), revision).await);
        assert!(proof.starts_with(kind), "{answers} gave {proof}");
    }
}

#[tokio::test]
async fn only_one_ready_model_is_what_is_live() {
    let serves = Serves::Kserve(Kserve { infer: None, access: Access::default() });
    let index = |entries: Value| async move { testing::server(move |_| testing::json(&entries)).await };
    let entry = |name: &str, state: &str| json!({"name": name, "version": "2", "state": state});
    let asker = testing::asker().await;
    let url = index(json!([entry("iris", "READY"), entry("old", "UNAVAILABLE")])).await;
    assert_eq!(identity(&asker, &url, &serves).await, Ok(want(Some("2"))));
    let url = index(json!([entry("iris", "READY"), entry("old", "READY")])).await;
    assert!(identity(&asker, &url, &serves).await.unwrap_err().contains("2 models are ready"));
}
