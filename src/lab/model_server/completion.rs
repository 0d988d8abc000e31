//! Completions: the same tokens at once or as server-sent events (OpenAI API reference, "Chat" and "Completions").

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use hyper::header::{self, HeaderValue};
use serde_json::{Value, json};

use super::server::{Answer, Server, error, say};
use crate::ids::random_u64;

/// What is generated when nobody says how much.
const TOKENS_DEFAULT: u64 = 16;
/// A day of streaming at 20 ms; more is a mistake.
const TOKENS_MAX: u64 = 4_000_000;
const WORDS: [&str; 8] = ["loses", "no", "request", "while", "it", "is", "being", "swapped"];

/// Which of the two endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Chat,
    Text,
}

/// Answers one completion that was accepted.
pub(super) async fn complete(server: Arc<Server>, kind: Kind, asked: &Value) -> Response<Answer> {
    let prompt = match kind {
        Kind::Chat => &asked["messages"],
        Kind::Text => &asked["prompt"],
    };
    let empty = prompt.is_null() || prompt.as_array().is_some_and(Vec::is_empty);
    if empty {
        let field = if kind == Kind::Chat { "messages" } else { "prompt" };
        return error(400, "invalid_request_error", &format!("`{field}` is missing"));
    }
    let limit = asked["max_completion_tokens"].as_u64().or_else(|| asked["max_tokens"].as_u64());
    let running = Running {
        under_way: UnderWay::begin(server),
        kind,
        id: format!("{}-{:016x}", if kind == Kind::Chat { "chatcmpl" } else { "cmpl" }, random_u64()),
        tokens: limit.unwrap_or(TOKENS_DEFAULT).clamp(1, TOKENS_MAX),
        finish_reason: if limit.is_some() { "length" } else { "stop" },
        prompt_tokens: u64::try_from(prompt.to_string().split_whitespace().count()).unwrap_or(1),
    };
    if asked["stream"] == true { running.into_events() } else { running.into_one().await }
}

/// A request that the server counts as running, until it is dropped.
struct UnderWay(Arc<Server>);

impl UnderWay {
    fn begin(server: Arc<Server>) -> Self {
        server.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(server)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Running {
    under_way: UnderWay,
    kind: Kind,
    id: String,
    tokens: u64,
    finish_reason: &'static str,
    prompt_tokens: u64,
}

impl Running {
    fn server(&self) -> &Server {
        &self.under_way.0
    }

    /// Token `i`; the first says who speaks.
    fn token(&self, i: u64) -> String {
        match usize::try_from(i).unwrap_or(0) {
            0 => self.server().served_model().to_owned(),
            n => format!(" {}", WORDS[(n - 1) % WORDS.len()]),
        }
    }

    async fn wait_for(&self, token: u64) {
        let options = &self.server().options;
        let first = if token == 0 { options.slow_first_token } else { Duration::ZERO };
        self.server().clock().sleep(options.token_gap + first).await;
        self.server().tokens.fetch_add(1, Ordering::Relaxed);
    }

    fn finished(&self) {
        self.server().finished.fetch_add(1, Ordering::Relaxed);
    }

    async fn into_one(self) -> Response<Answer> {
        let mut text = String::new();
        for i in 0..self.tokens {
            self.wait_for(i).await;
            text.push_str(&self.token(i));
        }
        self.finished();
        let choice = match self.kind {
            Kind::Chat => json!({
                "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": self.finish_reason,
            }),
            Kind::Text => json!({ "index": 0, "text": text, "finish_reason": self.finish_reason }),
        };
        let object = if self.kind == Kind::Chat { "chat.completion" } else { "text_completion" };
        let mut whole = self.envelope(object, &choice);
        whole["usage"] = json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.tokens,
            "total_tokens": self.prompt_tokens + self.tokens,
        });
        say(200, &whole)
    }

    fn into_events(self) -> Response<Answer> {
        let mut first = VecDeque::new();
        if self.kind == Kind::Chat {
            first.push_back(self.event(&json!({ "role": "assistant", "content": "" }), None));
        }
        let state = Some((self, 0_u64, first));
        let frames = stream::unfold(state, |state| async move {
            let (running, i, mut ready) = state?;
            if let Some(event) = ready.pop_front() {
                return Some((frame(event), Some((running, i, ready))));
            }
            if i == running.tokens {
                running.finished();
                let last = format!("{}data: [DONE]\n\n", running.event(&json!({}), Some(running.finish_reason)));
                return Some((frame(last), None));
            }
            running.wait_for(i).await;
            let event = running.event(&json!({ "content": running.token(i) }), None);
            Some((frame(event), Some((running, i + 1, ready))))
        });
        let mut response = Response::new(StreamBody::new(frames.map(Ok)).boxed_unsync());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    fn event(&self, delta: &Value, finish_reason: Option<&str>) -> String {
        let chunk = match self.kind {
            Kind::Chat => {
                let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish_reason });
                self.envelope("chat.completion.chunk", &choice)
            }
            Kind::Text => {
                let text = delta["content"].as_str().unwrap_or_default();
                let choice = json!({ "index": 0, "text": text, "finish_reason": finish_reason });
                self.envelope("text_completion", &choice)
            }
        };
        format!("data: {chunk}\n\n")
    }

    fn envelope(&self, object: &str, choice: &Value) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.server().clock().now().as_second(),
            "model": self.server().served_model(),
            "system_fingerprint": self.server().options.revision,
            "choices": [choice],
        })
    }
}

fn frame(text: String) -> Frame<Bytes> {
    Frame::data(Bytes::from(text))
}
