//! How much a server has under way, from its Prometheus metrics.
//!
//! A series that is missing is unknown, never zero: a metric that was renamed must not read as "drained".

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::http::{Asker, below};
use crate::plan::model::{OpenAiServer, Serves};

const METRICS_WITHIN: Duration = Duration::from_secs(10);

/// What a server has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Requests that run or wait.
    pub in_flight: u64,
    /// A counter that moves when work is done: finished requests, or generated tokens where these are not counted.
    pub finished: Option<u64>,
}

/// The metric names of a server. What is under way is the sum over all series of all gauges.
struct Profile {
    gauges: &'static [&'static str],
    /// Names of one counter, the first that is there counts.
    counters: &'static [&'static str],
}

/// Gauges as in the gateway-api-inference-extension's model server protocol (proposal 003) and each server's documentation.
fn profile(server: OpenAiServer) -> Result<Profile, &'static str> {
    match server {
        OpenAiServer::Vllm => Ok(Profile {
            gauges: &["vllm:num_requests_running", "vllm:num_requests_waiting"],
            counters: &["vllm:request_success_total", "vllm:request_success"],
        }),
        OpenAiServer::Sglang => Ok(Profile {
            gauges: &["sglang:num_running_reqs", "sglang:num_queue_reqs"],
            counters: &["sglang:num_requests_total", "sglang:num_requests"],
        }),
        OpenAiServer::LlamaCpp => Ok(Profile {
            gauges: &["llamacpp:requests_processing", "llamacpp:requests_deferred"],
            counters: &["llamacpp:tokens_predicted_total"],
        }),
        OpenAiServer::Tgi => Ok(Profile {
            gauges: &["tgi_batch_current_size", "tgi_queue_size"],
            counters: &["tgi_request_success", "tgi_request_success_total"],
        }),
        OpenAiServer::Ollama => Err("Ollama has no metrics"),
        OpenAiServer::Other => Err("the metrics of this server are not known"),
    }
}

/// Reads the load of one endpoint.
///
/// # Errors
/// A fragment that begins with "cannot tell" when the server does not say, or does not answer.
pub async fn in_flight(asker: &Asker, endpoint: &Url, serves: &Serves) -> Result<Load, String> {
    let Serves::Openai(openai) = serves else {
        return Err("cannot tell what is in flight: this kind of server has no metrics that are known".to_owned());
    };
    let cannot = |why: &str| format!("cannot tell what is in flight: {why}");
    let profile = profile(openai.server).map_err(cannot)?;
    let answer = asker.get(&below(endpoint, "/metrics"), METRICS_WITHIN).await;
    let answer = answer.map_err(|e| cannot(&e.to_string()))?;
    if !answer.is_ok() {
        return Err(cannot(&format!("/metrics answered {}", answer.excerpt())));
    }
    load(&answer.text(), &profile).map_err(|why| cannot(&why))
}

fn load(text: &str, profile: &Profile) -> Result<Load, String> {
    let mut in_flight = 0;
    for gauge in profile.gauges {
        in_flight += sum(text, gauge)?.ok_or_else(|| format!("/metrics has no series {gauge}"))?;
    }
    let mut finished = None;
    for counter in profile.counters {
        finished = finished.or(sum(text, counter)?);
    }
    Ok(Load { in_flight, finished })
}

/// The sum over all series of a metric, each rounded up; none when there is no series.
fn sum(text: &str, metric: &str) -> Result<Option<u64>, String> {
    let mut total = None;
    for line in text.lines() {
        let Some(rest) = line.trim_start().strip_prefix(metric) else { continue };
        let value = match rest.chars().next() {
            Some('{') => after_labels(rest).ok_or_else(|| format!("/metrics has a broken line for {metric}"))?,
            Some(' ' | '\t') => rest,
            Some(_) | None => continue, // another metric whose name begins the same
        };
        let value = value.split_whitespace().next().and_then(|v| v.parse::<f64>().ok());
        // Not a number, negative and endless values are how exporters say "unknown".
        let value = value.filter(|v| v.is_finite() && *v >= 0.0);
        let value = value.ok_or_else(|| format!("/metrics has no usable value for {metric}"))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "finite and not negative; saturates"
        )]
        let whole = value.ceil() as u64;
        total = Some(total.unwrap_or(0_u64).saturating_add(whole));
    }
    Ok(total)
}

/// What follows `{...}`. Label values are quoted and may hold braces and escaped quotes (Prometheus text format 0.0.4).
fn after_labels(rest: &str) -> Option<&str> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return rest.get(at + 1..),
            _ => {}
        }
    }
    None
}

/// For the fuzzer: every profile there is.
#[cfg(any(fuzzing, test))]
pub(super) fn any_load(text: &str) {
    use OpenAiServer::{LlamaCpp, Sglang, Tgi, Vllm};
    for server in [Vllm, Sglang, LlamaCpp, Tgi] {
        drop(profile(server).map(|profile| load(text, &profile)));
    }
}

#[cfg(test)]
mod tests;
