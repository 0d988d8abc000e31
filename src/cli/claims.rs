//! What a run will change is claimed before its first effect, so that no run of another service changes it meanwhile.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::desk::Desk;
use super::ending::Carry;
use super::place::Place;
use super::{Exit, Failure};
use crate::ids::{RunId, ServiceName};
use crate::journal::claims::{Claim, ClaimError, Claims, Ended};
use crate::journal::fact::Fact;
use crate::journal::store::StoreError;
use crate::journal::writer::Journal;
use crate::plan::compile::Backends;
use crate::plan::model::{Plan, Router};

/// The registers that a run of this plan can change.
pub(super) fn keys(plan: &Plan, backends: &Backends) -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = backends.routers.values().map(|router| router.key()).collect();
    keys.extend(backends.environments.values().map(|environment| environment.key()));
    let groups = plan.routers.values().filter_map(|router| match router {
        Router::Alb(alb) => Some(alb.target_groups.values().map(|group| format!("alb target group {}", named(group)))),
        Router::Route53(_) => None,
    });
    keys.extend(groups.flatten());
    keys
}

/// A group is written by its name or its ARN, `…:targetgroup/NAME/ID`.
fn named(group: &str) -> &str {
    group.split_once(":targetgroup/").and_then(|(_, tail)| tail.split('/').next()).unwrap_or(group)
}

/// What a run holds, to be given back at its end.
#[derive(Debug)]
pub(super) struct Claimed {
    claims: Claims,
    keys: BTreeSet<String>,
    service: ServiceName,
    run: RunId,
}

impl Claimed {
    /// Takes what the run of `journal` will change. A run that does not get it has changed nothing and waits to be resumed.
    pub(super) async fn take(journal: &mut Journal, carry: &Carry<'_>, desk: &Desk) -> Result<Option<Self>, Failure> {
        // Without the place there are no claims; that it was so is said and recorded.
        if desk.unfenced.is_some() {
            return Ok(None);
        }
        let claims = desk.claims().await.map_err(|e| desk.cannot_keep(&e))?;
        let keys = keys(&carry.resolved.plan, carry.backends);
        let (service, run) = (carry.resolved.plan.service.clone(), journal.state().run.clone());
        let by = (desk.actor.to_string(), desk.clock.now());
        match claims.take(&keys, (&service, &run), (&by.0, by.1), desk).await {
            Ok(()) => Ok(Some(Self { claims, keys, service, run })),
            Err(error) => {
                let fact = Fact::Interrupted { by: "another service's run".to_owned() };
                // It is only there to say why; without it the run looks as if its process were gone.
                drop(journal.append(fact, desk.clock.now()).await);
                let failure = refused(&error, desk);
                Err(failure.hint(format!("when it has ended: modelswap resume {service}{}", desk.state_option)))
            }
        }
    }

    /// Gives it back.
    pub(super) async fn release(self) {
        self.claims.release(&self.keys, (&self.service, &self.run)).await;
    }
}

/// That nobody else is at what this plan changes; before anything is recorded.
pub(super) async fn check(plan: &Plan, backends: &Backends, desk: &Desk) -> Result<(), Failure> {
    let claims = desk.claims().await.map_err(|e| desk.cannot_keep(&e))?;
    let keys = keys(plan, backends);
    claims.check(&keys, &plan.service, desk).await.map_err(|error| refused(&error, desk))
}

fn refused(error: &ClaimError, desk: &Desk) -> Failure {
    match error {
        ClaimError::Store(error) => desk.cannot_keep(error),
        ClaimError::Taken(claim) => {
            let Claim { service, .. } = claim.as_ref();
            let at = &desk.state_option;
            Failure::new(Exit::Busy, error.to_string())
                .detail("nothing was changed")
                .detail(
                    "its claim ends with its run; one whose process is gone is resumed or rolled back like any other",
                )
                .hint(format!("modelswap status {service}{at}   shows how to end it"))
        }
    }
}

impl Desk {
    /// Where claims lie: beside the journals.
    async fn claims(&self) -> Result<Claims, StoreError> {
        match &self.place {
            Place::Directory(directory) => Ok(Claims::Directory(directory.clone())),
            Place::Bucket(url) => Ok(Claims::Bucket(self.bucket(url).await?)),
        }
    }
}

#[async_trait]
impl Ended for Desk {
    async fn ended(&self, service: &ServiceName, run: &RunId) -> Result<bool, StoreError> {
        let (log, _) = self.at(&self.place, service).await?.load().await?;
        Ok(log.runs.iter().find(|r| r.run == *run).is_none_or(|run| !run.is_unfinished()))
    }
}
