//! OpenAI-compatible model servers.

use std::time::Duration;

use url::Url;

use super::completion::{self, Generation};
use super::models::{self, Told, as_release, told};
use super::revision;
use crate::plan::model::{OpenAi, OpenAiServer, Release};
use crate::probes::health::{Proof, Rung};
use crate::probes::http::{Asker, below};

/// The health path of a server that has one, and how long it may take.
fn health(server: OpenAiServer) -> Option<(&'static str, Duration)> {
    match server {
        OpenAiServer::Vllm | OpenAiServer::LlamaCpp | OpenAiServer::Tgi => Some(("/health", Duration::from_secs(10))),
        // SGLang generates a token for it and gives up after 20 s (SGLANG_HEALTH_CHECK_TIMEOUT).
        OpenAiServer::Sglang => Some(("/health", Duration::from_secs(25))),
        OpenAiServer::Ollama => Some(("/api/version", Duration::from_secs(10))),
        OpenAiServer::Other => None,
    }
}

/// Climbs from health to a completion.
pub(in crate::probes) async fn prove(
    asker: &Asker,
    endpoint: &Url,
    openai: &OpenAi,
    want: &Release,
) -> Result<Proof, Proof> {
    let server = openai.server;
    if let Some((path, within)) = health(server) {
        let answer = asker.get(&below(endpoint, path), within).await;
        let answer = answer.map_err(|e| Proof::of_error(Rung::Healthy, &e))?;
        if !answer.is_ok() {
            return Err(Proof::of_status(Rung::Healthy, path, answer.status, &answer.excerpt()));
        }
    }
    let model = find(told(asker, endpoint, server).await?, server, want)?;
    let revision = want.revision.as_deref().map(|revision| (revision, model.is_of(revision)));
    if let Some((revision, Some(false))) = revision {
        let told = model.revision.unwrap_or_default();
        return Err(Proof::wrong(Rung::Identity, format!("serves {} at {told}, not at {revision}", want.model)));
    }
    let generation = completion::complete(asker, endpoint, &want.model, openai.proof_tokens).await?;
    answered_by_it(server, &generation, want)?;
    let told = match revision {
        None => model.revision,
        Some((revision, Some(_))) => Some(revision.to_owned()),
        Some((revision, None)) => Some(of_fingerprint(&generation, revision, &want.model)?),
    };
    let identity = Release { model: want.model.clone(), revision: told };
    Ok(Proof::Serves { evidence: generation.evidence(&identity), identity })
}

/// What the server says that it serves, first its base model.
pub(in crate::probes) async fn identity(asker: &Asker, endpoint: &Url, openai: &OpenAi) -> Result<Release, String> {
    let models = told(asker, endpoint, openai.server).await.map_err(why)?;
    models.into_iter().find_map(as_release).ok_or_else(|| "it names no model".to_owned())
}

fn find(models: Vec<Told>, server: OpenAiServer, want: &Release) -> Result<Told, Proof> {
    let names = models.iter().flat_map(|m| m.names.clone()).collect::<Vec<_>>().join(", ");
    match models.into_iter().find(|m| m.is_called(server, &want.model)) {
        Some(found) => Ok(found),
        // An empty list is what some servers show while they load.
        None if names.is_empty() => Err(Proof::not_yet(Rung::Identity, "it names no model")),
        None => Err(Proof::wrong(Rung::Identity, format!("serves {names}, not {}", want.model))),
    }
}

/// Who completed is what counts, whatever the list says.
fn answered_by_it(server: OpenAiServer, generation: &Generation, want: &Release) -> Result<(), Proof> {
    if generation.models.is_empty() {
        return Err(Proof::cannot_tell(Rung::Completion, "the completion does not say which model made it"));
    }
    match generation.models.iter().find(|m| !models::same_name(server, m, &want.model)) {
        Some(other) => Err(Proof::wrong(Rung::Completion, format!("{other} answered, not {}", want.model))),
        None => Ok(()),
    }
}

/// The last place where a revision may be told.
fn of_fingerprint(generation: &Generation, want: &str, model: &str) -> Result<String, Proof> {
    match &generation.fingerprint {
        Some(told) if revision::fingerprint_names(told, want) => Ok(want.to_owned()),
        Some(_) | None => Err(Proof::cannot_tell(
            Rung::Identity,
            format!("serves {model}, but does not say at which revision; {want} is wanted"),
        )),
    }
}

fn why(proof: Proof) -> String {
    match proof {
        Proof::NotYet { why, .. } | Proof::Wrong { why, .. } | Proof::CannotTell { why, .. } => why,
        Proof::Serves { evidence, .. } => evidence,
    }
}

#[cfg(test)]
mod tests;
