//! `modelswap approve` and `abort`: what people ask of a run from any terminal that sees the state.

use clap::Args;
use serde_json::json;

use super::args::Common;
use super::desk::Desk;
use super::past::recall;
use super::{Exit, Failure, ending};
use crate::ids::{ServiceName, StepId};
use crate::journal::actor::Alive;
use crate::journal::fact::{Ask, Fact};
use crate::journal::log::Log;
use crate::journal::state::RunState;
use crate::journal::writer::ask;

/// Options of `approve`.
#[derive(Debug, Args)]
pub(super) struct Approve {
    /// The service; needed when the state directory holds several
    service: Option<String>,
    /// The `approve` step that may pass [default: those that wait now, else the next one]
    #[arg(long, value_name = "STEP")]
    step: Option<StepId>,
}

/// Options of `abort`.
#[derive(Debug, Args)]
pub(super) struct Abort {
    /// The service; needed when the state directory holds several
    service: Option<String>,
}

impl Approve {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let desk = Desk::new(common, None)?;
        let service = desk.service(self.service.as_deref()).await?;
        let (store, log) = desk.log(&service).await?;
        let (at, run) = (&desk.state_option, unfinished(&log, &service, &desk)?);
        let past = recall(run, &desk)?;
        let approvals: Vec<&StepId> =
            past.graph.nodes.iter().filter(|n| n.asks_a_person()).map(|n| &n.shape.id).collect();
        let names = approvals.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        if approvals.is_empty() {
            return Err(Failure::new(
                Exit::Usage,
                format!("run {} of {service} waits for no approval: its plan has no `approve` step", run.run),
            )
            .hint(format!("modelswap status {service}{at}   shows what it waits for")));
        }
        if let Some(step) = self.step.as_ref().filter(|step| !approvals.contains(step)) {
            return Err(Failure::new(
                Exit::Usage,
                format!("`{step}` is no `approve` step of run {}; nothing was done", run.run),
            )
            .detail(format!("it has: {names}"))
            .hint(format!(
                "modelswap approve {service}{at} --step {}",
                approvals.first().map_or("STEP", |id| id.as_str())
            )));
        }
        let steps = self.step.clone().map_or_else(|| meant(run, &approvals), |step| vec![step]);
        if steps.is_empty() {
            return Err(Failure::new(
                Exit::Usage,
                format!("every `approve` step of run {} has passed already ({names}); nothing was done", run.run),
            )
            .hint(format!("modelswap status {service}{at}   shows what it waits for")));
        }
        let what = steps.iter().map(|step| format!("`{step}`")).collect::<Vec<_>>().join(", ");
        let (id, alive, holder) =
            (run.run.clone(), alive(&log), log.holder.as_ref().map(ToString::to_string).unwrap_or_default());
        let asks = steps.iter().map(|step| Ask::Approve { step: Some(step.clone()) }).collect();
        put(store, log, &service, asks, &desk).await?;
        desk.tell(&format!("approved {what} in run {id}, as {}", desk.actor));
        if alive == Alive::No {
            desk.tell(&format!("nobody is at work on it: {holder} is gone. Go on: modelswap resume {service}{at}"));
        }
        desk.result(&json!({
            "type": "asked", "ask": "approve", "steps": steps, "run": id, "by": desk.actor.to_string(), "exit": 0,
        }));
        Ok(Exit::Done)
    }
}

impl Abort {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let desk = Desk::new(common, None)?;
        let service = desk.service(self.service.as_deref()).await?;
        let (store, log) = desk.log(&service).await?;
        let at = &desk.state_option;
        let next = format!("go on: modelswap resume {service}{at}   go back: modelswap rollback {service}{at}");
        let Some(run) = log.newest_open().filter(|_| alive(&log) != Alive::No).map(|run| run.run.clone()) else {
            desk.tell(&format!("nobody is at work on {service}: there is nothing to stop; nothing was done"));
            if log.newest().is_some_and(crate::journal::state::RunState::is_unfinished) {
                desk.tell(&next);
            }
            desk.result(&json!({ "type": "asked", "ask": null, "exit": 0 }));
            return Ok(Exit::Done);
        };
        let holder = log.holder.as_ref().map(ToString::to_string).unwrap_or_default();
        put(store, log, &service, vec![Ask::Abort], &desk).await?;
        desk.tell(&format!("asked run {run} to stop and hold; {holder} lands what is under way, then exits 4"));
        desk.tell(&next);
        desk.result(&json!({ "type": "asked", "ask": "abort", "run": run, "by": desk.actor.to_string(), "exit": 0 }));
        Ok(Exit::Done)
    }
}

/// What a yes without a name means: the steps that wait for one now, else the next that will. Never one further on, which
/// nobody has seen yet.
fn meant(run: &RunState, approvals: &[&StepId]) -> Vec<StepId> {
    let open = || approvals.iter().filter(|id| run.step(id).verified.is_none() && run.step(id).undone.is_none());
    let waits: Vec<StepId> = open().filter(|id| run.step(id).prepared.is_some()).map(|id| (*id).clone()).collect();
    if waits.is_empty() { open().take(1).map(|id| (*id).clone()).collect() } else { waits }
}

/// The run that somebody can still be asked about.
fn unfinished<'l>(log: &'l Log, service: &ServiceName, desk: &Desk) -> Result<&'l RunState, Failure> {
    let run = log.newest_open().or_else(|| log.newest()).filter(|run| run.outcome.is_none());
    run.ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            format!("no run of {service} is under way, so there is nothing to approve; nothing was done"),
        )
        .hint(format!("modelswap status {service}{}", desk.state_option))
    })
}

/// Whether whoever holds the service is still there.
pub(super) fn alive(log: &Log) -> Alive {
    log.alive()
}

async fn put(
    mut store: Box<dyn crate::journal::store::Store>,
    mut log: Log,
    service: &ServiceName,
    asks: Vec<Ask>,
    desk: &Desk,
) -> Result<(), Failure> {
    let run = log
        .newest_open()
        .or_else(|| log.newest())
        .map(|run| run.run.clone())
        .expect("BUG: a run was found in this log");
    for what in asks {
        let fact = Fact::Asked { ask: what, by: desk.actor.to_string() };
        let asked = ask(store.as_mut(), &mut log, service, &run, &desk.actor, fact, desk.clock.now()).await;
        asked.map_err(|e| ending::not_ours(&e, desk))?;
        // What was just written is what the next one follows.
        log = store.load().await.map_err(|e| desk.cannot_keep(&e))?.0;
    }
    Ok(())
}
