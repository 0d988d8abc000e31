//! One request to the model server: which endpoint, in which state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::completion::{self, Kind};
use super::{Flavour, ModelServerOptions, metrics};
use crate::clock::Clock;

/// A body of an answer.
pub(super) type Answer = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// Prompts beyond this are refused; no plan's probe comes near.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The state of a running server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) options: ModelServerOptions,
    clock: Arc<dyn Clock>,
    loaded_at: Timestamp,
    /// Told to stop.
    draining: AtomicBool,
    /// Told to send clients away with every answer.
    closing: AtomicBool,
    pub(super) in_flight: AtomicU32,
    pub(super) begun: AtomicU64,
    pub(super) finished: AtomicU64,
    pub(super) tokens: AtomicU64,
}

impl Server {
    pub(super) fn new(options: ModelServerOptions, clock: Arc<dyn Clock>) -> Self {
        let loaded_at = clock.now() + jiff::SignedDuration::try_from(options.load).unwrap_or(jiff::SignedDuration::MAX);
        Self {
            options,
            clock,
            loaded_at,
            draining: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            begun: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
        }
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// The name under which it really serves.
    pub(super) fn served_model(&self) -> &str {
        self.options.wrong_model.as_deref().unwrap_or(&self.options.model)
    }

    /// Answers one request.
    pub(super) async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response<Answer> {
        let wants_close =
            request.headers().get(header::CONNECTION).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"close"));
        let mut response = self.answer(request).await;
        if wants_close || self.draining.load(Ordering::Relaxed) || self.closing.load(Ordering::Relaxed) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<Answer> {
        let path = request.uri().path().to_owned();
        let loading = self.clock.now() < self.loaded_at;
        match (request.method(), path.as_str()) {
            (&Method::GET, "/lab/status") => say(200, &self.status(loading)),
            (&Method::POST, "/lab/close") => {
                let on = request.uri().query() != Some("on=false");
                self.closing.store(on, Ordering::Relaxed);
                say(200, &json!({ "close": on }))
            }
            (&Method::GET, "/health" | "/v1/health" | "/ping") => self.health(loading),
            _ if loading => error(503, "unavailable_error", "Loading model"),
            (&Method::GET, "/v1/models") => say(200, &self.models()),
            (&Method::GET, "/version") if self.options.flavour == Flavour::Vllm => {
                say(200, &json!({ "version": "0.11.0", "revision": self.options.revision }))
            }
            (&Method::GET, "/props") if self.options.flavour == Flavour::LlamaCpp => say(200, &self.props()),
            (&Method::GET, "/metrics") => match metrics::of(self) {
                Some(text) => plain(200, "text/plain; version=0.0.4; charset=utf-8", text),
                None => error(404, "not_found_error", "Not Found"),
            },
            (&Method::POST, "/v1/chat/completions") => self.complete(Kind::Chat, request).await,
            (&Method::POST, "/v1/completions") => self.complete(Kind::Text, request).await,
            _ => error(404, "not_found_error", "Not Found"),
        }
    }

    fn health(&self, loading: bool) -> Response<Answer> {
        if self.draining.load(Ordering::Relaxed) {
            return error(503, "unavailable_error", "shutting down");
        }
        if loading && !self.options.lying_health {
            return error(503, "unavailable_error", "Loading model");
        }
        match self.options.flavour {
            Flavour::Vllm => plain(200, "text/plain", String::new()),
            Flavour::LlamaCpp => say(200, &json!({ "status": "ok" })),
            Flavour::Plain => plain(200, "text/plain", "ok".into()),
        }
    }

    async fn complete(self: &Arc<Self>, kind: Kind, request: Request<Incoming>) -> Response<Answer> {
        let Ok(body) = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await else {
            return error(413, "invalid_request_error", "the body is too long, or broke off");
        };
        let Ok(asked) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
            return error(400, "invalid_request_error", "the body is no JSON");
        };
        let n = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        if self.options.fail_every.is_some_and(|every| every > 0 && n.is_multiple_of(u64::from(every))) {
            return error(500, "internal_server_error", "the engine failed on this request");
        }
        let wanted = asked["model"].as_str().unwrap_or_default();
        // With `wrong_model` it must answer under the name that was asked for, or nobody would be misled.
        let known = [self.served_model(), self.options.model.as_str(), ""];
        if self.options.flavour == Flavour::Vllm && !known.contains(&wanted) {
            return error(404, "NotFoundError", &format!("The model `{wanted}` does not exist."));
        }
        completion::complete(Arc::clone(self), kind, &asked).await
    }

    fn models(&self) -> Value {
        let id = self.served_model();
        let root = self.options.revision.as_deref().map_or_else(|| id.to_owned(), |r| format!("{id}@{r}"));
        let model = json!({
            "id": id, "object": "model", "created": self.loaded_at.as_second(), "owned_by": "lab",
            "root": root, "revision": self.options.revision, "max_model_len": 8192,
        });
        json!({ "object": "list", "data": [model] })
    }

    fn props(&self) -> Value {
        json!({
            "model_alias": self.served_model(),
            "model_path": format!("/models/{}.gguf", self.served_model()),
            "build_info": self.options.revision.as_deref().unwrap_or("b0-lab"),
            "total_slots": 64,
        })
    }

    fn status(&self, loading: bool) -> Value {
        json!({
            "model": self.served_model(),
            "revision": self.options.revision,
            "environment": self.options.environment,
            "token": self.options.token,
            "pid": std::process::id(),
            "loading": loading,
            "draining": self.draining.load(Ordering::Relaxed),
            "close": self.closing.load(Ordering::Relaxed),
            "in_flight": self.in_flight.load(Ordering::Relaxed),
            "begun": self.begun.load(Ordering::Relaxed),
            "finished": self.finished.load(Ordering::Relaxed),
        })
    }
}

/// An answer in JSON.
pub(super) fn say(status: u16, value: &Value) -> Response<Answer> {
    plain(status, "application/json", value.to_string())
}

/// An error as OpenAI-compatible servers write it.
pub(super) fn error(status: u16, kind: &str, message: &str) -> Response<Answer> {
    say(status, &json!({ "error": { "message": message, "type": kind, "code": status } }))
}

fn plain(status: u16, content_type: &'static str, body: String) -> Response<Answer> {
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
