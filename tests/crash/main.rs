//! `kill -9` at any moment is harmless: after a crash at every record of a run, `resume` ends as planned and `rollback` ends as
//! before, with the real binary on the loopback world.
//!
//! By default the runs of `demo.yaml` are cut off, a deploy right after each record and in the middle of each, with the ways on
//! taking turns. With `MODELSWAP_CRASH=plans` it is every plan of `plans/`, as densely; with `MODELSWAP_CRASH=full` moreover every
//! record not written, half written and written, and each way on.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]

#[path = "../rig/mod.rs"]
mod rig;

mod deploy;
mod finalize;
mod rollback;

use std::fmt;

use rig::Pace;
use rig::{Ended, World, journal};

/// Fast: times of the plan do not matter here, only the order of things.
const PACE: Pace = Pace { time: 240, load_s: 5 };

/// What was asked for: nothing (what a push has time for), `plans` or `full`.
fn asked() -> String {
    std::env::var("MODELSWAP_CRASH").unwrap_or_default()
}

/// Whether everything is done.
fn full() -> bool {
    asked() == "full"
}

/// The plans whose runs are cut off.
fn plans() -> Vec<&'static str> {
    match asked().as_str() {
        "" => vec!["demo"],
        "plans" | "full" => {
            vec!["demo", "alb-blue-green", "route53-blue-green", "route53-weighted", "alb-and-route53", "single-host"]
        }
        other => panic!("MODELSWAP_CRASH is `{other}`; it may be `plans` or `full`"),
    }
}

/// On which side of a record the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    Torn,
    After,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::Torn => "torn",
            Self::After => "after",
        })
    }
}

/// The process died by SIGKILL at the record it was to die at, and the journal ends there.
fn must_have_died(ended: &Ended, world: &World, moment: Moment, seq: u64) {
    assert_eq!((ended.code, ended.signal), (None, Some(9)), "it did not die at {moment} {seq}: {}", ended.stderr);
    let written = journal::of(world);
    let whole = if moment == Moment::After { seq } else { seq - 1 };
    assert_eq!(written.log.head.seq, whole, "the journal does not end at {moment} {seq}");
    assert_eq!(written.torn > 0, moment == Moment::Torn, "{} bytes behind the last record", written.torn);
}

/// Whatever happened, these hold in the end.
async fn must_be_sound(world: &World) {
    assert_eq!(world.oracle("findings").await, serde_json::json!([]));
    let written = journal::of(world);
    assert_eq!(written.torn, 0, "the torn tail is cut off");
    let ended = written.log.newest().is_none_or(|run| run.outcome.is_some());
    assert!(ended, "the run has no end in the journal: {:?}", written.records.last().map(|r| &r.fact));
}
