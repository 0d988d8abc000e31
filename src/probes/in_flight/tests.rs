use super::*;
use crate::plan::model::{Access, OpenAi, Tcp};
use crate::probes::testing::{self, Reply};

fn serves(server: OpenAiServer) -> Serves {
    Serves::Openai(OpenAi { server, proof_tokens: 4, access: Access::default() })
}

async fn of(server: OpenAiServer, status: u16, text: &'static str) -> Result<Load, String> {
    let url = testing::server(move |asked| {
        assert_eq!(asked.path, "/metrics");
        Reply::Whole(status, text.to_owned())
    })
    .await;
    in_flight(&testing::asker().await, &url, &serves(server)).await
}

const VLLM: &str = r#"# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a}b\"c} 9"} 2.0
vllm:num_requests_running{engine="1",model_name="m"} 1.0 1700000000000
vllm:num_requests_waiting{engine="0",model_name="m"} 0.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 40.0
vllm:num_requests_waiting{engine="1",model_name="m"} 4
vllm:request_success_total{finished_reason="stop"} 10.0
vllm:request_success_total{finished_reason="length"} 1.0
"#;

#[tokio::test]
async fn all_series_of_a_metric_are_summed() {
    assert_eq!(of(OpenAiServer::Vllm, 200, VLLM).await, Ok(Load { in_flight: 7, finished: Some(11) }));
    let llama = "llamacpp:requests_processing 1\nllamacpp:requests_deferred 0\nllamacpp:tokens_predicted_total 5\n";
    assert_eq!(of(OpenAiServer::LlamaCpp, 200, llama).await, Ok(Load { in_flight: 1, finished: Some(5) }));
    let tgi = "tgi_batch_current_size 0\ntgi_queue_size 3\n";
    assert_eq!(of(OpenAiServer::Tgi, 200, tgi).await, Ok(Load { in_flight: 3, finished: None }));
    let sglang = "sglang:num_running_reqs{tp_rank=\"0\"} 0\nsglang:num_queue_reqs{} 0\n";
    assert_eq!(of(OpenAiServer::Sglang, 200, sglang).await, Ok(Load { in_flight: 0, finished: None }));
}

#[tokio::test]
async fn a_missing_series_is_unknown_and_never_zero() {
    for text in
        ["", "vllm:num_requests_running 0\n", "vllm:num_requests_waiting 0\n", "# vllm:num_requests_running 0\n"]
    {
        let said = of(OpenAiServer::Vllm, 200, text).await.unwrap_err();
        assert!(said.starts_with("cannot tell") && said.contains("no series"), "{said}");
    }
}

#[tokio::test]
async fn a_value_that_is_no_count_is_unknown() {
    for value in ["NaN", "+Inf", "-1", "x", ""] {
        let text: &'static str =
            Box::leak(format!("vllm:num_requests_running {value}\nvllm:num_requests_waiting 0\n").into_boxed_str());
        let said = of(OpenAiServer::Vllm, 200, text).await.unwrap_err();
        assert!(said.starts_with("cannot tell"), "{value}: {said}");
    }
    let broken = "vllm:num_requests_running{a=\"} 1\nvllm:num_requests_waiting 0\n";
    assert!(of(OpenAiServer::Vllm, 200, broken).await.is_err());
    let half = "vllm:num_requests_running 0.2\nvllm:num_requests_waiting 0\n";
    assert_eq!(of(OpenAiServer::Vllm, 200, half).await.unwrap().in_flight, 1);
}

#[tokio::test]
async fn a_server_without_metrics_is_unknown() {
    assert!(of(OpenAiServer::LlamaCpp, 501, "not enabled").await.unwrap_err().contains("501: not enabled"));
    let url = Url::parse("http://127.0.0.1:1").unwrap();
    for serves in [serves(OpenAiServer::Ollama), serves(OpenAiServer::Other), Serves::Tcp(Tcp {})] {
        let said = in_flight(&testing::asker().await, &url, &serves).await.unwrap_err();
        assert!(said.starts_with("cannot tell"), "{said}");
    }
}
