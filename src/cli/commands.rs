//! Recorded commands. A journal that others can write is input, and its commands run with the credentials of whoever resumes or
//! rolls back. So from shared state they run only when the plan at hand has the same, or when somebody says so.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;

use super::args::{Common, VarArgs};
use super::desk::Desk;
use super::opening::PlanFile;
use super::{Exit, Failure};
use crate::plan::model::{Action, Gate, Plan, Runs, Step};
use crate::plan::resolve::Resolved;
use crate::providers::argv::WITHHELD;

/// How recorded commands are allowed to run.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct CommandArgs {
    /// The plan of the run: its commands may run where the journal is shared
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    vars: VarArgs,
    /// Run commands that a shared journal recorded, with no plan to compare them with
    #[arg(long)]
    allow_commands: bool,
}

/// Which recorded commands may run here.
#[derive(Debug, Clone, Default)]
pub(super) enum Allowed {
    /// Those of a journal of this host alone.
    #[default]
    OwnJournal,
    /// Those of this plan, which lies in that directory.
    OfPlan(Box<Plan>, PathBuf),
    /// All of them.
    Every,
}

impl CommandArgs {
    pub(super) fn read(&self, common: &Common) -> Result<Allowed, Failure> {
        if self.allow_commands {
            return Ok(Allowed::Every);
        }
        let Some(path) = &self.plan else { return Ok(Allowed::OwnJournal) };
        let file = PlanFile::read(path, &self.vars, common)?;
        Ok(Allowed::OfPlan(Box::new(file.plan), file.base))
    }
}

impl Desk {
    /// Leaves out the commands that may not run here; what they are, a line each.
    pub(super) fn withhold(&self, resolved: &mut Resolved) -> Vec<String> {
        if !self.shared {
            return Vec::new();
        }
        let recorded = commands(&mut resolved.plan);
        match &self.allowed {
            Allowed::Every => return Vec::new(),
            Allowed::OfPlan(plan, base) => {
                let at_hand: BTreeSet<String> = commands(&mut plan.clone()).iter().map(|c| c.whole.clone()).collect();
                if recorded.iter().all(|command| at_hand.contains(&command.whole)) {
                    // They belong where the plan at hand is, not where a record says.
                    resolved.base.clone_from(base);
                    return Vec::new();
                }
            }
            Allowed::OwnJournal => {}
        }
        let lines = recorded.iter().map(|command| command.shown.clone()).collect();
        for argv in argvs(&mut resolved.plan) {
            argv.1.insert(0, WITHHELD.to_owned());
        }
        lines
    }

    /// What a rollback will not run; its end lists what that leaves undone.
    pub(super) fn tell_withheld(&self, past: &super::past::Past) {
        if past.withheld.is_empty() {
            return;
        }
        self.tell(
            "the shared journal recorded commands; they are not run on its word, traffic is restored without them:",
        );
        for line in &past.withheld {
            self.tell(&format!("  {line}   (on {})", past.resolved.host));
        }
        self.tell(
            "  to have them run: the same again with --plan FILE, the plan that has them, or with --allow-commands",
        );
    }

    /// For verbs that go forward: a command that may not run is found before anything is done.
    pub(super) fn refuse_withheld(&self, withheld: &[String], again: &str) -> Result<(), Failure> {
        if withheld.is_empty() {
            return Ok(());
        }
        let failure = Failure::new(
            Exit::NotPermitted,
            format!("the journal in {} recorded commands, and they are not run on its word", self.place),
        );
        let failure = failure.detail("nothing was done");
        let failure = withheld.iter().fold(failure, |failure, line| failure.detail(line.clone()));
        Err(failure.hint(format!("{again} --plan FILE   with the plan that has them, or --allow-commands")))
    }
}

struct Recorded {
    /// With all that it runs with.
    whole: String,
    shown: String,
}

fn commands(plan: &mut Plan) -> Vec<Recorded> {
    let around: Vec<_> =
        plan.environments.iter().map(|(name, e)| (name.to_string(), around(e.runs.as_ref()))).collect();
    let around = |of: &str| around.iter().find(|(name, _)| name == of).map(|(_, a)| a.clone()).unwrap_or_default();
    let recorded = |(of, argv): (String, &mut Vec<String>)| {
        let environment = of.split(' ').next().unwrap_or_default();
        Recorded { whole: format!("{argv:?} {}", around(environment)), shown: format!("{of}: {}", argv.join(" ")) }
    };
    argvs(plan).into_iter().map(recorded).collect()
}

fn around(runs: Option<&Runs>) -> String {
    match runs {
        Some(Runs::Process(runs)) => format!("{:?} {:?}", runs.env, runs.directory),
        Some(Runs::Command(runs)) => format!("{:?} {:?}", runs.env, runs.directory),
        None => String::new(),
    }
}

/// Every argv of a plan, and whose it is.
fn argvs(plan: &mut Plan) -> Vec<(String, &mut Vec<String>)> {
    let mut all = Vec::new();
    for (name, environment) in &mut plan.environments {
        match &mut environment.runs {
            Some(Runs::Process(runs)) => all.push((format!("{name} starts"), &mut runs.command)),
            Some(Runs::Command(runs)) => {
                all.push((format!("{name} starts"), &mut runs.start));
                all.push((format!("{name} stops"), &mut runs.stop));
                all.push((format!("{name} says whether it runs"), &mut runs.status));
            }
            None => {}
        }
    }
    for (name, gate) in &mut plan.gates {
        if let Gate::Command(gate) = gate {
            all.push((format!("gate {name}"), &mut gate.run));
        }
    }
    let finalize = plan.finalize.iter_mut().flat_map(|finalize| &mut finalize.steps);
    for step in plan.steps.iter_mut().chain(finalize) {
        of_step(step, &mut all);
    }
    all
}

fn of_step<'p>(step: &'p mut Step, all: &mut Vec<(String, &'p mut Vec<String>)>) {
    match &mut step.action {
        Action::Run(run) => {
            all.push(("step".to_owned(), &mut run.act));
            all.extend(run.undo.as_mut().map(|argv| ("step, taken back".to_owned(), argv)));
            all.extend(run.check.as_mut().map(|argv| ("step, checked".to_owned(), argv)));
        }
        Action::Parallel(branches) => {
            for step in branches.iter_mut().flat_map(|branch| &mut branch.0) {
                of_step(step, all);
            }
        }
        _ => {}
    }
}
