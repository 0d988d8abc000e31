//! `modelswap resume`: go on after a crash or an interruption.

use clap::Args;

use super::args::Common;
use super::commands::CommandArgs;
use super::desk::Desk;
use super::ending::{self, Carry};
use super::past::recall;
use super::{Exit, Failure};
use crate::ids::RunId;
use crate::journal::fact::Purpose;
use crate::journal::log::Log;
use crate::journal::store::Store;
use crate::journal::writer::{Journal, Takeover};

/// Options of `resume`.
#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The service; needed when the state directory holds several
    service: Option<String>,
    /// Take over from a process that is not known to be gone
    #[arg(long, requires = "reason")]
    takeover: bool,
    /// Why it is taken over; recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    commands: CommandArgs,
}

impl Resume {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let mut desk = Desk::new(common, None)?;
        desk.allowed = self.commands.read(common)?;
        let service = desk.service(self.service.as_deref()).await?;
        let (store, log) = desk.log(&service).await?;
        let unfinished = log.newest().filter(|run| run.is_unfinished()).map(|run| run.run.clone());
        if let Some(run) = unfinished {
            let takeover = match &self.reason {
                Some(reason) if self.takeover => Takeover::Because(reason.clone()),
                Some(_) | None => Takeover::Never,
            };
            return take_up(store, log, run, takeover, &desk).await;
        }
        desk.tell(&format!("no run of {service} is unfinished; nothing was done"));
        Ok(Exit::Done)
    }
}

/// Takes an unfinished run in hand and carries it on, in the direction in which it was going.
pub(super) async fn resume_run(store: Box<dyn Store>, log: Log, run: RunId, desk: &Desk) -> Result<Exit, Failure> {
    take_up(store, log, run, Takeover::Never, desk).await
}

async fn take_up(
    store: Box<dyn Store>,
    log: Log,
    run: RunId,
    takeover: Takeover,
    desk: &Desk,
) -> Result<Exit, Failure> {
    let state = log.runs.iter().find(|r| r.run == run).expect("BUG: the run was found in this log");
    let past = recall(state, desk)?;
    let service = past.resolved.plan.service.clone();
    desk.refuse_withheld(&past.withheld, &format!("modelswap resume {service}{}", desk.state_option))?;
    let purpose = (Purpose::Resume, takeover);
    let journal = Journal::open(store, log, service, run, desk.actor.clone(), purpose, desk.clock.now()).await;
    let journal = journal.map_err(|e| {
        let again = format!(
            "if that process must not go on: modelswap resume{} --takeover --reason \"...\"",
            desk.state_option
        );
        let held = matches!(e, crate::journal::writer::JournalError::Held { .. });
        let failure = ending::not_ours(&e, desk);
        if held { failure.hint(again) } else { failure }
    })?;
    let carry = Carry { resolved: &past.resolved, backends: &past.backends, graph: &past.graph, until: None };
    ending::carry(journal, &carry, desk).await
}
