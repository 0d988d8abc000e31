//! `modelswap rollback`: the incident command. It needs the record alone, and naming it is consent.

use std::time::Duration;

use clap::Args;

use super::args::Common;
use super::commands::CommandArgs;
use super::desk::Desk;
use super::ending::{self, Carry};
use super::past::{Past, recall};
use super::{Exit, Failure, drift};
use crate::ids::{RunId, StepId};
use crate::journal::actor::Alive;
use crate::journal::fact::{Ask, Fact, Outcome, Purpose};
use crate::journal::log::Log;
use crate::journal::state::RunState;
use crate::journal::store::Store;
use crate::journal::writer::{Journal, Takeover, ask, free};
use crate::plan::resolve::Resolved;

/// How long a live run may take to make room.
const YIELD_S: u64 = 10;

/// Options of `rollback`.
#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The service, or the run; needed when the state directory holds several services
    what: Option<String>,
    /// Undo only what came after this step; it stays, with what came before it
    #[arg(long, value_name = "STEP")]
    to: Option<StepId>,
    /// Leave what the run started running
    #[arg(long)]
    keep: bool,
    /// Send traffic back even where its destination does not prove that it serves
    #[arg(long)]
    unproven: bool,
    /// Take over from a process that is not known to be gone
    #[arg(long, requires = "reason")]
    takeover: bool,
    /// Why it is taken over; recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// What to do with a value that somebody else changed meanwhile: `merge` takes back only what this run changed of it,
    /// `force:RESOURCE` overwrites that router or step with what was recorded [default: leave it, and say so]
    #[arg(long, value_name = "merge|force:RESOURCE")]
    on_drift: Vec<String>,
    /// Work from this journal (STATE/SERVICE/journal, a state directory, a mirror's URL), when the place of the state is lost
    #[arg(long, value_name = "JOURNAL")]
    from: Option<String>,
    #[command(flatten)]
    commands: CommandArgs,
}

impl Rollback {
    /// A rollback of a service with nothing but defaults.
    pub(super) fn of(service: &str) -> Self {
        let what = Some(service.to_owned());
        Self {
            what,
            to: None,
            keep: false,
            unproven: false,
            takeover: false,
            reason: None,
            on_drift: Vec::new(),
            from: None,
            commands: CommandArgs::default(),
        }
    }

    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let (mut desk, only) = match &self.from {
            Some(from) => Desk::new(common, None)?.from(from)?,
            None => (Desk::new(common, None)?.or_mirror().await?, None),
        };
        desk.allowed = self.commands.read(common)?;
        let (service, named) = self.meant(only.as_deref(), &desk).await?;
        desk.say_unfenced(&service).await;
        let (mut store, mut log) = desk.log(&service).await?;
        if let (Some(run), Some(to)) = (to_undo(&log, named.as_ref()), &self.to) {
            // Said before anybody is asked to stop for it.
            stays(run, to, &recall(run, &desk)?, &desk)?;
        }
        let takeover = self.make_room(store.as_mut(), &mut log, &desk).await?;
        let Some(run) = to_undo(&log, named.as_ref()) else {
            return Ok(nothing_to_undo(&log, &desk));
        };
        if let Some(named) = named.filter(|n| *n != run.run) {
            let newest = &run.run;
            return Err(Failure::new(
                Exit::Drift,
                format!("only the newest run with effects can be undone, and that is {newest}, not {named}"),
            )
            .detail("nothing was done"));
        }
        let past = recall(run, &desk)?;
        let on_drift = drift::said(&self.on_drift, run, &past)?;
        let why = format!("asked by {}", desk.actor);
        let id = run.run.clone();
        let now = desk.clock.now();
        let purpose = (Purpose::Rollback, takeover);
        let opened = Journal::open(store, log, service, id, desk.actor.clone(), purpose, now).await;
        let mut journal = opened.map_err(|e| ending::not_ours(&e, &desk))?;
        let (unproven, keep, to) = (self.unproven, self.keep, self.to.clone());
        let turn = Fact::Unwinding { why, unproven, keep, asked: true, on_drift, to };
        journal.append(turn, now).await.map_err(|e| ending::not_ours(&e, &desk))?;
        desk.record_unfenced(&mut journal).await?;
        desk.tell_withheld(&past);
        let carry = Carry { resolved: &past.resolved, backends: &past.backends, graph: &past.graph, until: None };
        ending::carry(journal, &carry, &desk).await
    }

    /// The service, and the run if one is named.
    async fn meant(
        &self,
        only: Option<&str>,
        desk: &Desk,
    ) -> Result<(crate::ids::ServiceName, Option<RunId>), Failure> {
        // What can be the name of a service is no run, and its journal need not be searched for one.
        if let Some(text) = self.what.as_ref().filter(|text| crate::ids::ServiceName::new(text.as_str()).is_err()) {
            for service in desk.known().await? {
                let (_, log) = desk.log(&service).await?;
                if let Some(run) = log.runs.iter().find(|run| run.run.as_str() == text) {
                    return Ok((service, Some(run.run.clone())));
                }
            }
        }
        Ok((desk.service(self.what.as_deref().or(only)).await?, None))
    }

    /// Asks a live run to stop; takes over from one that does not only if that was said.
    async fn make_room(&self, store: &mut dyn Store, log: &mut Log, desk: &Desk) -> Result<Takeover, Failure> {
        let Err(held) = free(log) else { return Ok(Takeover::Never) };
        let Some(run) = log.newest_open().map(|r| r.run.clone()) else { return Ok(Takeover::Never) };
        if log.alive() == Alive::Yes {
            desk.tell(&format!("{held}; asking it to stop"));
            let service = log
                .service()
                .cloned()
                .unwrap_or_else(|| crate::ids::ServiceName::new("unknown").expect("BUG: a good name"));
            let fact = Fact::Asked { ask: Ask::Yield, by: desk.actor.to_string() };
            let asked = ask(store, log, &service, &run, &desk.actor, fact, desk.clock.now()).await;
            asked.map_err(|e| ending::not_ours(&e, desk))?;
            for _ in 0..YIELD_S * 4 {
                desk.real_sleep(Duration::from_millis(250)).await;
                *log = store.load().await.map_err(|e| desk.cannot_keep(&e))?.0;
                if free(log).is_ok() {
                    return Ok(Takeover::Never);
                }
            }
        }
        match (&self.reason, self.takeover) {
            (Some(reason), true) => Ok(Takeover::Because(reason.clone())),
            (Some(_) | None, _) => Err(ending::not_ours(&held, desk).hint(format!(
                "if that process must not go on: modelswap rollback{} --takeover --reason \"...\"",
                desk.state_option
            ))),
        }
    }
}

/// Whether a step can be gone back to: it was done, and is not undone.
fn stays(run: &RunState, to: &StepId, past: &Past, desk: &Desk) -> Result<(), Failure> {
    let names = |done: bool| {
        let nodes = past.graph.nodes.iter().filter(|n| !done || is_done(run, &n.shape.id));
        nodes.map(|n| n.shape.id.to_string()).collect::<Vec<_>>().join(", ")
    };
    let (id, at) = (&run.run, &desk.state_option);
    let failure = if !past.graph.nodes.iter().any(|n| n.shape.id == *to) {
        Failure::new(Exit::Usage, format!("run {id} has no step `{to}`; nothing was done"))
            .detail(format!("it has: {}", names(false)))
    } else if run.step(to).undone.is_some() {
        Failure::new(Exit::Drift, format!("step `{to}` of run {id} is undone already; nothing was done"))
    } else if is_done(run, to) {
        return Ok(());
    } else {
        Failure::new(Exit::Usage, format!("run {id} has not come as far as `{to}`; nothing was done"))
    };
    let failure = if names(true).is_empty() { failure } else { failure.detail(format!("done are: {}", names(true))) };
    let service = &past.resolved.plan.service;
    Err(failure.hint(format!("modelswap rollback {service}{at}   undoes all of it")))
}

fn is_done(run: &RunState, step: &StepId) -> bool {
    run.step(step).verified.is_some() && run.step(step).undone.is_none()
}

fn nothing_to_undo(log: &Log, desk: &Desk) -> Exit {
    let newest = log.newest().and_then(|run| serde_json::from_value::<Resolved>(run.started.resolved.clone()).ok());
    let on = newest.map_or_else(|| "where it was".to_owned(), |resolved| format!("on {}", resolved.led_to()));
    desk.tell(&format!("already {on}: the newest run has no effects that are not undone; nothing was done"));
    if let Some(older) = log.newest_with_effects() {
        let (run, at) = (&older.run, &desk.state_option);
        desk.tell(&format!("to undo the one before it as well, name it: modelswap rollback {run}{at}"));
    }
    desk.result(&serde_json::json!({ "type": "finished", "outcome": "already", "exit": 0 }));
    Exit::Done
}

/// The run that is taken back. Without a name that is the newest, or none when it is taken back already: typed twice, this must
/// not undo the run before as well. One that ended before its first effect is meant too, so that it gets an end and stands in
/// nobody's way.
fn to_undo<'a>(log: &'a Log, named: Option<&RunId>) -> Option<&'a RunState> {
    let newest = log.newest().filter(|run| !matches!(run.outcome, Some(Outcome::RolledBack { to: None, .. })));
    match named {
        Some(_) => newest.or_else(|| log.newest_with_effects()),
        None => newest,
    }
}

#[cfg(test)]
mod tests;
