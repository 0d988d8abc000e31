//! What can change: every kind of step looks, acts once, says whether it holds, and goes back from what it recorded.
//!
//! No step waits: the engine polls, so tests own time.

pub mod check;
pub mod command;
pub mod front_door;
pub mod gates;
pub mod guards;
pub mod look;
pub mod propagation;
pub mod servers;
pub mod set;
pub mod time;

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{EnvironmentName, RunId, StepId};
pub use crate::journal::fact::{Horizon, Prepared};
use crate::journal::state::RunState;
use crate::providers::{Late, ProviderError};
use crate::units::Span;

/// One step of a compiled plan.
#[async_trait]
pub trait Step: Send + Sync + std::fmt::Debug {
    /// Looks, changes nothing. What it returns is durable before `apply` runs.
    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared, StepError>;

    /// What the step will do, for a preview: `held` is what earlier steps will have put into registers by then, by key.
    /// Looks, changes nothing.
    async fn foresee(&self, _held: &BTreeMap<String, Value>, _cx: &Cx<'_>) -> Result<Foreseen, StepError> {
        Ok(Foreseen::default())
    }

    /// Whether `apply` may be called now. Polled.
    async fn ready(&self, _prepared: &Prepared, _cx: &Cx<'_>) -> Result<Verdict, StepError> {
        Ok(Verdict::yes("ready"))
    }

    /// One effect. It may run again after a crash, so it must be right after zero, part or all of an earlier `apply`.
    /// The receipt is what only the answer tells.
    async fn apply(&self, prepared: &Prepared, cx: &Cx<'_>) -> Result<Value, StepError>;

    /// Whether what was wanted holds. Polled.
    async fn verify(&self, prepared: &Prepared, receipt: Option<&Value>, cx: &Cx<'_>) -> Result<Verdict, StepError>;

    /// Whether `undo` may be called now: the destination serves, what is about to stop is drained. Polled.
    async fn undo_ready(&self, _prepared: &Prepared, _cx: &Cx<'_>) -> Result<Verdict, StepError> {
        Ok(Verdict::yes("ready"))
    }

    /// Goes back to what `prepare` found; right after zero, part or all of `apply`, and a second time.
    async fn undo(&self, prepared: &Prepared, cx: &Cx<'_>) -> Result<Value, StepError>;

    /// Whether what was before holds again. Polled.
    async fn undone(&self, prepared: &Prepared, receipt: Option<&Value>, cx: &Cx<'_>) -> Result<Verdict, StepError>;

    /// How a request that was not answered may still take effect; none where it cannot.
    fn late(&self) -> Option<Late> {
        None
    }

    /// What may stand in the place of `value` while a late write may put `late` there; none where `value` itself is as good.
    fn touch(&self, _value: &Value, _late: &Value) -> Option<Value> {
        None
    }

    /// Whether what going back put there stands, or a late write has won. Polled while one may still arrive.
    async fn stands(&self, _prepared: &Prepared, _cx: &Cx<'_>) -> Result<Stands, StepError> {
        Ok(Stands::Yes)
    }

    /// What somebody else made of the value meanwhile, if anybody did.
    async fn drifted(&self, _prepared: &Prepared, _cx: &Cx<'_>) -> Result<Option<Drifted>, StepError> {
        Ok(None)
    }
}

/// What a register holds after the way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stands {
    /// What was put there.
    Yes,
    /// What this run wrote earlier: a late write has landed. What is there, for people.
    No(String),
}

/// A value that is neither what the run found nor what it put there.
#[derive(Debug, Clone, PartialEq)]
pub struct Drifted {
    /// The value.
    pub live: Value,
    /// The same in one line, for people.
    pub shows: String,
    /// The value with only what this run did taken back, where it has parts.
    pub merged: Option<Value>,
}

/// What a step will do, before anything is done.
#[derive(Debug, Clone, Default)]
pub struct Foreseen {
    /// The change of its register; none for a step that only looks.
    pub change: Option<Prepared>,
    /// The value before and after, for people.
    pub shows: Option<(String, String)>,
    /// What must hold, for people, where nothing changes.
    pub wants: String,
    /// How long it takes, where that is fixed.
    pub length: Option<Span>,
    /// Until when clients may still come to an environment, as if it ended now.
    pub tails: Vec<Horizon>,
}

/// What a step is told by the engine.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The step itself.
    pub step: &'a StepId,
    /// The run it belongs to.
    pub run: &'a RunId,
    /// The time, by the engine's clock.
    pub now: Timestamp,
    /// When the step was first prepared.
    pub since: Timestamp,
    /// Other values that steps of the same undo group may have left in the register: each is ours to replace in `undo`.
    pub ours: &'a [Value],
    /// The run so far: what other steps found, and until when clients may still come to an environment.
    pub state: &'a RunState,
    /// Who approved this step, if anyone did.
    pub approved_by: Option<&'a str>,
    /// An operator said that traffic may return to an environment that is not proven to serve.
    pub unproven: bool,
}

impl Cx<'_> {
    /// Until when clients may still come to `environment`, and why; none when that is past.
    pub fn tail_of(&self, environment: &EnvironmentName) -> Option<&Horizon> {
        self.state.tails.iter().filter(|h| h.environment == *environment && h.until > self.now).max_by_key(|h| h.until)
    }
}

/// The answer to "does it hold?".
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It holds, and how that is known.
    Yes {
        /// In one line, for people.
        evidence: String,
        /// Until when clients may still come to an environment they were led to earlier.
        tails: Vec<Horizon>,
    },
    /// Not yet: ask again.
    NotYet(String),
    /// It does not hold and will not by waiting.
    No(String),
    /// It cannot be known now: ask again, and never take it for a yes.
    CannotTell(String),
}

impl Verdict {
    /// A plain yes.
    pub fn yes(evidence: impl Into<String>) -> Self {
        Self::Yes { evidence: evidence.into(), tails: Vec::new() }
    }
}

/// Why a step did not do what was asked. It is written to the journal, so it is data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum StepError {
    /// The back-end said so.
    #[error(transparent)]
    Provider {
        /// Its error.
        #[from]
        error: ProviderError,
    },
    /// The step itself cannot go on.
    #[error("{why}")]
    Refused {
        /// A lowercase fragment.
        why: String,
    },
}

impl StepError {
    /// The step itself cannot go on, because `why`.
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into() }
    }
}
