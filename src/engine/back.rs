//! The way back of one group of steps: one write of what the first of them found, past what may still arrive, and a watch over it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::drive::Drive;
use super::perform::{Judged, Pause, RETRY_FIRST, RETRY_LAST, changed_nothing, failure, may_pass};
use crate::clock::Announced;
use crate::ids::StepId;
use crate::journal::fact::{Fact, Failure, FailureKind, OnDrift, Prepared};
use crate::journal::state::RunState;
use crate::journal::writer::JournalError;
use crate::plan::graph::Node;
use crate::steps::{Drifted, Stands};

/// How often a register is looked at while something may still arrive there: the longest that a late write can lead clients
/// astray, and few enough reads for any limit of an API (Route 53: 5 a second for a whole account).
const WATCH_EVERY: Duration = Duration::from_secs(5);

/// Observed when a request that was sent earlier arrived after what came later, and was put right.
const LATE_WRITE: &str = "late write";

/// Observed when somebody else's value is overwritten because a person said so.
const OVERWRITTEN: &str = "overwritten";

/// A group of steps on one register, as it is taken back.
struct Group<'g> {
    node: &'g Node,
    ids: &'g [StepId],
    /// Between what it was changed to and what goes back there now.
    prepared: Prepared,
    since: Timestamp,
    /// What stands there in the end; `prepared.before`, unless a fence stands in its place.
    exact: Value,
    /// Each value that may be replaced.
    ours: Vec<Value>,
}

impl Drive<'_> {
    /// Undoes a group by one write of what its first step found. `fence`: a request may still arrive that expects just that.
    pub(super) async fn undo(&self, ids: &[StepId], fence: bool) -> Result<(), JournalError> {
        let state = self.state().await;
        let Some(mut group) = self.group(ids, &state) else { return Ok(()) };
        let deadline = self.clock.now() + group.node.within.signed();
        let said = state.unwinding.as_ref().map(|u| &u.on_drift).filter(|o| !o.is_stop());
        if let Some(on_drift) = said
            && let Some(failure) = self.reconcile(&mut group, &state, on_drift).await?
        {
            return self.tell_undone(ids, &Judged::Fails(failure)).await;
        }
        let id = &group.node.shape.id;
        if fence
            && state.step(id).touched.is_none()
            && let Some(value) = group.node.step.touch(&group.prepared.before, &group.prepared.want)
        {
            self.append(Fact::Touched { step: id.clone(), value: value.clone() }).await?;
            group.prepared.before = value;
        }
        let outcome = self.undo_within(&group, deadline).await?;
        self.tell_undone(ids, &outcome).await
    }

    async fn tell_undone(&self, ids: &[StepId], outcome: &Judged) -> Result<(), JournalError> {
        for id in ids {
            let fact = match outcome {
                Judged::Holds { evidence, tails } => {
                    Fact::Undone { step: id.clone(), evidence: evidence.clone(), tails: tails.clone() }
                }
                Judged::Fails(failure) => Fact::UndoFailed { step: id.clone(), failure: failure.clone() },
                // Told to stop: nothing is claimed, a later rollback goes on from here.
                Judged::Again(_) => return Ok(()),
            };
            self.append(fact).await?;
        }
        Ok(())
    }

    /// What is known of a group; none if its first step never looked.
    fn group<'g>(&'g self, ids: &'g [StepId], state: &RunState) -> Option<Group<'g>> {
        let node = self.graph.node(ids.first()?);
        let (prepared, since) = state.step(&node.shape.id).prepared.clone()?;
        let key = prepared.key.as_ref();
        // Each value that one of these steps put there, or found there, is ours to replace; so is what a step on the same
        // register left behind that is undone already, for a late write may bring it back.
        let is_ours = |id: &StepId, step: &crate::journal::state::StepState| {
            let same = key.is_some() && step.prepared.as_ref().and_then(|(p, _)| p.key.as_ref()) == key;
            ids.contains(id) || (same && step.undone.is_some())
        };
        let of = |(id, step): (&StepId, &crate::journal::state::StepState)| {
            let found = step.prepared.iter().flat_map(|(p, _)| [p.want.clone(), p.before.clone()]);
            // What was merged is partly somebody else's: only for its own step it counts as ours.
            let merged = step.merged.clone().filter(|_| ids.contains(id));
            found.chain(step.touched.clone()).chain(merged).collect::<Vec<_>>()
        };
        let ours = state.steps.iter().filter(|(id, step)| is_ours(id, step)).flat_map(of).collect();
        // Clients are led away from where the last of them led: what the first wanted may have led nobody anywhere.
        let last = ids.iter().filter_map(|id| state.step(id).prepared.as_ref()).next_back();
        let want = last.map_or(Value::Null, |(last, _)| last.want.clone());
        let first = state.step(&node.shape.id);
        let exact = first.goes_back_to().cloned().unwrap_or(Value::Null);
        let before = first.touched.clone().unwrap_or_else(|| exact.clone());
        let prepared = Prepared { before, want, ..prepared };
        Some(Group { node, ids, prepared, since, exact, ours })
    }

    /// Does what was said about values that somebody else changed; why it cannot, if it cannot.
    async fn reconcile(
        &self,
        group: &mut Group<'_>,
        state: &RunState,
        on_drift: &OnDrift,
    ) -> Result<Option<Failure>, JournalError> {
        let (id, step) = (&group.node.shape.id, &group.node.step);
        // A read that fails is asked again by the undo itself.
        let Ok(Some(drifted)) = step.drifted(&group.prepared, &self.cx(id, state, group.since, &group.ours)).await
        else {
            return Ok(None);
        };
        let Drifted { live, shows, merged } = drifted;
        let router = group.node.shape.group.as_ref().map(ToString::to_string);
        let named = |name: &String| {
            router.as_ref() == Some(name)
                || group.prepared.key.as_ref() == Some(name)
                || group.ids.iter().any(|id| id.as_str() == name)
        };
        if on_drift.force.iter().any(named) {
            let detail = serde_json::json!({ "step": id, "found": shows, "value": live });
            self.append(Fact::Observed { what: OVERWRITTEN.to_owned(), detail }).await?;
            group.ours.push(live);
        } else if on_drift.merge {
            let Some(value) = merged else {
                let why = format!("{shows} has no parts of which only ours could be taken back");
                return Ok(Some(Failure { kind: FailureKind::Drift, why }));
            };
            self.append(Fact::Merged { step: id.clone(), value: value.clone() }).await?;
            group.ours.push(live);
            group.exact.clone_from(&value);
            group.prepared.before = value;
        }
        Ok(None)
    }

    async fn undo_within(&self, group: &Group<'_>, deadline: Timestamp) -> Result<Judged, JournalError> {
        let Group { node, prepared, since, ours, .. } = group;
        let id = &node.shape.id;
        loop {
            let state = self.state().await;
            let verdict = node.step.undo_ready(prepared, &self.cx(id, &state, *since, ours)).await;
            match self.judge(node, verdict, deadline) {
                Judged::Holds { .. } => break,
                Judged::Again(why) => {
                    self.progress(id, &why).await;
                    if self.sleep(node.poll.std()).await.is_none() {
                        return Ok(Judged::Again(why));
                    }
                }
                failed @ Judged::Fails(_) => return Ok(failed),
            }
        }
        loop {
            match self.put_back(group, deadline).await? {
                // A late write of ours landed before this could be read back: not somebody else's, and ours to replace again.
                Judged::Fails(Failure { kind: FailureKind::Drift, .. }) if self.is_ours(group, deadline).await => {}
                judged @ (Judged::Holds { .. } | Judged::Again(_) | Judged::Fails(_)) => return Ok(judged),
            }
        }
    }

    /// Whether the register holds an earlier value of this run.
    async fn is_ours(&self, group: &Group<'_>, deadline: Timestamp) -> bool {
        let state = self.state().await;
        let cx = self.cx(&group.node.shape.id, &state, group.since, &group.ours);
        let found = group.node.step.stands(&group.prepared, &cx).await;
        self.clock.now() < deadline && matches!(found, Ok(Stands::No(_)))
    }

    /// One write, repeated until it is answered, and watched until it is in force.
    async fn put_back(&self, group: &Group<'_>, deadline: Timestamp) -> Result<Judged, JournalError> {
        let Group { node, prepared, since, ours, .. } = group;
        let id = &node.shape.id;
        let mut retry = RETRY_FIRST;
        let receipt = loop {
            let state = self.state().await;
            let n = state.step(id).undo_attempts + 1;
            let announced = Announced::now();
            self.append(Fact::Attempt { step: id.clone(), n, undo: true }).await?;
            let answer = announced.scope(node.step.undo(prepared, &self.cx(id, &state, *since, ours))).await;
            if answer.as_ref().is_err_and(changed_nothing) {
                self.append(Fact::Refused { step: id.clone(), n, undo: true }).await?;
            }
            match answer {
                Ok(receipt) => break receipt,
                Err(error) if may_pass(&error) && self.clock.now() < deadline => {
                    self.progress(id, &error.to_string()).await;
                    if self.sleep(retry).await.is_none() {
                        return Ok(Judged::Again(error.to_string()));
                    }
                    retry = (retry * 2).min(RETRY_LAST);
                }
                Err(error) => return Ok(Judged::Fails(failure(&error))),
            }
        };
        self.append(Fact::Applied { step: id.clone(), receipt: receipt.clone() }).await?;
        loop {
            let state = self.state().await;
            let verdict = node.step.undone(prepared, Some(&receipt), &self.cx(id, &state, *since, ours)).await;
            match self.judge(node, verdict, deadline) {
                Judged::Again(why) => {
                    self.progress(id, &why).await;
                    if self.sleep(node.poll.std()).await.is_none() {
                        return Ok(Judged::Again(why));
                    }
                }
                judged @ (Judged::Holds { .. } | Judged::Fails(_)) => return Ok(judged),
            }
        }
    }

    /// Waits until nothing that was sent to a register can arrive any more, and puts right what does.
    ///
    /// The time is counted by waits from here on, not by a clock from when the request was sent: clocks jump, and those of two
    /// hosts differ.
    pub(super) async fn settle(&self, ids: &[StepId]) -> Result<(), JournalError> {
        let state = self.state().await;
        let Some(mut group) = self.group(ids, &state) else { return Ok(()) };
        let id = &group.node.shape.id;
        let mut left = group.node.shape.late.map_or(Duration::ZERO, |late| late.within.std());
        let goes_back = state.unwinding.is_some();
        loop {
            let until = crate::units::clock_time(self.clock.now() + left);
            self.progress(id, &format!("until {until}: a request that was sent earlier may still arrive")).await;
            // On the way forward the step that comes next compares before it writes.
            if goes_back && !self.stands(&group).await? {
                return Ok(());
            }
            if left.is_zero() {
                break;
            }
            let slice = left.min(WATCH_EVERY);
            let goes_on = if goes_back {
                self.sleep(slice).await.is_some()
            } else {
                matches!(self.pause(slice).await, Pause::Over)
            };
            if !goes_on {
                return Ok(());
            }
            left -= slice;
        }
        if state.step(id).touched.is_some() {
            group.prepared.before.clone_from(&group.exact);
            let deadline = self.clock.now() + group.node.within.signed();
            match self.undo_within(&group, deadline).await? {
                Judged::Holds { .. } => {}
                failed @ Judged::Fails(_) => return self.tell_undone(ids, &failed).await,
                Judged::Again(_) => return Ok(()),
            }
        }
        let evidence = "nothing that was sent earlier can arrive any more".to_owned();
        self.append(Fact::Settled { step: id.clone(), evidence }).await
    }

    async fn is_exact(&self, group: &Group<'_>, cx: &crate::steps::Cx<'_>) -> bool {
        let exact = Prepared { before: group.exact.clone(), ..group.prepared.clone() };
        group.prepared.before != group.exact && matches!(group.node.step.stands(&exact, cx).await, Ok(Stands::Yes))
    }

    /// Whether what went back is there, put there again if need be. If not, that is written down, or this was told to stop.
    async fn stands(&self, group: &Group<'_>) -> Result<bool, JournalError> {
        let (id, step) = (&group.node.shape.id, &group.node.step);
        let deadline = self.clock.now() + group.node.within.signed();
        let mut retry = RETRY_FIRST;
        loop {
            let state = self.state().await;
            let cx = self.cx(id, &state, group.since, &group.ours);
            let found = match step.stands(&group.prepared, &cx).await {
                Ok(Stands::Yes) => return Ok(true),
                // Who had the run before us has taken the fence away already, in its time, and could not say so any more. It
                // must not be put up again: the request for that might then be the late one that wins.
                Ok(Stands::No(_)) if self.is_exact(group, &cx).await => return Ok(true),
                Ok(Stands::No(found)) => found,
                Err(error) if may_pass(&error) && self.clock.now() < deadline => {
                    self.progress(id, &error.to_string()).await;
                    if self.sleep(retry).await.is_none() {
                        return Ok(false);
                    }
                    retry = (retry * 2).min(RETRY_LAST);
                    continue;
                }
                Err(error) => {
                    self.tell_undone(group.ids, &Judged::Fails(failure(&error))).await?;
                    return Ok(false);
                }
            };
            let detail =
                format!("a request that was sent earlier has arrived at `{id}`: {found}; it is put right").into();
            self.append(Fact::Observed { what: LATE_WRITE.to_owned(), detail }).await?;
            match self.undo_within(group, deadline).await? {
                Judged::Holds { .. } => return Ok(true),
                failed @ Judged::Fails(_) => {
                    self.tell_undone(group.ids, &failed).await?;
                    return Ok(false);
                }
                Judged::Again(_) => return Ok(false),
            }
        }
    }
}
