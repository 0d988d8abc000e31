//! `modelswap plan PLAN`: what a deploy would do, against the live world. Read-only.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::args::{Common, VarArgs};
use super::deploy::{already_live, unfinished_run};
use super::desk::Desk;
use super::opening::PlanFile;
use super::preview::{Preview, Row, Subject, lengths, preview};
use super::situation::{self, Situation};
use super::untouched::{Untouched, untouched};
use super::{Exit, Failure, backends};
use crate::ids::{EnvironmentName, RouterName};
use crate::plan::compile::{Backends, compile};
use crate::plan::graph::Section;
use crate::plan::model::{Release, Runs};
use crate::plan::resolve::Resolved;
use crate::providers::Trap;
use crate::report::table::{table, wrap};
use crate::steps::Verdict;
use crate::units::{clock_time, rounded};

/// Options of `plan`.
#[derive(Debug, Args)]
pub(super) struct Plan {
    /// The plan
    #[arg(value_name = "PLAN")]
    file: PathBuf,
    #[command(flatten)]
    vars: VarArgs,
    /// Exit 10 when a deploy would change something, 0 when the release is live already
    #[arg(long)]
    detailed_exitcode: bool,
    /// Ask `command` environments too whether they run, which runs their `status` commands
    #[arg(long)]
    run_status: bool,
}

/// Widths: step, now, will be, takes, way back. With the gaps as wide as a terminal of 120 columns.
const CAPS: [usize; 5] = [22, 26, 34, 8, 26];

impl Plan {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let file = PlanFile::read(&self.file, &self.vars, common)?;
        let desk = Desk::new(common, file.plan.state.as_ref())?;
        let loaded = desk.records(&file.plan.service).await;
        let (log, records) = loaded.map_err(|e| desk.cannot_keep(&e))?;
        if let Some(unfinished) = log.newest().filter(|run| run.is_unfinished()) {
            return Err(unfinished_run(unfinished, &desk, &file));
        }
        let opened = backends::open(&file.plan, &desk);
        let situation = situation::look(&file.plan, &opened, &desk).await?;
        if let Some(Verdict::Yes { evidence, .. }) = already_live(&file, &opened, &situation).await {
            desk.show(&format!(
                "{} serves {} already ({evidence}); a deploy would do nothing",
                situation.live, file.plan.release.model
            ));
            desk.result(&json!({ "type": "preview", "changes": false, "live": situation.live, "exit": 0 }));
            return Ok(Exit::Done);
        }
        let traps = situation::traps(&opened, &situation).await?;
        let untouched = untouched(&opened).await?;
        let (live, next, was) = (situation.live.clone(), situation.next.clone(), situation.was.clone());
        let (host, base) = (desk.actor.host.clone(), file.base.clone());
        let resolved = Resolved { plan: file.plan.clone(), live, next, was, host, base };
        let ready = backends::with_environments(opened, &resolved, &desk);
        let graph = compile(&resolved, &ready).map_err(|errors| super::deploy::not_compiled(&file, &errors))?;
        let unasked = self.unasked(&resolved, &desk);
        let (lengths, digest) =
            (lengths(&records.into_iter().map(|(r, _)| r).collect::<Vec<_>>()), situation.digest(&file.digest));
        let subject =
            Subject { resolved: &resolved, backends: &ready, graph: &graph, lengths: &lengths, unasked: &unasked };
        let preview = preview(&subject, &desk).await?;
        let told = Told {
            file: &file,
            resolved: &resolved,
            ready: &ready,
            situation: &situation,
            traps: &traps,
            untouched: &untouched,
            preview: &preview,
            digest: &digest,
        };
        told.show(&desk);
        desk.result(&told.json(&desk));
        if let Some(row) = preview.rows.iter().find(|row| row.refused.is_some()) {
            let why = row.refused.clone().unwrap_or_default();
            return Err(Failure::new(
                Exit::Usage,
                format!("step `{}` ({}) could not be carried out: {why}", row.id, row.title),
            )
            .detail("nothing was changed"));
        }
        Ok(if self.detailed_exitcode { Exit::Changes } else { Exit::Done })
    }

    /// Environments whose state only a command of the operator's knows. The loopback world's stand-ins are no such commands.
    fn unasked(&self, resolved: &Resolved, desk: &Desk) -> Vec<EnvironmentName> {
        let stand_in = |name: &EnvironmentName| desk.world.as_ref().is_some_and(|world| world.runs.contains_key(name));
        let environments = resolved.plan.environments.iter().filter(|(_, e)| matches!(e.runs, Some(Runs::Command(_))));
        environments.filter(|(name, _)| !self.run_status && !stand_in(name)).map(|(name, _)| name.clone()).collect()
    }
}

/// Everything that is told.
struct Told<'a> {
    file: &'a PlanFile,
    resolved: &'a Resolved,
    ready: &'a Backends,
    situation: &'a Situation,
    traps: &'a [(RouterName, Trap)],
    untouched: &'a [Untouched],
    preview: &'a Preview,
    digest: &'a str,
}

impl Told<'_> {
    fn show(&self, desk: &Desk) {
        let Resolved { live, next, was, plan, .. } = self.resolved;
        desk.show(&format!(
            "modelswap plan {}   read {}; nothing was changed",
            self.file.path.display(),
            clock_time(desk.clock.now())
        ));
        let was = was.as_ref().map_or_else(|| "says nothing of what it serves".to_owned(), named);
        desk.show(&format!("from {live} {was} (live)   to {next} {}", named(&plan.release)));
        for (name, router) in &self.ready.routers {
            if let Some(value) = self.situation.values.get(name) {
                desk.show(&format!("  {name}: {}   ({})", router.show(value), router.key()));
            }
        }
        desk.show("");
        let (deploy, finalize): (Vec<_>, Vec<_>) =
            self.preview.rows.iter().partition(|row| row.section == Section::Deploy);
        let mut rows = vec![["step", "now", "will be", "takes", "way back from here"].map(str::to_owned).to_vec()];
        rows.extend(deploy.iter().chain(&finalize).map(|row| cells(row)));
        // One table, so that both parts have the same columns; what stands between its rows is put in afterwards.
        for (n, lines) in table(&rows, &CAPS).into_iter().enumerate() {
            if n == deploy.len() + 1 {
                desk.show(&self.between(desk));
            }
            for line in &lines {
                desk.show(line);
            }
            self.below(n, desk);
        }
        if finalize.is_empty() {
            desk.show(&self.between(desk));
        }
        desk.show("");
        self.rest(desk);
    }

    /// What a step waits for and leaves behind stands below its row; row 0 is the head.
    fn below(&self, row: usize, desk: &Desk) {
        let Some(row) = row.checked_sub(1).and_then(|at| self.preview.rows.get(at)) else { return };
        for wait in &row.waits {
            for line in wrap(wait, 100) {
                desk.show(&format!("      {line}"));
            }
        }
    }

    fn between(&self, desk: &Desk) -> String {
        let live = &self.resolved.live;
        let Some(after) = self.resolved.plan.finalize.as_ref().map(|f| f.after) else {
            return format!("    ---- deploy ends {}; {live} stays up ----", self.ends(desk));
        };
        format!(
            "    ---- deploy ends {}; {live} stays up for {after}, then `modelswap finalize {}{}` ----",
            self.ends(desk),
            self.resolved.plan.service,
            desk.state_option
        )
    }

    fn ends(&self, desk: &Desk) -> String {
        let length = rounded(self.preview.ends.duration_since(desk.clock.now()));
        if self.preview.ends_is_known {
            format!("about {} ({length} from now)", clock_time(self.preview.ends))
        } else {
            format!(
                "after {} at the earliest; how long it takes is known after the first run",
                clock_time(self.preview.ends)
            )
        }
    }

    fn rest(&self, desk: &Desk) {
        for place in self.untouched {
            for line in wrap(&place.says(), 120) {
                desk.show(&line);
            }
        }
        if let Some((text, _)) = self.cost(desk) {
            desk.show(&format!("cost      {text}"));
        }
        desk.show(&format!("rollback  {}", self.needs(desk)));
        for (router, trap) in self.traps {
            let open = trap.must_acknowledge && !self.resolved.plan.acknowledge.contains(&trap.code);
            let refused = if open { "; a deploy is refused until this is put right or acknowledged" } else { "" };
            desk.show(&format!("! {}   `{router}`: {}{refused}", trap.code, trap.says));
            for line in wrap(&trap.hint, 100) {
                desk.show(&format!("          {line}"));
            }
        }
        for warning in &self.file.warnings {
            desk.show(&format!("! {}   {}: {}", warning.code, warning.path, warning.message));
        }
        desk.show(&format!(
            "digest {}   deploy exactly this: modelswap deploy {}{} --plan-digest {}",
            short(self.digest),
            self.file.path.display(),
            desk.state_option,
            short(self.digest)
        ));
    }

    /// Both run until the old one is stopped: in words, and the sum.
    fn cost(&self, desk: &Desk) -> Option<(String, Option<f64>)> {
        let Resolved { plan, live, next, .. } = self.resolved;
        let price = [live, next].into_iter().find_map(|e| plan.environments.get(e)?.hourly_cost)?;
        let Some(finalize) = &plan.finalize else {
            return Some((format!("{price:.2} an hour more, until somebody stops {live}"), None));
        };
        let hours =
            (self.preview.ends.duration_since(desk.clock.now()) + finalize.after.signed()).as_secs_f64() / 3600.0;
        let sum = hours * price;
        let at_least = if self.preview.ends_is_known { "" } else { "at least " };
        Some((format!("overlap {at_least}{hours:.1} h x {price:.2} = {sum:.2}"), Some(sum)))
    }

    /// What a rollback will need.
    fn needs(&self, desk: &Desk) -> String {
        let plan = &self.resolved.plan;
        let mut needs = vec![format!("the state in {}", desk.place)];
        if let Some(aws) = &plan.aws {
            needs.push(format!("credentials for AWS account {}", aws.account));
        }
        let commands = plan.environments.values().filter_map(|e| match &e.runs {
            Some(Runs::Command(runs)) => runs.start.first().cloned(),
            Some(Runs::Process(_)) | None => None,
        });
        let commands: std::collections::BTreeSet<_> = commands.collect();
        if !commands.is_empty() {
            needs.push(format!("these programs: {}", commands.into_iter().collect::<Vec<_>>().join(", ")));
        }
        format!("needs {}; no plan file", needs.join(", "))
    }

    fn json(&self, desk: &Desk) -> serde_json::Value {
        let rows = self.preview.rows.iter().map(|row| {
            let section = match row.section {
                Section::Deploy => "deploy",
                Section::Finalize => "finalize",
            };
            json!({
                "step": row.id, "title": row.title, "section": section, "now": row.now, "will_be": row.will, "takes": row.takes.to_string(),
                "changes": row.changes, "way_back": row.back, "waits": row.waits, "refused": row.refused,
            })
        });
        let registers: serde_json::Map<_, _> =
            self.situation.values.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        json!({
            "type": "preview", "changes": true, "service": self.resolved.plan.service, "from": self.resolved.live, "to": self.resolved.next,
            "was": self.resolved.was, "release": self.resolved.plan.release, "registers": registers, "steps": rows.collect::<Vec<_>>(),
            "deploy_ends": self.preview.ends, "deploy_ends_is_known": self.preview.ends_is_known, "overlap_cost": self.cost(desk).and_then(|(_, sum)| sum),
            "traps": self.traps.iter().map(|(router, trap)| json!({ "router": router, "trap": trap })).collect::<Vec<_>>(),
            "untouched": self.untouched.iter().map(Untouched::json).collect::<Vec<_>>(),
            "warnings": self.file.warnings.iter().map(|f| serde_json::to_value(f).unwrap_or_default()).collect::<Vec<_>>(),
            "digest": self.digest,
        })
    }
}

fn cells(row: &Row) -> Vec<String> {
    let will = row.refused.as_ref().map_or_else(|| row.will.clone(), |why| format!("CANNOT: {why}"));
    vec![row.id.to_string(), row.now.clone(), will, row.takes.to_string(), row.back.clone()]
}

fn named(release: &Release) -> String {
    release.revision.as_ref().map_or_else(|| release.model.clone(), |r| format!("{} @{r}", release.model))
}

/// As much of a digest as a person copies.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
