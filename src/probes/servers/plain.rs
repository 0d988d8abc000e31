//! Any HTTP server: a path that answers 2xx, and, if the plan knows one, a place that says what is served.

use serde_json::Value;
use url::Url;

use super::revision;
use crate::plan::model::{HttpIdentity, PlainHttp, Release};
use crate::probes::health::{LIST_WITHIN, Proof, Rung};
use crate::probes::http::{Asker, below};

/// Climbs from health to identity; a plain server completes nothing.
pub(in crate::probes) async fn prove(
    asker: &Asker,
    endpoint: &Url,
    plain: &PlainHttp,
    want: &Release,
) -> Result<Proof, Proof> {
    let answer = asker.get(&below(endpoint, &plain.health), LIST_WITHIN).await;
    let answer = answer.map_err(|e| Proof::of_error(Rung::Healthy, &e))?;
    if !answer.is_ok() {
        return Err(Proof::of_status(Rung::Healthy, &plain.health, answer.status, &answer.excerpt()));
    }
    let healthy = format!("{} answered {}", plain.health, answer.status);
    let Some(place) = &plain.identity else {
        let evidence = format!("{healthy}; that it serves {} is not proven, no place for it is written", want.model);
        return Ok(Proof::Serves { identity: want.clone(), evidence });
    };
    let told = ask(asker, endpoint, place).await?;
    if told.model != want.model {
        return Err(Proof::wrong(Rung::Identity, format!("serves {}, not {}", told.model, want.model)));
    }
    match (&want.revision, &told.revision) {
        (None, _) => {}
        (Some(want), Some(told)) if revision::same(told, want) => {}
        (Some(want), Some(other)) => {
            return Err(Proof::wrong(Rung::Identity, format!("serves {} at {other}, not at {want}", told.model)));
        }
        (Some(want), None) => {
            let why = format!("serves {}, but does not say at which revision; {want} is wanted", told.model);
            return Err(Proof::cannot_tell(Rung::Identity, why));
        }
    }
    let revision = told.revision.as_ref().map(|r| format!(" at {r}")).unwrap_or_default();
    Ok(Proof::Serves { evidence: format!("{healthy}; {} says {}{revision}", place.path, told.model), identity: told })
}

/// What it says at the place that the plan knows.
pub(in crate::probes) async fn identity(asker: &Asker, endpoint: &Url, plain: &PlainHttp) -> Result<Release, String> {
    let place = plain.identity.as_ref().ok_or("the plan does not say where this server tells what it serves")?;
    ask(asker, endpoint, place).await.map_err(|stopped| match stopped {
        Proof::NotYet { why, .. } | Proof::Wrong { why, .. } | Proof::CannotTell { why, .. } => why,
        Proof::Serves { evidence, .. } => evidence,
    })
}

async fn ask(asker: &Asker, endpoint: &Url, place: &HttpIdentity) -> Result<Release, Proof> {
    let answer = asker.get(&below(endpoint, &place.path), LIST_WITHIN).await;
    let answer = answer.map_err(|e| Proof::of_error(Rung::Identity, &e))?;
    if !answer.is_ok() {
        return Err(Proof::of_status(Rung::Identity, &place.path, answer.status, &answer.excerpt()));
    }
    let Some(document) = answer.json() else {
        return Err(Proof::cannot_tell(Rung::Identity, format!("{} answered no JSON", place.path)));
    };
    // A version may well be written as a number.
    let at = |pointer: &str| match document.pointer(pointer) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
    };
    let Some(model) = at(&place.model) else {
        let why = format!("{} has no text at {}", place.path, place.model);
        return Err(Proof::cannot_tell(Rung::Identity, why));
    };
    Ok(Release { model, revision: place.revision.as_deref().and_then(at) })
}

#[cfg(test)]
mod tests;
