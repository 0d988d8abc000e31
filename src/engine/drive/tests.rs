//! The loop itself: what it must do however slow the journal is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::*;
use crate::clock::SystemClock;
use crate::ids::{RunId, ServiceName};
use crate::journal::actor::Actor;
use crate::journal::fact::{Purpose, RunStarted};
use crate::journal::log::Log;
use crate::journal::record::Record;
use crate::journal::store::{Appended, Store, StoreError};
use crate::plan::graph::{Node, Phase, Section};
use crate::plan::model::OnFailure;
use crate::steps::look::LookStep;
use crate::steps::time::Wait;
use crate::units::Span;

/// A journal in memory whose every append takes several turns, as one on a busy disk or far away does.
#[derive(Debug, Default)]
struct Slow;

#[async_trait]
impl Store for Slow {
    async fn load(&mut self) -> Result<(Log, Vec<(Record, Vec<u8>)>), StoreError> {
        Ok((Log::default(), Vec::new()))
    }
    async fn append(&mut self, _after: u64, _payload: &[u8]) -> Result<Appended, StoreError> {
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        Ok(Appended::Yes)
    }
    async fn newer(&mut self, _after: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        tokio::task::yield_now().await;
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
    fn begin(&mut self, _around: &crate::report::Around, _state: &RunState) {}
    fn record(&mut self, _record: &Record, _state: &RunState) {}
    fn progress(&mut self, _step: &StepId, _note: &str, _at: jiff::Timestamp) {}
}

/// `n` steps beside each other, each waiting for `length`.
fn side_by_side(n: usize, length: Span) -> Graph {
    let node = |at: usize| Node {
        shape: Shape {
            id: StepId::new(format!("{at:02}-wait")).unwrap(),
            title: String::new(),
            section: Section::Deploy,
            after: Vec::new(),
            effect: false,
            phase: Phase::Rest,
            group: None,
            holds: false,
            after_tail_of: None,
            undo_after_tail_of: None,
            late: None,
        },
        step: Arc::new(LookStep(Wait(length))),
        within: Span::from_secs(60),
        poll: Span::from_millis(1),
    };
    Graph { on_failure: OnFailure::Rollback, nodes: (0..n).map(node).collect() }
}

async fn journal() -> Journal {
    let started = RunStarted {
        format: 1,
        plan_name: "plan.yaml".to_owned(),
        plan_text: String::new(),
        digest: String::new(),
        resolved: serde_json::Value::Null,
    };
    let facts = (Fact::RunStarted(Box::new(started)), Purpose::Deploy);
    let (service, run) = (ServiceName::new("chat").unwrap(), RunId::generate(1));
    let actor = Actor::here("dana".to_owned(), None);
    Journal::begin(Box::new(Slow), Log::default(), service, run, actor, facts, SystemClock.now()).await.unwrap()
}

#[tokio::test]
async fn branches_that_write_at_the_same_time_never_wait_for_each_other_for_ever() {
    let graph = side_by_side(8, Span::from_millis(5));
    let drive = Drive::new(&graph, journal().await, Box::new(Nobody), Arc::new(SystemClock), Cancel::default());
    let end = tokio::time::timeout(Duration::from_secs(30), drive.run()).await.expect("the loop stands still");
    assert_eq!(end.unwrap(), End::Finished(Outcome::Deployed));
}

#[tokio::test]
async fn a_request_to_stop_is_written_down_while_branches_are_under_way() {
    let graph = side_by_side(8, Span::from_secs(30));
    let cancel = Cancel::default();
    let drive = Drive::new(&graph, journal().await, Box::new(Nobody), Arc::new(SystemClock), cancel.clone());
    let stop = async {
        SystemClock.sleep(Duration::from_millis(50)).await;
        cancel.request("SIGTERM");
    };
    let both = async { tokio::join!(drive.run(), stop) };
    let (end, ()) = tokio::time::timeout(Duration::from_secs(20), both).await.expect("the loop stands still");
    assert_eq!(end.unwrap(), End::Interrupted { by: "SIGTERM".to_owned() });
    assert_eq!(drive.journal.lock().await.state().interrupted.as_deref(), Some("SIGTERM"));
}
