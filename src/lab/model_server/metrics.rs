//! Metrics in the Prometheus text format, under the names that the real servers use.

use std::sync::atomic::Ordering;

use super::Flavour;
use super::server::Server;

/// The text of `/metrics`; none for a flavour without metrics.
pub(super) fn of(server: &Server) -> Option<String> {
    let running = f64::from(server.in_flight.load(Ordering::Relaxed));
    let finished = server.finished.load(Ordering::Relaxed);
    let tokens = server.tokens.load(Ordering::Relaxed);
    let model = label(server.served_model());
    // Nothing waits here: every request runs at once.
    Some(match server.options.flavour {
        Flavour::Plain => return None,
        Flavour::Vllm => {
            let labels = format!("engine=\"0\",model_name=\"{model}\"");
            let success = format!("{labels},finished_reason=\"length\"");
            [
                metric(
                    "vllm:num_requests_running",
                    "gauge",
                    "Number of requests in model execution batches.",
                    &labels,
                    running,
                ),
                metric(
                    "vllm:num_requests_waiting",
                    "gauge",
                    "Number of requests waiting to be processed.",
                    &labels,
                    0.0,
                ),
                metric(
                    "vllm:request_success_total",
                    "counter",
                    "Count of successfully processed requests.",
                    &success,
                    finished,
                ),
                metric(
                    "vllm:generation_tokens_total",
                    "counter",
                    "Number of generation tokens processed.",
                    &labels,
                    tokens,
                ),
            ]
            .concat()
        }
        Flavour::LlamaCpp => [
            metric("llamacpp:requests_processing", "gauge", "Number of requests processing.", "", running),
            metric("llamacpp:requests_deferred", "gauge", "Number of requests deferred.", "", 0.0),
            metric("llamacpp:tokens_predicted_total", "counter", "Number of generation tokens processed.", "", tokens),
        ]
        .concat(),
    })
}

fn metric(name: &str, kind: &str, help: &str, labels: &str, value: impl std::fmt::Display) -> String {
    let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{labels} {value}\n")
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
