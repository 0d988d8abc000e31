//! A server process on this host: started detached, found again by pid, start time and token, never by name.
//!
//! ```text
//! swap(stopped → running t)   lock · record "intended t" · spawn · record its pid and start time
//! swap(running t → stopped)   lock · look · TERM to its group · record "stopping" and who belonged to it
//! settled(stopped)            gone? · after the grace: KILL to all of it
//! ```
//!
//! The record is durable before the process exists, and the process carries token and record path in its environment: so a start
//! whose record was lost half-way is found again.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::found::{Found, send};
use super::launch::{Told, launch};
use super::record::{Files, Phase, Record, log};
use super::{Running, busy, conflict, os, rejected, text, unknown};
use crate::clock::{Announced, Clock};
use crate::ids::EnvironmentName;
use crate::plan::model::{ProcessRuns, Release};
use crate::providers::{Late, ProviderError, Register, Settled};
use crate::units::Span;

/// How much of the log is told of a server that ended by itself, in bytes: the last lines of a trace.
const LOG_TOLD: u64 = 500;

/// A server process on this host.
#[derive(Debug)]
pub struct Process {
    told: Told,
    argv: Vec<String>,
    grace: Span,
    log: PathBuf,
    files: Files,
    clock: Arc<dyn Clock>,
}

impl Process {
    /// `environment` as a process of this host; its record, lock and log are files in `dir`.
    pub fn new(
        environment: EnvironmentName,
        runs: ProcessRuns,
        release: Release,
        dir: PathBuf,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let files = Files::new(dir, environment.clone());
        let log = runs.log.unwrap_or_else(|| files.path("log"));
        let told = Told { environment, release, env: runs.env, directory: runs.directory };
        Self { told, argv: runs.command, grace: runs.grace, log, files, clock }
    }

    /// The same environment in the loopback world, where `argv` is what runs.
    #[must_use]
    pub fn for_world(mut self, argv: Vec<String>) -> Self {
        self.argv = argv;
        self.told.directory = None; // the plan's directory need not exist here
        self.log = self.files.path("log");
        self
    }

    /// What there is of it: asks the system, changes nothing.
    fn look(&self) -> Result<Found, ProviderError> {
        let failed = |e| unknown(format!("looking for {}", self.key()), e);
        let record = self.files.load().map_err(failed)?;
        let boot = os::boot().map_err(failed)?;
        if let Some(record) = record.as_ref().filter(|r| r.boot != boot && r.host != os::host()) {
            let elsewhere = format!("it was started on {}, and this is {}", record.host, os::host());
            return Err(unknown(format!("looking for {}", self.key()), elsewhere));
        }
        let record = record.filter(|r| r.boot == boot); // a boot ends all processes
        let mark = self.files.mark().map_err(failed)?;
        Found::look(record, &mark).map_err(failed)
    }

    fn start(&self, token: &str) -> Result<Value, ProviderError> {
        let call = || format!("starting {}", self.key());
        let boot = os::boot().map_err(|e| rejected(call(), e))?;
        let log = log(&self.log).map_err(|e| rejected(call(), format!("cannot open {}: {e}", self.log.display())))?;
        let mark = self.files.mark().map_err(|e| rejected(call(), e))?;
        let mut record = Record::intended(token, &self.argv, os::host(), boot, self.clock.now());
        self.files.save(&record).map_err(|e| rejected(call(), format!("cannot record it: {e}")))?;
        let pid = match launch(&self.argv, &self.told, Some(token), Some(&mark), &log) {
            Ok(pid) => pid,
            Err(e) => {
                let _ = self.files.remove(); // nothing was started, and a record of it would only say that this must be looked up
                let program =
                    self.argv.first().map_or_else(String::new, |p| format!("cannot run {}: ", text::escape(p)));
                return Err(rejected(call(), format!("{program}{e}")));
            }
        };
        // It is our child and not buried yet, so it is there even if it has ended already.
        let seen = os::seen(pid).map_err(|e| unknown(call(), e))?;
        record.phase = Phase::Started;
        record.process = seen.map(|s| s.identity);
        self.files.save(&record).map_err(|e| unknown(call(), format!("pid {pid} runs but cannot be recorded: {e}")))?;
        Ok(json!({ "pid": pid, "log": self.log }))
    }

    fn stop(&self, found: &Found, token: &str) -> Result<Value, ProviderError> {
        let call = || format!("stopping {}", self.key());
        let boot = os::boot().map_err(|e| rejected(call(), e))?;
        let mut record = Record::intended(token, &self.argv, os::host(), boot, self.clock.now());
        record.phase = Phase::Stopping;
        record.process = found.leader.as_ref().map(|l| l.identity.clone());
        let all = found.under(token).map(|s| &s.identity);
        record.others = all.filter(|i| Some(*i) != record.process.as_ref()).cloned().collect();
        // The first process is told, with its group; it knows best in which order the rest has to end. Without it, all are told.
        let sent = match &found.leader {
            Some(leader) => send(std::iter::once(leader), Signal::TERM),
            None => send(found.under(token), Signal::TERM),
        };
        sent.map_err(|e| unknown(call(), format!("cannot send TERM: {e}")))?;
        self.files.save(&record).map_err(|e| unknown(call(), format!("TERM was sent but cannot be recorded: {e}")))?;
        Ok(json!({ "pid": record.process.map(|p| p.pid), "kill_at": self.kill_at(record.at).to_string() }))
    }

    fn kill_at(&self, told: Timestamp) -> Timestamp {
        told.checked_add(self.grace.signed()).unwrap_or(Timestamp::MAX)
    }

    /// Sends KILL to what was told to stop and had its grace; says what is awaited.
    fn press(&self, found: &Found) -> Result<String, ProviderError> {
        let pids = found.pids();
        let Some(record) = found.told_to_stop() else { return Ok(format!("{pids} runs and was not told to stop")) };
        let (kill_at, now) = (self.kill_at(record.at), self.clock.now());
        if now < kill_at {
            let left = Span::from(kill_at.duration_since(now).unsigned_abs());
            return Ok(format!("{pids} was sent TERM; KILL follows in {left}"));
        }
        send(found.under(&record.token), Signal::KILL)
            .map_err(|e| unknown(format!("stopping {}", self.key()), format!("cannot send KILL: {e}")))?;
        Ok(format!("{pids} was sent KILL"))
    }

    /// Whether it has stopped; when it was told to and does not, this is where it is killed.
    fn has_stopped(&self) -> Result<Settled, ProviderError> {
        let failed = |e| unknown(format!("looking for {}", self.key()), e);
        // What is found must still be what is meant when it is signalled, so nobody may start it anew meanwhile.
        let Some(_lock) = self.files.lock().map_err(failed)? else {
            return Ok(Settled::NotYet("another process is changing it".to_owned()));
        };
        let found = self.look()?;
        if found.members.is_empty() {
            return Ok(Settled::Yes("no process of it is left".to_owned()));
        }
        self.press(&found).map(Settled::NotYet)
    }

    /// The end of what the server wrote, on one line.
    fn last_words(&self) -> String {
        let words = File::open(&self.log).and_then(|mut file| text::tail(&mut file, LOG_TOLD)).unwrap_or_default();
        let log = self.log.display();
        match words.trim() {
            "" => format!("it wrote nothing to {log}"),
            words => format!("{log} ends with: {}", text::escape(words)),
        }
    }
}

#[async_trait]
impl Register for Process {
    type Value = Running;

    fn key(&self) -> String {
        format!("process {}", self.files.path("json").with_extension("").display())
    }

    fn late(&self) -> Option<Late> {
        Some(Late::BY_SENDER)
    }

    async fn read(&self) -> Result<Running, ProviderError> {
        let call = || format!("looking for {}", self.key());
        let found = self.look()?;
        if self.files.is_being_started(found.record.as_ref()).map_err(|e| unknown(call(), e))? {
            return Err(busy(call(), "another process is starting it"));
        }
        Ok(found.value())
    }

    async fn swap(&self, expected: &Running, new: &Running) -> Result<Value, ProviderError> {
        let call = || format!("changing {}", self.key());
        let lock = self.files.lock().map_err(|e| rejected(call(), e))?;
        let Some(_held) = lock else { return Err(busy(call(), "another process is changing it")) };
        // Whoever was stopped since it announced this may have lost the run meanwhile; the next try announces itself anew.
        if Announced::of_this_work().is_stale() {
            return Err(busy(call(), "it was announced too long ago"));
        }
        let found = self.look()?;
        let live = found.value();
        if live == *new {
            return Ok(Value::Null);
        }
        if live != *expected {
            return Err(conflict(&self.key(), expected, &live));
        }
        match (expected, new) {
            (Running::Stopped, Running::Running { .. }) if !found.members.is_empty() => {
                Err(busy(format!("starting {}", self.key()), self.press(&found)?))
            }
            (Running::Stopped, Running::Running { token }) => self.start(token),
            (Running::Running { token }, Running::Stopped) => self.stop(&found, token),
            (Running::Running { .. }, Running::Running { .. }) => {
                Err(rejected(call(), "it runs, and must be stopped before it can be started anew"))
            }
            (Running::Stopped, Running::Stopped) => Ok(Value::Null),
        }
    }

    async fn settled(&self, value: &Running, _receipt: Option<&Value>) -> Result<Settled, ProviderError> {
        if *value == Running::Stopped {
            return self.has_stopped();
        }
        let found = self.look()?;
        Ok(match (found.value(), &found.leader) {
            (live, Some(leader)) if live == *value => Settled::Yes(format!("pid {} runs", leader.identity.pid)),
            (live, None) if live == *value => {
                Settled::NotYet(format!("only remains of it run, {}; {}", found.pids(), self.last_words()))
            }
            (Running::Stopped, _) => Settled::NotYet(format!("it does not run; {}", self.last_words())),
            (live, _) => Settled::NotYet(format!("it is {}", super::show(&live))),
        })
    }

    fn show(&self, value: &Running) -> String {
        super::show(value)
    }
}
