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
use crate::providers::Settled;
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
            Settled::Yes(evidence) => Verdict::yes(evidence),
            Settled::NotYet(why) => Verdict::NotYet(why),
            Settled::CannotTell(why) => Verdict::CannotTell(why),
        })
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
        let mut in_a_row = self.in_a_row.lock().unwrap_or_else(PoisonError::into_inner);
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
        let Some(after) = after else { return Ok(Verdict::yes("the value before leads to no environment of the plan")) };
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
                Settled::Yes(_) => {}
                // A group that no rule names is not health-checked at all; its own proof has to do.
                Settled::NotYet(why) if why.contains("unused") || why.contains("initial") => said.push(why),
                Settled::NotYet(why) => return Ok(Verdict::NotYet(why)),
                Settled::CannotTell(why) => return Ok(Verdict::CannotTell(why)),
            }
        }
        Ok(Verdict::yes(said.join("; ")))
    }
}

/// Nobody is left behind in an environment: no client can still be led there, and nothing was in flight for a while.
#[derive(Debug)]
pub struct Quiet {
    servers: Arc<Servers>,
    quiet: Span,
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
    /// Quiet for as long as `quiet`.
    pub fn new(servers: Arc<Servers>, quiet: Span) -> Self {
        Self { servers, quiet, seen: Mutex::new(None) }
    }

    /// One look.
    pub async fn look(&self, cx: &Cx<'_>) -> Verdict {
        let environment = &self.servers.environment;
        if let Some(tail) = cx.tail_of(environment) {
            let until = crate::units::clock_time(tail.until);
            return Verdict::NotYet(format!("clients may still come to {environment} until {until}: {}", tail.why));
        }
        let load = match self.servers.load().await {
            Ok(load) => load,
            Err(_) if self.servers.is_gone().await => return Verdict::yes(format!("nothing listens in {environment} any more")),
            Err(why) => {
                self.forget();
                return Verdict::CannotTell(why);
            }
        };
        if load.in_flight > 0 {
            self.forget();
            return Verdict::NotYet(format!("{} in flight in {environment}", load.in_flight));
        }
        self.still(load.finished, cx.now)
    }

    /// Zero in flight now; for how long has nothing moved?
    fn still(&self, finished: Option<u64>, now: Timestamp) -> Verdict {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let still = match *seen {
            Some(still) if still.finished == finished => Stillness { looks: still.looks + 1, ..still },
            Some(_) | None => Stillness { since: now, finished, looks: 1 },
        };
        *seen = Some(still);
        let environment = &self.servers.environment;
        let length = now.duration_since(still.since);
        if length >= self.quiet.signed() && still.looks >= LOOKS_MIN {
            return Verdict::yes(format!("nothing in flight and nothing arrived in {environment} for {}", self.quiet));
        }
        Verdict::NotYet(format!("nothing in flight in {environment}, {} s quiet of {}", length.as_secs(), self.quiet))
    }

    fn forget(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[async_trait]
impl Guard for Quiet {
    async fn holds(&self, _from: &Value, _to: &Value, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        Ok(self.look(cx).await)
    }
}
