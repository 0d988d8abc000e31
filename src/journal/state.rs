//! The state of a run is the fold of its facts. Pure: replay and live share it, so there is no second path called recovery.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::fact::{Ask, Fact, Failure, Horizon, Outcome, Prepared, Purpose, RunStarted};
use super::record::Record;
use crate::ids::{RunId, StepId};

/// How far a run is meant to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Goal {
    /// To the end of the steps.
    Deployed,
    /// To the end of the finalize steps.
    Finalized,
}

/// Everything that is known of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunState {
    /// Which run.
    pub run: RunId,
    /// How it began. Shared, because states are handed to every move and plans can be long.
    pub started: Arc<RunStarted>,
    /// When it began, and by whom.
    pub began: (Timestamp, String),
    /// How far it is meant to go.
    pub goal: Goal,
    /// Set once the run goes back.
    pub unwinding: Option<Unwinding>,
    /// By step, for those that have begun.
    pub steps: BTreeMap<StepId, StepState>,
    /// Since when the last process has had it in hand; when it began, for a run that was never opened.
    pub opened_at: Timestamp,
    /// Until when clients may still come to an environment: the longest for each.
    pub tails: Vec<Horizon>,
    /// What was asked of the run and by whom, since the last `Opened`.
    pub asked: Vec<(Ask, String)>,
    /// What was observed, newest of each kind.
    pub observed: BTreeMap<String, Value>,
    /// The end it reached, until it is opened again.
    pub outcome: Option<Outcome>,
    /// By what the last process was told to stop, if it was.
    pub interrupted: Option<String>,
    /// When the last record was written.
    pub last_at: Timestamp,
}

/// Why and how a run goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwinding {
    /// What began it.
    pub why: String,
    /// Whether traffic may return to an environment that is not proven to serve.
    pub unproven: bool,
    /// Whether what was started is left running.
    pub keep: bool,
    /// Whether a person asked for it; else a failure did.
    pub asked: bool,
    /// The step that stays, with what comes before it.
    pub to: Option<StepId>,
}

/// Everything that is known of a step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepState {
    /// What it found, once it has looked.
    pub prepared: Option<(Prepared, Timestamp)>,
    /// Requests sent to make the effect. More than none: it may have happened, whatever came back.
    pub attempts: u32,
    /// The receipt, once a request was answered.
    pub applied: Option<Value>,
    /// When that was.
    pub applied_at: Option<Timestamp>,
    /// The evidence, once it holds.
    pub verified: Option<String>,
    /// Why it did not do what was asked; cleared when the run is resumed.
    pub failed: Option<Failure>,
    /// Requests sent to take the effect back.
    pub undo_attempts: u32,
    /// The receipt of the undo.
    pub undo_applied: Option<Value>,
    /// When that was.
    pub undo_applied_at: Option<Timestamp>,
    /// The evidence, once what was before is in force again.
    pub undone: Option<String>,
    /// Why it could not be undone; cleared when a rollback is begun again.
    pub undo_failed: Option<Failure>,
}

impl StepState {
    /// Whether the step may have changed something that was not taken back.
    pub fn has_effect(&self) -> bool {
        self.attempts > 0 && self.undone.is_none()
    }
}

impl RunState {
    /// The state after a run's first record.
    ///
    /// # Errors
    /// When it is not a `RunStarted`.
    pub fn begin(record: &Record) -> Result<Self, String> {
        let Fact::RunStarted(started) = &record.fact else {
            return Err(format!("record {} of run {} comes before its beginning", record.seq, record.run));
        };
        Ok(Self {
            run: record.run.clone(),
            started: Arc::new((**started).clone()),
            began: (record.at, record.actor.to_string()),
            goal: Goal::Deployed,
            unwinding: None,
            steps: BTreeMap::new(),
            opened_at: record.at,
            tails: Vec::new(),
            asked: Vec::new(),
            observed: BTreeMap::new(),
            outcome: None,
            interrupted: None,
            last_at: record.at,
        })
    }

    /// What is known of a step; nothing for one that has not begun.
    pub fn step(&self, id: &StepId) -> &StepState {
        static NOTHING: StepState = StepState {
            prepared: None,
            attempts: 0,
            applied: None,
            applied_at: None,
            verified: None,
            failed: None,
            undo_attempts: 0,
            undo_applied: None,
            undo_applied_at: None,
            undone: None,
            undo_failed: None,
        };
        self.steps.get(id).unwrap_or(&NOTHING)
    }

    /// Whether anything that this run changed is still changed.
    pub fn has_effects(&self) -> bool {
        self.steps.values().any(StepState::has_effect)
    }

    /// Whether it stands between two ends: a person or another process must bring it to one.
    pub fn is_unfinished(&self) -> bool {
        match &self.outcome {
            None => true,
            Some(
                Outcome::Held { .. } | Outcome::RollbackIncomplete { .. } | Outcome::RolledBack { to: Some(_), .. },
            ) => self.has_effects(),
            Some(Outcome::Deployed | Outcome::Finalized | Outcome::RolledBack { to: None, .. }) => false,
        }
    }

    /// The state after one more fact.
    pub fn fold(&mut self, at: Timestamp, fact: &Fact) {
        self.last_at = at;
        match fact {
            Fact::RunStarted(_) => {}
            Fact::Opened { purpose, .. } => self.open(*purpose, at),
            Fact::Prepared { step, prepared } => {
                // A step that is prepared again keeps the moment of its first look: its patience began then.
                let since = self.step(step).prepared.as_ref().map_or(at, |(_, since)| *since);
                let state = self.of(step);
                state.prepared = Some((prepared.clone(), since));
            }
            Fact::Attempt { step, undo: false, n } => self.of(step).attempts = *n,
            Fact::Attempt { step, undo: true, n } => self.of(step).undo_attempts = *n,
            Fact::Applied { step, receipt } => {
                let state = self.of(step);
                if state.undo_attempts > 0 {
                    state.undo_applied = Some(receipt.clone());
                    state.undo_applied_at = Some(at);
                } else {
                    state.applied = Some(receipt.clone());
                    state.applied_at = Some(at);
                }
            }
            Fact::Verified { step, evidence, tails } => {
                self.of(step).verified = Some(evidence.clone());
                self.lengthen(tails);
            }
            Fact::Failed { step, failure } => self.of(step).failed = Some(failure.clone()),
            Fact::Unwinding { why, unproven, keep, asked, to } => {
                self.observed.clear();
                let (why, to) = (why.clone(), to.clone());
                self.unwinding = Some(Unwinding { why, unproven: *unproven, keep: *keep, asked: *asked, to });
            }
            Fact::Undone { step, evidence, tails } => {
                self.of(step).undone = Some(evidence.clone());
                self.lengthen(tails);
            }
            Fact::UndoFailed { step, failure } => self.of(step).undo_failed = Some(failure.clone()),
            Fact::Observed { what, detail } => {
                self.observed.insert(what.clone(), detail.clone());
            }
            Fact::Asked { ask, by } => self.asked.push((ask.clone(), by.clone())),
            Fact::Interrupted { by } => self.interrupted = Some(by.clone()),
            Fact::Finished { outcome } => self.outcome = Some(outcome.clone()),
        }
    }

    /// A new holder: what only the old one was stopped by does not stop the new one.
    fn open(&mut self, purpose: Purpose, at: Timestamp) {
        self.opened_at = at;
        self.outcome = None;
        self.interrupted = None;
        // An approval stays given; a request to stop was for the process that got it.
        self.asked.retain(|(ask, _)| matches!(ask, Ask::Approve { .. }));
        match purpose {
            Purpose::Deploy | Purpose::Resume => self.steps.values_mut().for_each(|s| s.failed = None),
            Purpose::Finalize => {
                self.goal = Goal::Finalized;
                self.steps.values_mut().for_each(|s| s.failed = None);
            }
            Purpose::Rollback => {}
        }
        self.steps.values_mut().for_each(|s| s.undo_failed = None);
    }

    /// A tail counts until its end; a shorter one of the same environment says nothing new.
    fn lengthen(&mut self, tails: &[Horizon]) {
        for tail in tails {
            match self.tails.iter_mut().find(|t| t.environment == tail.environment) {
                Some(known) if known.until >= tail.until => {}
                Some(known) => *known = tail.clone(),
                None => self.tails.push(tail.clone()),
            }
        }
    }

    fn of(&mut self, step: &StepId) -> &mut StepState {
        self.steps.entry(step.clone()).or_default()
    }
}
