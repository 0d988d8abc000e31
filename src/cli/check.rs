//! `modelswap check PLAN`: the gates alone. An environment proves that it serves, then every gate of the plan's check steps is asked.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::args::{Common, VarArgs};
use super::desk::Desk;
use super::opening::PlanFile;
use super::situation;
use super::{Exit, Failure, backends};
use crate::ids::{EnvironmentName, GateName, RunId, StepId};
use crate::journal::fact::{Prepared, RunStarted};
use crate::journal::state::{Goal, RunState};
use crate::plan::compile::compile;
use crate::plan::model::{Action, Check as CheckStep, Role, Step};
use crate::plan::resolve::Resolved;
use crate::steps::{Cx, Verdict};
use crate::units::Span;

/// Options of `check`.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The plan
    plan: PathBuf,
    #[command(flatten)]
    vars: VarArgs,
    /// Which environment: live, next, or its name
    #[arg(long, value_name = "ROLE", default_value = "next")]
    environment: String,
    /// Keep asking until it holds, so long at most [default: ask once]
    #[arg(long, value_name = "TIME")]
    within: Option<Span>,
}

impl Check {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let file = PlanFile::read(&self.plan, &self.vars, common)?;
        let desk = Desk::new(common, file.plan.state.as_ref())?;
        let resolved = self.resolve(&file, &desk).await?;
        let role = Role(self.environment.clone());
        let environment = resolved.environment(&role).map_err(|why| Self::unknown(&file, &why))?;
        let gates = gates(&resolved, &environment);
        // One step that asks everything. A single look proves once; only patience can ask for several in a row.
        let times = if self.within.is_some() { 3 } else { 1 };
        let action =
            Action::Check(CheckStep { environment: Role(environment.to_string()), gates: gates.clone(), times });
        let mut only = resolved.clone();
        only.plan.steps = vec![Step { name: None, within: None, action }];
        only.plan.finalize = None;
        let graph = compile(&only, &backends::open(&only.plan, &desk))
            .map_err(|errors| super::deploy::not_compiled(&file, &errors))?;
        let node = graph.nodes.last().expect("BUG: the plan has one step");
        let until = desk.clock.now() + self.within.unwrap_or(Span::ZERO).signed();
        let (run, state) = nobody_s_run(&resolved, desk.clock.now());
        let (holds, says) = loop {
            let cx = cx(&node.shape.id, &run, &state, desk.clock.now());
            let verdict = node.step.verify(&Prepared::nothing(), None, &cx).await;
            let why = match verdict {
                Ok(Verdict::Yes { evidence, .. }) => break (true, evidence),
                Ok(Verdict::No(why)) => break (false, why),
                Ok(Verdict::NotYet(why)) => why,
                Ok(Verdict::CannotTell(why)) => format!("cannot tell: {why}"),
                Err(error) => error.to_string(),
            };
            if desk.clock.now() >= until {
                break (false, why);
            }
            desk.clock.sleep(node.poll.std()).await;
        };
        let asked = gates.iter().map(ToString::to_string).collect::<Vec<_>>();
        let with = if asked.is_empty() { "no gates".to_owned() } else { format!("gates: {}", asked.join(", ")) };
        let sign = if holds { "ok" } else { "!!" };
        desk.show(&format!("{sign} {environment}   {says}   ({with})"));
        let exit = if holds { Exit::Done } else { Exit::DidNotHold };
        desk.result(&json!({
            "type": "checked", "environment": environment, "holds": holds, "says": says, "gates": asked, "exit": exit.code(),
        }));
        Ok(exit)
    }

    /// Roles are the routers' to say; a name needs nobody.
    async fn resolve(&self, file: &PlanFile, desk: &Desk) -> Result<Resolved, Failure> {
        let (plan, host, base) = (file.plan.clone(), desk.actor.host.clone(), file.base.clone());
        if let Some(named) = plan.environments.keys().find(|e| e.as_str() == self.environment).cloned() {
            let other = plan.environments.keys().find(|e| **e != named).cloned().unwrap_or_else(|| named.clone());
            // Whether it is live is not known, so it may serve the release or what was before: what it says is what it must prove.
            let said = backends::open(&plan, desk).servers.get(&named).cloned();
            let was = match said {
                Some(servers) => servers.identity().await.ok(),
                None => None,
            };
            return Ok(Resolved { plan, live: named, next: other, was, host, base });
        }
        let opened = backends::open(&plan, desk);
        let situation = situation::look(&plan, &opened, desk).await?;
        Ok(Resolved { plan, live: situation.live, next: situation.next, was: situation.was, host, base })
    }

    fn unknown(file: &PlanFile, why: &str) -> Failure {
        let names: Vec<_> = file.plan.environments.keys().map(EnvironmentName::to_string).collect();
        Failure::new(Exit::Usage, format!("{why}; nothing was asked"))
            .hint(format!("--environment takes live, next, {}", names.join(", ")))
    }
}

/// The gates of every check step of an environment, in the order in which they are written.
fn gates(resolved: &Resolved, environment: &EnvironmentName) -> Vec<GateName> {
    let mut found = Vec::new();
    let mut open: Vec<&Step> = resolved.plan.steps.iter().rev().collect();
    while let Some(step) = open.pop() {
        match &step.action {
            Action::Parallel(branches) => open.extend(branches.iter().rev().flat_map(|b| b.0.iter().rev())),
            Action::Check(check) => found.extend(check.gates.iter().cloned()),
            _ => {}
        }
    }
    // The plan's gates are about the release; the environment that is live before it need not pass them.
    if resolved.was.is_some() && *environment == resolved.live && resolved.was.as_ref() != Some(&resolved.plan.release)
    {
        return Vec::new();
    }
    let mut once = Vec::new();
    found.into_iter().for_each(|gate| {
        if !once.contains(&gate) {
            once.push(gate);
        }
    });
    once
}

/// A look outside of any run.
pub(super) fn nobody_s_run(resolved: &Resolved, now: jiff::Timestamp) -> (RunId, RunState) {
    let run = RunId::generate(u64::try_from(now.as_millisecond()).unwrap_or(0));
    let (plan_name, plan_text, digest) = (String::new(), String::new(), String::new());
    let resolved = serde_json::to_value(resolved).unwrap_or_default();
    let started = Arc::new(RunStarted { format: crate::plan::resolve::FORMAT, plan_name, plan_text, digest, resolved });
    let state = RunState {
        run: run.clone(),
        started,
        began: (now, String::new()),
        goal: Goal::Deployed,
        unwinding: None,
        steps: std::collections::BTreeMap::new(),
        tails: Vec::new(),
        asked: Vec::new(),
        observed: std::collections::BTreeMap::new(),
        outcome: None,
        interrupted: None,
        opened_at: now,
        last_at: now,
    };
    (run, state)
}

pub(super) fn cx<'c>(step: &'c StepId, run: &'c RunId, state: &'c RunState, now: jiff::Timestamp) -> Cx<'c> {
    Cx { step, run, now, since: now, ours: &[], state, approved_by: None, unproven: false }
}
