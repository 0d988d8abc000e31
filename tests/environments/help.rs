//! A place to run things in, and questions about processes that do not go through the code under test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use modelswap::clock::{Clock, SystemClock};
use modelswap::ids::EnvironmentName;
use modelswap::plan::model::{CommandRuns, ProcessRuns, Release};
use modelswap::providers::environments::{Command, Process, Running};
use modelswap::providers::{ProviderError, Register, Settled};
use modelswap::units::Span;
use rustix::process::{Pid, Signal};
use serde_json::Value;

/// Long enough for a busy machine; nothing waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory of its own; everything whose pid was noted or recorded is killed at the end.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    pub(crate) clock: Arc<Hand>,
    noted: Mutex<Vec<i32>>,
}

/// A clock that a test turns by hand.
#[derive(Debug)]
pub(crate) struct Hand(Mutex<Timestamp>);

impl Hand {
    pub(crate) fn forward(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now += SignedDuration::from_secs(seconds);
    }
}

#[async_trait]
impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
    async fn sleep(&self, length: Duration) {
        SystemClock.sleep(length).await;
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(Hand(Mutex::new("2026-01-01T00:00:00Z".parse().unwrap())));
        Self { dir: tempfile::tempdir().unwrap(), clock, noted: Mutex::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The records' directory; it does not exist before something was started.
    pub(crate) fn records(&self) -> PathBuf {
        self.path("state/environments")
    }

    pub(crate) fn process(&self, command: &[&str]) -> Process {
        process(&self.records(), command, self.clock.clone())
    }

    /// A process that runs this script.
    pub(crate) fn script(&self, script: &str) -> Process {
        self.process(&["sh", "-c", script])
    }

    /// An environment that runs while the file `up` exists; `calls` lists what was called.
    pub(crate) fn files(&self) -> Commands<'_> {
        Commands {
            place: self,
            start: "echo start $MODELSWAP_TOKEN >> $D/calls; touch $D/up".into(),
            stop: "echo stop $MODELSWAP_TOKEN >> $D/calls; rm -f $D/up".into(),
            status: "test -e $D/up || exit 3".into(),
            within: Span::from_secs(20),
        }
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn record(&self) -> Value {
        serde_json::from_str(&self.read("state/environments/a.json")).expect("a record")
    }

    pub(crate) fn write_record(&self, record: &Value) {
        self.note_recorded();
        std::fs::create_dir_all(self.records()).unwrap();
        std::fs::write(self.records().join("a.json"), record.to_string()).unwrap();
    }

    /// A record as it is written for `pid` on this boot of this machine.
    pub(crate) fn record_of(&self, pid: i32, start: &str, token: &str) -> Value {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        serde_json::json!({
            "version": 1, "token": token, "argv": [], "host": host(), "boot": boot.trim(),
            "at": self.clock.now(), "phase": "started", "process": { "pid": pid, "start": start },
        })
    }

    pub(crate) fn pid(&self) -> i32 {
        let pid = i32::try_from(self.record()["process"]["pid"].as_i64().expect("a pid")).unwrap();
        self.note(pid);
        pid
    }

    pub(crate) fn note(&self, pid: i32) {
        self.noted.lock().unwrap().push(pid);
    }

    fn note_recorded(&self) {
        if let Ok(record) = serde_json::from_str::<Value>(&self.read("state/environments/a.json")) {
            let recorded = std::iter::once(&record["process"]).chain(record["others"].as_array().into_iter().flatten());
            recorded.filter_map(|p| i32::try_from(p["pid"].as_i64()?).ok()).for_each(|pid| self.note(pid));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.note_recorded();
        for pid in self.noted.lock().unwrap().drain(..).filter_map(Pid::from_raw) {
            // Most have ended; only what runs in a group of its own or was noted is meant.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

pub(crate) fn process(dir: &Path, command: &[&str], clock: Arc<dyn Clock>) -> Process {
    let runs = ProcessRuns {
        command: command.iter().map(ToString::to_string).collect(),
        env: BTreeMap::from([("FLAVOUR".to_owned(), "plum".to_owned())]),
        directory: None,
        log: None,
        grace: Span::from_secs(30),
    };
    Process::new(name(), runs, release(), dir.to_owned(), clock)
}

/// Scripts for `start`, `stop` and `status`; `$D` is the place.
pub(crate) struct Commands<'a> {
    place: &'a Place,
    pub(crate) start: String,
    pub(crate) stop: String,
    pub(crate) status: String,
    pub(crate) within: Span,
}

impl Commands<'_> {
    pub(crate) fn open(&self) -> Command {
        self.open_by(self.place.clock.clone())
    }

    pub(crate) fn open_by(&self, clock: Arc<dyn Clock>) -> Command {
        self.open_as(self.runs(), clock)
    }

    pub(crate) fn open_as(&self, runs: CommandRuns, clock: Arc<dyn Clock>) -> Command {
        Command::new(name(), runs, release(), self.place.records(), clock)
    }

    pub(crate) fn runs(&self) -> CommandRuns {
        let sh = |script: &str| vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()];
        CommandRuns {
            start: sh(&self.start),
            stop: sh(&self.stop),
            status: sh(&self.status),
            env: BTreeMap::from([("D".to_owned(), self.place.dir.path().to_str().unwrap().to_owned())]),
            directory: None,
            within: self.within,
        }
    }
}

fn name() -> EnvironmentName {
    EnvironmentName::new("a").unwrap()
}

fn release() -> Release {
    Release { model: "m-1".into(), revision: Some("r-7".into()) }
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub(crate) fn on(token: &str) -> Running {
    Running::with(token)
}

pub(crate) async fn start<R: Register<Value = Running>>(register: &R, token: &str) {
    register.swap(&Running::Stopped, &on(token)).await.expect("started");
}

pub(crate) async fn stop<R: Register<Value = Running>>(register: &R, token: &str) {
    register.swap(&on(token), &Running::Stopped).await.expect("told to stop");
    until("it has stopped", async || matches!(register.settled(&Running::Stopped, None).await, Ok(Settled::Yes(_))))
        .await;
}

pub(crate) fn is_conflict<T>(answer: &Result<T, ProviderError>) -> bool {
    matches!(answer, Err(ProviderError::Conflict { .. }))
}

pub(crate) fn is_busy<T>(answer: &Result<T, ProviderError>) -> bool {
    matches!(answer, Err(ProviderError::Busy { .. }))
}

pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = SystemClock.now();
    while !holds().await {
        assert!(SystemClock.now().duration_since(began).unsigned_abs() < PATIENCE, "in vain until {what}");
        SystemClock.sleep(Duration::from_millis(10)).await;
    }
}

/// Asked of ps(1): a zombie does not count.
pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = ps(pid, "stat=");
    !stat.is_empty() && !stat.starts_with('Z')
}

pub(crate) fn ps(pid: i32, column: &str) -> String {
    let output = std::process::Command::new("ps").args(["-o", column, "-p", &pid.to_string()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// When a process started, as the record says it.
pub(crate) fn start_of(pid: i32) -> String {
    if cfg!(target_os = "linux") {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        return stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().to_owned();
    }
    ps(pid, "lstart=").split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}
