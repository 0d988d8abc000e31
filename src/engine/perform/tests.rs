//! What a move makes of each answer: written down first, tried again where that can tell, never taken for more than it is.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::engine::cancel::Cancel;
use crate::engine::drive::End;
use crate::ids::{RouterName, RunId, ServiceName};
use crate::journal::actor::Actor;
use crate::journal::fact::{Outcome, Purpose, RunStarted};
use crate::journal::log::Log;
use crate::journal::record::Record;
use crate::journal::store::{Appended, Store, StoreError};
use crate::journal::writer::Journal;
use crate::plan::graph::{Graph, Phase, Section, Shape};
use crate::plan::model::OnFailure;
use crate::report::{Around, Reporter};
use crate::steps::Step;
use crate::units::Span;

/// Tokio's paused time: it passes at once, and in order.
#[derive(Debug)]
struct Paused(tokio::time::Instant);

#[async_trait]
impl Clock for Paused {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::try_from(self.0.elapsed()).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "this is a clock")]
    async fn sleep(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }
}

/// A journal in memory, which can be looked at while it is written.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<Value>>>);

impl Kept {
    fn facts(&self) -> Vec<Value> {
        self.0.lock().unwrap().iter().map(|record| record["fact"].clone()).collect()
    }

    /// The numbers of the attempts, in order.
    fn attempts(&self, undo: bool) -> Vec<u64> {
        let facts = self.facts().into_iter().filter(|f| f["fact"] == "attempt" && f["undo"] == undo);
        facts.map(|f| f["n"].as_u64().unwrap()).collect()
    }
}

#[async_trait]
impl Store for Kept {
    async fn load(&mut self) -> Result<(Log, Vec<(Record, Vec<u8>)>), StoreError> {
        Ok((Log::default(), Vec::new()))
    }
    async fn append(&mut self, _after: u64, payload: &[u8]) -> Result<Appended, StoreError> {
        self.0.lock().unwrap().push(serde_json::from_slice(payload).unwrap());
        Ok(Appended::Yes)
    }
    async fn newer(&mut self, _after: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        Ok(Vec::new())
    }
    async fn keep(&mut self, _digest: &str, _bytes: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }
    fn fetch(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        Err(StoreError::Dead { place: digest.to_owned(), why: "nothing is kept here".to_owned() })
    }
    fn place(&self) -> String {
        "memory".to_owned()
    }
}

struct Nobody;

impl Reporter for Nobody {
    fn begin(&mut self, _around: &Around, _state: &RunState) {}
    fn record(&mut self, _record: &Record, _state: &RunState) {}
    fn progress(&mut self, _step: &StepId, _note: &str, _at: Timestamp) {}
}

/// A step that answers as it is told to, and holds its engine to writing down first.
#[derive(Debug, Default)]
struct Told {
    kept: Kept,
    before: Value,
    want: Value,
    /// The first answers of `apply` and of `undo`; after them they succeed. The last stays for ever if `stuck`.
    answers: Mutex<VecDeque<StepError>>,
    undo_answers: Mutex<VecDeque<StepError>>,
    /// The first answers of `verify`; after them it says yes.
    verdicts: Mutex<VecDeque<Verdict>>,
    stuck: bool,
    needs_approval: bool,
    /// What `undo` was told: the value before, the value wanted, and what else is ours.
    undone: Mutex<Vec<(Value, Value, Vec<Value>)>>,
}

impl Told {
    fn next<T: Clone>(&self, answers: &Mutex<VecDeque<T>>) -> Option<T> {
        let mut answers = answers.lock().unwrap();
        if self.stuck && answers.len() == 1 { answers.front().cloned() } else { answers.pop_front() }
    }

    /// The newest record must announce this very request.
    fn is_announced(&self, cx: &Cx<'_>, undo: bool) {
        let facts = self.kept.facts();
        let newest = facts.last().unwrap();
        let announced = newest["fact"] == "attempt" && newest["step"] == cx.step.as_str() && newest["undo"] == undo;
        assert!(announced, "a request is sent behind {newest}");
        assert!(cx.state.step(cx.step).prepared.is_some(), "a request is sent without a way back");
    }
}

#[async_trait]
impl Step for Told {
    async fn prepare(&self, _: &Cx<'_>) -> Result<Prepared, StepError> {
        Ok(Prepared { before: self.before.clone(), want: self.want.clone(), ..Prepared::nothing() })
    }
    async fn apply(&self, _: &Prepared, cx: &Cx<'_>) -> Result<Value, StepError> {
        self.is_announced(cx, false);
        self.next(&self.answers).map_or(Ok(json!("done")), Err)
    }
    async fn verify(&self, _: &Prepared, _: Option<&Value>, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        if self.needs_approval && cx.approved_by.is_none() {
            return Ok(Verdict::NotYet("nobody approved".to_owned()));
        }
        Ok(self.next(&self.verdicts).unwrap_or_else(|| Verdict::yes("holds")))
    }
    async fn undo(&self, prepared: &Prepared, cx: &Cx<'_>) -> Result<Value, StepError> {
        self.is_announced(cx, true);
        self.undone.lock().unwrap().push((prepared.before.clone(), prepared.want.clone(), cx.ours.to_vec()));
        self.next(&self.undo_answers).map_or(Ok(json!("undone")), Err)
    }
    async fn undone(&self, _: &Prepared, _: Option<&Value>, _: &Cx<'_>) -> Result<Verdict, StepError> {
        Ok(Verdict::yes("as before"))
    }
}

fn named(id: &str) -> StepId {
    StepId::new(id).unwrap()
}

/// One after the other, all of one register.
fn graph(on_failure: OnFailure, steps: Vec<(&str, Arc<Told>)>) -> Graph {
    let mut after = Vec::new();
    let node = |(id, step): (&str, Arc<Told>)| {
        let shape = Shape {
            id: named(id),
            title: String::new(),
            section: Section::Deploy,
            after: std::mem::replace(&mut after, vec![named(id)]),
            effect: true,
            phase: Phase::Traffic,
            group: Some(RouterName::new("dns").unwrap()),
            holds: false,
            after_tail_of: None,
            undo_after_tail_of: None,
        };
        Node { shape, step, within: Span::from_secs(60), poll: Span::from_secs(1) }
    };
    Graph { on_failure, nodes: steps.into_iter().map(node).collect() }
}

/// Drives a new run to its end, after what somebody asked of it.
async fn drive(graph: &Graph, kept: &Kept, asked: Option<Ask>) -> Outcome {
    let clock = Arc::new(Paused(tokio::time::Instant::now()));
    let empty = String::new;
    let started = RunStarted { format: 1, plan_name: empty(), plan_text: empty(), digest: empty(), resolved: json!(0) };
    let facts = (Fact::RunStarted(Box::new(started)), Purpose::Deploy);
    let (service, run) = (ServiceName::new("chat").unwrap(), RunId::generate(1));
    let (store, actor) = (Box::new(kept.clone()), Actor::here("dana".to_owned(), None));
    let mut journal = Journal::begin(store, Log::default(), service, run, actor, facts, clock.now()).await.unwrap();
    if let Some(ask) = asked {
        journal.append(Fact::Asked { ask, by: "eve@desk".to_owned() }, clock.now()).await.unwrap();
    }
    let drive = Drive::new(graph, journal, Box::new(Nobody), clock, Cancel::default());
    match drive.run().await.unwrap() {
        End::Finished(outcome) => outcome,
        End::Interrupted { by } => panic!("interrupted by {by}"),
    }
}

fn call() -> (String, String) {
    ("write".to_owned(), "because".to_owned())
}

fn unknown() -> StepError {
    let (call, why) = call();
    ProviderError::Unknown { call, why }.into()
}

fn busy() -> StepError {
    let (call, why) = call();
    ProviderError::Busy { call, why }.into()
}

fn rejected() -> StepError {
    let (call, why) = call();
    ProviderError::Rejected { call, why }.into()
}

fn conflict() -> StepError {
    let (on, expected) = call();
    ProviderError::Conflict { on, expected, found: "theirs".to_owned() }.into()
}

#[tokio::test(start_paused = true)]
async fn every_request_there_and_back_is_announced_before_it_is_sent() {
    let kept = Kept::default();
    let first = Arc::new(Told {
        kept: kept.clone(),
        answers: Mutex::new([unknown(), busy()].into()),
        undo_answers: Mutex::new([busy(), unknown()].into()),
        ..Told::default()
    });
    let second = Arc::new(Told { kept: kept.clone(), answers: Mutex::new([rejected()].into()), ..Told::default() });
    let graph = graph(OnFailure::Rollback, vec![("first", first), ("second", second)]);
    let outcome = drive(&graph, &kept, None).await;
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert_eq!(kept.attempts(false), [1, 2, 3, 1], "an attempt for each request there");
    assert_eq!(kept.attempts(true), [1, 2, 3], "an attempt for each request back");
}

/// What is asked again, and what the failure is in the end: no kind is taken for another.
#[tokio::test(start_paused = true)]
async fn each_answer_is_told_as_what_it_is() {
    for (answer, kind, again) in [
        (rejected(), FailureKind::Failed, false),
        (StepError::refused("it will not do"), FailureKind::Failed, false),
        (conflict(), FailureKind::Drift, false),
        (busy(), FailureKind::Failed, true),
        (unknown(), FailureKind::Unknown, true),
    ] {
        let kept = Kept::default();
        let answers = Mutex::new([answer.clone()].into());
        let step = Arc::new(Told { kept: kept.clone(), answers, stuck: true, ..Told::default() });
        let outcome = drive(&graph(OnFailure::Hold, vec![("swap", step)]), &kept, None).await;
        assert!(matches!(outcome, Outcome::Held { kind: held, .. } if held == kind), "{answer}: {outcome:?}");
        assert_eq!(kept.attempts(false).len() > 1, again, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_is_asked_again_and_never_a_yes() {
    let cannot_tell = || Mutex::new([Verdict::CannotTell("no answer".to_owned())].into());
    for (stuck, deployed) in [(false, true), (true, false)] {
        let kept = Kept::default();
        let step = Arc::new(Told { kept: kept.clone(), verdicts: cannot_tell(), stuck, ..Told::default() });
        let outcome = drive(&graph(OnFailure::Hold, vec![("swap", Arc::clone(&step))]), &kept, None).await;
        assert_eq!(outcome == Outcome::Deployed, deployed, "{outcome:?}");
        assert!(step.verdicts.lock().unwrap().is_empty() || stuck, "it was not asked again");
        let verified: Vec<_> = kept.facts().into_iter().filter(|f| f["fact"] == "verified").collect();
        assert!(verified.iter().all(|f| f["evidence"] == "holds"), "{verified:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_for_the_step_that_it_names_or_for_all() {
    for (step, passes) in [(Some("go"), true), (None, true), (Some("another"), false)] {
        let kept = Kept::default();
        let told = Arc::new(Told { kept: kept.clone(), needs_approval: true, ..Told::default() });
        let asked = Ask::Approve { step: step.map(named) };
        let outcome = drive(&graph(OnFailure::Hold, vec![("go", told)]), &kept, Some(asked)).await;
        assert_eq!(outcome == Outcome::Deployed, passes, "approved {step:?}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_is_put_back_to_what_its_first_step_found_by_one_request() {
    let kept = Kept::default();
    let told =
        |before: i32| Told { kept: kept.clone(), before: json!(before), want: json!(before + 1), ..Told::default() };
    let (first, second) = (Arc::new(told(0)), Arc::new(told(1)));
    let third = Arc::new(Told { answers: Mutex::new([rejected()].into()), ..told(2) });
    let steps = vec![("first", Arc::clone(&first)), ("second", Arc::clone(&second)), ("third", Arc::clone(&third))];
    let outcome = drive(&graph(OnFailure::Rollback, steps), &kept, None).await;
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    let ours = [1, 0, 2, 1, 3, 2].map(|n| json!(n)).to_vec();
    assert_eq!(*first.undone.lock().unwrap(), [(json!(0), json!(3), ours)]);
    assert!(
        second.undone.lock().unwrap().is_empty() && third.undone.lock().unwrap().is_empty(),
        "one request is enough"
    );
}
