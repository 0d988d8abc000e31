//! `modelswap lab up`: builds the world that a plan names, starts what is live in it, and says what to type.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::args::Common;
use super::super::opening::PlanFile;
use super::super::{Exit, Failure};
use super::Up;
use super::demo_plan::{Swap, plan_file};
use super::order::{Order, order};
use crate::clock::{Clock, ScaledClock};
use crate::ids::EnvironmentName;
use crate::plan::model::{Plan, ProcessRuns, Runs, Serves};
use crate::providers::Register;
use crate::providers::environments::{Process, Running};
use crate::units::Span;
use crate::world::WorldFile;

/// Real time between tokens of the world's model servers: 50 tokens a second, as a person reads them.
pub(in crate::cli) const TOKEN_GAP: &str = "20ms";

/// A world is built in well under a second; a machine under load takes longer.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

impl Up {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let path = match &self.plan {
            Some(path) => path.clone(),
            None => plan_file(&self.file.file, Swap::Both)?,
        };
        let (plan, name) = (PlanFile::read(&path, &self.vars, common)?.plan, path.display().to_string());
        let (world, order) = start(&plan, &self.file.file, self.time, self.load, Carrier::OwnSession).await?;
        tell(&format!(
            "the loopback world of {name} is up ({}x real time); {} serves {}",
            self.time, order.live, order.was.model
        ));
        tell(&format!("  cloud API     {}   (AWS_ENDPOINT_URL)", world.file.cloud));
        tell(&format!("  oracle        {}", world.file.oracle));
        for (n, resolver) in world.file.resolvers.iter().enumerate() {
            let kind = ["honest", "raises TTLs to 60 s", "serves stale answers"].get(n).unwrap_or(&"");
            tell(&format!("  resolver      {resolver}   {kind}"));
        }
        let file = self.file.file.display();
        tell(&format!("try:  modelswap plan   {name} --world {file}"));
        tell(&format!("      modelswap deploy {name} --world {file}"));
        tell(&format!("      modelswap rollback --world {file}"));
        tell(&format!("end:  modelswap lab down --file {file}"));
        world.leave();
        Ok(Exit::Done)
    }
}

/// Whose process carries the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Carrier {
    /// It outlives this command.
    OwnSession,
    /// It ends with this command.
    Child,
}

/// A world that was started here.
#[derive(Debug)]
pub(in crate::cli) struct Started {
    pub(in crate::cli) file: WorldFile,
    pub(in crate::cli) path: PathBuf,
    child: Option<Child>,
    ends_with_us: bool,
}

impl Started {
    /// Lets it run on.
    fn leave(mut self) {
        self.ends_with_us = false;
        self.child = None;
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = self.child.as_mut().filter(|_| self.ends_with_us) {
            // It may have ended already; then there is nothing to end.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Starts the world of a plan in a process of its own, and what is live in it.
pub(in crate::cli) async fn start(
    plan: &Plan,
    path: &Path,
    scale: f64,
    load: Span,
    carrier: Carrier,
) -> Result<(Started, Order), Failure> {
    let cannot = |why: String| Failure::new(Exit::Usage, format!("cannot build the loopback world: {why}"));
    if let Ok(old) = WorldFile::read(path)
        && super::down::is_up(&old)
    {
        return Err(cannot(format!("the one of {} is up already", path.display()))
            .hint(format!("modelswap lab down --file {}", path.display())));
    }
    let order = order(plan, scale).map_err(cannot)?;
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).map_err(|e| cannot(e.to_string()))?;
    // What a world before left behind is not this one's.
    std::fs::remove_file(path).ok();
    let (blueprint, runs) = (path.with_extension("blueprint.json"), path.with_extension("runs.json"));
    write_json(&blueprint, &order.blueprint).map_err(cannot)?;
    write_json(&runs, &argv_of(plan, &order, scale, load).map_err(cannot)?).map_err(cannot)?;
    let log = std::fs::File::create(path.with_extension("log")).map_err(|e| cannot(e.to_string()))?;
    let exe = std::env::current_exe().map_err(|e| cannot(e.to_string()))?;
    let mut command = Command::new(exe);
    command.args(["lab", "serve"]).arg("--blueprint").arg(&blueprint).arg("--file").arg(path).arg("--runs").arg(&runs);
    if carrier == Carrier::Child {
        // However this process ends, its world ends with it.
        command.args(["--ends-with", &std::process::id().to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(|e| cannot(e.to_string()))?;
    let began = Instant::now();
    let file = loop {
        if let Ok(file) = WorldFile::read(path) {
            break file;
        }
        if let Ok(Some(status)) = child.try_wait() {
            let said = std::fs::read_to_string(path.with_extension("log")).unwrap_or_default();
            return Err(cannot(format!("it ended at once ({status}): {}", said.trim())));
        }
        if began.elapsed() > STARTS_WITHIN {
            return Err(cannot(format!("it is not up after {} s", STARTS_WITHIN.as_secs())));
        }
        pause(Duration::from_millis(20)).await;
    };
    let ends_with_us = carrier == Carrier::Child;
    let started = Started { file, path: path.to_owned(), child: Some(child), ends_with_us };
    start_live(plan, &order, &started).await.map_err(cannot)?;
    Ok((started, order))
}

/// What is live when a world begins was started by nobody we know; here the world does it.
async fn start_live(plan: &Plan, order: &Order, world: &Started) -> Result<(), String> {
    let live = &order.live;
    let Some(process) = process_of(plan, live, order, &world.file, &world.path) else { return Ok(()) };
    let running = Running::with("lab");
    Register::swap(&process, &Running::Stopped, &running).await.map_err(|e| e.to_string())?;
    // Its model loads at once; wait until it says so, and until the balancer has found out.
    let addresses = crate::world::AddressMap::of(&world.file);
    let asker = crate::probes::http::Asker::new(&addresses, &crate::plan::model::Access::default()).await?;
    let began = Instant::now();
    for server in order.blueprint.servers.iter().filter(|s| s.running) {
        let url = url::Url::parse(&format!("http://{}", server.address)).map_err(|e| e.to_string())?;
        let serves = plan.environments.get(live).map_or(Serves::Tcp(crate::plan::model::Tcp {}), |e| e.serves.clone());
        while crate::probes::health::identity(&asker, &url, &serves).await.is_err() {
            if began.elapsed() > STARTS_WITHIN {
                return Err(format!(
                    "{} at {url} does not come up; see the logs in {}",
                    order.was.model,
                    state_of(&world.path).display()
                ));
            }
            pause(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// The process that stands in for an environment of a world.
pub(in crate::cli) fn process_of(
    plan: &Plan,
    environment: &EnvironmentName,
    order: &Order,
    world: &WorldFile,
    path: &Path,
) -> Option<Process> {
    let argv = world.runs.get(environment)?.clone();
    let release = if *environment == order.live { order.was.clone() } else { plan.release.clone() };
    let dir = state_of(path).join(plan.service.as_str());
    let clock: Arc<dyn Clock> = Arc::new(ScaledClock { origin: world.origin, scale: world.scale });
    let runs = match plan.environments.get(environment).and_then(|e| e.runs.clone()) {
        Some(Runs::Process(runs)) => runs,
        Some(Runs::Command(_)) | None => ProcessRuns {
            command: argv.clone(),
            env: BTreeMap::new(),
            directory: None,
            log: None,
            grace: Span::from_secs(1800),
        },
    };
    Some(Process::new(environment.clone(), runs, release, dir, clock).for_world(argv))
}

/// Where a world keeps its journals.
pub(in crate::cli) fn state_of(world: &Path) -> PathBuf {
    world.with_extension("state")
}

/// What stands in for each environment: a lab model server on all of its addresses.
fn argv_of(
    plan: &Plan,
    order: &Order,
    scale: f64,
    load: Span,
) -> Result<BTreeMap<EnvironmentName, Vec<String>>, String> {
    let exe = std::env::current_exe().map_err(|e| e.to_string())?.display().to_string();
    let mut runs = BTreeMap::new();
    for environment in plan.environments.keys() {
        let mut argv: Vec<String> = vec![exe.clone(), "lab".to_owned(), "model-server".to_owned()];
        for server in order.blueprint.servers.iter().filter(|s| s.environment == *environment) {
            // The socket is only known once the world has it.
            argv.extend(["--listen".to_owned(), format!("{{{}}}", server.address)]);
        }
        argv.extend(
            [
                "--origin",
                "{origin}",
                "--ends-with",
                "{world}",
                "--oracle",
                "{oracle}",
                "--time",
                &scale.to_string(),
                "--token-gap",
                TOKEN_GAP,
            ]
            .map(str::to_owned),
        );
        if *environment != order.live {
            argv.extend(["--load".to_owned(), load.to_string()]);
        }
        runs.insert(environment.clone(), argv);
    }
    Ok(runs)
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| e.to_string())?;
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for in real time")]
pub(in crate::cli) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}

pub(in crate::cli) fn tell(line: &str) {
    crate::report::tell(line);
}
