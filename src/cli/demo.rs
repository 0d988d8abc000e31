//! `modelswap demo`: the whole story on loopback. A serves, clients send, B takes over, nothing is lost; then back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::args::{Common, Output, VarArgs};
use super::lab::demo_plan::{Swap, plan_file};
use super::lab::up::{Carrier, pause, start, tell};
use super::opening::PlanFile;
use super::{Exit, Failure, deploy, rollback};
use crate::clock::{Clock, ScaledClock};
use crate::lab::load::{Load, LoadOptions, LoadReport};
use crate::units::Span;
use crate::world::{AddressMap, WorldFile};

/// Options of `demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Do not ask; roll back at the end as well
    #[arg(long, short)]
    yes: bool,
    /// What moves the traffic
    #[arg(long, value_enum, default_value_t = Swap::Both)]
    swap: Swap,
    /// Requests a second through each front door
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Streams kept open through each front door, each longer than ten seconds
    #[arg(long, default_value_t = 8)]
    streams: u32,
    /// How many times faster than real time the world runs
    #[arg(long, default_value_t = 20.0)]
    time: f64,
    /// Where the world keeps its files [default: a temporary directory]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Tokens of a stream: at 20 ms each, twelve seconds.
const STREAM_TOKENS: u32 = 600;

/// Silence after which a request is lost to its client, in real time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Streams that outlive the swap are waited for so long.
const STREAMS_END_WITHIN: Duration = Duration::from_mins(1);

impl Demo {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let temporary = tempfile::Builder::new().prefix("modelswap-demo-").tempdir();
        let temporary = temporary.map_err(|e| Failure::new(Exit::Usage, format!("no temporary directory: {e}")))?;
        let directory = self.directory.clone().unwrap_or_else(|| temporary.path().to_owned());
        let path = directory.join("world.json");
        let plan_path = plan_file(&path, self.swap)?;
        let plan = PlanFile::read(&plan_path, &VarArgs::default(), common)?.plan;
        tell(
            "demo: a cloud API, DNS servers, a balancer and two model servers, all on 127.0.0.1; nothing else is touched",
        );
        let (world, order) = start(&plan, &path, self.time, Span::from_secs(60), Carrier::Child).await?;
        tell(&format!(
            "{} serves {}; clients begin: {} requests a second and {} streams through each door",
            order.live, order.was.model, self.rate, self.streams
        ));
        let told = self.story(common, &world.file, &path, &plan_path).await;
        // Nothing is left behind, however the story went.
        let ended = super::lab::end(&path).await;
        drop(world);
        let exit = told?;
        ended.map_err(|why| Failure::new(Exit::Bug, format!("something was left behind: {why}")))?;
        Ok(exit)
    }

    async fn story(&self, common: &Common, world: &WorldFile, path: &Path, plan: &Path) -> Result<Exit, Failure> {
        let loads = self.clients(world);
        pause(Duration::from_secs(3)).await;
        let common = Common { world: Some(path.to_owned()), ..common.clone() };
        let deployed = deploy::Deploy::of(plan.to_owned(), self.yes).run(&common).await?;
        let mut outcome = "deployed";
        heard(pause(Duration::from_secs(3))).await?;
        tell_counts(&loads);
        let back = self.yes || heard(ask_back()).await?;
        let mut exit = deployed;
        if back && deployed == Exit::Done {
            exit = rollback::Rollback::of("chat").run(&common).await?;
            outcome = if exit == Exit::Done { "rolled_back" } else { "rollback_incomplete" };
            heard(pause(Duration::from_secs(3))).await?;
        }
        let began = Instant::now();
        let ends = loads.into_iter().map(|(_, load)| tokio::time::timeout(STREAMS_END_WITHIN, load.stop()));
        let mut total = LoadReport::default();
        for report in heard(futures_util::future::join_all(ends)).await? {
            let report = report.map_err(|_| {
                Failure::new(Exit::Bug, format!("streams did not end within {} s", began.elapsed().as_secs()))
            })?;
            add(&mut total, &report);
        }
        let lost = total.lost + total.streams_cut;
        if common.output == Output::Json {
            crate::report::jsonl::say(&json!({
                "type": "demo_finished", "swap": format!("{:?}", self.swap).to_lowercase(),
                "sent": total.sent, "answered": total.answered, "lost": total.lost,
                "streams": { "begun": total.streams_begun, "finished": total.streams_finished, "cut": total.streams_cut, "seconds": 12 },
                "longest_gap_ms": total.gap_ms_max, "by_model": total.by_model, "why_lost": total.why_lost, "outcome": outcome,
            }));
        } else {
            tell(&format!("sent {}   answered {}   lost {}", total.sent, total.answered, total.lost));
            tell(&format!(
                "streams of 12 s: {} begun, {} finished, {} cut",
                total.streams_begun, total.streams_finished, total.streams_cut
            ));
            tell(&format!("longest gap {} ms   answers {:?}", total.gap_ms_max, total.by_model));
            for (why, times) in &total.why_lost {
                tell(&format!("lost {times} times: {why}"));
            }
        }
        // A demo that loses requests has shown the opposite of what it is for.
        Ok(if lost > 0 && exit == Exit::Done { Exit::DidNotHold } else { exit })
    }

    /// A steady stream of clients at every front door of the plan.
    fn clients(&self, world: &WorldFile) -> Vec<(&'static str, Load)> {
        // Clients live in the world's time, or they would keep an address for its TTL of real time.
        let clock: Arc<dyn Clock> = Arc::new(ScaledClock { origin: world.origin, scale: world.scale });
        let Some(resolver) = world.resolvers.first() else { return Vec::new() };
        let door = |host: &str, port| {
            let options = LoadOptions::new(host, port, *resolver, AddressMap::of(world));
            let options = LoadOptions {
                requests_per_s: self.rate / world.scale,
                patience: PATIENCE.mul_f64(world.scale),
                streams: self.streams,
                stream_tokens: STREAM_TOKENS,
                ..options
            };
            Load::start(options, Arc::clone(&clock))
        };
        let mut loads = Vec::new();
        if self.swap != Swap::Dns {
            loads.push(("balancer", door("chat.example.com", 80)));
        }
        if self.swap != Swap::Alb {
            loads.push(("record", door("direct.example.com", 8000)));
        }
        loads
    }
}

fn tell_counts(loads: &[(&'static str, Load)]) {
    for (door, load) in loads {
        let seen = load.report();
        tell(&format!(
            "clients at the {door}: sent {}, answered {}, lost {}, answers {:?}",
            seen.sent, seen.answered, seen.lost, seen.by_model
        ));
    }
}

async fn ask_back() -> bool {
    use std::io::IsTerminal;
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return false;
    }
    let ask = || dialoguer::Confirm::new().with_prompt("roll it back?").default(true).interact().unwrap_or(false);
    tokio::task::spawn_blocking(ask).await.unwrap_or(false)
}

/// Does `work`, and hears Ctrl-C meanwhile: once a deploy has listened for it, nobody else in this process does.
async fn heard<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {
            // Below the question that was not answered.
            tell("");
            Err(Failure::new(Exit::Held, "interrupted; the demo's world is gone, and nothing is left running"))
        }
        done = work => Ok(done),
    }
}

fn add(total: &mut LoadReport, one: &LoadReport) {
    total.sent += one.sent;
    total.answered += one.answered;
    total.lost += one.lost;
    total.streams_begun += one.streams_begun;
    total.streams_finished += one.streams_finished;
    total.streams_cut += one.streams_cut;
    total.gap_ms_max = total.gap_ms_max.max(one.gap_ms_max);
    for (model, answers) in &one.by_model {
        *total.by_model.entry(model.clone()).or_default() += answers;
    }
    for (why, times) in &one.why_lost {
        *total.why_lost.entry(why.clone()).or_default() += times;
    }
}
