//! A small journal to do things to.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use modelswap::ids::{EnvironmentName, RunId, ServiceName, StepId};
use modelswap::journal::actor::Actor;
use modelswap::journal::fact::{Ask, Fact, Failure, FailureKind, Horizon, Outcome, Prepared, Purpose, RunStarted};
use modelswap::journal::log::Log;
use modelswap::journal::record::{Record, VERSION, digest, frame, payload};
use modelswap::journal::store::Store;
use modelswap::journal::store::local::Local;
use modelswap::journal::writer::{Journal, JournalError, Takeover};
use serde_json::json;

pub(crate) fn service() -> ServiceName {
    ServiceName::new("chat").unwrap()
}

pub(crate) fn run(n: u32) -> RunId {
    RunId::new(format!("R{n}")).unwrap()
}

pub(crate) fn step(name: &str) -> StepId {
    StepId::new(name).unwrap()
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(crate) fn me() -> Actor {
    Actor::here("dana".to_owned(), None)
}

/// Somebody whose process is gone.
pub(crate) fn gone() -> Actor {
    Actor { started: "0".to_owned(), user: "gone".to_owned(), ..me() }
}

/// Memory-backed where there is such a place: these tests sync a great deal.
pub(crate) fn scratch() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { tempfile::tempdir_in(shm).unwrap() } else { tempfile::tempdir().unwrap() }
}

pub(crate) fn journal_of(state: &Path) -> PathBuf {
    state.join("chat").join("journal")
}

pub(crate) fn started() -> Fact {
    Fact::RunStarted(Box::new(RunStarted {
        format: 1,
        plan_name: "plan.yaml".to_owned(),
        plan_text: "version: 1\n".to_owned(),
        digest: "d".to_owned(),
        resolved: json!({ "live": "blue" }),
    }))
}

pub(crate) fn prepared(name: &str, before: serde_json::Value) -> Fact {
    let prepared = Prepared { key: Some("r".to_owned()), before, want: json!(1), shows: "0 → 1".to_owned() };
    Fact::Prepared { step: step(name), prepared }
}

pub(crate) fn attempt(name: &str, undo: bool) -> Fact {
    Fact::Attempt { step: step(name), n: 1, undo }
}

/// One of every kind.
pub(crate) fn every_kind() -> Vec<Fact> {
    let horizon =
        Horizon { environment: EnvironmentName::new("blue").unwrap(), until: at(99), why: "60 s TTL".to_owned() };
    let failure = Failure { kind: FailureKind::Unknown, why: "no \"answer\"\n at all: ö 🦀".to_owned() };
    vec![
        prepared("a", json!(0)),
        attempt("a", false),
        Fact::Applied { step: step("a"), receipt: json!({ "change": "C1" }) },
        Fact::Verified { step: step("a"), evidence: "reads 1".to_owned(), tails: vec![horizon.clone()] },
        prepared("b", json!(null)),
        attempt("b", false),
        Fact::Failed { step: step("b"), failure: failure.clone() },
        Fact::Asked { ask: Ask::Approve { step: None }, by: "eve@desk".to_owned() },
        Fact::Unwinding { why: "b failed".to_owned(), unproven: false, keep: true, asked: false, to: None },
        attempt("b", true),
        Fact::UndoFailed { step: step("b"), failure },
        attempt("a", true),
        Fact::Undone { step: step("a"), evidence: "reads 0".to_owned(), tails: vec![horizon] },
        Fact::Observed { what: "witness".to_owned(), detail: json!({ "asked": 10, "lost": 0 }) },
        Fact::Interrupted { by: "SIGINT".to_owned() },
        Fact::Finished {
            outcome: Outcome::RollbackIncomplete {
                why: "b".to_owned(),
                left: vec!["`b`".to_owned()],
                traffic_restored: true,
            },
        },
    ]
}

/// The service's log as it is on disk, and the hand that reads it.
pub(crate) async fn look(state: &Path) -> (Box<dyn Store>, Log) {
    let mut store = Local::new(state, &service());
    let (log, _) = store.load().await.unwrap();
    (Box::new(store), log)
}

pub(crate) async fn begin(state: &Path, n: u32, actor: Actor) -> Result<Journal, JournalError> {
    let (store, log) = look(state).await;
    begin_on(store, log, n, actor).await
}

pub(crate) async fn begin_on(store: Box<dyn Store>, log: Log, n: u32, actor: Actor) -> Result<Journal, JournalError> {
    Journal::begin(store, log, service(), run(n), actor, (started(), Purpose::Deploy), at(0)).await
}

pub(crate) async fn open(
    state: &Path,
    actor: Actor,
    purpose: Purpose,
    takeover: Takeover,
) -> Result<Journal, JournalError> {
    let (store, log) = look(state).await;
    Journal::open(store, log, service(), run(1), actor, (purpose, takeover), at(0)).await
}

/// The frames of `facts` as one chain, as a writer would leave them; with what stands in for large values left out.
pub(crate) fn chain(facts: impl IntoIterator<Item = Fact>) -> Vec<Vec<u8>> {
    let actor = gone();
    let mut prev = String::new();
    let frame_of = |(at_seq, fact): (usize, Fact)| {
        let seq = at_seq as u64 + 1;
        let record = Record {
            v: VERSION,
            seq,
            prev: prev.clone(),
            service: service(),
            run: run(1),
            epoch: 1,
            id: format!("{seq:016x}"),
            actor: actor.clone(),
            at: at(i64::try_from(at_seq).unwrap()),
            fact,
        };
        let (bytes, _) = payload(&record);
        prev = digest(&bytes);
        frame(&bytes)
    };
    facts.into_iter().enumerate().map(frame_of).collect()
}

/// Puts `bytes` in the place of the journal.
pub(crate) fn put(state: &Path, bytes: &[u8]) {
    let path = journal_of(state);
    let directory = path.parent().unwrap();
    std::fs::create_dir_all(directory).unwrap();
    std::fs::write(&path, bytes).unwrap();
    set_mode(&path, 0o600);
    set_mode(directory, 0o700);
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// This very test again, as a process of its own: it finds `key` in its environment.
pub(crate) fn again(test: &str, key: &str, value: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(key, value);
    command
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Writes down, for whoever counts the cells of the fault matrix, that so many passed.
pub(crate) fn count_cells(name: &str, cells: usize, began: std::time::Instant) {
    let Some(path) = std::env::var_os("MODELSWAP_CELLS_OUT") else { return };
    let ms = began.elapsed().as_millis();
    let line = json!({ "suite": "G", "cell": name, "came": "passed", "cells": cells, "ms": ms, "why": "" });
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes()).unwrap();
}
