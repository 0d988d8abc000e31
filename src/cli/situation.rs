//! What is true before anything is done: who is live, what it serves, which traps wait. Read-only.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::Value;

use super::desk::Desk;
use super::{Exit, Failure};
use crate::ids::{EnvironmentName, RouterName};
use crate::plan::compile::Backends;
use crate::plan::model::{Plan, Release, Router};
use crate::providers::{ProviderError, Trap};

/// The world as the routers show it.
#[derive(Debug)]
pub(super) struct Situation {
    pub(super) live: EnvironmentName,
    pub(super) next: EnvironmentName,
    /// What the live environment says that it serves, if it says.
    pub(super) was: Option<Release>,
    /// What each router holds.
    pub(super) values: BTreeMap<RouterName, Value>,
}

/// Reads every router and finds out who is live.
///
/// # Errors
/// Exit 6 when the routers disagree, share traffic, or lead somewhere that the plan does not name; 2 when a read was refused.
pub(super) async fn look(plan: &Plan, backends: &Backends, desk: &Desk) -> Result<Situation, Failure> {
    let values = read_all(backends).await?;
    let mut leads: Vec<(&RouterName, EnvironmentName)> = Vec::new();
    for (name, value) in &values {
        // A name that stands in front of a balancer does not decide; the balancer does.
        if matches!(plan.routers.get(name), Some(Router::Route53(record)) if record.behind.is_some()) {
            continue;
        }
        let Some(router) = backends.routers.get(name) else { continue };
        let unexplained = |why: String| {
            Failure::new(Exit::Drift, why)
                .detail(format!("{} holds: {}", router.key(), router.show(value)))
                .detail("nothing was done")
        };
        let Some(split) = router.split(value) else {
            return Err(unexplained(format!("`{name}` leads somewhere that the plan does not name"))
                .hint("put it back to one of the plan's environments, or bring the plan up to date"));
        };
        let Some(only) = split.only() else {
            return Err(unexplained(format!("`{name}` shares traffic ({split}) and no unfinished run explains it"))
                .hint(format!(
                    "see `modelswap status {}{}`, or put all traffic on one environment by hand",
                    plan.service, desk.state_option
                )));
        };
        leads.push((name, only.clone()));
    }
    let live = match leads.first() {
        Some((_, live)) => live.clone(),
        None => return Err(Failure::new(Exit::Usage, "no router of the plan decides where traffic goes")),
    };
    if let Some((name, other)) = leads.iter().find(|(_, e)| *e != live) {
        let first = leads.first().map(|(name, _)| name.to_string()).unwrap_or_default();
        return Err(Failure::new(
            Exit::Drift,
            format!("the routers disagree: `{first}` leads to {live}, `{name}` to {other}"),
        )
        .detail("nothing was done")
        .hint(format!("see `modelswap status {}{}`", plan.service, desk.state_option)));
    }
    let mut others = plan.environments.keys().filter(|e| **e != live);
    let (Some(next), None) = (others.next().cloned(), others.next()) else {
        return Err(Failure::new(
            Exit::Usage,
            "a plan has exactly two environments, so that `next` is the one that is not live",
        ));
    };
    let was = match backends.servers.get(&live) {
        Some(servers) => servers.identity().await.ok(),
        None => None,
    };
    Ok(Situation { live, next, was, values })
}

/// What every router holds now.
pub(super) async fn read_all(backends: &Backends) -> Result<BTreeMap<RouterName, Value>, Failure> {
    let reads = backends.routers.iter().map(|(name, router)| async move { (name.clone(), router.read().await) });
    let mut values = BTreeMap::new();
    for (name, value) in join_all(reads).await {
        let value = value.map_err(|error| unreadable(&name, &error))?;
        values.insert(name, value);
    }
    Ok(values)
}

pub(super) fn unreadable(name: &RouterName, error: &ProviderError) -> Failure {
    let exit = match error {
        ProviderError::Rejected { .. } | ProviderError::Conflict { .. } => Exit::Usage,
        ProviderError::Busy { .. } | ProviderError::Unknown { .. } => Exit::Unknown,
    };
    let text = error.to_string();
    let (told, hint) = crate::providers::aws::split_hint(&text);
    let failure = Failure::new(exit, format!("router `{name}`: {told}")).detail("nothing was done");
    match (hint, error) {
        (Some(hint), _) => failure.hint(hint),
        (None, ProviderError::Busy { .. } | ProviderError::Unknown { .. }) => {
            failure.hint("type it again; reading changes nothing")
        }
        (None, ProviderError::Rejected { .. } | ProviderError::Conflict { .. }) => failure,
    }
}

/// What is known to hurt, of every router.
pub(super) async fn traps(backends: &Backends, situation: &Situation) -> Result<Vec<(RouterName, Trap)>, Failure> {
    let looks = backends.routers.iter().map(|(name, router)| async move {
        let Some(value) = situation.values.get(name) else { return Ok(Vec::new()) };
        let traps = router.traps(value).await.map_err(|error| unreadable(name, &error))?;
        Ok(traps.into_iter().map(|trap| (name.clone(), trap)).collect::<Vec<_>>())
    });
    Ok(join_all(looks).await.into_iter().collect::<Result<Vec<_>, Failure>>()?.concat())
}

/// Refuses what must be acknowledged and is not.
pub(super) fn refuse_traps(plan: &Plan, traps: &[(RouterName, Trap)]) -> Result<(), Failure> {
    let open = |trap: &Trap| trap.must_acknowledge && !plan.acknowledge.contains(&trap.code);
    let open: Vec<_> = traps.iter().filter(|(_, trap)| open(trap)).collect();
    if open.is_empty() {
        return Ok(());
    }
    let mut failure = Failure::new(
        Exit::NotPermitted,
        "something known to hurt must be put right or acknowledged first; nothing was done",
    );
    for (router, trap) in &open {
        failure =
            failure.detail(format!("[{}] `{router}`: {}", trap.code, trap.says)).detail(format!("    {}", trap.hint));
    }
    let codes: Vec<_> = open.iter().map(|(_, trap)| trap.code.as_str()).collect();
    Err(failure
        .hint(format!("when you have read this and accept it, add to the plan: acknowledge: [{}]", codes.join(", "))))
}

impl Situation {
    /// Digest of a preview: plan, variables and registers; not health or capacity, which change by themselves.
    pub(super) fn digest(&self, plan_digest: &str) -> String {
        let text = serde_json::json!([plan_digest, self.values, self.live]).to_string();
        crate::journal::record::digest(text.as_bytes())
    }
}

/// What a preview showed must still be so.
pub(super) fn refuse_stale(wanted: &str, plan_digest: &str, situation: &Situation) -> Result<(), Failure> {
    let now = situation.digest(plan_digest);
    if now.starts_with(wanted) && wanted.len() >= 8 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Drift,
        format!("the preview {wanted} no longer holds; it would be {} now", now.get(..8).unwrap_or(&now)),
    )
    .detail("plan, variables or registers have changed since; nothing was done")
    .hint("look at it again: modelswap plan PLAN"))
}
