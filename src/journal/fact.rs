//! The one vocabulary: what is made durable is what is folded is what is told.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{EnvironmentName, StepId};

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// A run began; from here on it needs no plan file.
    RunStarted(Box<RunStarted>),
    /// A process took the run in hand. Its epoch is in the record; an older epoch's next append fails.
    Opened {
        /// What it is here to do.
        purpose: Purpose,
        /// Why it took over from another that was not known to be gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A step has looked: this is the way back, durable before anything changes.
    Prepared {
        /// Which step.
        step: StepId,
        /// What it found and will do.
        #[serde(flatten)]
        prepared: Prepared,
    },
    /// A request is about to be sent.
    Attempt {
        /// Which step.
        step: StepId,
        /// 1 for the first.
        n: u32,
        /// Whether it takes the effect back.
        undo: bool,
    },
    /// The request was answered: it took effect.
    Applied {
        /// Which step.
        step: StepId,
        /// What only the answer tells.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        receipt: Value,
    },
    /// What the step wanted holds.
    Verified {
        /// Which step.
        step: StepId,
        /// How that is known.
        evidence: String,
        /// Until when clients may still come to an environment.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tails: Vec<Horizon>,
    },
    /// A step did not do what was asked. Whether it had an effect is not said here: undo finds out.
    Failed {
        /// Which step.
        step: StepId,
        /// Why.
        failure: Failure,
    },
    /// From here on the run goes back.
    Unwinding {
        /// Why.
        why: String,
        /// Whether traffic may return to an environment that is not proven to serve.
        #[serde(default)]
        unproven: bool,
        /// Whether what was started is left running.
        #[serde(default)]
        keep: bool,
        /// Whether a person asked for it; else a failure did.
        #[serde(default)]
        asked: bool,
        /// The step that is gone back to: it stays, and so does what comes before it. None: everything goes back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<StepId>,
    },
    /// What a step found before is in force again.
    Undone {
        /// Which step.
        step: StepId,
        /// How that is known.
        evidence: String,
        /// Until when clients may still come to an environment.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tails: Vec<Horizon>,
    },
    /// What a step found before could not be restored.
    UndoFailed {
        /// Which step.
        step: StepId,
        /// Why.
        failure: Failure,
    },
    /// Something worth keeping that decides nothing: the witness, a warning.
    Observed {
        /// What: `witness`, `trap`, `override`.
        what: String,
        /// The observation.
        detail: Value,
    },
    /// Somebody asked something of the run.
    Asked {
        /// What.
        ask: Ask,
        /// Who.
        by: String,
    },
    /// The process was told to stop and did.
    Interrupted {
        /// By what: `SIGINT`.
        by: String,
    },
    /// The run reached an end. A later `Opened` may take it further, or back.
    Finished {
        /// Which end.
        outcome: Outcome,
    },
}

/// Everything that resume and rollback need, on any machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// Version of what `resolved` looks like.
    pub format: u32,
    /// File name of the plan, for messages.
    pub plan_name: String,
    /// What was written.
    pub plan_text: String,
    /// Digest of plan and variables.
    pub digest: String,
    /// The plan, expanded and with roles fixed.
    pub resolved: Value,
}

/// What a process is here to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Go forward to the end of the steps.
    Deploy,
    /// Go on as far as the one before wanted to go.
    Resume,
    /// Go forward through the finalize steps.
    Finalize,
    /// Go back.
    Rollback,
}

/// What a step's `prepare` found and what will be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// The register that will change; none for a step that only looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The value in force before, complete.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// The value that `apply` will put there.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub want: Value,
    /// `before → want` in one line, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub shows: String,
}

impl Prepared {
    /// For a step that changes nothing.
    pub fn nothing() -> Self {
        Self { key: None, before: Value::Null, want: Value::Null, shows: String::new() }
    }
}

/// Until when clients may still be led to an environment by answers they keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Horizon {
    /// Who may still be asked.
    pub environment: EnvironmentName,
    /// The last moment.
    pub until: Timestamp,
    /// The terms of the sum, for people: `60 s TTL + 60 s clamp + 60 s client + 3 s rounding`.
    pub why: String,
}

/// Why a step did not do what was asked, or could not be undone; read again after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which kind decides what happens next.
    pub kind: FailureKind,
    /// What was attempted, on what, and what is true now.
    pub why: String,
}

/// The kinds of failure that are treated differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// It does not hold, or was refused.
    Failed,
    /// Somebody else wrote the value; it was left alone.
    Drift,
    /// It could not be established whether it took effect.
    Unknown,
}

/// What people ask of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Let an `approve` step pass.
    Approve {
        /// Which step; every one when none is named, as journals of before may have it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
    },
    /// Stop and hold.
    Abort,
    /// Stop, so that another process can roll back.
    Yield,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The steps were done and verified; the way back is open.
    Deployed,
    /// The finalize steps were done as well.
    Finalized,
    /// Everything was undone and verified; or everything after one step, which stays.
    RolledBack {
        /// What began it.
        why: String,
        /// The step that stays, with what comes before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<StepId>,
    },
    /// Some of it could not be undone.
    RollbackIncomplete {
        /// What began it.
        why: String,
        /// What was not restored, a line each.
        left: Vec<String>,
        /// Whether traffic at least is back.
        traffic_restored: bool,
    },
    /// Stopped with effects in place; a person decides.
    Held {
        /// Why.
        why: String,
        /// Which kind of failure held it.
        kind: FailureKind,
    },
}
