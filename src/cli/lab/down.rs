//! `modelswap lab down` and `status`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};

use super::super::args::{Common, Output};
use super::super::{Exit, Failure};
use super::up::{pause, state_of, tell};
use crate::clock::SystemClock;
use crate::plan::model::{ProcessRuns, Release};
use crate::providers::environments::{Process, Running};
use crate::providers::{Register, Settled};
use crate::units::Span;
use crate::world::WorldFile;

/// From TERM to KILL for what carries a world: nobody's requests depend on it any more.
const GRACE: Duration = Duration::from_secs(5);

fn pid_of(world: &WorldFile) -> Option<Pid> {
    Pid::from_raw(i32::try_from(world.pid).ok()?)
}

/// Whether the process that carries a world is this world's: it lives, and it is one of ours.
pub(in crate::cli) fn is_up(world: &WorldFile) -> bool {
    let Some(pid) = pid_of(world) else { return false };
    let argv =
        std::fs::read_to_string(format!("/proc/{}/cmdline", world.pid)).unwrap_or_else(|_| "lab\0serve".to_owned());
    test_kill_process(pid).is_ok() && argv.contains("lab\0serve")
}

/// Ends a world and every model server in it.
pub(in crate::cli) async fn end(path: &Path) -> Result<(), String> {
    let world = WorldFile::read(path)?;
    let mut left = Vec::new();
    for server in servers(path, &world) {
        if let Err(why) = stop(&server).await {
            left.push(why);
        }
    }
    if let Some(pid) = pid_of(&world).filter(|_| is_up(&world)) {
        for signal in [Signal::TERM, Signal::KILL] {
            // Gone already is what is wanted.
            kill_process(pid, signal).ok();
            let began = Instant::now();
            while began.elapsed() < GRACE && lives(pid) {
                pause(Duration::from_millis(20)).await;
            }
        }
    }
    std::fs::remove_file(path).map_err(|e| e.to_string())?;
    if left.is_empty() { Ok(()) } else { Err(left.join("; ")) }
}

/// A zombie waits for its parent only.
fn lives(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let zombie =
        stat.is_ok_and(|s| s.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X'])));
    !zombie && test_kill_process(pid).is_ok()
}

/// Whatever may run in each environment of each service beside the world file.
fn servers(path: &Path, world: &WorldFile) -> Vec<Process> {
    let services = std::fs::read_dir(state_of(path)).into_iter().flatten().flatten();
    let of_service = |service: std::fs::DirEntry| {
        world.runs.iter().map(move |(environment, argv)| {
            let grace = Span::from_secs(2);
            let runs = ProcessRuns { command: argv.clone(), env: BTreeMap::new(), directory: None, log: None, grace };
            let release = Release { model: String::new(), revision: None };
            let clock = Arc::new(SystemClock);
            Process::new(environment.clone(), runs, release, service.path(), clock).for_world(argv.clone())
        })
    };
    services.flat_map(of_service).collect()
}

async fn stop(server: &Process) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let stopped = async {
            let live = Register::read(server).await?;
            if live != Running::Stopped {
                Register::swap(server, &live, &Running::Stopped).await?;
            }
            Register::settled(server, &Running::Stopped, None).await
        };
        match stopped.await {
            Ok(Settled::Yes(_)) => return Ok(()),
            Ok(Settled::NotYet(why) | Settled::CannotTell(why)) if began.elapsed() > GRACE => return Err(why),
            Err(error) if began.elapsed() > GRACE => return Err(error.to_string()),
            Ok(_) | Err(_) => pause(Duration::from_millis(50)).await,
        }
    }
}

pub(super) async fn down(path: &Path, _common: &Common) -> Result<Exit, Failure> {
    end(path)
        .await
        .map_err(|why| Failure::new(Exit::Usage, why).hint("name the world file: modelswap lab down --file FILE"))?;
    tell("the loopback world is gone");
    Ok(Exit::Done)
}

pub(super) async fn status(path: &Path, common: &Common) -> Result<Exit, Failure> {
    let none = |why: String| Failure::new(Exit::Usage, why).hint("start one with `modelswap lab up`");
    let world = WorldFile::read(path).map_err(none)?;
    if !is_up(&world) {
        return Err(none(format!("the world of {} is not up any more", path.display())));
    }
    let get = |what: &str| {
        let url = format!("{}/{what}", world.oracle);
        async move { reqwest_get(&url).await }
    };
    let (cloud, calls, findings) = (get("cloud").await, get("calls").await, get("findings").await);
    let count = |v: &Option<Value>| v.as_ref().and_then(Value::as_array).map_or(0, Vec::len);
    if common.output == Output::Json {
        crate::report::jsonl::say(&json!({ "type": "lab", "world": world, "cloud": cloud, "findings": findings }));
        return Ok(Exit::Done);
    }
    tell(&format!("up, {}x real time, pid {}, {} calls so far", world.scale, world.pid, count(&calls)));
    let groups = cloud.as_ref().and_then(|c| c["groups"].as_object()).into_iter().flatten();
    for (_, group) in groups {
        let targets = group["targets"].as_array().into_iter().flatten();
        let states: Vec<_> = targets
            .map(|t| {
                format!("{}:{} {}", t["id"].as_str().unwrap_or("?"), t["port"], t["health"].as_str().unwrap_or("?"))
            })
            .collect();
        tell(&format!("  group {}: {}", group["name"].as_str().unwrap_or("?"), states.join(", ")));
    }
    tell(&format!("  the oracle found {} broken promises", count(&findings)));
    for finding in findings.iter().filter_map(Value::as_array).flatten() {
        tell(&format!("    {finding}"));
    }
    Ok(Exit::Done)
}

async fn reqwest_get(url: &str) -> Option<Value> {
    let asker =
        crate::probes::http::Asker::new(&crate::world::AddressMap::default(), &crate::plan::model::Access::default())
            .await
            .ok()?;
    let answer = asker.get(&url::Url::parse(url).ok()?, Duration::from_secs(5)).await.ok()?;
    answer.json()
}
