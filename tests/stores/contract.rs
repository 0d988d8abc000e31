//! What a journal relies on, asked of every place.

use modelswap::ids::RunId;
use modelswap::journal::fact::{Fact, Outcome, Purpose};
use modelswap::journal::record::digest;
use modelswap::journal::store::Appended;
use modelswap::journal::writer::{Journal, JournalError, Takeover};
use serde_json::json;

use super::places::{Place, at_second, chain, me, service, started};
use super::support::{moto::Moto, python};

#[tokio::test]
async fn a_directory_keeps_a_journal() {
    all(&|| Place::Directory(tempfile::tempdir().unwrap())).await;
}

#[tokio::test]
async fn a_bucket_in_memory_keeps_a_journal() {
    all(&Place::memory).await;
    damage(&Place::memory()).await;
}

#[tokio::test]
async fn the_loopback_worlds_s3_keeps_a_journal() {
    // One world for each promise.
    for promise in 0..PROMISES {
        one(promise, &Place::lab().await).await;
    }
    damage(&Place::lab().await).await;
}

#[tokio::test]
async fn motos_s3_keeps_a_journal() {
    for promise in 0..PROMISES {
        let moto = Moto::start();
        python::boto3(
            "import boto3; boto3.client('s3', region_name='us-east-1').create_bucket(Bucket='ops')",
            &moto.url,
            &[],
        );
        one(promise, &Place::Moto(moto)).await;
    }
}

const PROMISES: usize = 4;

async fn all(fresh: &dyn Fn() -> Place) {
    for promise in 0..PROMISES {
        one(promise, &fresh()).await;
    }
}

async fn one(promise: usize, place: &Place) {
    match promise {
        0 => what_is_acknowledged_is_read_by_everybody(place).await,
        1 => a_record_is_won_by_one(place).await,
        2 => large_values_are_kept(place).await,
        _ => a_displaced_holder_writes_nothing(place).await,
    }
}

async fn what_is_acknowledged_is_read_by_everybody(place: &Place) {
    let records = chain("dana", 60);
    let mut hand = place.hand().await;
    assert_eq!(hand.load().await.unwrap().0.head.seq, 0);
    for (after, payload) in (0..).zip(&records) {
        assert!(matches!(hand.append(after, payload).await.unwrap(), Appended::Yes));
    }
    let mut other = place.hand().await;
    let (log, read) = other.load().await.unwrap();
    assert_eq!(read.into_iter().map(|(_, payload)| payload).collect::<Vec<_>>(), records);
    assert_eq!((log.head.seq, log.head.hash), (60, digest(records.last().unwrap())));
    assert_eq!(other.newer(57).await.unwrap(), records[57..]);
    assert_eq!(other.newer(60).await.unwrap(), Vec::<Vec<u8>>::new());
}

async fn a_record_is_won_by_one(place: &Place) {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let race = names.map(|name| async move {
        let mut hand = place.hand().await;
        let payload = chain(name, 1).remove(0);
        (payload.clone(), hand.append(0, &payload).await.unwrap())
    });
    let ends = futures_util::future::join_all(race).await;
    let won: Vec<_> = ends.iter().filter(|(_, end)| matches!(end, Appended::Yes)).collect();
    assert_eq!(won.len(), 1, "{ends:?}");
    let behind = ends.iter().filter_map(|(_, end)| match end {
        Appended::Behind(others) => Some(others),
        Appended::Yes => None,
    });
    for others in behind {
        assert_eq!(others.first(), Some(&won[0].0), "the others see the one that won");
    }
}

async fn large_values_are_kept(place: &Place) {
    let large = json!({ "live": "blue", "text": "x".repeat(200_000) });
    let hand = place.hand().await;
    let facts = (started(large.clone()), Purpose::Deploy);
    let run = RunId::new("R1").unwrap();
    let log = modelswap::journal::log::Log::of(&service());
    let mut journal = Journal::begin(hand, log, service(), run, me(), facts, at_second(0)).await.unwrap();
    journal.append(Fact::Interrupted { by: "SIGTERM".to_owned() }, at_second(1)).await.unwrap();
    let (log, _) = place.hand().await.load().await.unwrap();
    assert_eq!(log.newest().unwrap().started.resolved, large);
}

async fn a_displaced_holder_writes_nothing(place: &Place) {
    let run = RunId::new("R1").unwrap();
    let facts = (started(json!({ "live": "blue" })), Purpose::Deploy);
    let log = modelswap::journal::log::Log::of(&service());
    let mut old =
        Journal::begin(place.hand().await, log, service(), run.clone(), me(), facts, at_second(0)).await.unwrap();
    let mut hand = place.hand().await;
    let (log, _) = hand.load().await.unwrap();
    let why = (Purpose::Rollback, Takeover::Because("it hangs".to_owned()));
    let mut new = Journal::open(hand, log, service(), run, me(), why, at_second(1)).await.unwrap();
    let late = old.append(Fact::Observed { what: "late".to_owned(), detail: json!(1) }, at_second(2)).await;
    assert!(matches!(late, Err(JournalError::Displaced { .. })), "{late:?}");
    let end = Fact::Finished { outcome: Outcome::RolledBack { why: "it hangs".to_owned(), to: None } };
    new.append(end, at_second(3)).await.unwrap();
    let (log, records) = place.hand().await.load().await.unwrap();
    assert_eq!((log.head.seq, records.len()), (4, 4), "nothing of the old holder came in between");
}

/// What no writer of ours leaves behind is refused, not read around.
async fn damage(place: &Place) {
    let mut hand = place.hand().await;
    for (after, payload) in (0..).zip(&chain("dana", 5)) {
        hand.append(after, payload).await.unwrap();
    }
    let bucket = place.bucket().await;
    let third = bucket.path("chat/log/00000000000000000003");
    let good = bucket.get(&third).await.unwrap().unwrap().bytes;
    bucket.remove(&third).await;
    let said = place.hand().await.load().await.unwrap_err().to_string();
    assert!(said.contains("record 3 cannot be read: it is missing"), "{said}");
    let said = place.hand().await.newer(2).await.unwrap_err().to_string();
    assert!(said.contains("record 3 cannot be read: it is missing"), "{said}");
    let changed = String::from_utf8(good).unwrap().replace("\"note\"", "\"none\"");
    bucket.overwrite(&third, changed.as_bytes()).await.unwrap();
    let said = place.hand().await.load().await.unwrap_err().to_string();
    assert!(said.contains("record 4 does not follow"), "{said}");
}
