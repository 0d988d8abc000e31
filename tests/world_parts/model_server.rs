use std::net::SocketAddr;
use std::time::Duration;

use modelswap::lab::model_server::Flavour;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::support::{ManualClock, client, complete, eventually, get, model, real_time};

async fn status_of(address: SocketAddr, path: &str) -> u16 {
    get(address, path).await.status().as_u16()
}

async fn json_of(address: SocketAddr, path: &str) -> Value {
    get(address, path).await.json().await.unwrap()
}

#[tokio::test]
async fn it_answers_503_to_everything_until_it_has_loaded() {
    let clock = ManualClock::new();
    let server = model("m", clock.clone(), |o| o.load = Duration::from_secs(90)).await;
    clock.advance(89);
    for path in ["/health", "/v1/models", "/version", "/metrics"] {
        assert_eq!(status_of(server.address, path).await, 503, "{path}");
    }
    assert_eq!(complete(&client(), server.address, json!({})).await.status(), 503);
    clock.advance(1);
    for path in ["/health", "/v1/models", "/version", "/metrics"] {
        assert_eq!(status_of(server.address, path).await, 200, "{path}");
    }
}

#[tokio::test]
async fn a_lying_server_is_healthy_while_it_completes_nothing() {
    let server = model("m", real_time(), |o| (o.load, o.lying_health) = (Duration::from_hours(1), true)).await;
    assert_eq!(status_of(server.address, "/health").await, 200);
    assert_eq!(complete(&client(), server.address, json!({})).await.status(), 503);
}

#[tokio::test]
async fn it_says_which_model_and_revision_it_serves_in_every_answer() {
    let server = model("m", real_time(), |o| {
        o.revision = Some("r7".into());
        o.environment = Some("green".into());
        o.token = Some("t1".into());
    })
    .await;
    let models = json_of(server.address, "/v1/models").await;
    assert_eq!((&models["data"][0]["id"], &models["data"][0]["revision"]), (&json!("m"), &json!("r7")));
    let answer: Value = complete(&client(), server.address, json!({ "model": "m" })).await.json().await.unwrap();
    assert_eq!((&answer["model"], &answer["system_fingerprint"]), (&json!("m"), &json!("r7")));
    assert_eq!(answer["choices"][0]["message"]["content"], "m loses");
    assert_eq!(
        (&answer["usage"]["completion_tokens"], &answer["choices"][0]["finish_reason"]),
        (&json!(2), &json!("length"))
    );
    let status = json_of(server.address, "/lab/status").await;
    assert_eq!((&status["environment"], &status["token"]), (&json!("green"), &json!("t1")));
    let text = client().post(format!("http://{}/v1/completions", server.address)).json(&json!({ "prompt": "hi" }));
    let text: Value = text.send().await.unwrap().json().await.unwrap();
    assert_eq!(text["object"], "text_completion");
    assert_eq!(text["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn what_cannot_be_completed_is_refused_as_openai_servers_do() {
    let (server, client) = (model("m", real_time(), |_| {}).await, client());
    assert_eq!(complete(&client, server.address, json!({ "model": "other" })).await.status(), 404);
    assert_eq!(complete(&client, server.address, json!({ "messages": [] })).await.status(), 400);
    assert_eq!(status_of(server.address, "/nothing").await, 404);
    let llama = model("m", real_time(), |o| o.flavour = Flavour::LlamaCpp).await;
    assert_eq!(complete(&client, llama.address, json!({ "model": "other" })).await.status(), 200);
}

#[tokio::test]
async fn a_stream_has_as_many_events_as_tokens_and_ends_with_done() {
    let server = model("m", real_time(), |_| {}).await;
    let response = complete(&client(), server.address, json!({ "stream": true, "max_tokens": 5 })).await;
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let text = response.text().await.unwrap();
    let events: Vec<&str> = text.split_terminator("\n\n").map(|e| e.strip_prefix("data: ").unwrap()).collect();
    assert_eq!(events.len(), 1 + 5 + 1 + 1, "the role, the tokens, the reason, the end: {events:?}");
    assert_eq!(events.last(), Some(&"[DONE]"));
    let chunks: Vec<Value> = events[..7].iter().map(|e| serde_json::from_str(e).unwrap()).collect();
    assert!(chunks.iter().all(|c| c["model"] == "m"));
    assert_eq!(chunks[6]["choices"][0]["finish_reason"], "length");
    let said: String = chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(said, "m loses no request while");
}

#[tokio::test]
async fn its_metrics_count_what_is_under_way() {
    for (flavour, running, waiting) in [
        (
            Flavour::Vllm,
            "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 1",
            "vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 0",
        ),
        (Flavour::LlamaCpp, "llamacpp:requests_processing 1", "llamacpp:requests_deferred 0"),
    ] {
        let server = model("m", real_time(), |o| {
            o.flavour = flavour;
            o.token_gap = Duration::from_hours(1);
        })
        .await;
        let stream = complete(&client(), server.address, json!({ "stream": true })).await;
        let text = get(server.address, "/metrics").await.text().await.unwrap();
        assert!(text.lines().any(|l| l == running) && text.lines().any(|l| l == waiting), "{text}");
        drop(stream);
        let idle = running.replace(" 1", " 0");
        eventually("a client that hung up is not counted", async || {
            get(server.address, "/metrics").await.text().await.unwrap().lines().any(|l| l == idle)
        })
        .await;
    }
    let plain = model("m", real_time(), |o| o.flavour = Flavour::Plain).await;
    assert_eq!(status_of(plain.address, "/metrics").await, 404);
}

#[tokio::test]
async fn flags_make_it_fail_and_serve_the_wrong_model() {
    let (client, server) = (
        client(),
        model("m", real_time(), |o| {
            o.fail_every = Some(3);
            o.wrong_model = Some("old".into());
        })
        .await,
    );
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(complete(&client, server.address, json!({ "model": "m" })).await.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 500, 200, 200, 500]);
    assert_eq!(json_of(server.address, "/v1/models").await["data"][0]["id"], "old");
}

#[tokio::test]
async fn a_slow_first_token_delays_the_answer_but_not_the_headers_of_a_stream() {
    let clock = ManualClock::new();
    let server = model("m", clock.clone(), |o| o.slow_first_token = Duration::from_secs(50)).await;
    let mut stream = complete(&client(), server.address, json!({ "stream": true, "max_tokens": 1 })).await;
    let role = stream.chunk().await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&role).contains("[DONE]"));
    let rest = tokio::spawn(stream.text());
    clock.advance(50);
    assert!(!rest.is_finished());
    eventually("the stream ends once the token is there", async || {
        clock.advance(1);
        rest.is_finished()
    })
    .await;
    assert!(rest.await.unwrap().unwrap().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn it_sends_clients_away_when_told_to() {
    let server = model("m", real_time(), |_| {}).await;
    let closes = async || {
        let response = complete(&client(), server.address, json!({})).await;
        response.headers().get("connection").is_some_and(|v| v == "close")
    };
    assert!(!closes().await);
    client().post(format!("http://{}/lab/close?on=true", server.address)).send().await.unwrap();
    assert!(closes().await);
    client().post(format!("http://{}/lab/close?on=false", server.address)).send().await.unwrap();
    assert!(!closes().await);
    let asked = client().get(format!("http://{}/health", server.address)).header("connection", "close").send().await;
    assert_eq!(asked.unwrap().headers()["connection"], "close", "as the client asked");
}

#[tokio::test]
async fn on_term_it_refuses_new_connections_closes_old_ones_and_finishes_every_stream() {
    let clock = ManualClock::new();
    let mut server = model("m", clock.clone(), |o| o.token_gap = Duration::from_mins(1)).await;
    let stream = complete(&client(), server.address, json!({ "stream": true, "max_tokens": 20 })).await;
    // A pooled client with an idle connection.
    let pooled = client();
    let address = server.address;
    let health = async || pooled.get(format!("http://{address}/health")).send().await;
    assert_eq!(health().await.unwrap().bytes().await.unwrap().len(), 0);
    server.term();
    eventually("new connections are refused", async || TcpStream::connect(server.address).await.is_err()).await;
    let draining = health().await.unwrap();
    assert_eq!((draining.status().as_u16(), draining.headers()["connection"].to_str().unwrap()), (503, "close"));
    assert!(!server.running.is_finished(), "a stream is under way");
    let text = tokio::spawn(stream.text());
    eventually("the stream ends and so does the server", async || {
        clock.advance(60);
        server.running.is_finished()
    })
    .await;
    assert!(text.await.unwrap().unwrap().ends_with("data: [DONE]\n\n"));
}
