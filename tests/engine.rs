//! The loop with steps that do as they are told, in a time of their own.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use modelswap::clock::Clock;
use modelswap::engine::cancel::Cancel;
use modelswap::engine::drive::{Drive, End};
use modelswap::ids::{EnvironmentName, RouterName, RunId, ServiceName, StepId};
use modelswap::journal::actor::Actor;
use modelswap::journal::fact::{Fact, Outcome, Purpose, RunStarted};
use modelswap::journal::record::Record;
use modelswap::journal::state::RunState;
use modelswap::journal::store::Store;
use modelswap::journal::store::local::Local;
use modelswap::journal::writer::{Journal, Takeover};
use modelswap::plan::graph::{Graph, Node, Phase, Section, Shape};
use modelswap::plan::model::OnFailure;
use modelswap::providers::ProviderError;
use modelswap::report::Reporter;
use modelswap::steps::{Cx, Horizon, Prepared, Step, StepError, Verdict};
use modelswap::units::Span;
use serde_json::{Value, json};

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

struct Nobody;

impl Reporter for Nobody {
    fn begin(&mut self, _: &modelswap::report::Around, _: &RunState) {}
    fn record(&mut self, _: &Record, _: &RunState) {}
    fn progress(&mut self, _: &StepId, _: &str, _: Timestamp) {}
}

/// A step that changes nothing but says so.
#[derive(Debug, Default)]
struct Told {
    before: Value,
    want: Value,
    /// How often `apply` is told to come again.
    busy: AtomicU32,
    /// How often `verify` says not yet.
    not_yet: AtomicU32,
    /// Who is asked for how many seconds after it lost the traffic, in either direction.
    tail_s: i64,
}

fn one_less(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

impl Told {
    fn tails(&self, from: &Value, to: &Value, cx: &Cx<'_>) -> Vec<Horizon> {
        let lost = from["live"].as_str().filter(|_| from["live"] != to["live"]);
        let until = cx.now + SignedDuration::from_secs(self.tail_s);
        lost.map(|e| Horizon { environment: EnvironmentName::new(e).unwrap(), until, why: "TTL".to_owned() })
            .into_iter()
            .collect()
    }
}

#[async_trait]
impl Step for Told {
    async fn prepare(&self, _: &Cx<'_>) -> Result<Prepared, StepError> {
        Ok(Prepared { before: self.before.clone(), want: self.want.clone(), ..Prepared::nothing() })
    }

    async fn apply(&self, _: &Prepared, _: &Cx<'_>) -> Result<Value, StepError> {
        if one_less(&self.busy) {
            let error = ProviderError::Busy { call: "write".to_owned(), why: "throttled".to_owned() };
            return Err(StepError::Provider { error });
        }
        Ok(json!(1))
    }

    async fn verify(&self, prepared: &Prepared, _: Option<&Value>, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        if one_less(&self.not_yet) {
            return Ok(Verdict::NotYet("pending".to_owned()));
        }
        Ok(Verdict::Yes { evidence: String::new(), tails: self.tails(&prepared.before, &prepared.want, cx) })
    }

    async fn undo(&self, _: &Prepared, _: &Cx<'_>) -> Result<Value, StepError> {
        Ok(json!(2))
    }

    async fn undone(&self, prepared: &Prepared, _: Option<&Value>, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        Ok(Verdict::Yes { evidence: String::new(), tails: self.tails(&prepared.want, &prepared.before, cx) })
    }
}

fn node(id: &str, after: &[&str], phase: Phase, group: Option<&str>, step: Told) -> Node {
    let name = |id: &str| StepId::new(id).unwrap();
    let shape = Shape {
        id: name(id),
        title: id.to_owned(),
        section: Section::Deploy,
        after: after.iter().map(|id| name(id)).collect(),
        effect: true,
        phase,
        group: group.map(|g| RouterName::new(g).unwrap()),
        holds: false,
        after_tail_of: None,
        undo_after_tail_of: None,
    };
    Node { shape, step: Arc::new(step), within: Span::from_secs(60), poll: Span::from_secs(1) }
}

fn environment(name: &str) -> Option<EnvironmentName> {
    Some(EnvironmentName::new(name).unwrap())
}

struct Desk {
    state: tempfile::TempDir,
    clock: Arc<Paused>,
}

impl Desk {
    fn new() -> Self {
        Self { state: tempfile::tempdir().unwrap(), clock: Arc::new(Paused(tokio::time::Instant::now())) }
    }

    async fn journal(&self, purpose: Purpose) -> Journal {
        let service = ServiceName::new("chat").unwrap();
        let run = RunId::new("R1").unwrap();
        let mut store = Local::new(self.state.path(), &service);
        let (log, _) = store.load().await.unwrap();
        let (store, actor, at) = (Box::new(store), Actor::here("dana".to_owned(), None), self.clock.now());
        if purpose != Purpose::Deploy {
            let taken = (purpose, Takeover::Because("a test".to_owned()));
            return Journal::open(store, log, service, run, actor, taken, at).await.unwrap();
        }
        let empty = String::new;
        let started =
            RunStarted { format: 1, plan_name: empty(), plan_text: empty(), digest: empty(), resolved: Value::Null };
        let facts = (Fact::RunStarted(Box::new(started)), purpose);
        Journal::begin(store, log, service, run, actor, facts, at).await.unwrap()
    }

    async fn drive(&self, graph: &Graph, journal: Journal) -> (End, RunState) {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let drive = Drive::new(graph, journal, Box::new(Nobody), clock, Cancel::default());
        let end = drive.run().await.unwrap();
        let state = drive.journal.lock().await.state().clone();
        (end, state)
    }
}

fn deployed() -> End {
    End::Finished(Outcome::Deployed)
}

/// An hour for the old TTL, a minute for the step: it has its minute after the hour.
#[tokio::test(start_paused = true)]
async fn a_step_that_waited_for_a_tail_has_all_of_its_own_time_left() {
    let lead = |live: &str| json!({ "live": live });
    let first = Told { before: lead("a"), want: lead("b"), tail_s: 3600, ..Told::default() };
    let second = Told { busy: 3.into(), not_yet: 20.into(), ..Told::default() };
    let mut nodes = vec![
        node("lower", &[], Phase::Rest, None, first),
        node("swap", &["lower"], Phase::Traffic, Some("dns"), second),
    ];
    nodes[1].shape.after_tail_of = environment("a");
    let graph = Graph { on_failure: OnFailure::Rollback, nodes };
    let desk = Desk::new();
    let (end, state) = desk.drive(&graph, desk.journal(Purpose::Deploy).await).await;
    assert_eq!(end, deployed());
    assert_eq!(state.step(&StepId::new("swap").unwrap()).attempts, 4);
    assert!(desk.clock.0.elapsed() > Duration::from_hours(1), "the tail was not waited for");
}

#[tokio::test(start_paused = true)]
async fn a_step_of_a_resumed_run_has_its_time_again_and_no_more_than_that() {
    for (not_yet, end) in [(20, Some(deployed())), (10_000, None)] {
        let step = |not_yet: u32| {
            let told = Told { not_yet: not_yet.into(), ..Told::default() };
            Graph { on_failure: OnFailure::Hold, nodes: vec![node("swap", &[], Phase::Traffic, Some("dns"), told)] }
        };
        let desk = Desk::new();
        let (held, _) = desk.drive(&step(10_000), desk.journal(Purpose::Deploy).await).await;
        assert!(matches!(&held, End::Finished(Outcome::Held { why, .. }) if why.contains("not within")), "{held:?}");
        desk.clock.sleep(Duration::from_hours(24)).await;
        let (resumed, _) = desk.drive(&step(not_yet), desk.journal(Purpose::Resume).await).await;
        match end {
            Some(end) => assert_eq!(resumed, end),
            None => assert!(matches!(resumed, End::Finished(Outcome::Held { .. })), "{resumed:?}"),
        }
    }
}

/// The attach led nobody to B, the swap did: who is led away by the one write that undoes both is B's clients.
#[tokio::test(start_paused = true)]
async fn nothing_is_stopped_before_the_clients_of_a_whole_group_are_gone() {
    let value = |live: &str, b: bool| json!({ "live": live, "b": b });
    let attach = Told { before: value("a", false), want: value("a", true), tail_s: 600, ..Told::default() };
    let swap = Told { before: value("a", true), want: value("b", true), tail_s: 600, ..Told::default() };
    let mut nodes = vec![
        node("provision", &[], Phase::Stop, None, Told::default()),
        node("attach", &["provision"], Phase::Traffic, Some("alb"), attach),
        node("swap", &["attach"], Phase::Traffic, Some("alb"), swap),
    ];
    nodes[0].shape.undo_after_tail_of = environment("b");
    let graph = Graph { on_failure: OnFailure::Rollback, nodes };
    let desk = Desk::new();
    assert_eq!(desk.drive(&graph, desk.journal(Purpose::Deploy).await).await.0, deployed());
    let mut journal = desk.journal(Purpose::Rollback).await;
    let turn = Fact::Unwinding { why: "asked".to_owned(), unproven: false, keep: false, asked: true, to: None };
    journal.append(turn, desk.clock.now()).await.unwrap();
    let began = desk.clock.0.elapsed();
    let (end, state) = desk.drive(&graph, journal).await;
    assert!(matches!(end, End::Finished(Outcome::RolledBack { .. })), "{end:?}");
    assert!(state.tails.iter().any(|t| Some(&t.environment) == environment("b").as_ref()), "{:?}", state.tails);
    assert!(
        desk.clock.0.elapsed().checked_sub(began).unwrap() >= Duration::from_mins(10),
        "B was stopped while its clients could come"
    );
}
