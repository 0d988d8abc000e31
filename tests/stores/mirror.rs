//! What was acknowledged is written down a second time; a mirror that fails is said, one that went ahead is never merged.

use std::path::Path;
use std::sync::{Arc, Mutex};

use modelswap::journal::store::local::Local;
use modelswap::journal::store::mirrored::{Mirrored, Warn};
use modelswap::journal::store::{Appended, Store, StoreError};
use serde_json::json;

use super::places::{Place, chain, service};

type Said = Arc<Mutex<Vec<String>>>;

async fn mirrored(place: &Place, mirror: &Path) -> (Mirrored, Said) {
    let said = Said::default();
    let tell = said.clone();
    let warn = Warn(Box::new(move |line| tell.lock().unwrap().push(line.to_owned())));
    let mirrors: Vec<Box<dyn Store>> = vec![Box::new(Local::new(mirror, &service()))];
    (Mirrored::new(place.hand().await, mirrors, &service(), warn), said)
}

async fn held_by(mirror: &Path) -> Vec<Vec<u8>> {
    let (_, records) = Local::new(mirror, &service()).load().await.unwrap();
    records.into_iter().map(|(_, payload)| payload).collect()
}

#[tokio::test]
async fn a_mirror_holds_what_was_acknowledged_and_what_others_wrote() {
    let (place, mirror) = (Place::memory(), tempfile::tempdir().unwrap());
    let records = chain("dana", 6);
    let (mut store, said) = mirrored(&place, mirror.path()).await;
    store.load().await.unwrap();
    store.append(0, &records[0]).await.unwrap();
    // From another machine.
    place.hand().await.append(1, &records[1]).await.unwrap();
    assert!(matches!(store.append(1, &records[2]).await.unwrap(), Appended::Behind(others) if others == records[1..2]));
    store.append(2, &records[2]).await.unwrap();
    assert_eq!(held_by(mirror.path()).await, records[..3]);
    place.hand().await.append(3, &records[3]).await.unwrap();
    let (mut later, _) = mirrored(&place, mirror.path()).await;
    assert_eq!(later.load().await.unwrap().0.head.seq, 4);
    assert_eq!(held_by(mirror.path()).await, records[..4], "looking brings this host's copy up to date");
    assert_eq!(*said.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn large_values_are_mirrored_too() {
    let (place, mirror) = (Place::memory(), tempfile::tempdir().unwrap());
    let (mut store, _) = mirrored(&place, mirror.path()).await;
    let large = json!({ "live": "blue", "text": "x".repeat(200_000) });
    let (log, _) = store.load().await.unwrap();
    let run = modelswap::ids::RunId::new("R1").unwrap();
    let facts = (super::places::started(large.clone()), modelswap::journal::fact::Purpose::Deploy);
    let at = super::places::at_second(0);
    let begun = modelswap::journal::writer::Journal::begin(
        Box::new(store),
        log,
        service(),
        run,
        super::places::me(),
        facts,
        at,
    );
    drop(begun.await.unwrap());
    let (log, _) = Local::new(mirror.path(), &service()).load().await.unwrap();
    assert_eq!(log.newest().unwrap().started.resolved, large);
}

#[tokio::test]
async fn opening_costs_what_is_new_and_not_the_whole_log() {
    let place = Place::lab().await;
    let Place::Lab(lab) = &place else { unreachable!() };
    let mirror = tempfile::tempdir().unwrap();
    let records = chain("dana", 41);
    let (mut store, _) = mirrored(&place, mirror.path()).await;
    store.load().await.unwrap();
    for (after, payload) in (0..40).zip(&records) {
        store.append(after, payload).await.unwrap();
    }
    place.hand().await.append(40, &records[40]).await.unwrap();
    let before = lab.desk.calls().await.len();
    let (mut later, _) = mirrored(&place, mirror.path()).await;
    assert_eq!(later.load().await.unwrap().0.head.seq, 41);
    let calls: Vec<_> = lab.desk.calls().await.into_iter().skip(before).map(|call| call.operation).collect();
    assert_eq!(calls, ["ListObjectsV2", "GetObject", "GetObject"], "the last known record, and the new one");
}

#[tokio::test]
async fn a_mirror_that_fails_is_said_once_and_stops_nothing() {
    let (place, mirror) = (Place::memory(), tempfile::tempdir().unwrap());
    let records = chain("dana", 4);
    let (mut store, said) = mirrored(&place, mirror.path()).await;
    store.load().await.unwrap();
    store.append(0, &records[0]).await.unwrap();
    std::fs::write(mirror.path().join("chat/journal"), "no journal\n").unwrap();
    for after in 1..4u64 {
        let appended = store.append(after, &records[usize::try_from(after).unwrap()]).await.unwrap();
        assert!(matches!(appended, Appended::Yes));
    }
    let said = said.lock().unwrap().clone();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("is not mirrored to"), "{said:?}");
}

#[tokio::test]
async fn a_mirror_that_went_ahead_or_its_own_way_is_refused() {
    let records = chain("dana", 3);
    for (place_holds, missing) in [(vec![records[0].clone()], true), (chain("eve", 3), false)] {
        let (place, mirror) = (Place::memory(), tempfile::tempdir().unwrap());
        let mut hand = place.hand().await;
        for (after, payload) in (0..).zip(&place_holds) {
            hand.append(after, payload).await.unwrap();
        }
        let mut ahead = Local::new(mirror.path(), &service());
        for (after, payload) in (0..).zip(&records) {
            ahead.append(after, payload).await.unwrap();
        }
        let (mut store, _) = mirrored(&place, mirror.path()).await;
        let error = store.load().await.unwrap_err();
        assert!(matches!(&error, StoreError::Apart { seq: 3, missing: m, .. } if *m == missing), "{error}");
        let (_, kept) = place.hand().await.load().await.unwrap();
        assert_eq!(kept.len(), place_holds.len(), "nothing is merged");
    }
}
