//! The generic change: read, compare, swap, watch; and the way back from what was read. Written once, for every register.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::{Cx, Drifted, Foreseen, Horizon, Prepared, Stands, Step, StepError, Verdict};
use crate::providers::erased::AnyRegister;
use crate::providers::{Late, ProviderError, Settled};

/// What the register shall hold, from what it holds.
pub type Want = Box<dyn Fn(&Value, &Cx<'_>) -> Result<Value, StepError> + Send + Sync>;

/// What a change leaves behind: until when clients may still come, from the value before and the value after.
pub type Tails = Box<dyn Fn(&Value, &Value, &Cx<'_>) -> Vec<Horizon> + Send + Sync>;

/// Something else that must hold before or after a change. Polled.
#[async_trait]
pub trait Guard: Send + Sync + std::fmt::Debug {
    /// Whether it holds for a change from `from` to `to`.
    async fn holds(&self, from: &Value, to: &Value, cx: &Cx<'_>) -> Result<Verdict, StepError>;
}

/// Seconds after which a change whose receipt was lost is taken to be in force, when it reads back as wanted.
/// Route 53 propagates "generally within 60 seconds" (developer guide, how changes propagate); doubled.
const NO_RECEIPT_S: i64 = 120;

/// One change of one register.
pub struct Set {
    register: Arc<dyn AnyRegister>,
    want: Want,
    /// Must hold before the change is made.
    pub before: Vec<Arc<dyn Guard>>,
    /// Must hold before it counts as made.
    pub after: Vec<Arc<dyn Guard>>,
    /// Must hold before it is taken back.
    pub before_undo: Vec<Arc<dyn Guard>>,
    /// Must hold before it counts as taken back.
    pub after_undo: Vec<Arc<dyn Guard>>,
    tails: Option<Tails>,
}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Set").field("register", &self.register).finish_non_exhaustive()
    }
}

impl Set {
    /// Puts into `register` what `want` makes of its value.
    pub fn new(register: Arc<dyn AnyRegister>, want: Want) -> Self {
        let guards = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            register,
            want,
            before: guards.0,
            after: guards.1,
            before_undo: guards.2,
            after_undo: guards.3,
            tails: None,
        }
    }

    /// The same, leaving tails behind.
    #[must_use]
    pub fn with_tails(self, tails: Tails) -> Self {
        Self { tails: Some(tails), ..self }
    }

    fn conflict(&self, prepared: &Prepared, live: &Value) -> ProviderError {
        let (expected, found) = (self.register.show(&prepared.want), self.register.show(live));
        ProviderError::Conflict { on: self.register.key(), expected, found }
    }

    /// Whether `to` is in force, and what the change from `from` leaves behind.
    async fn in_force(
        &self,
        from: &Value,
        to: &Value,
        receipt: Option<&Value>,
        cx: &Cx<'_>,
    ) -> Result<Verdict, StepError> {
        let tails = || self.tails.as_ref().filter(|_| from != to).map(|t| t(from, to, cx)).unwrap_or_default();
        Ok(match self.register.settled(to, receipt).await? {
            Settled::Yes(evidence) => Verdict::Yes { evidence, tails: tails() },
            Settled::NotYet(why) => Verdict::NotYet(why),
            Settled::CannotTell(evidence) => {
                // Counted from the newest answer of this step, in whichever direction it was sent.
                let step = cx.state.step(cx.step);
                let sent = step.undo_applied_at.or(step.applied_at).unwrap_or(cx.now);
                if from == to || cx.now.duration_since(sent).as_secs() >= NO_RECEIPT_S {
                    Verdict::Yes { evidence, tails: tails() }
                } else {
                    Verdict::CannotTell(evidence)
                }
            }
        })
    }
}

/// The first guard that does not hold, or yes.
async fn all_hold(guards: &[Arc<dyn Guard>], from: &Value, to: &Value, cx: &Cx<'_>) -> Result<Verdict, StepError> {
    let mut said = String::new();
    for guard in guards {
        match guard.holds(from, to, cx).await? {
            Verdict::Yes { evidence, .. } => said = evidence,
            other => return Ok(other),
        }
    }
    Ok(Verdict::yes(said))
}

/// `verdict` with what the guards say, if it is a yes.
async fn and_all_hold(
    verdict: Verdict,
    guards: &[Arc<dyn Guard>],
    from: &Value,
    to: &Value,
    cx: &Cx<'_>,
) -> Result<Verdict, StepError> {
    let Verdict::Yes { evidence, tails } = verdict else { return Ok(verdict) };
    Ok(match all_hold(guards, from, to, cx).await? {
        Verdict::Yes { evidence: more, .. } if more.is_empty() => Verdict::Yes { evidence, tails },
        Verdict::Yes { evidence: more, .. } => Verdict::Yes { evidence: format!("{evidence}; {more}"), tails },
        other => other,
    })
}

#[async_trait]
impl Step for Set {
    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared, StepError> {
        let before = self.register.read().await?;
        let want = (self.want)(&before, cx)?;
        let shows = if before == want {
            format!("{} already", self.register.show(&want))
        } else {
            format!("{} → {}", self.register.show(&before), self.register.show(&want))
        };
        Ok(Prepared { key: Some(self.register.key()), before, want, shows })
    }

    async fn foresee(&self, held: &BTreeMap<String, Value>, cx: &Cx<'_>) -> Result<Foreseen, StepError> {
        let before = match held.get(&self.register.key()) {
            Some(value) => value.clone(),
            None => {
                let live = self.register.read().await?;
                // Some registers only know what they are called once they were asked.
                held.get(&self.register.key()).cloned().unwrap_or(live)
            }
        };
        let want = (self.want)(&before, cx)?;
        let shows = (self.register.show(&before), self.register.show(&want));
        let tails = self.tails.as_ref().filter(|_| before != want).map(|t| t(&before, &want, cx)).unwrap_or_default();
        let change = Prepared { key: Some(self.register.key()), before, want, shows: String::new() };
        Ok(Foreseen { change: Some(change), shows: Some(shows), tails, ..Foreseen::default() })
    }

    async fn ready(&self, prepared: &Prepared, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        all_hold(&self.before, &prepared.before, &prepared.want, cx).await
    }

    /// A swap writes the whole value, so one that lands a second time, or late, puts there what is wanted anyway: on the way
    /// forward a duplicate needs no fence. Only a step that wants something else of the same register must wait for it.
    async fn apply(&self, prepared: &Prepared, _cx: &Cx<'_>) -> Result<Value, StepError> {
        Ok(self.register.swap(&prepared.before, &prepared.want).await?)
    }

    async fn verify(&self, prepared: &Prepared, receipt: Option<&Value>, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let (from, to) = (&prepared.before, &prepared.want);
        let verdict = self.in_force(from, to, receipt, cx).await?;
        and_all_hold(verdict, &self.after, from, to, cx).await
    }

    async fn undo_ready(&self, prepared: &Prepared, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        if self.before_undo.is_empty() {
            return Ok(Verdict::yes(""));
        }
        let live = self.register.read().await?;
        if live == prepared.before {
            return Ok(Verdict::yes("nothing to take back"));
        }
        all_hold(&self.before_undo, &live, &prepared.before, cx).await
    }

    async fn undo(&self, prepared: &Prepared, cx: &Cx<'_>) -> Result<Value, StepError> {
        if self.register.merges() {
            return Ok(self.register.swap(&prepared.want, &prepared.before).await?);
        }
        let live = self.register.read().await?;
        if live == prepared.before {
            return Ok(Value::Null);
        }
        // Anything that this run put there may go; anything else is somebody's, and stays.
        if !cx.ours.contains(&live) {
            return Err(self.conflict(prepared, &live).into());
        }
        match self.register.swap(&live, &prepared.before).await {
            Err(ProviderError::Conflict { .. }) => {
                let live = self.register.read().await?;
                if !cx.ours.contains(&live) {
                    return Err(self.conflict(prepared, &live).into());
                }
                // A late write of ours landed between the look and the write; what is there now is ours to replace again.
                let (call, why) = (format!("undo of {}", self.register.key()), "a late write landed meanwhile");
                Err(ProviderError::Busy { call, why: why.to_owned() }.into())
            }
            other => Ok(other?),
        }
    }

    async fn undone(&self, prepared: &Prepared, receipt: Option<&Value>, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let (from, to) = (&prepared.want, &prepared.before);
        let verdict = self.in_force(from, to, receipt, cx).await?;
        and_all_hold(verdict, &self.after_undo, from, to, cx).await
    }

    fn late(&self) -> Option<Late> {
        self.register.late()
    }

    fn touch(&self, value: &Value, late: &Value) -> Option<Value> {
        self.register.touch(value, late)
    }

    async fn stands(&self, prepared: &Prepared, cx: &Cx<'_>) -> Result<Stands, StepError> {
        let live = self.register.read().await?;
        if self.register.has(&live, &prepared.want, &prepared.before) {
            return Ok(Stands::Yes);
        }
        if self.register.merges() || cx.ours.contains(&live) {
            return Ok(Stands::No(self.register.show(&live)));
        }
        Err(self.conflict(prepared, &live).into())
    }

    async fn drifted(&self, prepared: &Prepared, cx: &Cx<'_>) -> Result<Option<Drifted>, StepError> {
        if self.register.merges() {
            return Ok(None);
        }
        let live = self.register.read().await?;
        if live == prepared.before || cx.ours.contains(&live) {
            return Ok(None);
        }
        let merged = self.register.take_back(&live, &prepared.before, &prepared.want);
        Ok(Some(Drifted { shows: self.register.show(&live), live, merged }))
    }
}
