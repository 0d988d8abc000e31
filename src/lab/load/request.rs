//! One request of the client: a short completion, or a stream read to its last event.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header;
use hyper::{Request, Response};
use serde_json::{Value, json};

use super::front::{Connection, Front};

/// Sends a short completion; the model that answered it.
pub(super) async fn short(front: &Front) -> Result<String, String> {
    let (mut response, connection) = send(front, front.options.request_tokens, false).await?;
    let mut body = Vec::new();
    while let Some(data) = next(front, &mut response).await? {
        body.extend_from_slice(&data);
    }
    keep(front, &response, connection);
    let completion: Value = serde_json::from_slice(&body).map_err(|e| format!("the answer is no completion: {e}"))?;
    model_of(&completion)
}

/// Sends a streaming completion and reads it to `[DONE]`; the model that signed it.
pub(super) async fn stream(front: &Front) -> Result<String, String> {
    let (mut response, connection) = send(front, front.options.stream_tokens, true).await?;
    let (mut pending, mut model, mut done) = (String::new(), None, false);
    while let Some(data) = next(front, &mut response).await? {
        pending.push_str(&String::from_utf8_lossy(&data));
        while let Some((event, rest)) = pending.split_once("\n\n") {
            let text = event.trim().strip_prefix("data: ").unwrap_or_default();
            if text == "[DONE]" {
                done = true;
            } else if model.is_none() {
                let chunk: Value = serde_json::from_str(text).map_err(|e| format!("an event is no JSON: {e}"))?;
                model = Some(model_of(&chunk)?);
            }
            pending = rest.to_owned();
        }
    }
    keep(front, &response, connection);
    match model {
        Some(model) if done => Ok(model),
        Some(_) | None => Err("the stream ended before [DONE]".into()),
    }
}

async fn send(front: &Front, tokens: u32, stream: bool) -> Result<(Response<Incoming>, Connection), String> {
    let mut connection = front.connection().await?;
    let mut body = json!({
        "messages": [{ "role": "user", "content": "who are you?" }], "max_tokens": tokens, "stream": stream,
    });
    if let Some(model) = &front.options.model {
        body["model"] = json!(model);
    }
    let host = if front.options.port == 80 {
        front.options.host.clone()
    } else {
        format!("{}:{}", front.options.host, front.options.port)
    };
    let request = Request::post("/v1/chat/completions")
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|e| e.to_string())?;
    let response = tokio::select! {
        biased;
        sent = connection.send_request(request) => sent.map_err(|e| format!("no answer: {e}"))?,
        () = front.clock.sleep(front.options.patience) => return Err("no answer in time".into()),
    };
    let status = response.status();
    if status == hyper::StatusCode::OK {
        Ok((response, connection))
    } else {
        Err(format!("status {}", status.as_u16()))
    }
}

/// The next bytes of the body; `None` at its end.
async fn next(front: &Front, response: &mut Response<Incoming>) -> Result<Option<Bytes>, String> {
    let frame = tokio::select! {
        biased;
        frame = response.body_mut().frame() => frame,
        () = front.clock.sleep(front.options.patience) => return Err("the answer stalled".into()),
    };
    match frame {
        None => Ok(None),
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        Some(Err(e)) => Err(format!("the answer broke off: {e}")),
    }
}

fn keep(front: &Front, response: &Response<Incoming>, connection: Connection) {
    let closes =
        response.headers().get(header::CONNECTION).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"close"));
    if !closes {
        front.keep(connection);
    }
}

/// `model`, or `model@revision` when the answer is signed with one: A and B may serve under the same name.
fn model_of(completion: &Value) -> Result<String, String> {
    let model = completion["model"].as_str().ok_or("the answer names no model")?;
    let revision = completion["system_fingerprint"].as_str();
    Ok(revision.map_or_else(|| model.to_owned(), |revision| format!("{model}@{revision}")))
}
