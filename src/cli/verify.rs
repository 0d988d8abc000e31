//! `modelswap verify PLAN`: propagation alone. What each name server and resolver answers for each record of the plan.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::args::{Common, VarArgs};
use super::desk::Desk;
use super::opening::PlanFile;
use super::{Exit, Failure, backends};
use crate::ids::RouterName;
use crate::journal::log::Log;
use crate::plan::compile::Backends;
use crate::plan::model::Router;
use crate::probes::propagation::{Round, Seen, ServerLine};
use crate::providers::Split;
use crate::providers::erased::AnyRouter;
use crate::report::table::table;
use crate::steps::propagation::Propagated;
use crate::units::{Span, clock_time};

/// Options of `verify`.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The plan
    plan: PathBuf,
    #[command(flatten)]
    vars: VarArgs,
    /// Keep asking until everybody answers what the zone holds, so long at most
    #[arg(long, value_name = "TIME", default_value = "30s")]
    within: Span,
}

/// A record that is watched.
struct Watched<'a> {
    name: &'a RouterName,
    router: &'a Arc<dyn AnyRouter>,
    look: Propagated,
    live: Value,
    /// What it held before, and since when it does not.
    old: (Value, Option<Timestamp>),
    round: Option<Round>,
}

impl Verify {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let file = PlanFile::read(&self.plan, &self.vars, common)?;
        let desk = Desk::new(common, file.plan.state.as_ref())?;
        let (_, log) = desk.log(&file.plan.service).await?;
        let opened = backends::open(&file.plan, &desk);
        let mut watched = self.watched(&file, &opened, &log, &desk).await?;
        let until = desk.clock.now() + self.within.signed();
        loop {
            for one in &mut watched {
                one.look(desk.clock.now()).await?;
            }
            let now = desk.clock.now();
            let due = watched.iter().filter(|w| !w.holds()).filter_map(|w| w.round.as_ref().map(|r| r.next_due)).min();
            let Some(due) = due.filter(|_| now < until) else { break };
            let pause = due.min(until).duration_since(now).unsigned_abs();
            desk.clock.sleep(pause.max(std::time::Duration::from_millis(50))).await;
        }
        for one in &watched {
            one.show(&desk);
        }
        let exit = if watched.iter().all(Watched::holds) { Exit::Done } else { Exit::DidNotHold };
        desk.result(&json!({
            "type": "propagation", "exit": exit.code(),
            "routers": watched.iter().map(|w| json!({ "router": w.name, "holds": w.router.show(&w.live), "round": w.round })).collect::<Vec<_>>(),
        }));
        Ok(exit)
    }

    async fn watched<'a>(
        &self,
        file: &PlanFile,
        opened: &'a Backends,
        log: &Log,
        desk: &Desk,
    ) -> Result<Vec<Watched<'a>>, Failure> {
        let values = super::situation::read_all(opened).await?;
        let mut watched = Vec::new();
        for (name, router) in &opened.routers {
            let (Some(Router::Route53(record)), Some(live)) = (file.plan.routers.get(name), values.get(name)) else {
                continue;
            };
            let Some(sees) = router.split(live).and_then(|s| s.only().cloned()) else {
                return Err(Failure::new(
                    Exit::Drift,
                    format!(
                        "`{name}` leads somewhere that the plan does not name, or shares traffic: {}",
                        router.show(live)
                    ),
                )
                .detail("which answer is the right one cannot be said"));
            };
            let old = match moved(log, router.as_ref()) {
                Some((old, at)) => (old, at),
                // No run of ours moved it: every answer that leads to the other environment is an old one.
                None => {
                    let other = file.plan.environments.keys().find(|e| **e != sees);
                    let old = other.and_then(|other| router.aim(live, &Split::all_to(other)).ok());
                    (old.unwrap_or_else(|| live.clone()), Some(desk.clock.now()))
                }
            };
            let look = Propagated::new(
                Arc::clone(router),
                sees,
                record.propagation.clone(),
                opened.addresses.clone(),
                opened.resolvers.clone(),
            );
            watched.push(Watched { name, router, look, live: live.clone(), old, round: None });
        }
        if watched.is_empty() {
            return Err(Failure::new(
                Exit::Usage,
                format!("{} moves no DNS record, so there is no propagation to verify", file.path.display()),
            )
            .hint(format!(
                "what clients of a balancer see: modelswap check {} --environment live{}",
                file.path.display(),
                desk.state_option
            )));
        }
        Ok(watched)
    }
}

/// The newest change of a router that moved its traffic, in the newest run that made one.
fn moved(log: &Log, router: &dyn AnyRouter) -> Option<(Value, Option<Timestamp>)> {
    log.runs.iter().rev().find_map(|run| {
        let changes = run.steps.values().filter_map(|step| {
            let (prepared, since) = step.prepared.as_ref()?;
            let ours = prepared.key.as_deref() == Some(router.key().as_str());
            let moves = ours && step.attempts > 0 && router.split(&prepared.before) != router.split(&prepared.want);
            let back = step.undone.is_some();
            let old = if back { &prepared.want } else { &prepared.before };
            moves.then(|| (old.clone(), step.applied_at.unwrap_or(*since)))
        });
        changes.max_by_key(|(_, at)| *at).map(|(old, at)| (old, Some(at)))
    })
}

impl Watched<'_> {
    async fn look(&mut self, now: Timestamp) -> Result<(), Failure> {
        let round = self.look.round(now, &self.live, Some((&self.old.0, self.old.1))).await;
        self.round = round.map_err(|e| Failure::new(Exit::Unknown, format!("`{}`: {e}", self.name)))?;
        Ok(())
    }

    fn holds(&self) -> bool {
        match &self.round {
            Some(round) => matches!(round.seen, Seen::AllNew { .. }),
            // Which of several weights is answered is left to chance: there is no right answer to wait for.
            None => true,
        }
    }

    fn show(&self, desk: &Desk) {
        desk.show(&format!("{}   {}   ({})", self.name, self.router.show(&self.live), self.router.key()));
        let Some(round) = &self.round else {
            desk.show("  which of several weights is answered is left to chance: nothing to verify");
            return;
        };
        let head = ["", "server", "answers", "ttl", "that is", "rounds", "old until"].map(str::to_owned).to_vec();
        let mut rows = vec![head];
        rows.extend(round.authoritative.iter().map(|line| row("name server", line)));
        rows.extend(round.resolvers.iter().map(|line| row("resolver", line)));
        for line in table(&rows, &[11, 44, 40, 6, 16, 6, 9]).concat() {
            desk.show(&format!("  {line}"));
        }
        for note in round.notes.iter().chain(&round.intercepted) {
            desk.show(&format!("  note: {note}"));
        }
        let (sign, says) = match &round.seen {
            Seen::AllNew { evidence } => ("ok", evidence.clone()),
            Seen::NotYet { why } => ("..", format!("not yet: {why}")),
            Seen::CannotTell { why } => ("??", format!("cannot tell: {why}")),
        };
        desk.show(&format!("{sign} {says}"));
    }
}

fn row(kind: &str, line: &ServerLine) -> Vec<String> {
    let ttl = line.ttl_s.map_or_else(String::new, |ttl| ttl.to_string());
    let until = line.old_until.map(clock_time).unwrap_or_default();
    vec![
        kind.to_owned(),
        line.server.clone(),
        line.answered.clone(),
        ttl,
        line.class.to_string(),
        line.clean_rounds.to_string(),
        until,
    ]
}
