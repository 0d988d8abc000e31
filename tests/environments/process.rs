//! What only a process promises: it outlives its starter, is found again, and nothing else is ever signalled.

use std::io::BufRead;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use modelswap::clock::{Clock, SystemClock};
use modelswap::providers::environments::Running;
use modelswap::providers::{ProviderError, Register, Settled};
use serde_json::{Value, json};

use crate::help::{Place, is_alive, is_busy, is_conflict, on, process, ps, start, start_of, stop, until};

const SERVER: &str = "echo start; exec sleep 600";
/// Ignores TERM, and so does its child.
const STUBBORN: &str = "trap '' TERM; echo deaf; sleep 600 & while :; do wait; done";

fn log(place: &Place) -> String {
    place.read("state/environments/a.log")
}

async fn assert_found_again(place: &Place, pid: i32) {
    let r = place.script(SERVER);
    assert_eq!(r.read().await.unwrap(), on("t1"));
    start(&r, "t1").await;
    assert_eq!(log(place).matches("start").count(), 1, "it was started twice");
    assert!(is_conflict(&r.swap(&Running::Stopped, &on("t2")).await));
    stop(&r, "t1").await;
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_crash_between_spawn_and_record_is_recovered() {
    let place = Place::new();
    let r = place.script(SERVER);
    start(&r, "t1").await;
    until("it is up", async || log(&place).contains("start")).await;
    let (pid, mut record) = (place.pid(), place.record());
    record["phase"] = json!("intended");
    record["process"] = Value::Null;
    place.write_record(&record);
    assert_found_again(&place, pid).await;
}

#[tokio::test]
async fn a_lost_record_is_not_a_lost_process() {
    let place = Place::new();
    start(&place.script(SERVER), "t1").await;
    until("it is up", async || log(&place).contains("start")).await;
    let pid = place.pid();
    std::fs::remove_file(place.records().join("a.json")).unwrap();
    assert_found_again(&place, pid).await;
}

#[tokio::test]
async fn a_crash_between_record_and_spawn_leaves_nothing_behind() {
    let place = Place::new();
    let mut record = place.record_of(1, "", "t1");
    record["phase"] = json!("intended");
    record["process"] = Value::Null;
    place.write_record(&record);
    let r = place.script(SERVER);
    assert_eq!(r.read().await.unwrap(), Running::Stopped);
    start(&r, "t2").await;
    assert_eq!(r.read().await.unwrap(), on("t2"));

    // While the one who recorded the intent still holds the lock, nobody knows yet.
    place.write_record(&record);
    let lock = std::fs::File::open(place.records().join("a.lock")).unwrap();
    lock.lock().unwrap();
    assert!(is_busy(&r.read().await));
    lock.unlock().unwrap();
}

/// Plays both parts: the starter is this very test in a process of its own.
#[tokio::test]
async fn a_server_survives_the_death_of_its_starter_and_holds_nothing_of_it() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    if let Some(dir) = std::env::var_os("STARTER_IN") {
        start(&process(dir.as_ref(), &["sh", "-c", "env; exec sleep 600"], clock), "t1").await;
        std::fs::File::create(std::path::Path::new(&dir).join("started")).unwrap();
        SystemClock.sleep(Duration::from_mins(10)).await;
        unreachable!("it is killed long before");
    }
    let place = Place::new();
    // Descriptor 9 is open as in a wrapper script that holds a lock.
    let mut starter = Command::new("sh")
        .args(["-c", "exec 9> \"$HELD\"; exec \"$0\" --exact process::a_server_survives_the_death_of_its_starter_and_holds_nothing_of_it"])
        .arg(std::env::current_exe().unwrap())
        .env("STARTER_IN", place.records())
        .env("HELD", place.path("held"))
        .env("RUNNER_TRACKING_ID", "github_1")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("it was started", async || place.records().join("started").exists()).await;
    let pid = place.pid();
    starter.kill().unwrap();
    starter.wait().unwrap();

    let r = place.script(SERVER);
    assert!(is_alive(pid));
    assert_eq!(r.read().await.unwrap(), on("t1"));
    let raw = rustix::process::Pid::from_raw(pid);
    assert_eq!(rustix::process::getsid(raw).unwrap().as_raw_pid(), pid, "it has a session of its own");
    if cfg!(target_os = "linux") {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(|fd| fd.unwrap().path());
        let open: Vec<_> = fds.map(|fd| std::fs::read_link(fd).unwrap()).collect();
        let log = std::fs::canonicalize(place.records().join("a.log")).unwrap();
        assert_eq!(open, [std::path::PathBuf::from("/dev/null"), log.clone(), log]);
    }
    until("it wrote its environment", async || log(&place).contains("MODELSWAP_TOKEN=t1")).await;
    for told in ["MODELSWAP_MODEL=m-1", "MODELSWAP_REVISION=r-7", "MODELSWAP_ENVIRONMENT=a", "FLAVOUR=plum"] {
        assert!(log(&place).lines().any(|l| l == told), "{told} is missing");
    }
    assert!(!log(&place).contains("RUNNER_TRACKING_ID"));
    stop(&r, "t1").await;
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_server_that_ignores_term_is_killed_after_its_grace_and_not_before() {
    let place = Place::new();
    let r = place.script(STUBBORN);
    start(&r, "t1").await;
    until("it ignores TERM", async || log(&place).contains("deaf")).await;
    let pid = place.pid();
    r.swap(&on("t1"), &Running::Stopped).await.unwrap();
    assert_eq!(r.read().await.unwrap(), Running::Stopped, "it was told to stop");

    place.clock.forward(29);
    let answer = r.settled(&Running::Stopped, None).await.unwrap();
    assert!(matches!(&answer, Settled::NotYet(why) if why.contains("KILL follows in 1s")), "{answer:?}");
    assert!(is_busy(&r.swap(&Running::Stopped, &on("t2")).await), "it is started anew only when it is gone");
    assert!(is_alive(pid));

    place.clock.forward(1);
    let others = place.record()["others"].as_array().unwrap().clone();
    assert!(!others.is_empty(), "its child was seen with it");
    until("it was killed", async || matches!(r.settled(&Running::Stopped, None).await.unwrap(), Settled::Yes(_))).await;
    assert!(!is_alive(pid));
    assert!(others.iter().all(|o| !is_alive(i32::try_from(o["pid"].as_i64().unwrap()).unwrap())));
    start(&r, "t2").await;
}

#[tokio::test]
async fn what_a_dead_server_left_behind_is_still_the_server() {
    let place = Place::new();
    let r = place.script("sleep 600 & echo child $!; exit 1");
    start(&r, "t1").await;
    let pid = place.pid();
    until("the first process has ended", async || !is_alive(pid)).await;
    assert_eq!(r.read().await.unwrap(), on("t1"));
    let answer = r.settled(&on("t1"), None).await.unwrap();
    assert!(matches!(&answer, Settled::NotYet(why) if why.contains("only remains")), "{answer:?}");
    let child = log(&place).trim().strip_prefix("child ").unwrap().parse().unwrap();
    place.note(child);
    assert!(is_alive(child));
    stop(&r, "t1").await;
    assert!(!is_alive(child));
}

#[tokio::test]
async fn a_worker_without_a_trace_of_the_token_is_killed_with_the_server_it_was_seen_with() {
    let place = Place::new();
    let r = place
        .script("trap 'exit 0' TERM; (trap '' TERM; exec env -i sleep 600) & echo worker $!; while :; do wait; done");
    start(&r, "t1").await;
    until("the worker is named", async || log(&place).contains("worker")).await;
    let worker: i32 = log(&place).trim().strip_prefix("worker ").unwrap().parse().unwrap();
    place.note(worker);
    until("it has overwritten its environment", async || ps(worker, "comm=") == "sleep").await;
    let pid = place.pid();
    r.swap(&on("t1"), &Running::Stopped).await.unwrap();
    until("the first process has ended", async || !is_alive(pid)).await;
    assert!(matches!(r.settled(&Running::Stopped, None).await.unwrap(), Settled::NotYet(_)));
    assert!(is_alive(worker));
    place.clock.forward(30);
    until("it was killed", async || matches!(r.settled(&Running::Stopped, None).await.unwrap(), Settled::Yes(_))).await;
    assert!(!is_alive(worker));
}

/// A bystander under a pid that was recorded.
struct Bystander(std::process::Child);

impl Bystander {
    fn new(token: &str) -> Self {
        let mut sleep = Command::new("sleep");
        Self(
            std::os::unix::process::CommandExt::process_group(sleep.arg("600"), 0)
                .env("MODELSWAP_TOKEN", token)
                .spawn()
                .unwrap(),
        )
    }
    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn a_reused_pid_is_not_taken_for_the_server_and_not_signalled() {
    let bystander = Bystander::new("t1");
    let (pid, started) = (bystander.pid(), start_of(bystander.pid()));
    let other = Bystander::new("t9");
    let cases = [
        ("another start time", pid, format!("1{started}"), true),
        ("another token", other.pid(), start_of(other.pid()), true),
        ("the same", pid, started, false),
    ];
    for (case, pid, start, is_stranger) in cases {
        let place = Place::new();
        place.write_record(&place.record_of(pid, &start, "t1"));
        let r = place.script(SERVER);
        let read = r.read().await.unwrap();
        assert_eq!(read == Running::Stopped, is_stranger, "{case}");
        if is_stranger {
            r.swap(&on("t1"), &Running::Stopped).await.unwrap();
            place.clock.forward(3600);
            assert!(matches!(r.settled(&Running::Stopped, None).await.unwrap(), Settled::Yes(_)), "{case}");
            assert!(is_alive(pid), "{case}: it was signalled");
        }
        std::fs::remove_file(place.records().join("a.json")).unwrap(); // not the place's to kill
    }
}

#[tokio::test]
async fn a_record_of_an_earlier_boot_is_void_and_one_of_another_machine_is_not() {
    let bystander = Bystander::new("t1");
    let place = Place::new();
    let mut record = place.record_of(bystander.pid(), &start_of(bystander.pid()), "t1");
    record["boot"] = json!("another");
    place.write_record(&record);
    let r = place.script(SERVER);
    assert_eq!(r.read().await.unwrap(), Running::Stopped);
    record["host"] = json!("elsewhere");
    place.write_record(&record);
    assert!(matches!(r.read().await, Err(ProviderError::Unknown { .. })), "it may run there");
    std::fs::remove_file(place.records().join("a.json")).unwrap();
}

#[tokio::test]
async fn a_zombie_is_not_alive_and_one_of_ours_is_buried() {
    // One of ours, and one of a parent that never asks.
    let mut ours = Command::new("true").env("MODELSWAP_TOKEN", "t1").spawn().unwrap();
    let mut parent = Command::new("sh");
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    let script = "(while [ ! -e \"$0\" ]; do sleep 0.02; done) & echo $!; exec sleep 600";
    parent.args(["-c", script]).arg(&go).stdout(Stdio::piped());
    let mut parent = Bystander(parent.spawn().unwrap());
    let mut line = String::new();
    std::io::BufReader::new(parent.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    until("the parent is one that never asks", async || ps(parent.pid(), "comm=") == "sleep").await;
    std::fs::write(&go, "").unwrap();
    for pid in [i32::try_from(ours.id()).unwrap(), line.trim().parse().unwrap()] {
        let place = Place::new();
        until("it is a zombie", async || ps(pid, "stat=").starts_with('Z')).await;
        place.write_record(&place.record_of(pid, &start_of(pid), "t1"));
        assert_eq!(place.script(SERVER).read().await.unwrap(), Running::Stopped);
    }
    assert!(ours.wait().is_err(), "it is still to be buried");
}

#[tokio::test]
async fn a_server_that_ends_by_itself_is_reported_with_its_last_words_made_harmless() {
    let place = Place::new();
    let r = place.script("printf 'no GPU \\033[2J\\nforged line'; exit 1");
    start(&r, "t1").await;
    until("it has ended", async || r.read().await.unwrap() == Running::Stopped).await;
    let Settled::NotYet(why) = r.settled(&on("t1"), None).await.unwrap() else { panic!("a dead server settled") };
    assert!(why.contains("no GPU \\u{1b}[2J\\nforged line"), "{why}");
    assert!(!why.contains(char::is_control), "{why:?}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_refusal_and_leaves_nothing() {
    for command in [&["/no/such/server"][..], &[], &["sh", "nul\0"]] {
        let place = Place::new();
        let r = place.process(command);
        let answer = r.swap(&Running::Stopped, &on("t1")).await;
        assert!(matches!(answer, Err(ProviderError::Rejected { .. })), "{command:?}: {answer:?}");
        assert_eq!(r.read().await.unwrap(), Running::Stopped);
        assert!(!place.records().join("a.json").exists());
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_unknown_and_not_stopped() {
    let place = Place::new();
    place.write_record(&json!({ "version": 1 }));
    let r = place.script(SERVER);
    assert!(matches!(r.read().await, Err(ProviderError::Unknown { .. })));
    assert!(r.swap(&Running::Stopped, &on("t1")).await.is_err());
    assert!(!place.records().join("a.log").exists(), "it was started blindly");
}
