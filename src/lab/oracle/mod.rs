//! The oracle: sees every call and every transition of the world, and judges each at the moment it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::stand_ins::StandIns;
use super::state::Cloud;

pub mod edit;
pub mod exclusive;
pub mod journals;
mod promises;
pub mod way_back;
pub mod write_ahead;

/// The call log and the findings of a world.
#[derive(Debug, Clone, Default)]
pub struct Oracle(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    calls: Vec<Call>,
    findings: Vec<Finding>,
    hooks: Vec<Arc<dyn OnMutation>>,
    /// Addresses at which a server served and does so no more.
    ended: BTreeSet<String>,
}

/// One call, as it is logged when it arrives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Counted from 1, in the order of arrival.
    pub number: u64,
    pub at: Timestamp,
    /// `route53`, `elbv2`, `sts`, `s3`.
    pub service: String,
    pub operation: String,
    /// Whether it is of a kind that changes something.
    pub mutating: bool,
    /// The parameters in short; secrets are masked.
    pub params: BTreeMap<String, String>,
    /// What came of it; none while it is under way.
    pub outcome: Option<Outcome>,
    /// The fault that hit it.
    pub fault: Option<u64>,
    /// The process that sent it, where it is mutating and the kernel knows.
    pub caller: Option<u32>,
}

/// A call that arrives.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) at: Timestamp,
    pub(super) service: String,
    pub(super) operation: String,
    pub(super) mutating: bool,
    pub(super) params: BTreeMap<String, String>,
    pub(super) caller: Option<u32>,
}

/// What came of a call, as the cloud knows it: a fault may have kept it from the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// HTTP status; none: no answer.
    pub status: Option<u16>,
    /// AWS error code.
    pub code: Option<String>,
    pub message: Option<String>,
    /// Whether it changed the cloud.
    pub effect: bool,
}

impl Outcome {
    /// It was done.
    pub(super) fn ok(status: u16, effect: bool) -> Self {
        Self { status: Some(status), code: None, message: None, effect }
    }

    /// Nothing was done, and why.
    pub(super) fn refused(status: u16, code: &str, message: &str) -> Self {
        let (code, message) = (Some(code.to_owned()), Some(message.to_owned()));
        Self { status: Some(status), code, message, effect: false }
    }

    /// Nothing was done and nothing was answered.
    pub(super) fn lost(message: &str) -> Self {
        Self { status: None, code: None, message: Some(message.to_owned()), effect: false }
    }
}

/// A promise that was broken, and by which call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Number of the call; of the last one, where a server's end broke it.
    pub call: u64,
    pub at: Timestamp,
    /// `never-empty`, `never-dark`, `way-back`, `blind`, or what a hook calls it.
    pub promise: String,
    /// The record, rule or group.
    pub on: String,
    pub why: String,
}

/// Looks at every mutating call when it arrives, before it takes effect: whether its intent is in the journal, for instance.
/// And at every end of a server.
pub trait OnMutation: Send + Sync + fmt::Debug {
    /// What is wrong with this call: promise, on what, why.
    fn on_mutation(&self, call: &Call) -> Vec<(String, String, String)>;

    /// What is wrong with the end of the server at an address.
    fn on_end(&self, address: &str) -> Vec<(String, String, String)> {
        let _ = address;
        Vec::new()
    }
}

impl Oracle {
    /// From now on `hook` looks at every mutating call.
    pub fn watch(&self, hook: Arc<dyn OnMutation>) {
        self.lock().hooks.push(hook);
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// Every broken promise so far.
    pub fn findings(&self) -> Vec<Finding> {
        self.lock().findings.clone()
    }

    /// A call has arrived; its number.
    pub(super) fn arrive(&self, arrival: Arrival) -> u64 {
        let Arrival { at, service, operation, mutating, params, caller } = arrival;
        // A bucket only keeps what is written about the world.
        let watched = mutating && service != "s3";
        let (call, hooks) = {
            let mut inner = self.lock();
            let number = inner.calls.len() as u64 + 1;
            let call = Call { number, at, service, operation, mutating, params, outcome: None, fault: None, caller };
            inner.calls.push(call.clone());
            (call, inner.hooks.clone())
        };
        // Without the lock: a hook may take its time, and may ask this oracle.
        let found: Vec<_> = hooks.iter().filter(|_| watched).flat_map(|hook| hook.on_mutation(&call)).collect();
        let number = call.number;
        let findings = found.into_iter().map(|(promise, on, why)| Finding { call: number, at, promise, on, why });
        self.lock().findings.extend(findings);
        number
    }

    /// A request that is no call of this cloud; logged, so that a missing operation is found.
    pub(super) fn not_understood(&self, at: Timestamp, service: &str, path: &str, why: &str) {
        let params = BTreeMap::from([("path".to_owned(), path.to_owned())]);
        let (service, operation) = (service.to_owned(), "?".to_owned());
        let number = self.arrive(Arrival { at, service, operation, mutating: false, params, caller: None });
        self.done(number, Outcome::refused(400, "NotUnderstood", why));
    }

    /// What came of a call.
    pub(super) fn done(&self, number: u64, outcome: Outcome) {
        self.change(number, |call| call.outcome = Some(outcome));
    }

    /// A fault hit a call.
    pub(super) fn faulted(&self, number: u64, fault: u64) {
        self.change(number, |call| call.fault = Some(fault));
    }

    /// Judges a transition of the world; called under the cloud's lock, so that none is missed.
    pub(super) fn judge(
        &self,
        call: u64,
        at: Timestamp,
        before: &Cloud,
        after: &Cloud,
        stand_ins: &StandIns,
        blind: &[String],
    ) {
        let mut inner = self.lock();
        let ended = &inner.ended;
        let (before, after) = (View { cloud: before, stand_ins, ended }, View { cloud: after, stand_ins, ended });
        let broken = promises::broken(&before, &after, blind);
        inner.findings.extend(broken.into_iter().map(|(promise, on, why)| found(call, at, promise, on, why)));
    }

    /// Where servers served and do so no more.
    pub(super) fn all_ended(&self) -> BTreeSet<String> {
        self.lock().ended.clone()
    }

    /// A server serves at these addresses.
    pub(super) fn serves(&self, addresses: &[String]) {
        self.lock().ended.retain(|address| !addresses.contains(address));
    }

    /// What the hooks say of servers that end. Without any lock: a journal may be in a bucket of the cloud.
    pub(super) fn ask_of_end(&self, addresses: &[String]) -> Vec<(String, String, String)> {
        let hooks = self.lock().hooks.clone();
        addresses.iter().flat_map(|address| hooks.iter().flat_map(|hook| hook.on_end(address))).collect()
    }

    /// The servers at these addresses serve no more; judged like a call, under the cloud's lock too.
    pub(super) fn ended(
        &self,
        at: Timestamp,
        cloud: &Cloud,
        stand_ins: &StandIns,
        addresses: &[String],
        by_hooks: Vec<(String, String, String)>,
    ) {
        let mut inner = self.lock();
        let call = inner.calls.len() as u64;
        let was = inner.ended.clone();
        inner.ended.extend(addresses.iter().cloned());
        let (before, after) = (View { cloud, stand_ins, ended: &was }, View { cloud, stand_ins, ended: &inner.ended });
        let broken = promises::broken(&before, &after, &[]);
        let broken = broken.into_iter().map(|(promise, on, why)| found(call, at, promise, on, why));
        let by_hooks = by_hooks.into_iter().map(|(promise, on, why)| found(call, at, &promise, on, why));
        let findings: Vec<_> = broken.chain(by_hooks).collect();
        inner.findings.extend(findings);
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Call)) {
        let index = usize::try_from(number).unwrap_or(0).saturating_sub(1);
        if let Some(call) = self.lock().calls.get_mut(index) {
            change(call);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The world at a moment, as promises look at it.
#[derive(Debug, Clone, Copy)]
struct View<'a> {
    cloud: &'a Cloud,
    stand_ins: &'a StandIns,
    /// Addresses at which a server served and does so no more.
    ended: &'a BTreeSet<String>,
}

fn found(call: u64, at: Timestamp, promise: &str, on: String, why: String) -> Finding {
    Finding { call, at, promise: promise.to_owned(), on, why }
}
