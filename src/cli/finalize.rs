//! `modelswap finalize`: run the recorded finalize steps, after reading all routers again.

use clap::Args;

use super::args::Common;
use super::commands::CommandArgs;
use super::desk::Desk;
use super::ending::{self, Carry};
use super::past::recall;
use super::situation;
use super::{Exit, Failure};
use crate::ids::RunId;
use crate::journal::fact::{Outcome, Purpose};
use crate::journal::log::Log;
use crate::journal::store::Store;
use crate::journal::writer::{Journal, Takeover, free};
use crate::units::clock_time;

/// Options of `finalize`.
#[derive(Debug, Args)]
pub(super) struct Finalize {
    /// The service; needed when the state directory holds several
    service: Option<String>,
    /// Do not wait for the time that the plan names after the deploy
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    commands: CommandArgs,
}

impl Finalize {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let mut desk = Desk::new(common, None)?;
        desk.allowed = self.commands.read(common)?;
        let service = desk.service(self.service.as_deref()).await?;
        let (store, log) = desk.log(&service).await?;
        free(&log).map_err(|e| ending::not_ours(&e, &desk))?;
        let at = &desk.state_option;
        let Some(run) = log.newest() else {
            return Err(Failure::new(Exit::Usage, format!("{service} has no run to finalize")));
        };
        match &run.outcome {
            Some(Outcome::Finalized) => {
                desk.tell(&format!("run {} is finalized already; nothing was done", run.run));
                return Ok(Exit::Done);
            }
            Some(Outcome::Deployed) => {}
            Some(Outcome::Held { .. } | Outcome::RolledBack { .. } | Outcome::RollbackIncomplete { .. }) | None => {
                return Err(Failure::new(
                    Exit::Held,
                    format!("the newest run of {service} ({}) is not deployed; nothing was done", run.run),
                )
                .hint(format!("modelswap status {service}{at}")));
            }
        }
        let past = recall(run, &desk)?;
        let Some(plan) = &past.resolved.plan.finalize else {
            desk.tell("the plan has no `finalize` steps; nothing was done");
            return Ok(Exit::Done);
        };
        let from = run.last_at + plan.after.signed();
        if !self.now && desk.clock.now() < from {
            return Err(Failure::new(
                Exit::NotPermitted,
                format!("the plan keeps the quick way back until {}", clock_time(from)),
            )
            .detail("nothing was done")
            .hint(format!("modelswap finalize {service}{at} --now   gives it up earlier")));
        }
        let id = run.run.clone();
        finalize_run(store, log, id, &desk).await
    }
}

/// Runs the finalize steps of a deployed run, if the routers still lead where it led them.
pub(super) async fn finalize_run(store: Box<dyn Store>, log: Log, run: RunId, desk: &Desk) -> Result<Exit, Failure> {
    let state = log.runs.iter().find(|r| r.run == run).expect("BUG: the run was found in this log");
    let past = recall(state, desk)?;
    let (service, at) = (&past.resolved.plan.service, &desk.state_option);
    desk.refuse_withheld(&past.withheld, &format!("modelswap finalize {service}{at}"))?;
    let next = &past.resolved.next;
    for (name, value) in situation::read_all(&past.backends).await? {
        let Some(router) = past.backends.routers.get(&name) else { continue };
        if router.split(&value).as_ref().and_then(|s| s.only()) != Some(next) {
            return Err(Failure::new(
                Exit::Drift,
                format!("`{name}` does not lead to {next} any more; nothing was done"),
            )
            .detail(format!("{} holds: {}", router.key(), router.show(&value))));
        }
    }
    let service = past.resolved.plan.service.clone();
    let purpose = (Purpose::Finalize, Takeover::Never);
    let journal = Journal::open(store, log, service, run, desk.actor.clone(), purpose, desk.clock.now()).await;
    let journal = journal.map_err(|e| ending::not_ours(&e, desk))?;
    let carry = Carry { resolved: &past.resolved, backends: &past.backends, graph: &past.graph, until: None };
    ending::carry(journal, &carry, desk).await
}
