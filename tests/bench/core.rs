//! What the core costs by itself: deciding, and making a record durable against appending the same bytes by hand.
//!
//! `cargo bench --bench core`; docs/performance.md quotes what it prints.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark stops at the first surprise")]

use std::fs::{File, OpenOptions};
use std::io::Write;

use divan::Bencher;
use jiff::Timestamp;
use modelswap::engine::decide::{Situation, decide};
use modelswap::ids::{RunId, ServiceName, StepId};
use modelswap::journal::actor::Actor;
use modelswap::journal::fact::{Fact, Prepared, Purpose, RunStarted};
use modelswap::journal::record::{Record, VERSION, frame, payload};
use modelswap::journal::state::RunState;
use modelswap::journal::store::Store;
use modelswap::journal::store::local::Local;
use modelswap::journal::writer::Journal;
use modelswap::plan::graph::{Phase, Section, Shape};
use modelswap::plan::model::OnFailure;
use serde_json::{Value, json};

fn main() {
    divan::main();
}

fn at() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn step(n: usize) -> StepId {
    StepId::new(format!("{n:05}-swap")).unwrap()
}

/// One after the other, as a plan without `parallel` compiles.
fn shapes(steps: usize) -> Vec<Shape> {
    let shape = |n: usize| Shape {
        id: step(n),
        title: "swap record".to_owned(),
        section: Section::Deploy,
        after: n.checked_sub(1).map(step).into_iter().collect(),
        effect: true,
        phase: Phase::Traffic,
        group: None,
        holds: false,
        after_tail_of: None,
        undo_after_tail_of: None,
    };
    (0..steps).map(shape).collect()
}

fn started() -> Fact {
    let text = String::new;
    let started = RunStarted { format: 1, plan_name: text(), plan_text: text(), digest: text(), resolved: Value::Null };
    Fact::RunStarted(Box::new(started))
}

fn record(fact: Fact) -> Record {
    Record {
        v: VERSION,
        seq: 1,
        prev: String::new(),
        service: ServiceName::new("chat").unwrap(),
        run: RunId::new("R1").unwrap(),
        epoch: 1,
        id: "0123456789abcdef".to_owned(),
        actor: Actor::here("dana".to_owned(), None),
        at: at(),
        fact,
    }
}

fn prepared(n: usize) -> Fact {
    let values = |ip: &str| json!({ "ttl": 60, "values": [ip] });
    let prepared = Prepared {
        key: Some("chat.example.com".to_owned()),
        before: values("203.0.113.10"),
        want: values("203.0.113.20"),
        shows: "203.0.113.10 → 203.0.113.20".to_owned(),
    };
    Fact::Prepared { step: step(n), prepared }
}

/// A run whose first `done` steps hold.
fn state(done: usize) -> RunState {
    let mut state = RunState::begin(&record(started())).unwrap();
    for n in 0..done {
        state.fold(at(), &prepared(n));
        state.fold(at(), &Fact::Attempt { step: step(n), n: 1, undo: false });
        state.fold(at(), &Fact::Applied { step: step(n), receipt: json!("C1") });
        state.fold(at(), &Fact::Verified { step: step(n), evidence: "reads so".to_owned(), tails: Vec::new() });
    }
    state
}

#[divan::bench(args = [3, 500, 10_000])]
fn decide_forward_half_way(bencher: Bencher<'_, '_>, steps: usize) {
    let (shapes, state) = (shapes(steps), state(steps / 2));
    bencher.bench_local(|| decide(&shapes, OnFailure::Rollback, &state, at(), &Situation::default()));
}

#[divan::bench(args = [3, 500, 10_000])]
fn decide_the_way_back(bencher: Bencher<'_, '_>, steps: usize) {
    let (shapes, mut state) = (shapes(steps), state(steps));
    let turn = Fact::Unwinding { why: "asked".to_owned(), unproven: false, keep: false, asked: true, to: None };
    state.fold(at(), &turn);
    bencher.bench_local(|| decide(&shapes, OnFailure::Rollback, &state, at(), &Situation::default()));
}

/// Below `target/`, as a journal would be on the disk of the work, not in memory.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The bytes of one record, as they stand in a journal.
fn line() -> Vec<u8> {
    frame(&payload(&record(prepared(0))).0)
}

#[divan::bench(sample_count = 500, sample_size = 1)]
fn raw_append_and_fdatasync(bencher: Bencher<'_, '_>) {
    let directory = scratch();
    let mut file = OpenOptions::new().append(true).create(true).open(directory.path().join("raw")).unwrap();
    let line = line();
    bencher.bench_local(|| append(&mut file, &line));
}

fn append(file: &mut File, line: &[u8]) {
    file.write_all(line).unwrap();
    file.sync_data().unwrap();
}

#[divan::bench(sample_count = 500, sample_size = 1)]
fn journal_append(bencher: Bencher<'_, '_>) {
    let directory = scratch();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut journal = runtime.block_on(async {
        let service = ServiceName::new("chat").unwrap();
        let mut store = Local::new(directory.path(), &service);
        let (log, _) = store.load().await.unwrap();
        let (run, actor) = (RunId::new("R1").unwrap(), Actor::here("dana".to_owned(), None));
        Journal::begin(Box::new(store), log, service, run, actor, (started(), Purpose::Deploy), at()).await.unwrap()
    });
    let fact = prepared(0);
    bencher.bench_local(|| runtime.block_on(journal.append(fact.clone(), at())).unwrap());
}
