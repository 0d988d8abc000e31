//! What an OpenAI-compatible server says that it serves, as each of them says it.

use serde_json::Value;
use url::Url;

use super::revision;
use crate::plan::model::{OpenAiServer, Release};
use crate::probes::health::{LIST_WITHIN, Proof, Rung};
use crate::probes::http::{Asker, below};

/// A model that the server names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// The names under which it is served.
    pub(super) names: Vec<String>,
    /// Its revision, where the server has a field for that.
    pub(super) revision: Option<String>,
    /// Free texts in which a revision may be named: where the weights came from.
    pub(super) origins: Vec<String>,
}

impl Told {
    /// Whether it is called `name`. Ollama's `:latest` goes without saying.
    pub(super) fn is_called(&self, server: OpenAiServer, name: &str) -> bool {
        self.names.iter().any(|told| same_name(server, told, name))
    }

    /// Whether it is of the revision; `None` when the server does not say.
    pub(super) fn is_of(&self, want: &str) -> Option<bool> {
        if let Some(told) = &self.revision {
            return Some(revision::same(told, want));
        }
        self.names.iter().chain(&self.origins).any(|text| revision::mentions(text, want)).then_some(true)
    }
}

/// Whether two names of a model are one.
pub(super) fn same_name(server: OpenAiServer, told: &str, want: &str) -> bool {
    let bare = |name: &'_ str| match server {
        OpenAiServer::Ollama => name.strip_suffix(":latest").unwrap_or(name).to_owned(),
        OpenAiServer::Vllm
        | OpenAiServer::Sglang
        | OpenAiServer::LlamaCpp
        | OpenAiServer::Tgi
        | OpenAiServer::Other => name.to_owned(),
    };
    bare(told) == bare(want)
}

/// All models that the server names.
pub(super) async fn told(asker: &Asker, endpoint: &Url, server: OpenAiServer) -> Result<Vec<Told>, Proof> {
    match server {
        OpenAiServer::Tgi => Ok(vec![of_tgi(&document(asker, endpoint, "/info").await?)]),
        OpenAiServer::Ollama => Ok(of_ollama(&document(asker, endpoint, "/api/tags").await?)),
        OpenAiServer::Sglang => {
            let mut models = of_list(&document(asker, endpoint, "/v1/models").await?);
            // The newer name first; older servers know only the other (sgl-project/sglang, `http_server.py`).
            let info = match document(asker, endpoint, "/model_info").await {
                Ok(info) => Some(info),
                Err(_) => document(asker, endpoint, "/get_model_info").await.ok(),
            };
            if let (Some(info), Some(first)) = (info, models.first_mut()) {
                // `default` is what SGLang says when nobody gave the weights a version.
                first.revision = text(&info, "/weight_version").filter(|v| v != "default");
                first.origins.extend(text(&info, "/model_path"));
            }
            Ok(models)
        }
        OpenAiServer::LlamaCpp => {
            let mut models = of_list(&document(asker, endpoint, "/v1/models").await?);
            if let (Ok(props), Some(first)) = (document(asker, endpoint, "/props").await, models.first_mut()) {
                first.names.extend(text(&props, "/model_alias"));
                first.origins.extend(text(&props, "/model_path"));
            }
            Ok(models)
        }
        OpenAiServer::Vllm | OpenAiServer::Other => Ok(of_list(&document(asker, endpoint, "/v1/models").await?)),
    }
}

async fn document(asker: &Asker, endpoint: &Url, path: &str) -> Result<Value, Proof> {
    let answer = asker.get(&below(endpoint, path), LIST_WITHIN).await;
    let answer = answer.map_err(|e| Proof::of_error(Rung::Identity, &e))?;
    if !answer.is_ok() {
        return Err(Proof::of_status(Rung::Identity, path, answer.status, &answer.excerpt()));
    }
    answer
        .json()
        .ok_or_else(|| Proof::not_yet(Rung::Identity, format!("{path} answered no JSON: {}", answer.excerpt())))
}

/// `GET /v1/models` of the OpenAI API, with what vLLM adds: `root` (where the weights came from) and `parent` (of an adapter).
fn of_list(list: &Value) -> Vec<Told> {
    let entries = list.pointer("/data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    // The base model is what was deployed; adapters come after it.
    let (base, adapters): (Vec<_>, Vec<_>) = entries.iter().partition(|e| text(e, "/parent").is_none());
    base.into_iter()
        .chain(adapters)
        .filter_map(|entry| {
            let root = text(entry, "/root");
            let snapshot = root.as_deref().and_then(revision::of_snapshot).map(str::to_owned);
            Some(Told {
                names: vec![text(entry, "/id")?],
                revision: text(entry, "/revision").or(snapshot),
                origins: root.into_iter().collect(),
            })
        })
        .collect()
}

/// `GET /info` of Text Generation Inference.
fn of_tgi(info: &Value) -> Told {
    Told {
        names: text(info, "/model_id").into_iter().collect(),
        revision: text(info, "/model_sha"),
        origins: Vec::new(),
    }
}

/// `GET /api/tags` of Ollama.
fn of_ollama(tags: &Value) -> Vec<Told> {
    let entries = tags.pointer("/models").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let told = |entry: &Value| {
        Some(Told { names: vec![text(entry, "/name")?], revision: text(entry, "/digest"), origins: Vec::new() })
    };
    entries.iter().filter_map(told).collect()
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned)
}

/// What a told model is, as a release.
pub(super) fn as_release(told: Told) -> Option<Release> {
    Some(Release { model: told.names.into_iter().next()?, revision: told.revision })
}
