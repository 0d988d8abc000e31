//! What must hold around a change: the destination serves, the router sees it healthy, nobody is left behind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use super::servers::Servers;
use super::set::Guard;
use super::{Cx, StepError, Verdict};
use crate::ids::EnvironmentName;
use crate::plan::model::Release;
use crate::providers::Ready;
use crate::providers::erased::AnyRouter;
use crate::units::Span;

/// The router itself sees enough of an environment healthy to send it traffic.
#[derive(Debug)]
pub struct RouterReady {
    /// Whose health.
    pub environment: EnvironmentName,
    /// As seen by whom.
    pub router: Arc<dyn AnyRouter>,
}

#[async_trait]
impl Guard for RouterReady {
    async fn holds(&self, _from: &Value, _to: &Value, _cx: &Cx<'_>) -> Result<Verdict, StepError> {
        Ok(match self.router.ready(&self.environment).await? {
            Ready::Yes(evidence) => Verdict::yes(evidence),
            Ready::No(why) | Ready::NotAsked(why) => Verdict::NotYet(why),
        })
    }
}

/// No router sends an environment any traffic, now.
#[derive(Debug)]
pub struct NoTraffic {
    /// Whom.
    pub environment: EnvironmentName,
    /// Every router of the plan.
    pub routers: Vec<Arc<dyn AnyRouter>>,
}

#[async_trait]
impl Guard for NoTraffic {
    async fn holds(&self, _from: &Value, _to: &Value, _cx: &Cx<'_>) -> Result<Verdict, StepError> {
        for router in &self.routers {
            let value = router.read().await?;
            // A value that the plan cannot explain may lead anywhere.
            let Some(split) = router.split(&value) else {
                return Ok(Verdict::No(format!(
                    "{} leads somewhere that the plan does not name: {}",
                    router.key(),
                    router.show(&value)
                )));
            };
            if split.share(&self.environment) > 0 {
                return Ok(Verdict::No(format!(
                    "{} still sends traffic to {}: {split}",
                    router.key(),
                    self.environment
                )));
            }
        }
        Ok(Verdict::yes(format!("no router sends traffic to {}", self.environment)))
    }
}

/// An environment proves that it serves a release, so often in a row on every server.
#[derive(Debug)]
pub struct Proven {
    servers: Arc<Servers>,
    want: Option<Release>,
    times: u32,
    in_a_row: Mutex<u32>,
}

impl Proven {
    /// `want`: none when it is not known what it served; then what it says itself must be proven.
    pub fn new(servers: Arc<Servers>, want: Option<Release>, times: u32) -> Self {
        Self { servers, want, times, in_a_row: Mutex::new(0) }
    }

    /// One look; yes at the last of so many in a row.
    pub async fn look(&self) -> Verdict {
        let verdict = self.servers.prove(self.want.as_ref()).await;
        let mut in_a_row = lock(&self.in_a_row);
        let Verdict::Yes { evidence, .. } = verdict else {
            *in_a_row = 0;
            return verdict;
        };
        *in_a_row += 1;
        if *in_a_row < self.times {
            return Verdict::NotYet(format!("{evidence}, {} of {} in a row", *in_a_row, self.times));
        }
        *in_a_row = 0;
        Verdict::yes(format!("{evidence}, {} in a row", self.times))
    }
}

#[async_trait]
impl Guard for Proven {
    async fn holds(&self, _from: &Value, _to: &Value, _cx: &Cx<'_>) -> Result<Verdict, StepError> {
        Ok(self.look().await)
    }
}

/// Before traffic moves by an undo, everybody who is about to get more of it proves that they serve.
#[derive(Debug)]
pub struct DestinationProven {
    /// Whose value it is.
    pub router: Arc<dyn AnyRouter>,
    /// The environments and what each is known to have served.
    pub proofs: BTreeMap<EnvironmentName, Proven>,
}

#[async_trait]
impl Guard for DestinationProven {
    async fn holds(&self, from: &Value, to: &Value, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let (before, after) = (self.router.split(from), self.router.split(to));
        if before == after {
            return Ok(Verdict::yes("no traffic moves"));
        }
        if cx.unproven {
            return Ok(Verdict::yes("unproven, as asked"));
        }
        let Some(after) = after else {
            return Ok(Verdict::yes("the value before leads to no environment of the plan"));
        };
        let gains = |e: &EnvironmentName, share: u32| before.as_ref().is_none_or(|b| b.share(e) < share);
        let mut said = Vec::new();
        for (environment, _) in after.shares().filter(|(e, share)| gains(e, *share)) {
            let Some(proof) = self.proofs.get(environment) else { continue };
            match proof.look().await {
                Verdict::Yes { evidence, .. } => said.push(format!("{environment}: {evidence}")),
                Verdict::No(why) => return Ok(Verdict::NotYet(format!("{environment} does not serve: {why}"))),
                other => return Ok(other),
            }
            match self.router.ready(environment).await? {
                Ready::Yes(_) => {}
                // A group that no rule names is not health-checked at all; its own proof has to do.
                Ready::NotAsked(why) => said.push(why),
                Ready::No(why) => return Ok(Verdict::NotYet(why)),
            }
        }
        Ok(Verdict::yes(said.join("; ")))
    }
}

/// Servers that clients leave are asked to close kept connections, and those they go to are told not to.
///
/// It always holds: a pooled client that stays is seen by the measurement that comes before anything is stopped.
#[derive(Debug)]
pub struct AskToClose {
    /// Whose servers.
    pub servers: Arc<Servers>,
    /// What is POSTed to each.
    pub path: String,
    /// What that asks for: `to close`.
    pub says: &'static str,
}

const CLOSE_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

#[async_trait]
impl Guard for AskToClose {
    async fn holds(&self, _from: &Value, _to: &Value, _cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let environment = &self.servers.environment;
        let (Ok(asker), Ok(urls)) = (self.servers.asker().await, self.servers.urls().await) else {
            return Ok(Verdict::yes(format!("{environment} could not be asked {}", self.says)));
        };
        let mut asked = 0;
        for url in &urls {
            let Ok(url) = url.join(&self.path) else { continue };
            asked += usize::from(asker.post(&url, &Value::Null, CLOSE_WITHIN).await.is_ok_and(|answer| answer.is_ok()));
        }
        Ok(Verdict::yes(format!("{asked} of {} servers of {environment} asked {}", urls.len(), self.says)))
    }
}

/// Nobody is left behind in an environment: no client can still be led there, and nothing was in flight for a while.
#[derive(Debug)]
pub struct Quiet {
    servers: Arc<Servers>,
    length: Span,
    /// How long is waited instead, where the servers cannot say what is in flight.
    unmeasured: Option<Span>,
    /// Whether it holds at once when no client was ever led away from here in this run.
    only_after_clients: bool,
    unknown_since: Mutex<Option<Timestamp>>,
    seen: Mutex<Option<Stillness>>,
}

/// Since when nothing is in flight and the counter of finished work stands still.
#[derive(Debug, Clone, Copy)]
struct Stillness {
    since: Timestamp,
    finished: Option<u64>,
    looks: u32,
}

/// One reading of zero may fall between two requests.
const LOOKS_MIN: u32 = 3;

impl Quiet {
    /// Quiet for as long as `length`; where that cannot be measured, for as long as `unmeasured`, or never.
    pub fn new(servers: Arc<Servers>, length: Span, unmeasured: Option<Span>) -> Self {
        Self {
            servers,
            length,
            unmeasured,
            only_after_clients: false,
            unknown_since: Mutex::new(None),
            seen: Mutex::new(None),
        }
    }

    /// For an environment that may never have had a client.
    #[must_use]
    pub fn only_after_clients(self) -> Self {
        Self { only_after_clients: true, ..self }
    }

    /// One look.
    pub async fn look(&self, cx: &Cx<'_>) -> Verdict {
        let environment = &self.servers.environment;
        if self.only_after_clients && !cx.state.tails.iter().any(|t| t.environment == *environment) {
            return Verdict::yes(format!("no client was led to {environment}"));
        }
        if let Some(tail) = cx.tail_of(environment) {
            let until = crate::units::clock_time(tail.until);
            return Verdict::NotYet(format!("clients may still come to {environment} until {until}: {}", tail.why));
        }
        let load = match self.servers.load().await {
            Ok(load) => load,
            Err(_) if self.servers.is_gone().await => {
                return Verdict::yes(format!("nothing listens in {environment} any more"));
            }
            Err(why) => {
                self.forget();
                return self.unknown(why, cx.now);
            }
        };
        *lock(&self.unknown_since) = None;
        if load.in_flight > 0 {
            self.forget();
            return Verdict::NotYet(format!("{} in flight in {environment}", load.in_flight));
        }
        self.still(load.finished, cx.now)
    }

    /// What is in flight is not known; waiting is the second best, where it was asked for.
    fn unknown(&self, why: String, now: Timestamp) -> Verdict {
        let since = *lock(&self.unknown_since).get_or_insert(now);
        match self.unmeasured {
            Some(length) if now.duration_since(since) >= length.signed() => {
                Verdict::yes(format!("not measured ({why}); waited {length}"))
            }
            Some(_) | None => Verdict::CannotTell(why),
        }
    }

    /// Zero in flight now; for how long has nothing moved?
    fn still(&self, finished: Option<u64>, now: Timestamp) -> Verdict {
        let mut seen = lock(&self.seen);
        let still = match *seen {
            Some(still) if still.finished == finished => Stillness { looks: still.looks + 1, ..still },
            Some(_) | None => Stillness { since: now, finished, looks: 1 },
        };
        *seen = Some(still);
        let environment = &self.servers.environment;
        let quiet = now.duration_since(still.since);
        if quiet >= self.length.signed() && still.looks >= LOOKS_MIN {
            return Verdict::yes(format!("nothing in flight and nothing arrived in {environment} for {}", self.length));
        }
        Verdict::NotYet(format!("nothing in flight in {environment}, {} s quiet of {}", quiet.as_secs(), self.length))
    }

    fn forget(&self) {
        *lock(&self.seen) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Guard for Quiet {
    async fn holds(&self, _from: &Value, _to: &Value, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        Ok(self.look(cx).await)
    }
}
