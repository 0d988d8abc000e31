//! Commands that start, stop and look: argv, never a shell.
//!
//! `status` says whether it runs; the record says which start that was. What runs without a record was started by others.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::launch::{self, Told};
use super::os;
use super::record::{Files, Phase, Record, log};
use super::run::{Ended, NotRun, Order, run};
use super::{EXTERNAL, Running, busy, conflict, rejected, text, unknown};
use crate::clock::Clock;
use crate::ids::EnvironmentName;
use crate::plan::model::{CommandRuns, Release};
use crate::providers::{ProviderError, Register, Settled};
use crate::units::Span;

/// Exit status of `status` when the environment runs.
const RUNS: i32 = 0;
/// Exit status of `status` when it is stopped; what `systemctl status` says too.
const STOPPED: i32 = 3;

/// An environment that commands start and stop.
#[derive(Debug)]
pub struct Command {
    told: Told,
    start: Vec<String>,
    stop: Vec<String>,
    status: Vec<String>,
    within: Span,
    files: Files,
    clock: Arc<dyn Clock>,
}

/// What `status` says.
#[derive(Debug)]
enum Status {
    /// It runs; the token is there when `status` printed it.
    Runs(Option<String>),
    Stopped,
}

impl Command {
    /// `environment` as `runs` says; its record, lock and logs are files in `dir`.
    pub fn new(
        environment: EnvironmentName,
        runs: CommandRuns,
        release: Release,
        dir: PathBuf,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let files = Files::new(dir, environment.clone());
        let told = Told { environment, release, env: runs.env, directory: runs.directory };
        let CommandRuns { start, stop, status, within, .. } = runs;
        Self { told, start, stop, status, within, files, clock }
    }

    fn record(&self) -> Result<Option<Record>, ProviderError> {
        self.files.load().map_err(|e| unknown(format!("looking for {}", self.key()), e))
    }

    /// What `status` says, and what that means beside the record.
    async fn look(&self, record: Option<&Record>) -> Result<(Status, Running), ProviderError> {
        let call = || format!("asking for the status of {}", self.key());
        let mut out = tempfile::tempfile().map_err(|e| unknown(call(), e))?;
        let order = self.order(&self.status, record.map(|r| r.token.as_str()), &out);
        let ended = run(order, &*self.clock, |_| Ok(())).await.map_err(|e| unknown(call(), e))?;
        let words = text::tail(&mut out, text::KEPT).map_err(|e| unknown(call(), e))?;
        let status = match ended {
            Ended::Exited(RUNS) => Status::Runs(told_token(&words)),
            Ended::Exited(STOPPED) => Status::Stopped,
            Ended::Exited(_) | Ended::Signalled(_) | Ended::TimedOut(_) => {
                return Err(unknown(call(), ended.with(&words)));
            }
        };
        let live = value(&status, record);
        Ok((status, live))
    }

    async fn make_start(&self, token: &str) -> Result<Value, ProviderError> {
        let call = format!("starting {}", self.key());
        let mut record = self.new_record(&call, token, &self.start)?;
        self.files.save(&record).map_err(|e| rejected(&*call, format!("cannot record it: {e}")))?;
        if let Err(error) = self.change(&call, &self.start, "start.log", &mut record).await {
            if matches!(error, ProviderError::Rejected { .. }) {
                let _ = self.files.remove(); // nothing was started, and what others start later is not ours
            }
            return Err(error);
        }
        record.phase = Phase::Started;
        let unrecorded = |e| unknown(&*call, format!("it was started but that cannot be recorded: {e}"));
        self.files.save(&record).map_err(unrecorded)?;
        Ok(json!({ "log": self.files.path("start.log") }))
    }

    async fn make_stop(&self, token: &str) -> Result<Value, ProviderError> {
        let call = format!("stopping {}", self.key());
        let mut record = self.new_record(&call, token, &self.stop)?;
        record.phase = Phase::Started; // until the command has succeeded
        self.change(&call, &self.stop, "stop.log", &mut record).await?;
        (record.phase, record.at) = (Phase::Stopping, self.clock.now());
        let unrecorded = |e| unknown(&*call, format!("it was stopped but that cannot be recorded: {e}"));
        self.files.save(&record).map_err(unrecorded)?;
        Ok(json!({ "log": self.files.path("stop.log") }))
    }

    fn new_record(&self, call: &str, token: &str, argv: &[String]) -> Result<Record, ProviderError> {
        let boot = os::boot().map_err(|e| rejected(call, e))?;
        Ok(Record::intended(token, argv, os::host(), boot, self.clock.now()))
    }

    /// Runs a command that changes something, and keeps what it writes in a log.
    async fn change(
        &self,
        call: &str,
        argv: &[String],
        ending: &str,
        record: &mut Record,
    ) -> Result<(), ProviderError> {
        let path = self.files.path(ending);
        let cannot_open = |e| rejected(call, format!("cannot open {}: {e}", path.display()));
        let mut out = log(&path).map_err(cannot_open)?;
        out.set_len(0).map_err(cannot_open)?;
        let token = record.token.clone();
        let ended = run(self.order(argv, Some(&token), &out), &*self.clock, |pid| {
            record.process = os::seen(pid)?.map(|s| s.identity);
            self.files.save(record)
        });
        let ended = ended.await.map_err(|e| match e {
            NotRun::Never(why) => rejected(call, why),
            NotRun::Lost(why) => unknown(call, why),
        })?;
        record.process = None;
        if matches!(ended, Ended::Exited(0)) {
            return Ok(());
        }
        let words = text::tail(&mut out, text::KEPT).unwrap_or_default();
        Err(unknown(call, ended.with(&words)))
    }

    fn order<'a>(&'a self, argv: &'a [String], token: Option<&'a str>, out: &'a File) -> Order<'a> {
        Order { argv, told: &self.told, token, out, within: self.within }
    }

    /// A command of an earlier attempt may be at work still, when modelswap was killed: what it does late must not follow
    /// what we do, nor what we say. Its pid and whether its time is up.
    fn earlier_at_work(&self, record: Option<&Record>) -> Result<Option<(i32, bool)>, ProviderError> {
        let failed = |e| unknown(format!("looking for {}", self.key()), e);
        let boot = os::boot().map_err(failed)?;
        let Some(record) = record.filter(|r| r.boot == boot) else { return Ok(None) };
        let Some(identity) = &record.process else { return Ok(None) };
        let seen = os::seen(identity.pid).map_err(failed)?;
        let at_work = seen.is_some_and(|s| s.identity == *identity && !s.zombie);
        let late = self.clock.now().duration_since(record.at) > self.within.signed();
        Ok(at_work.then_some((identity.pid, late)))
    }

    /// What is proven to be stopped is forgotten, so that what others start later is not taken for ours.
    fn forget(&self) -> Result<(), ProviderError> {
        let failed = |e| unknown(format!("forgetting the last start of {}", self.key()), e);
        let Some(_lock) = self.files.lock().map_err(failed)? else { return Ok(()) };
        match self.record()? {
            Some(record) if record.phase == Phase::Stopping => self.files.remove().map_err(failed),
            _ => Ok(()),
        }
    }
}

/// `status` may say which start it sees, by a line `MODELSWAP_TOKEN=...`: then this is known on every machine.
fn told_token(words: &str) -> Option<String> {
    let lines = words.lines().filter_map(|line| line.trim().strip_prefix(launch::TOKEN)?.strip_prefix('='));
    lines.map(str::to_owned).rfind(|token| !token.is_empty())
}

/// What was told to stop counts as stopped; `settled` says when it is true.
fn value(status: &Status, record: Option<&Record>) -> Running {
    let Status::Runs(told) = status else { return Running::Stopped };
    let token = told.as_deref().or(record.map(|r| r.token.as_str())).unwrap_or(EXTERNAL);
    match record {
        Some(record) if record.phase == Phase::Stopping && record.token == token => Running::Stopped,
        _ => Running::with(token),
    }
}

#[async_trait]
impl Register for Command {
    type Value = Running;

    fn key(&self) -> String {
        format!("command {}", self.files.path("json").with_extension("").display())
    }

    async fn read(&self) -> Result<Running, ProviderError> {
        let call = || format!("looking for {}", self.key());
        let record = self.record()?;
        if self.files.is_being_started(record.as_ref()).map_err(|e| unknown(call(), e))? {
            return Err(busy(call(), "another process is starting it"));
        }
        if let Some((pid, _)) = self.earlier_at_work(record.as_ref())? {
            return Err(busy(call(), format!("a command that changes it (pid {pid}) has not ended")));
        }
        Ok(self.look(record.as_ref()).await?.1)
    }

    async fn swap(&self, expected: &Running, new: &Running) -> Result<Value, ProviderError> {
        let call = || format!("changing {}", self.key());
        let lock = self.files.lock().map_err(|e| rejected(call(), e))?;
        let Some(_lock) = lock else { return Err(busy(call(), "another process is changing it")) };
        let record = self.record()?;
        if let Some((pid, late)) = self.earlier_at_work(record.as_ref())? {
            if late {
                os::signal_group(pid, Signal::KILL).map_err(|e| rejected(call(), e))?;
            }
            return Err(busy(call(), format!("the command of an earlier attempt (pid {pid}) has not ended")));
        }
        let (status, live) = self.look(record.as_ref()).await?;
        let ours = |token: &str| record.as_ref().is_some_and(|r| r.token == token && r.phase != Phase::Stopping);
        match (expected, new) {
            // A start takes its time: what we began may come up later, though it is not seen yet.
            (Running::Running { token }, Running::Stopped) if live == Running::Stopped && ours(token) => {
                self.make_stop(token).await
            }
            _ if live == *new => Ok(Value::Null),
            _ if live != *expected => Err(conflict(&self.key(), expected, &live)),
            (Running::Stopped, Running::Running { token }) => match (&status, &record) {
                (Status::Runs(_), Some(told)) if self.clock.now().duration_since(told.at) < self.within.signed() => {
                    Err(busy(format!("starting {}", self.key()), "it was told to stop and still runs"))
                }
                _ => self.make_start(token).await,
            },
            (Running::Running { token }, Running::Stopped) => self.make_stop(token).await,
            (Running::Running { .. }, Running::Running { .. }) => {
                Err(rejected(call(), "it runs, and must be stopped before it can be started anew"))
            }
            (Running::Stopped, Running::Stopped) => Ok(Value::Null),
        }
    }

    async fn settled(&self, wanted: &Running, _receipt: Option<&Value>) -> Result<Settled, ProviderError> {
        let record = self.record()?;
        let (status, live) = self.look(record.as_ref()).await?;
        Ok(match (&status, wanted) {
            (Status::Stopped, Running::Stopped) => {
                self.forget()?;
                Settled::Yes("status says that it is stopped".to_owned())
            }
            (Status::Runs(_), Running::Running { .. }) if live == *wanted => {
                Settled::Yes("status says that it runs".to_owned())
            }
            (Status::Runs(_), _) if live == Running::Stopped => {
                Settled::NotYet("it was told to stop and still runs".to_owned())
            }
            _ => Settled::NotYet(format!("it is {}", super::show(&live))),
        })
    }

    fn show(&self, value: &Running) -> String {
        super::show(value)
    }
}
