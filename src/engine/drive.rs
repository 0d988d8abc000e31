//! The only loop: decide, perform, write down what came back, tell it, decide again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Mutex;

use super::cancel::Cancel;
use super::decide::{Move, Situation, decide};
use crate::clock::Clock;
use crate::ids::StepId;
use crate::journal::fact::{Ask, Fact, Outcome};
use crate::journal::state::RunState;
use crate::journal::writer::{Journal, JournalError};
use crate::plan::graph::{Graph, Shape};
use crate::report::Reporter;

/// How long calls in the air may take to land after a request to stop; the rest of five seconds is for saying so.
const LANDING: Duration = Duration::from_secs(3);

/// How often others' requests (an approval, an abort) are looked for.
const LISTEN: Duration = Duration::from_secs(1);

/// How a drive ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The run reached an end.
    Finished(Outcome),
    /// It was told to stop; it can be resumed or rolled back.
    Interrupted {
        /// By what.
        by: String,
    },
}

/// A run in the hands of this process.
pub struct Drive<'a> {
    /// What can happen.
    pub graph: &'a Graph,
    /// What happened; only this loop and its moves append to it.
    pub journal: Mutex<Journal>,
    /// Who is told.
    pub report: Mutex<Box<dyn Reporter + 'a>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Requests to stop.
    pub cancel: Cancel,
    /// Stop after this step.
    pub until: Option<StepId>,
    /// What is to be kept beside the end, asked for just before it is written: what the witness saw.
    pub observe: Option<Observer>,
    /// Raised when waiting forward has no point any more: a step failed, or somebody asked to stop.
    pub(super) halt: Cancel,
}

impl std::fmt::Debug for Drive<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drive").field("graph", &self.graph).finish_non_exhaustive()
    }
}

/// Says what was observed: its name and the observation.
pub type Observer = Box<dyn Fn() -> (String, serde_json::Value) + Send + Sync>;

impl<'a> Drive<'a> {
    /// A run that is ready to go.
    pub fn new(
        graph: &'a Graph,
        journal: Journal,
        report: Box<dyn Reporter + 'a>,
        clock: Arc<dyn Clock>,
        cancel: Cancel,
    ) -> Self {
        let (journal, report) = (Mutex::new(journal), Mutex::new(report));
        Self { graph, journal, report, clock, cancel, until: None, observe: None, halt: Cancel::default() }
    }

    /// Goes on until the run has reached an end or is told to stop.
    ///
    /// # Errors
    /// When a fact could not be made durable: nothing further is changed, and the journal says how far it came.
    pub async fn run(&self) -> Result<End, JournalError> {
        let shapes = self.graph.shapes();
        // How the run began, or was opened again, was written before this loop had it.
        self.tell(&mut *self.journal.lock().await).await;
        let mut air = Air::default();
        let mut busy: Vec<StepId> = Vec::new();
        loop {
            for (steps, result) in std::mem::take(&mut air.landed) {
                busy.retain(|step| !steps.contains(step));
                result?;
            }
            air.meanwhile(self.halt_if_stopped()).await;
            if let Some(by) = self.cancel.requested() {
                return self.land(air, by).await;
            }
            // After a fact that only changes what is decided next there is nothing to wait for.
            let mut again = false;
            for next in air.meanwhile(self.decide(&shapes, &busy)).await {
                match next {
                    Move::Finish(outcome) => {
                        if let Some(observe) = &self.observe {
                            let (what, detail) = observe();
                            air.meanwhile(self.append(Fact::Observed { what, detail })).await?;
                        }
                        air.meanwhile(self.append(Fact::Finished { outcome: outcome.clone() })).await?;
                        return Ok(End::Finished(outcome));
                    }
                    Move::Observe { what, detail } => {
                        again = true;
                        air.meanwhile(self.append(Fact::Observed { what, detail: detail.into() })).await?;
                    }
                    Move::Unwind { why } => {
                        again = true;
                        let turn = Fact::Unwinding { why, unproven: false, keep: false, asked: false, to: None };
                        air.meanwhile(self.append(turn)).await?;
                    }
                    Move::Prepare(_) | Move::Apply(_) | Move::Verify(_) | Move::Undo(_) | Move::Wait { .. } => {
                        let steps = steps_of(&next);
                        busy.extend(steps.iter().cloned());
                        air.moves.push(Box::pin(async move { (steps, self.perform(next).await) }));
                    }
                }
            }
            if again || !air.landed.is_empty() {
                continue;
            }
            tokio::select! {
                Some(landed) = air.moves.next() => air.landed.push(landed),
                () = self.cancel.wait() => {}
                () = self.clock.sleep(self.listening()) => air.meanwhile(self.listen()).await?,
            }
        }
    }

    /// Takes in what others asked meanwhile.
    async fn listen(&self) -> Result<(), JournalError> {
        let mut journal = self.journal.lock().await;
        let refreshed = journal.refresh().await;
        self.tell(&mut journal).await;
        refreshed
    }

    /// Tells what is durable and was not told yet.
    async fn tell(&self, journal: &mut Journal) {
        let mut report = self.report.lock().await;
        for record in journal.news() {
            report.record(&record, journal.state());
        }
    }

    /// Real time between two looks for requests, whatever the speed of this clock.
    fn listening(&self) -> Duration {
        let factor = LISTEN.as_secs_f64() / self.clock.real(LISTEN).as_secs_f64().max(1e-9);
        LISTEN.mul_f64(factor.clamp(1.0, 1e6))
    }

    async fn decide(&self, shapes: &[Shape], busy: &[StepId]) -> Vec<Move> {
        let journal = self.journal.lock().await;
        let situation = Situation { busy, until: self.until.as_ref() };
        decide(shapes, self.graph.on_failure, journal.state(), self.clock.now(), &situation)
    }

    /// Makes a fact durable, then tells it. In that order.
    pub(super) async fn append(&self, fact: Fact) -> Result<(), JournalError> {
        let mut journal = self.journal.lock().await;
        let appended = journal.append(fact, self.clock.now()).await;
        self.tell(&mut journal).await;
        appended.map(drop)
    }

    /// What is known now, for a move to look at. Whoever keeps it while a fact is written makes the fold copy it.
    pub(super) async fn state(&self) -> Arc<RunState> {
        Arc::clone(self.journal.lock().await.shared())
    }

    async fn halt_if_stopped(&self) {
        let journal = self.journal.lock().await;
        let state = journal.state();
        let asked = state.asked.iter().any(|(ask, _)| matches!(ask, Ask::Abort | Ask::Yield));
        if asked || state.steps.values().any(|s| s.failed.is_some()) {
            self.halt.request("a step failed or somebody asked to stop");
        }
    }

    /// Starts nothing new, lets calls in the air land, and writes down that it was told to stop.
    async fn land(&self, mut air: Air<'_>, by: String) -> Result<End, JournalError> {
        self.halt.request(&by);
        let all_down = async {
            while let Some((_, result)) = air.moves.next().await {
                result?;
            }
            Ok::<(), JournalError>(())
        };
        if let Ok(landed) = tokio::time::timeout(LANDING, all_down).await {
            landed?;
        }
        // What has not landed by now is let go of, and with it the journal if it has that in hand.
        drop(air);
        self.append(Fact::Interrupted { by: by.clone() }).await?;
        Ok(End::Interrupted { by })
    }
}

/// Moves under way, and those that came to their end while the loop was looking elsewhere.
#[derive(Default)]
struct Air<'m> {
    moves: FuturesUnordered<BoxFuture<'m, Landed>>,
    landed: Vec<Landed>,
}

type Landed = (Vec<StepId>, Result<(), JournalError>);

impl Air<'_> {
    /// Does `work`, and goes on with the moves: one of them may have in hand what `work` waits for, and it only
    /// lets go of it when somebody polls it.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                Some(landed) = self.moves.next() => self.landed.push(landed),
            }
        }
    }
}

fn steps_of(next: &Move) -> Vec<StepId> {
    match next {
        Move::Prepare(id) | Move::Apply(id) | Move::Verify(id) | Move::Wait { step: id, .. } => vec![id.clone()],
        Move::Undo(ids) => ids.clone(),
        Move::Observe { .. } | Move::Unwind { .. } | Move::Finish(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
