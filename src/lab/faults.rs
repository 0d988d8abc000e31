//! Faults that are ordered by name: the next call of an operation goes wrong, *before* or *after* its effect.
//!
//! A fault that never fired proves nothing, so each order remembers on which call it did.

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Nothing happens and no answer ever comes.
    TimeOutBefore,
    /// It happens and no answer ever comes.
    TimeOutAfter,
    /// Nothing happens and the connection is reset.
    ResetBefore,
    /// It happens and the connection is reset.
    ResetAfter,
    /// Nothing happens; HTTP 500.
    #[serde(rename = "error_500_before")]
    Error500Before,
    /// It happens; HTTP 500.
    #[serde(rename = "error_500_after")]
    Error500After,
    /// Nothing happens; HTTP 503.
    #[serde(rename = "error_503")]
    Error503,
    /// Nothing happens; `Throttling` (Route 53) or `ThrottlingException`.
    Throttle,
    /// Nothing happens; Route 53's `PriorRequestNotComplete`.
    PriorRequestNotComplete,
    /// Nothing happens; HTTP 403 `AccessDenied`.
    AccessDenied,
    /// Nothing happens; HTTP 403 `ExpiredToken`.
    ExpiredToken,
    /// It happens; the connection ends in the middle of the answer.
    Truncate,
    /// It happens, and is answered, so many milliseconds of the world's time later, even when the client has given up meanwhile.
    LateMs(u64),
    /// It is delivered twice; the second delivery is answered.
    Twice,
    /// A read is answered from before the last accepted change.
    Stale,
    /// Nothing happens; S3's `ConditionalRequestConflict`, a 409 to be tried again.
    Conflict,
    /// A write to a bucket is done whatever its `If-None-Match` and `If-Match` say, as some stores do.
    IgnoreConditions,
    /// The caller is killed when its call arrives, and nothing happens.
    KillBefore,
    /// The caller is killed as soon as it happened, before it is answered.
    KillAfter,
}

/// An order: which call goes wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultOrder {
    /// Operation as AWS names it (`ModifyRule`); `*`: any.
    pub op: String,
    /// Which call from now on, counted from 1.
    #[serde(default = "one")]
    pub nth: u32,
    /// How many calls in a row.
    #[serde(default = "one")]
    pub times: u32,
    pub kind: FaultKind,
}

fn one() -> u32 {
    1
}

/// An order and where it fired.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fault {
    pub id: u64,
    #[serde(flatten)]
    pub order: FaultOrder,
    /// Calls of the operation since it was ordered.
    pub seen: u32,
    /// Where it fired; empty: not (yet).
    pub fired: Vec<Fired>,
}

/// The call that a fault hit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fired {
    pub at: Timestamp,
    pub operation: String,
    /// The call's number in the call log.
    pub call: u64,
}

/// The orders of a world.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Vec<Fault>>>);

impl Faults {
    /// Orders a fault; its id tells later whether it fired.
    pub fn order(&self, order: FaultOrder) -> u64 {
        let mut faults = self.lock();
        let id = faults.len() as u64 + 1;
        faults.push(Fault { id, order, seen: 0, fired: Vec::new() });
        id
    }

    /// Takes back what has not fired as often as it was to.
    pub fn mend(&self) {
        for fault in self.lock().iter_mut() {
            fault.order.times = u32::try_from(fault.fired.len()).unwrap_or(u32::MAX);
        }
    }

    /// All orders and where they fired.
    pub fn list(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    /// Whether every order has fired as often as it was to.
    pub fn all_fired(&self) -> bool {
        self.lock().iter().all(|fault| fault.fired.len() as u64 == u64::from(fault.order.times))
    }

    /// The fault that hits this call of `operation`, if one does. Every order counts the call, the earliest that is due fires.
    pub(super) fn strike(&self, operation: &str, call: u64, at: Timestamp) -> Option<(u64, FaultKind)> {
        let mut hit = None;
        for fault in self.lock().iter_mut().filter(|f| f.order.op == operation || f.order.op == "*") {
            fault.seen += 1;
            let from = fault.order.nth.max(1);
            if hit.is_none() && fault.seen >= from && fault.seen < from + fault.order.times {
                fault.fired.push(Fired { at, operation: operation.to_owned(), call });
                hit = Some((fault.id, fault.order.kind));
            }
        }
        hit
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(op: &str, nth: u32, times: u32) -> FaultOrder {
        FaultOrder { op: op.to_owned(), nth, times, kind: FaultKind::ResetAfter }
    }

    #[test]
    fn a_fault_fires_on_the_call_it_was_ordered_for_and_on_no_other() {
        let faults = Faults::default();
        let id = faults.order(order("ModifyRule", 2, 2));
        let hits: Vec<_> = ["ModifyRule", "GetChange", "ModifyRule", "ModifyRule", "ModifyRule"]
            .iter()
            .zip(1..)
            .map(|(op, call)| faults.strike(op, call, Timestamp::UNIX_EPOCH).is_some())
            .collect();
        assert_eq!(hits, [false, false, true, true, false]);
        let fault = &faults.list()[0];
        assert_eq!((fault.id, fault.fired.iter().map(|f| f.call).collect::<Vec<_>>()), (id, vec![3, 4]));
    }

    #[test]
    fn an_order_is_written_as_it_is_named() {
        for (text, kind) in [
            (r#""error_500_before""#, FaultKind::Error500Before),
            (r#""error_503""#, FaultKind::Error503),
            (r#""reset_after""#, FaultKind::ResetAfter),
            (r#"{"late_ms":500}"#, FaultKind::LateMs(500)),
            (r#""kill_after""#, FaultKind::KillAfter),
        ] {
            assert_eq!(serde_json::from_str::<FaultKind>(text).unwrap(), kind);
        }
    }
}
