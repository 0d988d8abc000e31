//! Puts the ordered faults around a call: before its effect, after it, or beside it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use hyper::Response;

use super::super::call::{Asked, Call, Raw, understand};
use super::super::refusal::Refusal;
use super::super::{Api, Reply, s3};
use super::answer::{self, Body};
use crate::lab::caller::Caller;
use crate::lab::faults::FaultKind;
use crate::lab::oracle::{Arrival, Outcome};

/// Ends the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("ordered to reset the connection")]
pub(super) struct Reset;

/// Answers a request, rightly or as ordered.
pub(super) async fn answer(api: Arc<Api>, raw: Raw, caller: &Caller) -> Result<Response<Body>, Reset> {
    let call = match understand(&raw) {
        Ok(call) => call,
        Err((service, refusal)) => {
            api.parts.oracle.not_understood(api.parts.clock.now(), service.name(), &raw.path, &refusal.message);
            return Ok(answer::xml(api.error(service, &refusal)));
        }
    };
    let number = arrive(&api, &call, caller);
    let fault = api.parts.faults.strike(&call.operation, number, api.parts.clock.now());
    let Some((id, kind)) = fault else { return Ok(answer::xml(api.perform(&call, number))) };
    api.parts.oracle.faulted(number, id);
    act(&api, (call, number), caller, kind).await
}

async fn act(
    api: &Arc<Api>,
    (call, number): (Call, u64),
    caller: &Caller,
    kind: FaultKind,
) -> Result<Response<Body>, Reset> {
    let refuse = |refusal: &Refusal| Ok(answer::xml(api.refuse(&call, number, refusal)));
    let failure = Refusal::new(500, "InternalFailure", "The request processing has failed because of an unknown error");
    match kind {
        FaultKind::TimeOutBefore => {
            api.parts.oracle.done(number, Outcome::lost("never answered"));
            pending().await
        }
        FaultKind::TimeOutAfter => {
            api.perform(&call, number);
            pending().await
        }
        FaultKind::ResetBefore => {
            api.parts.oracle.done(number, Outcome::lost("connection reset"));
            Err(Reset)
        }
        FaultKind::ResetAfter => {
            api.perform(&call, number);
            Err(Reset)
        }
        FaultKind::Error500Before => refuse(&failure),
        FaultKind::Error500After => {
            api.perform(&call, number);
            Ok(answer::xml(api.error(call.service, &failure)))
        }
        FaultKind::Error503 => refuse(&Refusal::new(503, "ServiceUnavailable", "Service is unable to handle request.")),
        FaultKind::Throttle => refuse(&Refusal::throttled(call.service)),
        FaultKind::PriorRequestNotComplete => refuse(&Refusal::new(
            400,
            "PriorRequestNotComplete",
            "The request was rejected because Route 53 was still processing a prior request.",
        )),
        FaultKind::AccessDenied => refuse(&Refusal::access_denied(call.service, &call.operation)),
        FaultKind::ExpiredToken => {
            refuse(&Refusal::new(403, "ExpiredToken", "The security token included in the request is expired"))
        }
        FaultKind::Truncate => Ok(answer::cut(&api.perform(&call, number))),
        FaultKind::LateMs(ms) => Ok(answer::xml(late(Arc::clone(api), call, number, ms).await)),
        FaultKind::Twice => {
            api.perform(&call, number);
            let again = arrive(api, &call, caller);
            Ok(answer::xml(api.perform(&call, again)))
        }
        FaultKind::Conflict => refuse(&Refusal::new(
            409,
            "ConditionalRequestConflict",
            "The conditional request cannot succeed due to a conflicting operation against this resource.",
        )),
        FaultKind::IgnoreConditions => Ok(answer::xml(api.perform(&unconditioned(call), number))),
        FaultKind::Stale => Ok(answer::xml(api.perform_stale(&call, number))),
        FaultKind::KillBefore => {
            let said = if caller.kill() { "its caller was killed" } else { "its caller could not be killed" };
            api.parts.oracle.done(number, Outcome::lost(said));
            Err(Reset)
        }
        FaultKind::KillAfter => {
            api.perform(&call, number);
            caller.kill();
            Err(Reset)
        }
    }
}

fn unconditioned(mut call: Call) -> Call {
    if let Asked::S3(asked) = &mut call.asked {
        asked.conditions = s3::Conditions::default();
    }
    call
}

/// In a task of its own: the request is on its way, whether its sender still waits or not.
async fn late(api: Arc<Api>, call: Call, number: u64, ms: u64) -> Reply {
    let service = call.service;
    let there = tokio::spawn({
        let api = Arc::clone(&api);
        async move {
            api.parts.clock.sleep(Duration::from_millis(ms)).await;
            api.perform(&call, number)
        }
    });
    match there.await {
        Ok(reply) => reply,
        Err(_) => api.error(service, &Refusal::new(500, "InternalFailure", "the world is ending")),
    }
}

fn arrive(api: &Api, call: &Call, caller: &Caller) -> u64 {
    // Who asks matters where something is changed, and finding it out takes a while.
    let pid = if call.mutating() { caller.pid() } else { None };
    api.parts.oracle.arrive(Arrival {
        at: api.parts.clock.now(),
        service: call.service.name().to_owned(),
        operation: call.operation.clone(),
        mutating: call.mutating(),
        params: call.summary.clone(),
        caller: pid,
    })
}
