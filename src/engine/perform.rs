//! One move, from its first call to the fact that says what came of it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::decide::Move;
use super::drive::Drive;
use crate::clock::Announced;
use crate::ids::StepId;
use crate::journal::fact::{Ask, Fact, Failure, FailureKind};
use crate::journal::state::RunState;
use crate::journal::writer::JournalError;
use crate::plan::graph::Node;
use crate::providers::ProviderError;
use crate::steps::{Cx, StepError, Verdict};

/// First wait after a call that may succeed later; doubled each time up to the last.
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(500);
pub(super) const RETRY_LAST: Duration = Duration::from_secs(8);

/// Whether a move that waits was told that waiting has no point any more.
pub(super) enum Pause {
    Over,
    Halted,
}

impl Drive<'_> {
    pub(super) async fn perform(&self, next: Move) -> Result<(), JournalError> {
        match next {
            Move::Prepare(id) => self.prepare(self.graph.node(&id)).await,
            Move::Apply(id) => self.apply(self.graph.node(&id)).await,
            Move::Verify(id) => self.verify(self.graph.node(&id)).await,
            Move::Undo(ids) => self.undo(&ids, false).await,
            Move::Fence(ids) => self.undo(&ids, true).await,
            Move::Settle(ids) => self.settle(&ids).await,
            Move::Wait { step, until, why } => {
                self.wait(&step, until, &why).await;
                Ok(())
            }
            Move::Observe { .. } | Move::Unwind { .. } | Move::Finish(_) => Ok(()),
        }
    }

    async fn prepare(&self, node: &Node) -> Result<(), JournalError> {
        let id = &node.shape.id;
        let since = self.clock.now();
        let mut retry = RETRY_FIRST;
        loop {
            let looked = {
                let state = self.state().await;
                node.step.prepare(&self.cx(id, &state, since, &[])).await
            };
            match looked {
                Ok(prepared) => return self.append(Fact::Prepared { step: id.clone(), prepared }).await,
                Err(error) if may_pass(&error) && self.clock.now() < since + node.within.signed() => {
                    self.progress(id, &error.to_string()).await;
                    if let Pause::Halted = self.pause(retry).await {
                        return Ok(());
                    }
                    retry = (retry * 2).min(RETRY_LAST);
                }
                Err(error) => return self.fail(id, failure(&error)).await,
            }
        }
    }

    async fn apply(&self, node: &Node) -> Result<(), JournalError> {
        let id = &node.shape.id;
        let state = self.state().await;
        let Some((prepared, since)) = state.step(id).prepared.clone() else { return Ok(()) };
        let deadline = patience_from(node, &state, since) + node.within.signed();
        drop(state);
        loop {
            let state = self.state().await;
            let verdict = node.step.ready(&prepared, &self.cx(id, &state, since, &[])).await;
            match self.judge(node, verdict, deadline) {
                Judged::Holds { .. } => break,
                Judged::Again(why) => {
                    self.progress(id, &why).await;
                    if let Pause::Halted = self.pause(node.poll.std()).await {
                        return Ok(());
                    }
                }
                Judged::Fails(failure) => return self.fail(id, failure).await,
            }
        }
        let mut retry = RETRY_FIRST;
        loop {
            let state = self.state().await;
            let n = state.step(id).attempts + 1;
            // Somebody asked to pause while it was not yet its turn: then it does not begin.
            if self.halted() || (n == 1 && state.paused_by().is_some()) {
                return Ok(());
            }
            let announced = Announced::now();
            self.append(Fact::Attempt { step: id.clone(), n, undo: false }).await?;
            let answer = announced.scope(node.step.apply(&prepared, &self.cx(id, &state, since, &[]))).await;
            if answer.as_ref().is_err_and(changed_nothing) {
                self.append(Fact::Refused { step: id.clone(), n, undo: false }).await?;
            }
            match answer {
                Ok(receipt) => return self.append(Fact::Applied { step: id.clone(), receipt }).await,
                Err(error) if may_pass(&error) && self.clock.now() < deadline => {
                    self.progress(id, &error.to_string()).await;
                    if let Pause::Halted = self.pause(retry).await {
                        return Ok(());
                    }
                    retry = (retry * 2).min(RETRY_LAST);
                }
                Err(error) => return self.fail(id, failure(&error)).await,
            }
        }
    }

    async fn verify(&self, node: &Node) -> Result<(), JournalError> {
        let id = &node.shape.id;
        let state = self.state().await;
        let Some((prepared, since)) = state.step(id).prepared.clone() else { return Ok(()) };
        let receipt = state.step(id).applied.clone();
        let deadline = patience_from(node, &state, since) + node.within.signed();
        drop(state);
        loop {
            let verdict = {
                let state = self.state().await;
                node.step.verify(&prepared, receipt.as_ref(), &self.cx(id, &state, since, &[])).await
            };
            match self.judge(node, verdict, deadline) {
                Judged::Holds { evidence, tails } => {
                    return self.append(Fact::Verified { step: id.clone(), evidence, tails }).await;
                }
                Judged::Again(why) => {
                    self.progress(id, &why).await;
                    if let Pause::Halted = self.pause(node.poll.std()).await {
                        return Ok(());
                    }
                }
                Judged::Fails(failure) => return self.fail(id, failure).await,
            }
        }
    }

    /// What an answer means now: a "not yet" past the deadline is a failure.
    pub(super) fn judge(&self, node: &Node, answer: Result<Verdict, StepError>, deadline: Timestamp) -> Judged {
        let late = self.clock.now() >= deadline;
        match answer {
            Ok(Verdict::Yes { evidence, tails }) => Judged::Holds { evidence, tails },
            Ok(Verdict::NotYet(why) | Verdict::CannotTell(why)) if late => {
                let why = format!("not within {}: {why}", node.within);
                Judged::Fails(Failure { kind: FailureKind::Failed, why })
            }
            Ok(Verdict::NotYet(why)) => Judged::Again(why),
            Ok(Verdict::CannotTell(why)) => Judged::Again(format!("cannot tell: {why}")),
            Ok(Verdict::No(why)) => Judged::Fails(Failure { kind: FailureKind::Failed, why }),
            Err(error) if may_pass(&error) && !late => Judged::Again(error.to_string()),
            Err(error) => Judged::Fails(failure(&error)),
        }
    }

    /// Waits until `until`, or until waiting has no point.
    async fn wait(&self, step: &StepId, until: Timestamp, why: &str) {
        while let Some(left) = Duration::try_from(until.duration_since(self.clock.now())).ok().filter(|d| !d.is_zero())
        {
            self.progress(step, &format!("until {}: {why}", crate::units::clock_time(until))).await;
            let unwinding = self.state().await.unwinding.is_some();
            let slice = left.min(Duration::from_secs(30));
            let goes_on = if unwinding {
                self.sleep(slice).await.is_some()
            } else {
                matches!(self.pause(slice).await, Pause::Over)
            };
            if !goes_on {
                return;
            }
        }
    }

    pub(super) fn cx<'c>(&self, id: &'c StepId, state: &'c RunState, since: Timestamp, ours: &'c [Value]) -> Cx<'c> {
        let approval = state.asked.iter().find(|(ask, _)| match ask {
            Ask::Approve { step } => step.as_ref().is_none_or(|s| s == id),
            Ask::Abort | Ask::Yield | Ask::Pause | Ask::GoOn => false,
        });
        Cx {
            step: id,
            run: &state.run,
            now: self.clock.now(),
            since,
            ours,
            state,
            approved_by: approval.map(|(_, by)| by.as_str()),
            unproven: state.unwinding.as_ref().is_some_and(|u| u.unproven),
        }
    }

    async fn fail(&self, id: &StepId, failure: Failure) -> Result<(), JournalError> {
        self.append(Fact::Failed { step: id.clone(), failure }).await
    }

    pub(super) async fn progress(&self, id: &StepId, note: &str) {
        self.report.lock().await.progress(id, note, self.clock.now());
    }

    fn halted(&self) -> bool {
        self.halt.requested().is_some() || self.cancel.requested().is_some()
    }

    /// Waits on the way forward.
    pub(super) async fn pause(&self, length: Duration) -> Pause {
        tokio::select! {
            () = self.halt.wait() => Pause::Halted,
            slept = self.sleep(length) => if slept.is_some() { Pause::Over } else { Pause::Halted },
        }
    }

    /// Waits on the way back: only a request to stop cuts it short.
    pub(super) async fn sleep(&self, length: Duration) -> Option<()> {
        tokio::select! {
            () = self.cancel.wait() => None,
            () = self.clock.sleep(length) => Some(()),
        }
    }
}

/// What came of asking.
pub(super) enum Judged {
    Holds { evidence: String, tails: Vec<crate::journal::fact::Horizon> },
    Again(String),
    Fails(Failure),
}

/// From when on a step's time counts: its first look, or later where it was not its turn: nobody had the run in hand,
/// clients' answers had to run out first, or a request that could still arrive. Else a deploy would fail for having waited as it should.
fn patience_from(node: &Node, state: &RunState, since: Timestamp) -> Timestamp {
    let tail = node.shape.after_tail_of.as_ref();
    let waited = tail.and_then(|of| state.tails.iter().filter(|t| t.environment == *of).map(|t| t.until).max());
    since.max(state.opened_at).max(waited.unwrap_or(since)).max(state.settled_at.unwrap_or(since))
}

/// Whether a later try may succeed. After `Unknown` it must be made: the next try finds out what the last one did.
pub(super) fn may_pass(error: &StepError) -> bool {
    match error {
        StepError::Provider { error: ProviderError::Busy { .. } | ProviderError::Unknown { .. } } => true,
        StepError::Provider { error: ProviderError::Rejected { .. } | ProviderError::Conflict { .. } }
        | StepError::Refused { .. } => false,
    }
}

/// Whether the request is answered: it was refused, and will not take effect later.
pub(super) fn changed_nothing(error: &StepError) -> bool {
    match error {
        StepError::Provider { error: ProviderError::Unknown { .. } } => false,
        StepError::Provider {
            error: ProviderError::Busy { .. } | ProviderError::Rejected { .. } | ProviderError::Conflict { .. },
        }
        | StepError::Refused { .. } => true,
    }
}

pub(super) fn failure(error: &StepError) -> Failure {
    let kind = match error {
        StepError::Provider { error: ProviderError::Conflict { .. } } => FailureKind::Drift,
        StepError::Provider { error: ProviderError::Unknown { .. } } => FailureKind::Unknown,
        StepError::Provider { error: ProviderError::Rejected { .. } | ProviderError::Busy { .. } }
        | StepError::Refused { .. } => FailureKind::Failed,
    };
    Failure { kind, why: error.to_string() }
}

#[cfg(test)]
mod tests;
