//! `modelswap lab down` and `status`.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};

use super::super::args::{Common, Output};
use super::super::{Exit, Failure};
use super::up::{pause, state_of, tell};
use crate::world::WorldFile;

/// From TERM to KILL for what carries a world: nobody's requests depend on it any more.
const GRACE: Duration = Duration::from_secs(5);

fn pid_of(world: &WorldFile) -> Option<Pid> {
    Pid::from_raw(i32::try_from(world.pid).ok()?)
}

/// Whether the process that carries a world is this world's: it lives, and it is one of ours.
pub(in crate::cli) fn is_up(world: &WorldFile) -> bool {
    let Some(pid) = pid_of(world) else { return false };
    let argv = std::fs::read_to_string(format!("/proc/{}/cmdline", world.pid)).unwrap_or_else(|_| "lab\0serve".to_owned());
    test_kill_process(pid).is_ok() && argv.contains("lab\0serve")
}

/// Ends a world and every model server in it.
pub(in crate::cli) async fn end(path: &Path) -> Result<(), String> {
    let world = WorldFile::read(path)?;
    let mut pids = servers(path);
    if is_up(&world) {
        pids.extend(pid_of(&world));
    }
    for signal in [Signal::TERM, Signal::KILL] {
        for pid in &pids {
            // Gone already is what is wanted.
            kill_process(*pid, signal).ok();
        }
        let began = Instant::now();
        while began.elapsed() < GRACE && pids.iter().any(|pid| lives(*pid)) {
            pause(Duration::from_millis(50)).await;
        }
    }
    std::fs::remove_file(path).map_err(|e| e.to_string())
}

/// A zombie waits for its parent only.
fn lives(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let zombie = stat.is_ok_and(|s| s.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X'])));
    !zombie && test_kill_process(pid).is_ok()
}

/// The model servers that the records beside a world name, each checked to be the one that was recorded.
fn servers(path: &Path) -> Vec<Pid> {
    let services = std::fs::read_dir(state_of(path)).into_iter().flatten().flatten();
    let records = services.flat_map(|service| std::fs::read_dir(service.path()).into_iter().flatten().flatten());
    let pid = |record: std::fs::DirEntry| -> Option<Pid> {
        let text = std::fs::read_to_string(record.path()).ok()?;
        let json: Value = serde_json::from_str(&text).ok()?;
        let pid = json.get("pid").or_else(|| json.get("child").and_then(|c| c.get("pid")))?.as_i64()?;
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let ours = String::from_utf8_lossy(&environ).contains("MODELSWAP_TOKEN=");
        ours.then(|| Pid::from_raw(i32::try_from(pid).ok()?)).flatten()
    };
    records.filter(|r| r.path().extension().is_some_and(|e| e == "json")).filter_map(pid).collect()
}

pub(super) async fn down(path: &Path, _common: &Common) -> Result<Exit, Failure> {
    end(path).await.map_err(|why| Failure::new(Exit::Usage, why))?;
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
        let states: Vec<_> = targets.map(|t| format!("{}:{} {}", t["id"].as_str().unwrap_or("?"), t["port"], t["health"].as_str().unwrap_or("?"))).collect();
        tell(&format!("  group {}: {}", group["name"].as_str().unwrap_or("?"), states.join(", ")));
    }
    tell(&format!("  the oracle found {} broken promises", count(&findings)));
    for finding in findings.iter().filter_map(Value::as_array).flatten() {
        tell(&format!("    {finding}"));
    }
    Ok(Exit::Done)
}

async fn reqwest_get(url: &str) -> Option<Value> {
    let asker = crate::probes::http::Asker::new(&crate::world::AddressMap::default(), &crate::plan::model::Access::default()).await.ok()?;
    let answer = asker.get(&url::Url::parse(url).ok()?, Duration::from_secs(5)).await.ok()?;
    answer.json()
}
