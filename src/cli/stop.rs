//! `modelswap stop SERVICE ENVIRONMENT`: drain and stop an environment that no router sends traffic to.
//!
//! What a rollback kept running is stopped by going on with that rollback; anything else by a run of its own, so that it
//! is journaled, waits for clients, and can be taken back like everything else.

use clap::Args;

use super::args::Common;
use super::commands::CommandArgs;
use super::desk::Desk;
use super::ending::{self, Carry};
use super::past::{Past, recall};
use super::situation;
use super::{Exit, Failure, backends};
use crate::ids::{EnvironmentName, RunId, ServiceName};
use crate::journal::fact::{Fact, Outcome, Purpose, RunStarted};
use crate::journal::log::Log;
use crate::journal::state::RunState;
use crate::journal::store::Store;
use crate::journal::writer::{Journal, Takeover, free};
use crate::plan::compile::{Backends, compile};
use crate::plan::model::{Action, Drain, Finalize, OnEnvironment, Release, Role, Step};
use crate::plan::resolve::{FORMAT, Resolved};
use crate::providers::environments::Running;
use crate::units::{Span, clock_time};

/// Options of `stop`.
#[derive(Debug, Args)]
pub(super) struct Stop {
    /// The service
    service: String,
    /// The environment
    environment: EnvironmentName,
    /// How long it may take until nothing is in flight any more
    #[arg(long, value_name = "TIME", default_value = "30m")]
    at_most: Span,
    /// How long to wait instead where its servers cannot say what is in flight
    #[arg(long, value_name = "TIME")]
    unmeasured: Option<Span>,
    #[command(flatten)]
    commands: CommandArgs,
}

impl Stop {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let mut desk = Desk::new(common, None)?;
        desk.allowed = self.commands.read(common)?;
        let service = desk.service(Some(&self.service)).await?;
        let (store, log) = desk.log(&service).await?;
        free(&log).map_err(|e| ending::not_ours(&e, &desk))?;
        let Some(run) = log.newest() else {
            return Err(Failure::new(
                Exit::Usage,
                format!("{service} has no run, so nothing is known of {}", self.environment),
            ));
        };
        let past = recall(run, &desk)?;
        let again = format!("modelswap stop {service} {}{}", self.environment, desk.state_option);
        desk.refuse_withheld(&past.withheld, &again)?;
        self.refuse(run, &log, &past, &service, &desk).await?;
        let register = past.backends.environments.get(&self.environment).expect("BUG: refused without it");
        let live =
            register.read().await.map_err(|e| Failure::new(Exit::Unknown, e.to_string()).detail("nothing was done"))?;
        if serde_json::from_value::<Running>(live).ok() == Some(Running::Stopped) {
            desk.tell(&format!("{} is stopped already; nothing was done", self.environment));
            desk.result(&serde_json::json!({ "type": "finished", "outcome": "already", "exit": 0 }));
            return Ok(Exit::Done);
        }
        let kept = matches!(run.outcome, Some(Outcome::RolledBack { .. }))
            && run.has_effects()
            && self.environment == past.resolved.next;
        if kept {
            go_on_with_rollback(store, log, &past, &desk).await
        } else {
            self.stop_in_a_run(store, log, past, &desk).await
        }
    }

    /// Everything that speaks against it.
    async fn refuse(
        &self,
        run: &RunState,
        log: &Log,
        past: &Past,
        service: &ServiceName,
        desk: &Desk,
    ) -> Result<(), Failure> {
        let (environment, at, plan) = (&self.environment, &desk.state_option, &past.resolved.plan);
        let names: Vec<_> = plan.environments.keys().map(EnvironmentName::to_string).collect();
        if !plan.environments.contains_key(environment) {
            return Err(Failure::new(
                Exit::Usage,
                format!("{service} has no environment `{environment}`; nothing was done"),
            )
            .hint(format!("it has: {}", names.join(", "))));
        }
        if !past.backends.environments.contains_key(environment) {
            return Err(Failure::new(
                Exit::Usage,
                format!("the plan of {service} does not say how `{environment}` is stopped (`runs`); nothing was done"),
            )
            .hint("stop it where it was started"));
        }
        if run.is_unfinished() {
            return Err(Failure::new(
                Exit::Held,
                format!("run {} of {service} is unfinished and may need `{environment}`; nothing was done", run.run),
            )
            .hint(format!("modelswap resume {service}{at}   or   modelswap rollback {service}{at}")));
        }
        for (name, value) in situation::read_all(&past.backends).await? {
            let Some(router) = past.backends.routers.get(&name) else { continue };
            let leads = router.split(&value);
            if leads.as_ref().is_none_or(|split| split.share(environment) > 0) {
                return Err(Failure::new(
                    Exit::NotPermitted,
                    format!("`{name}` sends traffic to `{environment}`: {}; nothing was done", router.show(&value)),
                )
                .hint(format!(
                    "move the traffic first: modelswap rollback {service}{at}, or deploy the next release"
                )));
            }
        }
        let tails = log.runs.iter().flat_map(|run| &run.tails).filter(|t| t.environment == *environment);
        if let Some(tail) = tails.max_by_key(|t| t.until).filter(|t| t.until > desk.clock.now()) {
            return Err(Failure::new(
                Exit::NotPermitted,
                format!("clients may still come to `{environment}` until {}; nothing was done", clock_time(tail.until)),
            )
            .detail(format!("{} ({})", tail.why, "answers that are cached still lead there"))
            .hint(format!("type it again then: modelswap stop {service} {environment}{at}")));
        }
        if run.outcome == Some(Outcome::Deployed) && *environment == past.resolved.live && plan.finalize.is_some() {
            return Err(Failure::new(
                Exit::NotPermitted,
                format!("`{environment}` is the quick way back of run {}; nothing was done", run.run),
            )
            .hint(format!("modelswap finalize {service}{at} --now   drains and stops it, as the plan says")));
        }
        Ok(())
    }

    async fn stop_in_a_run(&self, store: Box<dyn Store>, log: Log, past: Past, desk: &Desk) -> Result<Exit, Failure> {
        let role = || Role(self.environment.to_string());
        let step = |action| Step { name: None, within: None, action };
        let quiet = Span::from_secs(30);
        let drain = Drain { environment: role(), at_most: self.at_most, quiet, unmeasured: self.unmeasured };
        let serves = past.resolved.plan.environments.keys().find(|e| **e != self.environment).cloned();
        let serves = serves.unwrap_or_else(|| past.resolved.live.clone());
        // What each serves is what it says now; a way back must bring up the same.
        let (was, release) = (said(&past.backends, &self.environment).await, said(&past.backends, &serves).await);
        let mut resolved = Resolved { live: self.environment.clone(), next: serves, was, ..past.resolved };
        resolved.plan.release = release.unwrap_or(resolved.plan.release);
        resolved.plan.steps = Vec::new();
        // Like every finalize: a failure holds, it is no reason to start anything again.
        let steps = vec![step(Action::Drain(drain)), step(Action::Teardown(OnEnvironment { environment: role() }))];
        resolved.plan.finalize = Some(Finalize { after: Span::ZERO, steps });
        let ready = backends::with_environments(past.backends, &resolved, desk);
        let graph = compile(&resolved, &ready).map_err(|errors| {
            let failure =
                Failure::new(Exit::Usage, format!("`{}` cannot be stopped; nothing was done", self.environment));
            errors.iter().fold(failure, |failure, error| failure.detail(error.to_string()))
        })?;
        let now = desk.clock.now();
        let run = RunId::generate(u64::try_from(now.as_millisecond()).unwrap_or(0));
        let plan_name = format!("stop {}", self.environment);
        let (plan_text, digest) = (String::new(), crate::journal::record::digest(plan_name.as_bytes()));
        let recorded = serde_json::to_value(&resolved).map_err(|e| Failure::new(Exit::Bug, e.to_string()))?;
        let started = RunStarted { format: FORMAT, plan_name, plan_text, digest, resolved: recorded };
        let facts = (Fact::RunStarted(Box::new(started)), Purpose::Finalize);
        let service = resolved.plan.service.clone();
        let journal = Journal::begin(store, log, service, run, desk.actor.clone(), facts, now).await;
        let journal = journal.map_err(|e| ending::not_ours(&e, desk))?;
        let carry = Carry { resolved: &resolved, backends: &ready, graph: &graph, until: None };
        ending::carry(journal, &carry, desk).await
    }
}

async fn said(backends: &Backends, environment: &EnvironmentName) -> Option<Release> {
    backends.servers.get(environment)?.identity().await.ok()
}

/// The rollback that kept it goes on, without keeping it.
async fn go_on_with_rollback(store: Box<dyn Store>, log: Log, past: &Past, desk: &Desk) -> Result<Exit, Failure> {
    let run = log.newest().map(|run| run.run.clone()).expect("BUG: the run was found in this log");
    let service = past.resolved.plan.service.clone();
    let now = desk.clock.now();
    let purpose = (Purpose::Rollback, Takeover::Never);
    let journal = Journal::open(store, log, service, run, desk.actor.clone(), purpose, now).await;
    let mut journal = journal.map_err(|e| ending::not_ours(&e, desk))?;
    let why = format!("{} asked to stop what was kept", desk.actor);
    let turn = Fact::Unwinding { why, unproven: false, keep: false, asked: true, to: None };
    journal.append(turn, now).await.map_err(|e| ending::not_ours(&e, desk))?;
    let carry = Carry { resolved: &past.resolved, backends: &past.backends, graph: &past.graph, until: None };
    ending::carry(journal, &carry, desk).await
}
