//! `modelswap status`: what the journal says of each service, what is left running, and the next command to type.

use clap::Args;
use serde_json::{Value, json};

use super::args::Common;
use super::ask::alive;
use super::desk::Desk;
use super::history::end;
use super::past::{Past, recall};
use super::standing::standing;
use super::{Exit, Failure};
use crate::ids::ServiceName;
use crate::journal::actor::Alive;
use crate::journal::fact::Outcome;
use crate::journal::log::Log;
use crate::journal::state::RunState;
use crate::providers::environments::Running;
use crate::units::{clock_time, date_time};

/// Options of `status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// The service [default: all of the state directory]
    service: Option<String>,
    /// Ask the routers too, and say where they differ from the journal
    #[arg(long)]
    live: bool,
    /// With --live: exit 10 when something differs
    #[arg(long, requires = "live")]
    detailed_exitcode: bool,
}

impl Status {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let desk = Desk::new(common, None)?.or_mirror().await?;
        let mut drifted = false;
        for (n, service) in desk.services(self.service.as_deref()).await?.iter().enumerate() {
            if n > 0 {
                desk.show("");
            }
            let (_, log) = desk.log(service).await?;
            drifted |= self.tell(service, &log, &desk).await?;
        }
        Ok(if drifted && self.detailed_exitcode { Exit::Changes } else { Exit::Done })
    }

    /// One service; whether its routers differ from its journal.
    async fn tell(&self, service: &ServiceName, log: &Log, desk: &Desk) -> Result<bool, Failure> {
        // The run that somebody has in hand comes before the newest: an older one may be being rolled back.
        let Some(run) = log.newest_open().or_else(|| log.newest()) else {
            desk.show(&format!("{service}   no run yet"));
            desk.result(&json!({ "type": "status", "service": service, "run": null }));
            return Ok(false);
        };
        let past = recall(run, desk)?;
        let plan = &past.resolved.plan;
        desk.show(&format!("{service}   run {}   {}", run.run, end(run, log)));
        desk.show(&format!(
            "  began     {} by {}, from {} to {} ({})",
            date_time(run.began.0),
            run.began.1,
            past.resolved.live,
            past.resolved.next,
            plan.release.model
        ));
        let holder = holder(log);
        desk.show(&format!("  holder    {}", holder.0));
        let under_way = under_way(run, &past);
        for line in &under_way {
            desk.show(&format!("  waits     {line}"));
        }
        let traffic = traffic(run, &past);
        for (router, says) in &traffic {
            desk.show(&format!("  traffic   {router}: {says}"));
        }
        let environments = environments(run, &past);
        for (environment, says) in &environments {
            desk.show(&format!("  {environment:<9} {says}"));
        }
        for line in left(run) {
            desk.show(&format!("  left      {line}"));
        }
        let drift = if self.live { self.drift(run, &past, log, desk).await } else { Vec::new() };
        for line in &drift {
            desk.show(&format!("! drift    {line}"));
        }
        if self.live && drift.is_empty() {
            desk.show("  drift     none: the routers hold what the journal says");
        }
        let next = next(run, log, &past, desk);
        for line in &next {
            desk.show(&format!("  next      {line}"));
        }
        let words = |pairs: &[(String, String)]| {
            pairs.iter().map(|(k, v)| (k.clone(), json!(v))).collect::<serde_json::Map<_, _>>()
        };
        desk.result(&json!({
            "type": "status", "service": service, "run": run.run, "state": end(run, log), "outcome": run.outcome,
            "began": run.began.0, "by": run.began.1, "from": past.resolved.live, "to": past.resolved.next, "release": plan.release,
            "holder": holder.1, "traffic": words(&traffic), "environments": words(&environments), "waits": under_way, "left": left(run),
            "drift": if self.live { json!(drift) } else { Value::Null }, "next": next,
        }));
        Ok(!drift.is_empty())
    }

    /// Where the routers differ from what the journal says they hold.
    async fn drift(&self, run: &RunState, past: &Past, log: &Log, desk: &Desk) -> Vec<String> {
        let held = standing(&past.graph, run);
        let mut lines = Vec::new();
        if alive(log) == Alive::Yes {
            desk.show("  drift     not judged: a run is changing things now");
            return lines;
        }
        for (name, router) in &past.backends.routers {
            let value = match router.read().await {
                Ok(value) => value,
                Err(error) => {
                    lines.push(format!("`{name}` cannot be read: {error}"));
                    continue;
                }
            };
            let shows = router.show(&value);
            match held.get(&router.key()) {
                Some(should) if should.value == value => {}
                Some(should) if !should.sure => {
                    lines.push(format!("`{name}` holds {shows}; its last change was not answered"));
                }
                Some(should) => {
                    lines.push(format!("`{name}` holds {shows}, the journal says {}", router.show(&should.value)));
                }
                // Never touched by this run: then it leads where everything led at its start.
                None if router.split(&value).as_ref().and_then(|s| s.only()) == Some(past.resolved.led_to()) => {}
                None => {
                    lines
                        .push(format!("`{name}` holds {shows}, and at the start it led to {}", past.resolved.led_to()));
                }
            }
        }
        lines
    }
}

/// Who has the run in hand, in words and for a program.
fn holder(log: &Log) -> (String, Value) {
    let Some(holder) = log.holder.as_ref().filter(|_| log.newest_open().is_some()) else {
        return ("nobody".to_owned(), Value::Null);
    };
    let (says, word) = match holder.alive() {
        Alive::Yes => ("at work", "alive"),
        Alive::No => ("gone: it ended without saying so", "gone"),
        Alive::CannotTell => ("on another host; whether it lives cannot be told from here", "unknown"),
    };
    let ci = holder.ci_url.as_ref().map(|url| format!(", {url}")).unwrap_or_default();
    (
        format!("{holder} (pid {}{ci}) {says}", holder.pid),
        json!({ "by": holder.to_string(), "pid": holder.pid, "ci_url": holder.ci_url, "alive": word }),
    )
}

/// Steps that have begun and do not hold yet, while the run is under way.
fn under_way(run: &RunState, past: &Past) -> Vec<String> {
    if run.outcome.is_some() {
        return Vec::new();
    }
    let begun = past.graph.nodes.iter().filter(|node| {
        let step = run.step(&node.shape.id);
        step.prepared.is_some() && step.verified.is_none() && step.undone.is_none()
    });
    begun
        .map(|n| {
            format!(
                "{}: {} since {}",
                n.shape.id,
                n.shape.title,
                run.step(&n.shape.id).prepared.as_ref().map_or_else(String::new, |(_, at)| clock_time(*at))
            )
        })
        .collect()
}

/// Where each router leads.
fn traffic(run: &RunState, past: &Past) -> Vec<(String, String)> {
    let held = standing(&past.graph, run);
    let says = |(name, router): (&crate::ids::RouterName, &std::sync::Arc<dyn crate::providers::erased::AnyRouter>)| {
        let says = match held.get(&router.key()) {
            // Which group is whose is only known once the router was asked; then the plan's own step says it.
            Some(should) => {
                let shows = router
                    .split(&should.value)
                    .map_or_else(|| said_by_steps(run, past, &router.key()), |s| s.to_string());
                if should.sure { shows } else { format!("{shows}, or as before: the last change was not answered") }
            }
            None => format!("{}, as at the start", past.resolved.led_to()),
        };
        (name.to_string(), says)
    };
    past.backends.routers.iter().map(says).collect()
}

/// The words in which the newest step on a register described its change.
fn said_by_steps(run: &RunState, past: &Past, key: &str) -> String {
    let mut said = String::new();
    for node in &past.graph.nodes {
        let step = run.step(&node.shape.id);
        let Some((prepared, _)) = step.prepared.as_ref().filter(|(p, _)| p.key.as_deref() == Some(key)) else {
            continue;
        };
        let (from, to) = prepared.shows.split_once(" → ").unwrap_or((&prepared.shows, &prepared.shows));
        if step.has_effect() {
            to.trim_end_matches(" already").clone_into(&mut said);
        } else if said.is_empty() {
            from.trim_end_matches(" already").clone_into(&mut said);
        }
    }
    said
}

/// Whether each environment runs, as far as this run had to do with it.
fn environments(run: &RunState, past: &Past) -> Vec<(String, String)> {
    let held = standing(&past.graph, run);
    let says = |name: &crate::ids::EnvironmentName| {
        let role = if *name == past.resolved.live { "was live" } else { "was next" };
        let register = past.backends.environments.get(name);
        let state = match register.and_then(|r| held.get(&r.key())) {
            Some(should) => match (serde_json::from_value(should.value.clone()), should.sure) {
                (Ok(Running::Running { .. }), true) => "runs",
                (Ok(Running::Stopped), true) => "is stopped",
                (Ok(_) | Err(_), _) => "may run or not: its last change was not answered",
            },
            None => "was not touched by this run",
        };
        (name.to_string(), format!("{state} ({role})"))
    };
    past.resolved.plan.environments.keys().map(says).collect()
}

/// What a rollback could not restore.
fn left(run: &RunState) -> Vec<String> {
    match &run.outcome {
        Some(Outcome::RollbackIncomplete { left, .. }) => left.clone(),
        Some(Outcome::Deployed | Outcome::Finalized | Outcome::RolledBack { .. } | Outcome::Held { .. }) | None => {
            Vec::new()
        }
    }
}

/// What to type next.
fn next(run: &RunState, log: &Log, past: &Past, desk: &Desk) -> Vec<String> {
    let (service, at) = (&past.resolved.plan.service, &desk.state_option);
    let back = format!("modelswap rollback {service}{at}");
    match &run.outcome {
        None if run.interrupted.is_none() && alive(log) != Alive::No => {
            let approves =
                past.graph.nodes.iter().filter(|n| n.asks_a_person() && run.step(&n.shape.id).prepared.is_some());
            let open = approves.filter(|n| run.step(&n.shape.id).verified.is_none());
            let mut lines: Vec<_> =
                open.map(|n| format!("modelswap approve {service}{at} --step {}", n.shape.id)).collect();
            lines.push(format!("modelswap abort {service}{at}   stops and holds it"));
            lines.push(format!("{back}   asks it to stop, then goes back"));
            lines
        }
        None | Some(Outcome::Held { .. }) => {
            let mut lines = vec![format!("modelswap resume {service}{at}   goes on")];
            lines.extend(run.has_effects().then(|| format!("{back}   goes back")));
            lines
        }
        Some(Outcome::RollbackIncomplete { .. }) => vec![format!("{back}   when you have put it right")],
        Some(Outcome::RolledBack { to: Some(_), .. }) => vec![format!("{back}   undoes the rest")],
        Some(Outcome::Deployed) => {
            let finalize = past.resolved.plan.finalize.as_ref().map(|f| {
                format!("modelswap finalize {service}{at}   from {}", date_time(run.last_at + f.after.signed()))
            });
            finalize.into_iter().chain([back]).collect()
        }
        Some(Outcome::Finalized) => vec![format!("{back}   starts {} again first", past.resolved.live)],
        Some(Outcome::RolledBack { .. }) => {
            let next = &past.resolved.next;
            let runs =
                environments(run, past).iter().any(|(name, says)| name == next.as_str() && says.starts_with("runs"));
            if runs {
                vec![format!("modelswap stop {service} {next}{at}   it still runs, without traffic")]
            } else {
                vec!["nothing: all is as it was before the run".to_owned()]
            }
        }
    }
}
