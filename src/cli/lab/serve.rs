//! `modelswap lab serve`: carries a world until it is told to stop.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::super::{Exit, Failure};
use crate::clock::{Clock, ScaledClock, SystemClock};
use crate::lab::blueprint::Blueprint;
use crate::lab::oracle::exclusive::Exclusive;
use crate::lab::oracle::journals::Journals;
use crate::lab::oracle::way_back::WayBack;
use crate::lab::oracle::write_ahead::WriteAhead;
use crate::lab::running::World;

/// Options of `lab serve`.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// What to build, as JSON
    #[arg(long)]
    blueprint: PathBuf,
    /// Where to say what it is
    #[arg(long)]
    file: PathBuf,
    /// End when this process is gone
    #[arg(long, value_name = "PID")]
    ends_with: Option<i32>,
    /// What `runs` starts here: argv by environment, as JSON, with `{ADDRESS}` for a plan's address
    #[arg(long)]
    runs: PathBuf,
}

impl Serve {
    pub(super) async fn run(&self) -> Result<Exit, Failure> {
        let cannot =
            |what: &std::path::Path, why: String| Failure::new(Exit::Usage, format!("{}: {why}", what.display()));
        let read = |path: &std::path::Path| std::fs::read_to_string(path).map_err(|e| cannot(path, e.to_string()));
        let order: Blueprint =
            serde_json::from_str(&read(&self.blueprint)?).map_err(|e| cannot(&self.blueprint, e.to_string()))?;
        let clock = ScaledClock { origin: SystemClock.now(), scale: order.scale.max(1.0) };
        let world = World::start(&order, clock).await.map_err(|e| cannot(&self.blueprint, e.to_string()))?;
        // Whoever runs a plan here keeps its journals beside the world file: each change must be in them before it arrives.
        let journals = Journals::below(super::up::state_of(&self.file)).and_buckets_of(world.cloud.clone());
        world.oracle.watch(Arc::new(WriteAhead::new(journals.clone())));
        world.oracle.watch(Arc::new(Exclusive::new(journals.clone())));
        world.oracle.watch(Arc::new(WayBack::new(journals)));
        let mut file = world.file();
        let runs: std::collections::BTreeMap<_, Vec<String>> =
            serde_json::from_str(&read(&self.runs)?).map_err(|e| cannot(&self.runs, e.to_string()))?;
        let socket_of = |word: String| match word.strip_prefix("{").and_then(|w| w.strip_suffix("}")) {
            Some(address) => file.addresses.get(address).map_or(word.clone(), ToString::to_string),
            None => word,
        };
        let filled = runs.into_iter().map(|(e, argv)| {
            let origin = clock.origin.to_string();
            let (world, oracle) = (std::process::id().to_string(), file.oracle.clone());
            let argv = argv.into_iter().map(|word| match word.as_str() {
                "{origin}" => origin.clone(),
                "{world}" => world.clone(),
                "{oracle}" => oracle.clone(),
                _ => socket_of(word),
            });
            (e, argv.collect())
        });
        file.runs = filled.collect();
        let text = serde_json::to_string_pretty(&file).map_err(|e| Failure::new(Exit::Bug, e.to_string()))?;
        // Whoever waits for the file must never see half of it.
        let beside = self.file.parent().unwrap_or(std::path::Path::new("."));
        let written = tempfile::NamedTempFile::new_in(beside).and_then(|mut temporary| {
            temporary.write_all(text.as_bytes())?;
            temporary.persist(&self.file).map_err(|e| e.error)
        });
        written.map_err(|e| cannot(&self.file, e.to_string()))?;
        tokio::select! {
            () = stop_signal() => {}
            () = gone(self.ends_with) => {}
        }
        world.stop().await;
        Ok(Exit::Done)
    }
}

/// Returns when the process is gone; never without one.
pub(super) async fn gone(pid: Option<i32>) {
    let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else { return std::future::pending().await };
    while rustix::process::test_kill_process(pid).is_ok() {
        super::up::pause(std::time::Duration::from_millis(500)).await;
    }
}

/// Returns at TERM or INT.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
