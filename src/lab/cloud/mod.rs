//! The cloud API of the loopback world: Route 53, ELBv2, STS and a little of S3 on one port, on the wire as AWS speaks them.
//!
//! Each call is one step of the world: time passes, the call takes effect or is refused whole, the oracle judges
//! the transition, all under one lock. Faults stand around that step, never inside it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::faults::Faults;
use super::oracle::{Oracle, Outcome};
use super::passage::let_time_pass;
use super::stand_ins::StandIns;
use super::state::{Cloud, SharedCloud};
use crate::clock::Clock;
use call::{Asked, Call, Service};
use refusal::Refusal;
use throttle::Throttle;

mod call;
mod elbv2;
mod form;
pub(super) mod names;
mod refusal;
mod route53;
mod s3;
mod server;
mod sts;
mod throttle;
mod xml;

pub(super) use elbv2::in_use;
pub use server::{CloudServer, serve};

/// What a world's cloud is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    pub cloud: SharedCloud,
    pub clock: Arc<dyn Clock>,
    pub stand_ins: StandIns,
    pub faults: Faults,
    pub oracle: Oracle,
    pub settings: Settings,
}

/// How the cloud behaves.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// World time from a Route 53 change to INSYNC.
    pub insync_after: Duration,
    /// Whether Route 53's five requests a second are enforced from the start.
    pub throttle: bool,
}

impl Default for Settings {
    fn default() -> Self {
        // "Generally within 60 seconds."
        Self { insync_after: Duration::from_secs(30), throttle: false }
    }
}

/// What an operation may look at and change.
struct Cx<'a> {
    cloud: &'a mut Cloud,
    now: Timestamp,
    stand_ins: &'a StandIns,
    settings: Settings,
    /// Record sets that were written over without an expectation; for the oracle.
    blind: Vec<String>,
}

/// An answer, ready to be sent.
#[derive(Debug, Clone)]
struct Reply {
    status: u16,
    request_id: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// The cloud behind the API.
#[derive(Debug)]
struct Api {
    parts: Parts,
    throttle: Mutex<Throttle>,
    /// The cloud before the last accepted change: what a stale read shows.
    stale: Mutex<Option<Cloud>>,
    requests: AtomicU64,
    /// Told when something new is due in the future.
    due: Notify,
}

impl Api {
    fn new(parts: Parts) -> Self {
        let mut throttle = Throttle::default();
        throttle.switch(parts.settings.throttle);
        Self {
            parts,
            throttle: Mutex::new(throttle),
            stale: Mutex::new(None),
            requests: AtomicU64::new(0),
            due: Notify::new(),
        }
    }

    /// Lets a call take effect, and writes down what came of it.
    fn perform(&self, call: &Call, number: u64) -> Reply {
        let request_id = self.request_id();
        let now = self.parts.clock.now();
        if call.service == Service::Route53 && !self.throttle().admits(now) {
            return self.refuse(call, number, &Refusal::throttled(call.service));
        }
        if let Asked::S3(asked) = &call.asked {
            return self.keep(asked, call, number);
        }
        let mut cloud = self.parts.cloud.lock();
        let_time_pass(&mut cloud, now);
        let before = call.mutating().then(|| cloud.clone());
        let (stand_ins, settings) = (&self.parts.stand_ins, self.parts.settings);
        let mut cx = Cx { cloud: &mut cloud, now, stand_ins, settings, blind: Vec::new() };
        let answer = dispatch(&mut cx, call, &request_id);
        let blind = std::mem::take(&mut cx.blind);
        match answer {
            Ok(body) => {
                if let Some(before) = before {
                    self.parts.oracle.judge(number, now, &before, &cloud, stand_ins, &blind);
                    *self.stale.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
                    self.due.notify_one();
                }
                drop(cloud);
                self.parts.oracle.done(number, Outcome::ok(200, call.mutating()));
                Reply { status: 200, request_id, headers: Vec::new(), body }
            }
            Err(refusal) => {
                // Refused whole: whatever the operation had begun is taken back.
                if let Some(before) = before {
                    *cloud = before;
                }
                drop(cloud);
                self.refuse(call, number, &refusal)
            }
        }
    }

    /// Buckets keep what is written about the world; no promise is about them, and they are never stale.
    fn keep(&self, asked: &s3::Asked, call: &Call, number: u64) -> Reply {
        let answer = s3::perform(&mut self.parts.cloud.lock(), asked, self.parts.clock.now());
        match answer {
            Ok((headers, body)) => {
                self.parts.oracle.done(number, Outcome::ok(200, call.mutating()));
                Reply { status: 200, request_id: self.request_id(), headers, body }
            }
            Err(refusal) => self.refuse(call, number, &refusal),
        }
    }

    /// Answers a read from before the last accepted change.
    fn perform_stale(&self, call: &Call, number: u64) -> Reply {
        if call.service == Service::S3 {
            return self.perform(call, number);
        }
        let past = self.stale.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(mut past) = past.filter(|_| !call.mutating()) else { return self.perform(call, number) };
        let request_id = self.request_id();
        let (stand_ins, settings) = (&self.parts.stand_ins, self.parts.settings);
        let now = self.parts.clock.now();
        let mut cx = Cx { cloud: &mut past, now, stand_ins, settings, blind: Vec::new() };
        match dispatch(&mut cx, call, &request_id) {
            Ok(body) => {
                self.parts.oracle.done(number, Outcome::ok(200, false));
                Reply { status: 200, request_id, headers: Vec::new(), body }
            }
            Err(refusal) => self.refuse(call, number, &refusal),
        }
    }

    /// Answers that nothing was done, and why.
    fn refuse(&self, call: &Call, number: u64, refusal: &Refusal) -> Reply {
        self.parts.oracle.done(number, Outcome::refused(refusal.status, &refusal.code, &refusal.message));
        self.error(call.service, refusal)
    }

    fn error(&self, service: Service, refusal: &Refusal) -> Reply {
        let request_id = self.request_id();
        Reply { status: refusal.status, headers: Vec::new(), body: refusal.document(service, &request_id), request_id }
    }

    fn request_id(&self) -> String {
        format!("1ab00000-0000-4000-8000-{:012x}", self.requests.fetch_add(1, Ordering::Relaxed))
    }

    fn throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn dispatch(cx: &mut Cx<'_>, call: &Call, request_id: &str) -> Result<String, Refusal> {
    match &call.asked {
        Asked::Route53(asked) => route53::perform(cx, asked),
        Asked::Elb(form) => elbv2::perform(cx, &call.operation, form, request_id),
        Asked::Sts => Ok(sts::caller_identity(&cx.cloud.account, request_id)),
        Asked::S3(asked) => s3::perform(cx.cloud, asked, cx.now).map(|(_, body)| body),
    }
}
