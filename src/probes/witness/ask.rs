//! One request as a client makes it.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use serde_json::{Value, json};
use url::{Host, Url};

use super::completes;
use crate::probes::health::Proof;
use crate::probes::http::Asker;
use crate::probes::propagation::Dns;
use crate::probes::servers::completion;

/// A short request that takes longer is lost to whoever waits for it.
const SHORT_WITHIN: Duration = Duration::from_secs(30);
/// The OpenAI SDK's own limit.
const STREAM_WITHIN: Duration = Duration::from_mins(10);
/// A stream is not kept, so it may be long: about 200 000 tokens.
const STREAM_MAX: usize = 64 << 20;
/// Tokens of a short request.
const SHORT_TOKENS: u32 = 4;

/// Who answered, as far as the answer tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) model: Option<String>,
    pub(super) fingerprint: Option<String>,
}

/// How the witness asks.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) url: Url,
    pub(super) model: Option<String>,
    pub(super) stream_tokens: u32,
    pub(super) resolver: Option<SocketAddr>,
    pub(super) dns: Dns,
    pub(super) asker: Asker,
}

impl Client {
    /// A short request; anything but a whole, right answer is an error.
    pub(super) async fn short(&self) -> Result<Who, String> {
        let asker = self.resolved().await?;
        let answer = if completes(&self.url) {
            asker.post(&self.url, &self.body(SHORT_TOKENS, false), SHORT_WITHIN).await
        } else {
            asker.get(&self.url, SHORT_WITHIN).await
        };
        let answer = answer.map_err(|e| e.to_string())?;
        if !answer.is_ok() {
            return Err(format!("answered {}", answer.excerpt()));
        }
        let told = answer.json();
        if completes(&self.url) && !completed(told.as_ref()) {
            return Err(format!("answered without a completion: {}", answer.excerpt()));
        }
        let text = |key: &str| told.as_ref().and_then(|t| t.get(key)).and_then(Value::as_str).map(str::to_owned);
        Ok(Who { model: text("model"), fingerprint: text("system_fingerprint") })
    }

    /// A long stream, read to its end.
    pub(super) async fn long(&self) -> Result<(), String> {
        let asker = self.resolved().await?;
        let stream = asker.stream(&self.url, &self.body(self.stream_tokens, true), STREAM_WITHIN).await;
        let stream = stream.map_err(|e| e.to_string())?.at_most(STREAM_MAX);
        if stream.status != 200 {
            let answer = stream.whole().await.map_err(|e| e.to_string())?;
            return Err(format!("answered {}", answer.excerpt()));
        }
        match completion::read(stream, self.url.path()).await {
            Ok(_) => Ok(()),
            Err(Proof::NotYet { why, .. } | Proof::Wrong { why, .. } | Proof::CannotTell { why, .. }) => Err(why),
            Err(Proof::Serves { evidence, .. }) => Err(evidence),
        }
    }

    fn body(&self, tokens: u32, stream: bool) -> Value {
        let mut body = json!({"max_tokens": tokens, "stream": stream});
        if self.url.path().trim_end_matches('/').ends_with("/chat/completions") {
            body["messages"] = json!([{"role": "user", "content": "Count up from one."}]);
        } else {
            body["prompt"] = json!("Count up from one.");
        }
        if let Some(model) = &self.model {
            body["model"] = json!(model);
        }
        body
    }

    /// The asker, led to the address that the clients' resolver gives now.
    async fn resolved(&self) -> Result<Asker, String> {
        let (Some(resolver), Some(Host::Domain(host))) = (self.resolver, self.url.host()) else {
            return Ok(self.asker.clone());
        };
        let port = self.url.port_or_known_default().ok_or("the witness's URL has no port")?;
        let mut name = Name::from_ascii(host).map_err(|e| format!("`{host}` is no DNS name: {e}"))?;
        name.set_fqdn(true);
        for kind in [RecordType::A, RecordType::AAAA] {
            let asked = self.dns.ask(resolver, &name, kind, true).await;
            let answer = asked.map_err(|why| format!("{host} cannot be resolved: {why}"))?;
            if let Some(ip) = answer.answers.iter().find_map(|r| r.data.ip_addr()) {
                return Ok(self.asker.at(SocketAddr::new(ip, port)));
            }
        }
        Err(format!("{host} has no address"))
    }
}

fn completed(answer: Option<&Value>) -> bool {
    let choices = answer.and_then(|a| a.get("choices")).and_then(Value::as_array);
    choices.and_then(|c| c.first()).and_then(|c| c.get("finish_reason")).is_some_and(Value::is_string)
}
