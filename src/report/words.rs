//! A fact in words: the same ones on a terminal, in a log and in a replay.

use jiff::Timestamp;

use crate::journal::fact::{Ask, Fact, FailureKind, Outcome, Purpose};
use crate::journal::record::Record;
use crate::journal::state::RunState;

/// A line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// How it looks.
    pub mark: Mark,
    /// What happened.
    pub text: String,
}

/// Good, bad, or on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Done.
    Good,
    /// Not done.
    Bad,
    /// At it.
    Busy,
    /// Neither.
    Plain,
}

impl Mark {
    /// What switches its colour on and off, if there is colour.
    pub fn colour(self, wanted: bool) -> (&'static str, &'static str) {
        match (wanted, self) {
            (false, _) | (true, Self::Plain) => ("", ""),
            (true, Self::Good) => ("\u{1b}[32m", "\u{1b}[0m"),
            (true, Self::Bad) => ("\u{1b}[31m", "\u{1b}[0m"),
            (true, Self::Busy) => ("\u{1b}[36m", "\u{1b}[0m"),
        }
    }

    /// Two characters that read without colour.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Bad => "!!",
            Self::Busy => "..",
            Self::Plain => "--",
        }
    }
}

/// The fact in one line; none for what only a program needs.
pub fn line(record: &Record, state: &RunState) -> Option<Line> {
    let (mark, text) = match &record.fact {
        Fact::RunStarted(started) => {
            (Mark::Plain, format!("run {} of {} ({})", record.run, record.service, started.plan_name))
        }
        Fact::Opened { purpose, reason } => (Mark::Plain, opened(*purpose, record, reason.as_deref())),
        Fact::Prepared { step, prepared } => {
            if prepared.shows.is_empty() {
                return None;
            }
            (Mark::Busy, format!("{step}  {}", prepared.shows))
        }
        Fact::Attempt { n: 1, .. } | Fact::Applied { .. } | Fact::Refused { .. } => return None,
        Fact::Attempt { step, n, .. } => (Mark::Busy, format!("{step}  try {n}")),
        Fact::Verified { step, evidence, .. } => {
            (Mark::Good, format!("{step}  {}  {evidence}", took(state, step, record.at)))
        }
        Fact::Failed { step, failure } => (Mark::Bad, format!("{step}  {}", failure.why)),
        Fact::Unwinding { why, to: None, .. } => (Mark::Bad, format!("rolling back: {why}")),
        Fact::Unwinding { why, to: Some(step), .. } => (Mark::Bad, format!("rolling back to `{step}`: {why}")),
        Fact::Undone { step, evidence, .. } => (Mark::Good, format!("undo {step}  {evidence}")),
        Fact::UndoFailed { step, failure } => (Mark::Bad, format!("undo {step}  {}", failure.why)),
        Fact::Touched { step, .. } => (
            Mark::Busy,
            format!(
                "undo {step}  a request may still arrive: until it cannot, what stands there is as good and not exact"
            ),
        ),
        Fact::Merged { step, .. } => (Mark::Busy, format!("undo {step}  what somebody else changed is kept")),
        Fact::Settled { step, evidence } => (Mark::Good, format!("settled {step}  {evidence}")),
        Fact::Observed { what, detail } if what == "traffic restored" => {
            (Mark::Good, format!("TRAFFIC RESTORED  {}", observed(detail)))
        }
        Fact::Observed { what, detail } => (Mark::Plain, format!("{what}  {}", observed(detail))),
        Fact::Asked { ask, by } => (Mark::Plain, format!("{by} asks to {}", asked(ask))),
        Fact::Interrupted { by } => (Mark::Bad, format!("interrupted by {by}; effects stay in place")),
        Fact::Finished { outcome } => return Some(Line { at: record.at, ..ended(outcome) }),
    };
    Some(Line { at: record.at, mark, text })
}

/// How long a step took since its first look: whole seconds, or milliseconds of less than one.
pub fn took(state: &RunState, step: &crate::ids::StepId, at: Timestamp) -> String {
    let since = state.step(step).prepared.as_ref().map_or(at, |(_, since)| *since);
    let length = at.duration_since(since);
    if length.as_secs() > 0 {
        crate::units::rounded(length).to_string()
    } else {
        format!("{}ms", length.as_millis().max(0))
    }
}

fn opened(purpose: Purpose, record: &Record, reason: Option<&str>) -> String {
    let what = match purpose {
        Purpose::Deploy => "deploy",
        Purpose::Resume => "resume",
        Purpose::Finalize => "finalize",
        Purpose::Rollback => "rollback",
    };
    let taken = reason.map(|why| format!(", taken over: {why}")).unwrap_or_default();
    format!("{what} of run {} by {}{taken}", record.run, record.actor)
}

fn asked(ask: &Ask) -> String {
    match ask {
        Ask::Approve { step: Some(step) } => format!("let `{step}` pass"),
        Ask::Approve { step: None } | Ask::GoOn => "go on".to_owned(),
        Ask::Abort => "stop and hold".to_owned(),
        Ask::Yield => "make room for a rollback".to_owned(),
        Ask::Pause => "begin nothing new".to_owned(),
    }
}

/// What the witness counted, in the order in which people ask for it.
fn witnessed(detail: &serde_json::Value) -> Option<String> {
    let count = |name: &str| detail.get(name).and_then(serde_json::Value::as_u64);
    let mut text = format!("sent {}, answered {}, lost {}", count("sent")?, count("answered")?, count("lost")?);
    if count("streams_begun")? > 0 {
        text = format!("{text}, streams {}, cut {}", count("streams_begun")?, count("streams_cut")?);
    }
    text = format!("{text}, longest gap {} ms", count("longest_gap_ms")?);
    let by_model = detail.get("by_model").and_then(serde_json::Value::as_object).into_iter().flatten();
    let shares: Vec<_> = by_model.map(|(model, n)| format!("{model} {n}")).collect();
    let reasons = detail.get("reasons").and_then(serde_json::Value::as_object).into_iter().flatten();
    let reasons: Vec<_> = reasons.map(|(why, n)| format!("{n} x {why}")).collect();
    let part = |title: &str, of: Vec<String>| {
        if of.is_empty() { String::new() } else { format!("; {title} {}", of.join(", ")) }
    };
    Some(format!("{text}{}{}", part("answered by", shares), part("lost:", reasons)))
}

/// An observation in words.
pub fn observed(detail: &serde_json::Value) -> String {
    if let Some(text) = witnessed(detail) {
        return text;
    }
    match detail {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(fields) => {
            let plain = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            fields.iter().map(|(k, v)| format!("{k} {}", plain(v))).collect::<Vec<_>>().join(", ")
        }
        other @ (serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_)) => other.to_string(),
    }
}

fn ended(outcome: &Outcome) -> Line {
    let (mark, text) = match outcome {
        Outcome::Deployed => (Mark::Good, "deployed and verified".to_owned()),
        Outcome::Finalized => (Mark::Good, "finalized".to_owned()),
        Outcome::RolledBack { to: None, .. } => (Mark::Good, "rolled back completely, verified".to_owned()),
        Outcome::RolledBack { to: Some(step), .. } => {
            (Mark::Good, format!("rolled back to `{step}`, which stays; verified"))
        }
        Outcome::RollbackIncomplete { traffic_restored, left, .. } => {
            let traffic = if *traffic_restored { "traffic is restored" } else { "TRAFFIC IS NOT RESTORED" };
            (Mark::Bad, format!("rollback incomplete: {traffic}, {} left", left.len()))
        }
        Outcome::Held { why, kind } => {
            let kind = match kind {
                FailureKind::Failed => "held",
                FailureKind::Drift => "held, somebody else changed something",
                FailureKind::Unknown => "held, an outcome is not known",
            };
            (Mark::Bad, format!("{kind}: {why}"))
        }
    };
    Line { at: Timestamp::UNIX_EPOCH, mark, text }
}
