//! `modelswap deploy PLAN`: reach the plan's release.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::args::{Common, VarArgs};
use super::commands::Allowed;
use super::desk::Desk;
use super::ending::{self, Carry};
use super::opening::PlanFile;
use super::resume::resume_run;
use super::situation::{self, Situation};
use super::{Exit, Failure, backends, claims, rollback};
use crate::ids::{RunId, StepId};
use crate::journal::fact::{Fact, Outcome, Purpose, RunStarted};
use crate::journal::log::Log;
use crate::journal::state::{Goal, RunState};
use crate::journal::store::Store;
use crate::journal::writer::{Journal, free};
use crate::plan::compile::{Backends, PlanError, compile};
use crate::plan::model::OnFailure;
use crate::plan::resolve::{FORMAT, Resolved};
use crate::steps::Verdict;

/// Options of `deploy`.
#[derive(Debug, Args)]
pub(super) struct Deploy {
    /// The plan
    plan: PathBuf,
    #[command(flatten)]
    vars: VarArgs,
    /// Do not ask before the first effect
    #[arg(long, short)]
    yes: bool,
    /// Stop after this step and hold
    #[arg(long, value_name = "STEP")]
    until: Option<StepId>,
    /// What happens when a step fails, in place of what the plan says
    #[arg(long, value_enum)]
    on_failure: Option<Policy>,
    /// Wait so long for another run of this service to end
    #[arg(long, value_name = "TIME", default_value = "0s")]
    lock_timeout: crate::units::Span,
    /// What the first Ctrl-C does: leave everything as it is, or roll back; rolling back only on a terminal
    #[arg(long, value_enum, default_value_t = Interrupt::Hold)]
    on_interrupt: Interrupt,
    /// Refuse when plan, variables or registers are no longer those of this preview
    #[arg(long, value_name = "DIGEST")]
    plan_digest: Option<String>,
}

/// What the first Ctrl-C does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Interrupt {
    /// Everything stays as it is.
    Hold,
    /// Everything is undone.
    Rollback,
}

/// What happens when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Policy {
    /// Everything is undone, traffic first.
    Rollback,
    /// Nothing more is done; a person decides.
    Hold,
}

impl From<Policy> for OnFailure {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Rollback => Self::Rollback,
            Policy::Hold => Self::Hold,
        }
    }
}

impl Deploy {
    /// A deploy of `plan` with nothing but defaults.
    pub(super) fn of(plan: PathBuf, yes: bool) -> Self {
        Self {
            plan,
            vars: VarArgs::default(),
            yes,
            until: None,
            on_failure: None,
            lock_timeout: crate::units::Span::ZERO,
            on_interrupt: Interrupt::Hold,
            plan_digest: None,
        }
    }

    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let mut file = PlanFile::read(&self.plan, &self.vars, common)?;
        if let Some(policy) = self.on_failure {
            file.plan.on_failure = policy.into();
        }
        let mut desk = Desk::new(common, file.plan.state.as_ref())?;
        // What the plan at hand has may run, whatever a journal says.
        desk.allowed = Allowed::OfPlan(Box::new(file.plan.clone()), file.base.clone());
        desk.refuse_unshared_state(&file.plan)?;
        let (store, log) = self.free_log(&file, &desk).await?;
        free(&log).map_err(|e| ending::not_ours(&e, &desk))?;
        if let Some(unfinished) = log.newest().filter(|run| run.is_unfinished()) {
            if unfinished.started.digest == file.digest && unfinished.unwinding.is_none() {
                desk.tell(&format!("run {} is unfinished and this is its plan: going on with it", unfinished.run));
                let run = unfinished.run.clone();
                return resume_run(store, log, run, &desk).await;
            }
            return Err(unfinished_run(unfinished, &desk, &file));
        }
        let opened = backends::open(&file.plan, &desk);
        let situation = situation::look(&file.plan, &opened, &desk).await?;
        if let Some(digest) = &self.plan_digest {
            situation::refuse_stale(digest, &file.digest, &situation)?;
        }
        if let Some(Verdict::Yes { evidence, .. }) = already_live(&file, &opened, &situation).await {
            desk.tell(&format!(
                "{} serves {} already ({evidence}); nothing was done",
                situation.live, file.plan.release.model
            ));
            desk.result(&json!({ "type": "finished", "outcome": "already", "live": situation.live, "exit": 0 }));
            return Ok(Exit::Done);
        }
        refuse_unfinalized(&log.runs, &file, &desk)?;
        let traps = situation::traps(&opened, &situation).await?;
        situation::refuse_traps(&file.plan, &traps)?;
        for warning in &file.warnings {
            desk.tell(&warning.rendered(super::failure::colour(common), 100));
        }
        for (router, trap) in &traps {
            desk.tell(&format!("note [{}] `{router}`: {}; {}", trap.code, trap.says, trap.hint));
        }
        let (live, next, was) = (situation.live.clone(), situation.next.clone(), situation.was.clone());
        let resolved = Resolved {
            plan: file.plan.clone(),
            live,
            next,
            was,
            host: desk.actor.host.clone(),
            base: file.base.clone(),
        };
        let ready = backends::with_environments(opened, &resolved, &desk);
        let graph = compile(&resolved, &ready).map_err(|errors| not_compiled(&file, &errors))?;
        if let Some(until) = &self.until
            && !graph.nodes.iter().any(|n| n.shape.id == *until)
        {
            let names: Vec<_> = graph.nodes.iter().map(|n| n.shape.id.as_str()).collect();
            return Err(Failure::new(Exit::Usage, format!("the plan has no step `{until}`"))
                .detail(format!("it has: {}; nothing was done", names.join(", "))));
        }
        claims::check(&file.plan, &ready, &desk).await?;
        if !self.yes && desk.interactive {
            ask(&resolved)?;
        }
        let now = desk.clock.now();
        let run = RunId::generate(u64::try_from(now.as_millisecond()).unwrap_or(0));
        let started = RunStarted {
            format: FORMAT,
            plan_name: file.name(),
            plan_text: file.text.clone(),
            digest: file.digest.clone(),
            resolved: serde_json::to_value(&resolved).map_err(|e| Failure::new(Exit::Bug, e.to_string()))?,
        };
        let facts = (Fact::RunStarted(Box::new(started)), Purpose::Deploy);
        let (service, service_name) = (file.plan.service.clone(), file.plan.service.to_string());
        let journal = Journal::begin(store, log, service, run.clone(), desk.actor.clone(), facts, now).await;
        let journal = journal.map_err(|e| ending::not_ours(&e, &desk))?;
        desk.rollback_card(&resolved, &run);
        let carry = Carry { resolved: &resolved, backends: &ready, graph: &graph, until: self.until.clone() };
        let exit = match ending::carry(journal, &carry, &desk).await {
            Err(_) if self.on_interrupt == Interrupt::Rollback && desk.interactive => {
                return rollback::Rollback::of(&service_name).run(common).await;
            }
            other => other?,
        };
        if exit == Exit::Held && desk.interactive && file.plan.on_failure == OnFailure::Ask {
            return held(&service_name, common, &desk).await;
        }
        let at_once = file.plan.finalize.as_ref().is_some_and(|f| f.after == crate::units::Span::ZERO);
        if exit == Exit::Done && at_once {
            let (store, log) = desk.log(&file.plan.service).await?;
            return super::finalize::finalize_run(store, log, run, &desk).await;
        }
        Ok(exit)
    }

    /// The service's log, once nobody else works on it or the patience for that is over.
    async fn free_log(&self, file: &PlanFile, desk: &Desk) -> Result<(Box<dyn Store>, Log), Failure> {
        let end = std::time::Instant::now() + self.lock_timeout.std();
        loop {
            let (store, log) = desk.log(&file.plan.service).await?;
            if free(&log).is_ok() || std::time::Instant::now() >= end {
                return Ok((store, log));
            }
            desk.real_sleep(std::time::Duration::from_millis(500)).await;
        }
    }
}

fn ask(resolved: &Resolved) -> Result<(), Failure> {
    let release = &resolved.plan.release;
    let was = resolved.was.as_ref().map_or_else(|| "?".to_owned(), |w| w.model.clone());
    let question = format!(
        "{}: swap {} ({was}) for {} ({}) in {} steps?",
        resolved.plan.service,
        resolved.live,
        resolved.next,
        release.model,
        resolved.plan.steps.len()
    );
    match dialoguer::Confirm::new().with_prompt(question).default(false).interact() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(Exit::NotPermitted, "not confirmed; nothing was done")),
        Err(error) => {
            Err(Failure::new(Exit::NotPermitted, format!("nobody could be asked ({error}); nothing was done"))
                .hint("add --yes"))
        }
    }
}

/// What the live environment proves of the release, if it says that it serves it: yes means that there is nothing to do.
pub(super) async fn already_live(file: &PlanFile, opened: &Backends, situation: &Situation) -> Option<Verdict> {
    let release = &file.plan.release;
    let says_so = situation.was.as_ref().is_some_and(|was| {
        was.model == release.model && (release.revision.is_none() || was.revision == release.revision)
    });
    if !says_so {
        return None;
    }
    Some(opened.servers.get(&situation.live)?.prove(Some(release)).await)
}

/// Everything that keeps a plan from being carried out.
pub(super) fn not_compiled(file: &PlanFile, errors: &[PlanError]) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("{} cannot be carried out; nothing was done", file.path.display()));
    errors.iter().fold(failure, |failure, error| failure.detail(error.to_string()))
}

pub(super) fn unfinished_run(run: &RunState, desk: &Desk, file: &PlanFile) -> Failure {
    let (service, at) = (&file.plan.service, &desk.state_option);
    let what = format!("run {} of {service} by {} is unfinished; nothing was done", run.run, run.began.1);
    let unfinished = |why: String| Failure::new(Exit::Held, what.clone()).detail(why);
    let why = match &run.outcome {
        Some(Outcome::Held { why, .. }) => format!("it is held: {why}"),
        Some(Outcome::RolledBack { to: Some(step), .. }) => {
            let back = format!("modelswap rollback {service}{at}");
            return unfinished(format!("it was rolled back to `{step}`, which stays")).hint(back);
        }
        Some(_) => "its rollback is incomplete".to_owned(),
        None => "its process ended before its end".to_owned(),
    };
    unfinished(why).hint(format!("modelswap resume {service}{at}   or   modelswap rollback {service}{at}"))
}

/// `on_failure: ask`, with somebody there to be asked.
async fn held(service: &str, common: &Common, desk: &Desk) -> Result<Exit, Failure> {
    let choices = ["leave it as it is", "roll everything back", "try the failed step again"];
    let chosen = dialoguer::Select::new().with_prompt("a step failed; what now?").items(choices).default(0).interact();
    match chosen {
        Ok(1) => rollback::Rollback::of(service).run(common).await,
        Ok(2) => {
            let (store, log) = desk.log(&desk.service(Some(service)).await?).await?;
            match log.newest().map(|run| run.run.clone()) {
                Some(run) => resume_run(store, log, run, desk).await,
                None => Ok(Exit::Held),
            }
        }
        Ok(_) | Err(_) => Ok(Exit::Held),
    }
}

/// While A of the run before still runs as the way back, there is no room for the next release in its place.
fn refuse_unfinalized(runs: &[Arc<RunState>], file: &PlanFile, desk: &Desk) -> Result<(), Failure> {
    let Some(last) = runs.last() else { return Ok(()) };
    let pending = last.outcome == Some(Outcome::Deployed)
        && last.goal == Goal::Deployed
        && last.started.resolved["plan"]["finalize"].is_object();
    if !pending {
        return Ok(());
    }
    let (service, at) = (&file.plan.service, &desk.state_option);
    Err(Failure::new(
        Exit::Held,
        format!("run {} of {service} is not finalized: its old environment still runs as the way back", last.run),
    )
    .detail("nothing was done")
    .hint(format!("modelswap finalize {service}{at} --now   or   modelswap rollback {service}{at}")))
}
