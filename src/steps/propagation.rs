//! `verify` of a name: every server and resolver that can be asked gives the new answer, or the time bound is over.
//!
//! What DNS answers is evidence, never proof, and never a reason to undo anything: at the end of its patience this holds.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::Mutex;

use super::look::Look;
use super::{Cx, Horizon, StepError, Verdict};
use crate::ids::EnvironmentName;
use crate::plan::model::Propagation;
use crate::probes::propagation::{Order, Pace, Round, Seen, Values, Watch};
use crate::providers::Answers;
use crate::providers::erased::AnyRouter;
use crate::world::AddressMap;

/// How long after the last cached copy of the old answer died stragglers are waited for.
const STRAGGLERS: SignedDuration = SignedDuration::from_mins(15);

/// What clients of a name see.
#[derive(Debug)]
pub struct Propagated {
    router: Arc<dyn AnyRouter>,
    sees: EnvironmentName,
    propagation: Propagation,
    addresses: AddressMap,
    /// The loopback world's resolvers, in place of the plan's.
    resolvers: Option<Vec<SocketAddr>>,
    watch: Mutex<Option<(Watch, Option<Round>)>>,
}

/// The swap that is watched.
struct Swap {
    old: Value,
    at: Option<Timestamp>,
}

impl Propagated {
    /// Watches until clients of `router` see `sees`. Asks nobody yet.
    pub fn new(
        router: Arc<dyn AnyRouter>,
        sees: EnvironmentName,
        propagation: Propagation,
        addresses: AddressMap,
        resolvers: Option<Vec<SocketAddr>>,
    ) -> Self {
        Self { router, sees, propagation, addresses, resolvers, watch: Mutex::new(None) }
    }

    /// The newest change of this router in the run that moved traffic.
    fn swap(&self, cx: &Cx<'_>) -> Option<Swap> {
        let key = self.router.key();
        let mut swaps: Vec<_> = cx
            .state
            .steps
            .values()
            .filter_map(|step| {
                let (prepared, since) = step.prepared.as_ref()?;
                let moved = prepared.key.as_ref() == Some(&key)
                    && self.router.split(&prepared.before) != self.router.split(&prepared.want);
                moved.then(|| (step.applied_at.unwrap_or(*since), prepared.before.clone()))
            })
            .collect();
        swaps.sort_by_key(|(at, _)| *at);
        swaps.pop().map(|(at, old)| Swap { old, at: Some(at) })
    }

    async fn begin(&self, live: &Value, swap: Option<&Swap>) -> Result<Option<Watch>, StepError> {
        let Some(new) = self.router.answers(live) else { return Ok(None) };
        let old = swap.and_then(|s| self.router.answers(&s.old));
        let none = || Values::Exact(std::collections::BTreeMap::new());
        let order = Order {
            name: new.name.clone(),
            old: old.as_ref().map_or_else(none, values),
            old_ttl_s: old.as_ref().and_then(|o| o.ttl_s),
            ttl_s: new.ttl_s,
            new: values(&new),
            swapped_at: swap.and_then(|s| s.at),
            resolvers: match &self.resolvers {
                Some(world) => world.iter().map(ToString::to_string).collect(),
                None => self.propagation.resolvers.clone(),
            },
            name_servers: self.router.name_servers().await?,
            name_server_addresses: Vec::new(),
            ignored: Vec::new(),
            nobody: None,
            pace: Pace::default(),
        };
        Ok(Some(Watch::new(&self.addresses, order)))
    }

    /// One look at everybody who is due.
    pub async fn round(
        &self,
        cx_now: Timestamp,
        live: &Value,
        swap_from: Option<(&Value, Option<Timestamp>)>,
    ) -> Result<Option<Round>, StepError> {
        let mut slot = self.watch.lock().await;
        if slot.is_none() {
            let swap = swap_from.map(|(old, at)| Swap { old: old.clone(), at });
            let Some(watch) = self.begin(live, swap.as_ref()).await? else { return Ok(None) };
            *slot = Some((watch, None));
        }
        let Some((watch, last)) = slot.as_mut() else { return Ok(None) };
        if last.as_ref().is_none_or(|round| cx_now >= round.next_due) {
            *last = Some(watch.round(cx_now).await.map_err(StepError::refused)?);
        }
        Ok(last.clone())
    }
}

fn values(answers: &Answers) -> Values {
    match &answers.alias_of {
        Some(target) => Values::AliasOf(target.clone()),
        None => Values::Exact(answers.by_type.clone()),
    }
}

#[async_trait]
impl Look for Propagated {
    async fn look(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let live = self.router.read().await?;
        let split = self.router.split(&live);
        if split.as_ref().and_then(|s| s.only()) != Some(&self.sees) {
            return Ok(Verdict::No(format!(
                "{} holds {}: it does not lead to {}",
                self.router.key(),
                self.router.show(&live),
                self.sees
            )));
        }
        let swap = self.swap(cx);
        let from = swap.as_ref().map(|s| (&s.old, s.at));
        let loser = swap.as_ref().and_then(|s| self.router.split(&s.old)).and_then(|s| s.only().cloned());
        let bound =
            loser.as_ref().and_then(|e| cx.state.tails.iter().filter(|t| t.environment == *e).map(|t| t.until).max());
        let Some(round) = self.round(cx.now, &live, from).await? else {
            return Ok(Verdict::yes(format!(
                "{}; which of several weights is answered is left to chance",
                self.router.show(&live)
            )));
        };
        let tails = || match (&loser, round.old_until.filter(|until| *until > cx.now)) {
            (Some(environment), Some(until)) => {
                vec![Horizon {
                    environment: environment.clone(),
                    until,
                    why: "a resolver says that it keeps the old answer".to_owned(),
                }]
            }
            (_, _) => Vec::new(),
        };
        let over = bound.is_none_or(|bound| cx.now >= bound);
        let give_up = bound.unwrap_or(cx.since) + STRAGGLERS;
        Ok(match round.seen {
            Seen::AllNew { evidence } => Verdict::Yes { evidence, tails: tails() },
            Seen::CannotTell { why } if over => Verdict::yes(format!(
                "cannot be observed ({why}); the last cached copy has died by the sum of its terms"
            )),
            Seen::NotYet { why } | Seen::CannotTell { why } if cx.now >= give_up => {
                Verdict::No(format!("15 min after the last cached copy should have died: {why}"))
            }
            Seen::NotYet { why } => Verdict::NotYet(why),
            Seen::CannotTell { why } => Verdict::CannotTell(why),
        })
    }

    fn wants(&self) -> String {
        format!("every name server and resolver answers {}", self.sees)
    }
}
