//! One streamed generation, read to its end: what it must have, and what it is taken for when something is missing.

use serde_json::{Value, json};
use url::Url;

use crate::plan::model::Release;
use crate::probes::health::{COMPLETION_WITHIN, Proof, Rung};
use crate::probes::http::{Asker, Pieces, below};
use crate::probes::sse::Events;

/// A prompt that any model can answer in a few tokens.
const PROMPT: &str = "Say ok.";

/// What came of a completed generation.
#[derive(Debug, Clone, Default)]
pub(in crate::probes) struct Generation {
    /// The models that the reply names; one, if the server is sane.
    pub(super) models: Vec<String>,
    /// `system_fingerprint`, where there is one.
    pub(super) fingerprint: Option<String>,
    chunks: u32,
    finish: Option<String>,
    done: bool,
}

impl Generation {
    /// In one line, for people.
    pub(super) fn evidence(&self, identity: &Release) -> String {
        let revision = identity.revision.as_ref().map(|r| format!(" at {r}")).unwrap_or_default();
        let finish = self.finish.as_deref().unwrap_or("none");
        format!("{}{revision} completed a stream of {} chunks, finish_reason {finish}", identity.model, self.chunks)
    }
}

/// Asks for one short generation and reads it to its end.
pub(super) async fn complete(asker: &Asker, endpoint: &Url, model: &str, tokens: u32) -> Result<Generation, Proof> {
    let chat = json!({
        "model": model, "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": tokens, "temperature": 0, "stream": true,
    });
    let path = "/v1/chat/completions";
    let first = ask(asker, endpoint, path, &chat).await?;
    if first.status == 200 {
        return read(first, path).await;
    }
    let (status, why) = refusal(first).await?;
    if !matches!(status, 400 | 404) {
        return Err(Proof::of_status(Rung::Completion, path, status, &why));
    }
    // A base model has no chat template, and a server may have no chat at all.
    let plain = json!({"model": model, "prompt": PROMPT, "max_tokens": tokens, "temperature": 0, "stream": true});
    let path = "/v1/completions";
    let second = ask(asker, endpoint, path, &plain).await?;
    if second.status == 200 {
        return read(second, path).await;
    }
    let (status, other) = refusal(second).await?;
    match status {
        400 => Err(Proof::wrong(Rung::Completion, format!("{path} refuses the request: {other}; chat: {why}"))),
        _ => Err(Proof::of_status(Rung::Completion, path, status, &format!("{other}; chat: {why}"))),
    }
}

async fn ask(asker: &Asker, endpoint: &Url, path: &str, body: &Value) -> Result<Pieces, Proof> {
    let pieces = asker.stream(&below(endpoint, path), body, COMPLETION_WITHIN).await;
    pieces.map_err(|e| Proof::of_error(Rung::Completion, &e))
}

async fn refusal(pieces: Pieces) -> Result<(u16, String), Proof> {
    let answer = pieces.whole().await.map_err(|e| Proof::of_error(Rung::Completion, &e))?;
    Ok((answer.status, answer.excerpt()))
}

/// Reads a stream to its end and says what is missing, if something is.
pub(in crate::probes) async fn read(mut pieces: Pieces, path: &str) -> Result<Generation, Proof> {
    let mut events = Events::default();
    let mut generation = Generation::default();
    // To the end, and not only to `[DONE]`: a body that breaks off after it is no completed answer either.
    while let Some(bytes) = pieces.next().await.map_err(|e| Proof::of_error(Rung::Completion, &e))? {
        for data in events.push(&bytes) {
            take(&mut generation, &data)?;
        }
    }
    let missing = match &generation {
        Generation { chunks: 0, .. } => "the completion is empty",
        Generation { finish: None, .. } => "the stream ended without a finish_reason",
        Generation { done: false, .. } => "the stream ended without [DONE]",
        Generation { .. } => return Ok(generation),
    };
    Err(Proof::not_yet(Rung::Completion, format!("{path}: {missing}")))
}

fn take(generation: &mut Generation, data: &str) -> Result<(), Proof> {
    if data.trim() == "[DONE]" {
        generation.done = true;
        return Ok(());
    }
    let Ok(chunk) = serde_json::from_str::<Value>(data) else {
        return Err(Proof::not_yet(Rung::Completion, "the stream holds something that is no JSON"));
    };
    if let Some(error) = chunk.get("error").filter(|e| !e.is_null()) {
        let text = error.get("message").and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned);
        let text: String = text.chars().take(200).collect();
        return Err(Proof::not_yet(Rung::Completion, format!("the stream broke with an error: {text}")));
    }
    if let Some(model) = chunk.get("model").and_then(Value::as_str)
        && !generation.models.iter().any(|m| m == model)
    {
        generation.models.push(model.to_owned());
    }
    if let Some(fingerprint) = chunk.get("system_fingerprint").and_then(Value::as_str) {
        generation.fingerprint = Some(fingerprint.to_owned());
    }
    for choice in chunk.get("choices").and_then(Value::as_array).into_iter().flatten() {
        if has_text(choice) {
            generation.chunks += 1;
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str).filter(|r| !r.is_empty()) {
            if matches!(reason, "abort" | "error") {
                return Err(Proof::not_yet(Rung::Completion, format!("the stream ended with finish_reason {reason}")));
            }
            generation.finish = Some(reason.to_owned());
        }
    }
    Ok(())
}

/// Text of an answer, of a base model's completion, or of a reasoning model's thoughts (vLLM and SGLang name these differently).
fn has_text(choice: &Value) -> bool {
    ["/delta/content", "/text", "/delta/reasoning_content", "/delta/reasoning"]
        .iter()
        .any(|place| choice.pointer(place).and_then(Value::as_str).is_some_and(|text| !text.is_empty()))
}
