//! What only commands promise: their exit status is the word, their time is limited, and nothing of others is taken for ours.

use std::sync::Arc;

use modelswap::clock::{Clock, ScaledClock, SystemClock};
use modelswap::providers::environments::{EXTERNAL, Running};
use modelswap::providers::{ProviderError, Register, Settled};
use modelswap::units::Span;

use crate::help::{Commands, Place, is_alive, is_busy, is_conflict, on, start, start_of, stop, until};

fn why<T: std::fmt::Debug>(answer: Result<T, ProviderError>) -> String {
    match answer {
        Err(ProviderError::Unknown { why, .. }) => why,
        other => panic!("not an unknown outcome: {other:?}"),
    }
}

#[tokio::test]
async fn what_others_started_is_stopped_only_by_who_expects_exactly_that_and_comes_back_as_the_same() {
    let place = Place::new();
    let r = place.files().open();
    std::fs::write(place.path("up"), "").unwrap();
    assert_eq!(r.read().await.unwrap(), on(EXTERNAL));
    assert!(is_conflict(&r.swap(&Running::Stopped, &on("t1")).await));
    assert!(is_conflict(&r.swap(&on("t1"), &Running::Stopped).await));
    assert_eq!(place.read("calls"), "");
    stop(&r, EXTERNAL).await;
    start(&r, EXTERNAL).await;
    assert_eq!(r.read().await.unwrap(), on(EXTERNAL));
}

#[tokio::test]
async fn what_others_start_after_our_stop_is_not_ours() {
    let place = Place::new();
    let r = place.files().open();
    start(&r, "t1").await;
    stop(&r, "t1").await;
    std::fs::write(place.path("up"), "").unwrap();
    assert_eq!(r.read().await.unwrap(), on(EXTERNAL));
    assert!(is_conflict(&r.swap(&on("t1"), &Running::Stopped).await));
}

#[tokio::test]
async fn a_status_that_tells_the_token_is_believed_on_a_machine_without_the_record() {
    let place = Place::new();
    let mut files = place.files();
    files.start = "echo $MODELSWAP_TOKEN > $D/up".into();
    files.status = "test -e $D/up || exit 3; echo noise; echo MODELSWAP_TOKEN=$(cat $D/up)".into();
    start(&files.open(), "t1").await;
    std::fs::remove_file(place.records().join("a.json")).unwrap();
    let r = files.open();
    assert_eq!(r.read().await.unwrap(), on("t1"));
    assert!(is_conflict(&r.swap(&on(EXTERNAL), &Running::Stopped).await));
    stop(&r, "t1").await;
}

#[tokio::test]
async fn a_status_that_is_neither_is_unknown_and_its_words_are_bounded_and_harmless() {
    let place = Place::new();
    let mut files = place.files();
    files.status = "head -c 100000 /dev/zero | tr '\\0' x; printf '\\033[2J the end' >&2; exit 4".into();
    let why = why(files.open().read().await);
    assert!(why.starts_with("it exited 4 and wrote: xxx") && why.ends_with("\\u{1b}[2J the end"), "{why}");
    assert!(why.len() < 4200 && !why.contains(char::is_control));
    files.status = "kill -9 $$".into();
    assert!(why_of(&files).await.starts_with("it was ended by signal 9"));
    files.status = "exit 1".into();
    assert_eq!(why_of(&files).await, "it exited 1 and wrote nothing");
    assert!(files.open().swap(&Running::Stopped, &on("t1")).await.is_err());
    assert_eq!(place.read("calls"), "", "it was started though nobody could tell");
}

async fn why_of(files: &Commands<'_>) -> String {
    why(files.open().read().await)
}

#[tokio::test]
async fn a_failed_start_is_unknown_and_what_it_left_is_stopped_by_undo() {
    let place = Place::new();
    let mut files = place.files();
    files.start = "touch $D/up; echo no quota; exit 1".into();
    let r = files.open();
    let why = why(r.swap(&Running::Stopped, &on("t1")).await);
    assert_eq!(why, "it exited 1 and wrote: no quota");
    assert_eq!(r.read().await.unwrap(), on("t1"), "it runs, and it was us");
    stop(&r, "t1").await;
}

#[tokio::test]
async fn a_start_that_is_not_seen_yet_is_stopped_by_undo_all_the_same() {
    let place = Place::new();
    let mut files = place.files();
    files.start = "echo start >> $D/calls".into(); // comes up later
    let r = files.open();
    start(&r, "t1").await;
    assert!(matches!(r.settled(&on("t1"), None).await.unwrap(), Settled::NotYet(_)));
    assert_eq!(r.read().await.unwrap(), Running::Stopped);
    stop(&r, "t1").await;
    assert_eq!(place.read("calls"), "start\nstop t1\n");
}

#[tokio::test]
async fn it_is_started_anew_only_when_it_has_stopped() {
    let place = Place::new();
    let mut files = place.files();
    files.stop = "true".into(); // takes its time
    let r = files.open();
    start(&r, "t1").await;
    r.swap(&on("t1"), &Running::Stopped).await.unwrap();
    assert_eq!(r.read().await.unwrap(), Running::Stopped);
    assert!(matches!(r.settled(&Running::Stopped, None).await.unwrap(), Settled::NotYet(_)));
    assert!(is_busy(&r.swap(&Running::Stopped, &on("t1")).await));
    std::fs::remove_file(place.path("up")).unwrap();
    start(&r, "t1").await;
    assert_eq!(r.read().await.unwrap(), on("t1"));
}

#[tokio::test]
async fn a_command_whose_time_is_up_is_killed_with_its_whole_group() {
    let place = Place::new();
    let mut files = place.files();
    files.within = Span::from_secs(20);
    files.start = "trap '' TERM; sleep 600 & echo $$ $! > $D/pids.new; mv $D/pids.new $D/pids; echo waiting; while :; do wait; done".into();
    let clock = Arc::new(ScaledClock { origin: SystemClock.now(), scale: 40.0 });
    let why = why(files.open_by(clock).swap(&Running::Stopped, &on("t1")).await);
    assert_eq!(why, "it was killed after 20s and wrote: waiting");
    let pids: Vec<i32> = place.read("pids").split_whitespace().map(|p| p.parse().unwrap()).collect();
    assert_eq!(pids.len(), 2);
    for pid in pids {
        until("its processes are gone", async || !is_alive(pid)).await;
    }
}

#[tokio::test]
async fn a_command_does_not_outlive_who_gave_up_waiting_for_it() {
    let place = Place::new();
    let mut files = place.files();
    files.start = "echo $$ > $D/pid.new; mv $D/pid.new $D/pid; exec sleep 600".into();
    let r = files.open();
    let starting = tokio::spawn(async move { r.swap(&Running::Stopped, &on("t1")).await });
    until("it is at work", async || place.path("pid").exists()).await;
    let pid = place.read("pid").trim().parse().unwrap();
    place.note(pid);
    starting.abort();
    assert!(starting.await.unwrap_err().is_cancelled());
    until("it is gone", async || !is_alive(pid)).await;
}

#[tokio::test]
async fn what_a_start_leaves_running_may_go_on_writing() {
    let place = Place::new();
    let mut files = place.files();
    files.start = "(while [ ! -e $D/go ]; do sleep 0.02; done; echo late; touch $D/wrote) & touch $D/up".into();
    start(&files.open(), "t1").await;
    std::fs::write(place.path("go"), "").unwrap();
    until("it wrote", async || place.path("wrote").exists()).await;
    assert_eq!(place.read("state/environments/a.start.log"), "late\n");
}

#[tokio::test]
async fn a_command_of_a_killed_modelswap_is_waited_for_and_ended_when_its_time_is_up() {
    let place = Place::new();
    let r = place.files().open();
    let mut orphan = std::process::Command::new("sleep");
    let mut orphan = std::os::unix::process::CommandExt::process_group(orphan.arg("600"), 0).spawn().unwrap();
    let pid = i32::try_from(orphan.id()).unwrap();
    place.write_record(&place.record_of(pid, &start_of(pid), "t1"));

    assert!(is_busy(&r.read().await), "what it does late is not known yet");
    assert!(is_busy(&r.swap(&on("t1"), &Running::Stopped).await));
    assert!(is_alive(pid));
    place.clock.forward(21);
    assert!(is_busy(&r.swap(&on("t1"), &Running::Stopped).await));
    until("it was ended", async || !is_alive(pid)).await;
    stop(&r, "t1").await;
    orphan.wait().unwrap();
    assert_eq!(place.read("calls"), "stop t1\n");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_refusal_and_what_others_start_then_is_theirs() {
    let place = Place::new();
    let files = place.files();
    let mut runs = files.runs();
    runs.start = vec!["/no/such/program".into()];
    let r = files.open_as(runs, place.clock.clone());
    let answer = r.swap(&Running::Stopped, &on("t1")).await;
    assert!(
        matches!(&answer, Err(ProviderError::Rejected { why, .. }) if why.contains("/no/such/program")),
        "{answer:?}"
    );
    std::fs::write(place.path("up"), "").unwrap();
    assert_eq!(r.read().await.unwrap(), on(EXTERNAL));
}
