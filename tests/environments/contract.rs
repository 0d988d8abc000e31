//! What every kind of environment promises.

use modelswap::providers::environments::Running;
use modelswap::providers::{ProviderError, Register, Settled};

use crate::help::{Place, is_busy, is_conflict, on, start, stop, until};

/// A server that says so when it begins.
const SERVER: &str = "echo start; exec sleep 600";

/// Runs every clause; `open` gives a new register on the same environment, as another process would have; `starts` counts effects.
async fn contract<R: Register<Value = Running>>(
    place: &Place,
    open: impl Fn() -> R,
    starts: impl Fn() -> usize,
    stops: impl Fn() -> usize,
) {
    let r = open();
    assert_eq!(r.read().await.unwrap(), Running::Stopped, "nothing was started");
    assert!(matches!(r.settled(&Running::Stopped, None).await.unwrap(), Settled::Yes(_)));

    // Undo of nothing is nothing.
    r.swap(&on("t1"), &Running::Stopped).await.unwrap();
    assert_eq!((starts(), stops()), (0, 0));

    // A start is known by its token, to another register too, and made once.
    start(&r, "t1").await;
    until("the start had its effect", async || starts() == 1).await;
    for again in [&r, &open()] {
        assert_eq!(again.read().await.unwrap(), on("t1"));
        assert!(matches!(again.settled(&on("t1"), None).await.unwrap(), Settled::Yes(_)));
        start(again, "t1").await;
    }

    // Somebody else's start is left alone.
    assert!(is_conflict(&r.swap(&Running::Stopped, &on("t2")).await));
    assert!(is_conflict(&r.swap(&on("t2"), &Running::Stopped).await));
    assert!(matches!(r.swap(&on("t1"), &on("t2")).await, Err(ProviderError::Rejected { .. })));
    assert!(matches!(r.settled(&on("t2"), None).await.unwrap(), Settled::NotYet(_)));
    assert!(matches!(r.settled(&Running::Stopped, None).await.unwrap(), Settled::NotYet(_)));
    assert_eq!((r.read().await.unwrap(), starts(), stops()), (on("t1"), 1, 0));

    // While another process changes it, nothing is done.
    let lock = std::fs::File::open(place.records().join("a.lock")).unwrap();
    lock.lock().unwrap();
    assert!(is_busy(&r.swap(&on("t1"), &Running::Stopped).await));
    lock.unlock().unwrap();
    assert_eq!((r.read().await.unwrap(), stops()), (on("t1"), 0));

    // What is stopped stays stopped, however often it is said; and undo starts it again, as the same value.
    stop(&r, "t1").await;
    let stopped = stops();
    r.swap(&on("t1"), &Running::Stopped).await.unwrap();
    assert_eq!((open().read().await.unwrap(), starts(), stops()), (Running::Stopped, 1, stopped));
    start(&open(), "t1").await;
    until("the second start had its effect", async || starts() == 2).await;
    assert_eq!(r.read().await.unwrap(), on("t1"));
    stop(&open(), "t1").await;
    assert!(!r.show(&on("t1")).contains('\n'));
}

#[tokio::test]
async fn a_process_keeps_the_contract() {
    let place = Place::new();
    let starts = || place.read("state/environments/a.log").matches("start").count();
    contract(&place, || place.script(SERVER), starts, || 0).await;
}

#[tokio::test]
async fn commands_keep_the_contract() {
    let place = Place::new();
    let calls = |what: &str| place.read("calls").lines().filter(|l| l.starts_with(what)).count();
    contract(&place, || place.files().open(), || calls("start"), || calls("stop")).await;
}

#[tokio::test]
async fn eight_racers_start_one_process() {
    let place = Place::new();
    let racers = (0..8).map(|n| {
        let register = place.script(SERVER);
        tokio::spawn(async move { register.swap(&Running::Stopped, &on(&format!("t{n}"))).await })
    });
    let answers = futures_util::future::join_all(racers).await;
    let won = answers.iter().filter(|a| matches!(a, Ok(Ok(_)))).count();
    assert_eq!(won, 1, "{answers:?}");
    until("it is up", async || place.read("state/environments/a.log").matches("start").count() == 1).await;
}
