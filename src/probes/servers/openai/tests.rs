use serde_json::{Value, json};

use super::*;
use crate::plan::model::{Access, Serves};
use crate::probes::health::prove as climb;
use crate::probes::testing::{self, Asked, Reply};

const SHA: &str = "41de8a07c1f2b3a4958677889900aabbccddeeff";

fn serves(server: OpenAiServer) -> Serves {
    Serves::Openai(OpenAi { server, proof_tokens: 4, access: Access::default() })
}

fn want(revision: Option<&str>) -> Release {
    Release { model: "chat-v2".to_owned(), revision: revision.map(str::to_owned) }
}

fn chunk(delta: &Value, finish: Option<&str>) -> String {
    json!({"model": "chat-v2", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).to_string()
}

fn good() -> Vec<String> {
    let begin = chunk(&json!({"role": "assistant", "content": ""}), None);
    vec![begin, chunk(&json!({"content": "ok"}), None), chunk(&json!({}), Some("stop")), "[DONE]".to_owned()]
}

fn truthful(asked: &Asked) -> Reply {
    match asked.path.as_str() {
        "/health" => Reply::Whole(200, String::new()),
        "/v1/models" => testing::json(&json!({"object": "list", "data": [{"id": "chat-v2", "root": "/models/chat"}]})),
        "/v1/chat/completions" => Reply::Events(good()),
        _ => Reply::Whole(404, "{}".to_owned()),
    }
}

/// Proves a vLLM that tells the truth everywhere but at `path`.
async fn with(path: &'static str, lie: Reply) -> Proof {
    let url = testing::server(move |asked| if asked.path == path { lie.clone() } else { truthful(asked) }).await;
    climb(&testing::asker().await, &url, &serves(OpenAiServer::Vllm), &want(None)).await
}

async fn completing(events: Vec<String>) -> Proof {
    with("/v1/chat/completions", Reply::Events(events)).await
}

#[track_caller]
fn stopped(proof: &Proof, kind: &str, rung: Rung, says: &str) {
    let (k, r, why) = match proof {
        Proof::Serves { evidence, .. } => ("serves", Rung::Completion, evidence),
        Proof::NotYet { rung, why } => ("not yet", *rung, why),
        Proof::Wrong { rung, why } => ("wrong", *rung, why),
        Proof::CannotTell { rung, why } => ("cannot tell", *rung, why),
    };
    assert!(k == kind && r == rung && why.contains(says), "wanted {kind} at {rung} with `{says}`, got {proof:?}");
}

#[tokio::test]
async fn a_server_that_completes_as_the_release_serves() {
    let url = testing::server(truthful).await;
    let proof = climb(&testing::asker().await, &url, &serves(OpenAiServer::Vllm), &want(None)).await;
    let evidence = "chat-v2 completed a stream of 1 chunks, finish_reason stop".to_owned();
    assert_eq!(proof, Proof::Serves { identity: want(None), evidence });
}

#[tokio::test]
async fn health_200_without_a_generation_is_not_serving() {
    stopped(&with("/v1/chat/completions", Reply::Nothing).await, "not yet", Rung::Completion, "broke off");
    let busy = Reply::Whole(503, "loading".to_owned());
    stopped(&with("/v1/chat/completions", busy).await, "not yet", Rung::Completion, "503: loading");
}

#[tokio::test]
async fn a_server_that_is_loading_is_not_yet_there() {
    let loading = Reply::Whole(503, r#"{"error":{"message":"Loading model"}}"#.to_owned());
    stopped(&with("/health", loading).await, "not yet", Rung::Healthy, "Loading model");
    stopped(&with("/v1/models", testing::json(&json!({"data": []}))).await, "not yet", Rung::Identity, "no model");
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = Url::parse(&format!("http://{closed}")).unwrap();
    let proof = climb(&testing::asker().await, &url, &serves(OpenAiServer::Vllm), &want(None)).await;
    stopped(&proof, "not yet", Rung::Connects, "no connection");
}

#[tokio::test]
async fn another_model_is_wrong_wherever_it_shows() {
    let other = testing::json(&json!({"data": [{"id": "chat-v1"}]}));
    stopped(&with("/v1/models", other).await, "wrong", Rung::Identity, "serves chat-v1, not chat-v2");
    // Listed as wanted, but another one answers.
    let mut events = good();
    events[1] = events[1].replace("chat-v2", "chat-v1");
    stopped(&completing(events).await, "wrong", Rung::Completion, "chat-v1 answered");
}

#[tokio::test]
async fn wrong_credentials_do_not_heal_by_waiting() {
    stopped(&with("/v1/models", Reply::Whole(401, String::new())).await, "wrong", Rung::Identity, "credentials");
}

#[tokio::test]
async fn each_way_to_end_a_stream_too_soon_is_seen() {
    let (done, finish) = ("[DONE]".to_owned(), chunk(&json!({}), Some("length")));
    let empty = vec![chunk(&json!({"role": "assistant", "content": ""}), None), finish.clone(), done.clone()];
    stopped(&completing(empty).await, "not yet", Rung::Completion, "empty");
    stopped(&completing(vec![done.clone()]).await, "not yet", Rung::Completion, "empty");
    let unfinished = vec![chunk(&json!({"content": "ok"}), None), done];
    stopped(&completing(unfinished).await, "not yet", Rung::Completion, "without a finish_reason");
    let undone = good()[..3].to_vec();
    stopped(&completing(undone).await, "not yet", Rung::Completion, "without [DONE]");
    let cut = with("/v1/chat/completions", Reply::CutEvents(good())).await;
    stopped(&cut, "not yet", Rung::Completion, "broke off");
    let failed = vec![good()[1].clone(), json!({"error": {"message": "engine is dead"}}).to_string()];
    stopped(&completing(failed).await, "not yet", Rung::Completion, "engine is dead");
    let aborted = vec![good()[1].clone(), chunk(&json!({}), Some("abort")), "[DONE]".to_owned()];
    stopped(&completing(aborted).await, "not yet", Rung::Completion, "abort");
    stopped(&completing(vec!["ok".to_owned()]).await, "not yet", Rung::Completion, "no JSON");
}

#[tokio::test]
async fn a_completion_that_names_no_model_proves_nothing() {
    let events =
        good().iter().map(|e| e.replace("\"model\":\"chat-v2\",", "").replace(",\"model\":\"chat-v2\"", "")).collect();
    stopped(&completing(events).await, "cannot tell", Rung::Completion, "which model");
}

#[tokio::test]
async fn thoughts_of_a_reasoning_model_are_text_too() {
    let events = good().iter().map(|e| e.replace("\"content\":\"ok\"", "\"reasoning_content\":\"ok\"")).collect();
    stopped(&completing(events).await, "serves", Rung::Completion, "1 chunks");
}

#[tokio::test]
async fn a_base_model_without_a_chat_template_is_asked_for_a_completion() {
    for status in [400, 404] {
        let url = testing::server(move |asked| match asked.path.as_str() {
            "/v1/chat/completions" => Reply::Whole(status, "no chat template".to_owned()),
            "/v1/completions" => {
                assert!(asked.body.contains("\"prompt\"") && asked.body.contains("\"max_tokens\":4"), "{}", asked.body);
                let text = json!({"model": "chat-v2", "choices": [{"text": "ok", "finish_reason": "length"}]});
                Reply::Events(vec![text.to_string(), "[DONE]".to_owned()])
            }
            _ => truthful(asked),
        })
        .await;
        let proof = climb(&testing::asker().await, &url, &serves(OpenAiServer::Vllm), &want(None)).await;
        stopped(&proof, "serves", Rung::Completion, "finish_reason length");
    }
    stopped(
        &with("/v1/chat/completions", Reply::Whole(400, "bad".to_owned())).await,
        "not yet",
        Rung::Completion,
        "bad",
    );
}

/// Proves a server whose documents are `answers` against chat-v2 at `revision`.
async fn told(server: OpenAiServer, revision: &str, answers: Value) -> Proof {
    let url = testing::server(move |asked| match answers.get(&asked.path) {
        Some(Value::Array(events)) => Reply::Events(events.iter().map(|e| e.as_str().unwrap().to_owned()).collect()),
        Some(answer) => testing::json(answer),
        None => truthful(asked),
    })
    .await;
    climb(&testing::asker().await, &url, &serves(server), &want(Some(revision))).await
}

#[tokio::test]
async fn each_server_tells_its_revision_in_its_own_place() {
    let cases = [
        (
            OpenAiServer::Vllm,
            json!({"/v1/models": {"data": [
            {"id": "chat-v2", "root": format!("/hub/models--o--chat/snapshots/{SHA}")}]}}),
        ),
        (OpenAiServer::Sglang, json!({"/get_model_info": {"model_path": "/m", "weight_version": SHA}})),
        (OpenAiServer::Sglang, json!({"/model_info": {"model_path": "/m", "weight_version": SHA}})),
        (OpenAiServer::Tgi, json!({"/info": {"model_id": "chat-v2", "model_sha": SHA}})),
        (
            OpenAiServer::Ollama,
            json!({"/api/version": {"version": "0.9"},
            "/api/tags": {"models": [{"name": "chat-v2:latest", "digest": SHA}]}}),
        ),
        (OpenAiServer::Other, json!({"/v1/models": {"data": [{"id": "chat-v2", "revision": SHA}]}})),
    ];
    for (server, answers) in cases {
        let right = told(server, &SHA[..8], answers.clone()).await;
        assert!(matches!(right, Proof::Serves { .. }), "{server:?}: {right:?}");
        let wrong = told(server, "0123456789", answers).await;
        stopped(&wrong, "wrong", Rung::Identity, &format!("at {SHA}, not at 0123456789"));
    }
}

#[tokio::test]
async fn a_revision_may_be_named_by_the_path_or_the_fingerprint() {
    let props = json!({"/v1/models": {"data": [{"id": "gpt"}]},
        "/props": {"model_alias": "chat-v2", "model_path": "/models/r7/chat.gguf"}});
    stopped(&told(OpenAiServer::LlamaCpp, "r7", props.clone()).await, "serves", Rung::Completion, "at r7");
    stopped(&told(OpenAiServer::LlamaCpp, "r8", props).await, "cannot tell", Rung::Identity, "r8 is wanted");
    let events: Vec<_> =
        good().iter().map(|e| e.replace("{\"choices\"", "{\"system_fingerprint\":\"fp_r7\",\"choices\"")).collect();
    assert!(events[1].contains("fp_r7"));
    let printed = json!({"/v1/chat/completions": events});
    stopped(&told(OpenAiServer::Vllm, "r7", printed.clone()).await, "serves", Rung::Completion, "at r7");
    stopped(&told(OpenAiServer::Vllm, "r8", printed).await, "cannot tell", Rung::Identity, "r8 is wanted");
}

#[tokio::test]
async fn what_is_live_is_the_base_model_not_its_adapter() {
    let list = json!({"data": [{"id": "lora", "parent": "chat-v2"}, {"id": "chat-v2", "root": format!("/x/snapshots/{SHA}")}]});
    let url = testing::server(move |_| testing::json(&list)).await;
    let found = crate::probes::health::identity(&testing::asker().await, &url, &serves(OpenAiServer::Vllm)).await;
    assert_eq!(found, Ok(want(Some(SHA))));
    let url = testing::server(|_| testing::json(&json!({"data": []}))).await;
    let found = crate::probes::health::identity(&testing::asker().await, &url, &serves(OpenAiServer::Other)).await;
    assert_eq!(found, Err("it names no model".to_owned()));
}
