//! The open inference protocol, version 2 (KServe, Triton, MLServer).
//!
//! Always the model's own readiness: a server without any model says that it is ready (MLServer did, in production).

use serde_json::{Value, json};
use url::Url;

use crate::plan::model::{Kserve, Release};
use crate::probes::health::{COMPLETION_WITHIN, LIST_WITHIN, Proof, Rung};
use crate::probes::http::{Asker, below};

/// Climbs from the model's readiness to an inference, if the plan says what to infer.
pub(in crate::probes) async fn prove(
    asker: &Asker,
    endpoint: &Url,
    kserve: &Kserve,
    want: &Release,
) -> Result<Proof, Proof> {
    let model = &want.model;
    let path = format!("/v2/models/{model}/ready");
    let answer = asker.get(&below(endpoint, &path), LIST_WITHIN).await;
    let answer = answer.map_err(|e| Proof::of_error(Rung::Healthy, &e))?;
    if !answer.is_ok() {
        return Err(Proof::of_status(Rung::Healthy, &path, answer.status, &answer.excerpt()));
    }
    if answer.json().and_then(|j| j.get("ready").and_then(Value::as_bool)) == Some(false) {
        return Err(Proof::not_yet(Rung::Healthy, format!("{path} says that it is not ready")));
    }
    let identity = identified(asker, endpoint, want).await?;
    let evidence = match &kserve.infer {
        None => "is ready; no inference was asked, so none is proven".to_owned(),
        Some(body) => inferred(asker, endpoint, model, body).await?,
    };
    let revision = identity.revision.as_ref().map(|r| format!(" version {r}")).unwrap_or_default();
    Ok(Proof::Serves { evidence: format!("{model}{revision} {evidence}"), identity })
}

/// The one model that is ready, by the repository's index.
pub(in crate::probes) async fn identity(asker: &Asker, endpoint: &Url) -> Result<Release, String> {
    let path = "/v2/repository/index";
    let answer = asker.post(&below(endpoint, path), &json!({}), LIST_WITHIN).await.map_err(|e| e.to_string())?;
    let index = answer.json().filter(|_| answer.is_ok());
    let index = index.ok_or_else(|| format!("{path} answered {}", answer.excerpt()))?;
    let entries = index.as_array().map(Vec::as_slice).unwrap_or_default();
    let ready = |e: &&Value| e.get("state").and_then(Value::as_str).is_none_or(|s| s == "READY");
    let text = |e: &Value, key: &str| e.get(key).and_then(Value::as_str).map(str::to_owned);
    match entries.iter().filter(ready).collect::<Vec<_>>().as_slice() {
        [] => Err("no model is ready".to_owned()),
        [one] => {
            let model = text(one, "name").ok_or_else(|| format!("{path} names no model"))?;
            Ok(Release { model, revision: text(one, "version") })
        }
        several => Err(format!("{} models are ready, so none is the one", several.len())),
    }
}

/// `GET /v2/models/{model}`: its name and versions.
async fn identified(asker: &Asker, endpoint: &Url, want: &Release) -> Result<Release, Proof> {
    let path = format!("/v2/models/{}", want.model);
    let answer = asker.get(&below(endpoint, &path), LIST_WITHIN).await;
    let answer = answer.map_err(|e| Proof::of_error(Rung::Identity, &e))?;
    if !answer.is_ok() {
        return Err(Proof::of_status(Rung::Identity, &path, answer.status, &answer.excerpt()));
    }
    let about = answer.json().unwrap_or_default();
    let name = about.get("name").and_then(Value::as_str).unwrap_or_default();
    if name != want.model {
        return Err(Proof::wrong(Rung::Identity, format!("{path} is about `{name}`, not {}", want.model)));
    }
    let versions: Vec<String> = match about.get("versions").and_then(Value::as_array) {
        Some(list) => list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
        None => Vec::new(),
    };
    let Some(revision) = &want.revision else {
        let [only] = versions.as_slice() else { return Ok(Release { model: name.to_owned(), revision: None }) };
        return Ok(Release { model: name.to_owned(), revision: Some(only.clone()) });
    };
    match versions.as_slice() {
        [] => {
            let why = format!("{name} does not say which versions it serves; {revision} is wanted");
            Err(Proof::cannot_tell(Rung::Identity, why))
        }
        [only] if only == revision => Ok(want.clone()),
        // Requests without a version go to the server's choice among these.
        several if several.contains(revision) => {
            let why = format!("serves versions {} of {name}; which one answers cannot be told", several.join(", "));
            Err(Proof::cannot_tell(Rung::Identity, why))
        }
        others => {
            let why = format!("serves {name} version {}, not {revision}", others.join(", "));
            Err(Proof::wrong(Rung::Identity, why))
        }
    }
}

async fn inferred(asker: &Asker, endpoint: &Url, model: &str, body: &Value) -> Result<String, Proof> {
    let path = format!("/v2/models/{model}/infer");
    let answer = asker.post(&below(endpoint, &path), body, COMPLETION_WITHIN).await;
    let answer = answer.map_err(|e| Proof::of_error(Rung::Completion, &e))?;
    if answer.status == 400 {
        return Err(Proof::wrong(Rung::Completion, format!("{path} refuses the request: {}", answer.excerpt())));
    }
    if !answer.is_ok() {
        return Err(Proof::of_status(Rung::Completion, &path, answer.status, &answer.excerpt()));
    }
    let reply = answer.json().unwrap_or_default();
    match reply.get("model_name").and_then(Value::as_str) {
        Some(other) if other != model => {
            return Err(Proof::wrong(Rung::Completion, format!("{other} answered, not {model}")));
        }
        Some(_) => {}
        None => return Err(Proof::cannot_tell(Rung::Completion, "the inference does not say which model made it")),
    }
    let outputs = reply.get("outputs").and_then(Value::as_array).map_or(0, Vec::len);
    match outputs {
        0 => Err(Proof::not_yet(Rung::Completion, format!("{path} answered no outputs"))),
        n => Ok(format!("inferred {n} outputs")),
    }
}

#[cfg(test)]
mod tests;
