//! An answer that is lost, or that says nothing: what is there says what happened.

use modelswap::journal::store::{Appended, StoreError};
use serde_json::json;

use super::places::{Place, chain};

/// Kind of fault, and whether the write is to be there in spite of it.
const FAULTS: [&str; 9] = [
    "reset_before",
    "reset_after",
    "time_out_before",
    "time_out_after",
    "error_500_before",
    "error_500_after",
    "error_503",
    "conflict",
    "twice",
];

#[tokio::test]
async fn a_create_that_is_not_answered_is_there_once() {
    for kind in FAULTS {
        let place = Place::lab().await;
        let Place::Lab(lab) = &place else { unreachable!() };
        let records = chain("dana", 2);
        let mut hand = place.hand().await;
        hand.append(0, &records[0]).await.unwrap();
        lab.desk.fault("PutObject", json!(kind)).await;
        let appended = hand.append(1, &records[1]).await.unwrap();
        assert!(matches!(appended, Appended::Yes), "{kind}: {appended:?}");
        let faults = lab.desk.faults().await;
        assert!(faults.iter().all(|fault| !fault.fired.is_empty()), "{kind} did not fire");
        assert_eq!(place.hand().await.load().await.unwrap().0.head.seq, 2, "{kind}");
    }
}

#[tokio::test]
async fn a_conflict_with_another_is_never_taken_for_our_own() {
    for kind in FAULTS {
        let place = Place::lab().await;
        let Place::Lab(lab) = &place else { unreachable!() };
        let (ours, theirs) = (chain("dana", 1), chain("eve", 1));
        let mut hand = place.hand().await;
        // The self-check is made before, so that the fault hits the record.
        hand.keep(&modelswap::journal::record::digest(b"{}"), b"{}").await.unwrap();
        place.hand().await.append(0, &theirs[0]).await.unwrap();
        lab.desk.fault("PutObject", json!(kind)).await;
        match hand.append(0, &ours[0]).await.unwrap() {
            Appended::Behind(others) => assert_eq!(others, theirs, "{kind}"),
            Appended::Yes => panic!("{kind}: two records at one place"),
        }
        assert!(lab.desk.faults().await.iter().all(|fault| !fault.fired.is_empty()), "{kind} did not fire");
    }
}

#[tokio::test]
async fn a_store_that_stays_away_is_an_error_and_not_a_success() {
    let place = Place::lab().await;
    let Place::Lab(lab) = &place else { unreachable!() };
    let records = chain("dana", 2);
    let mut hand = place.hand().await;
    hand.append(0, &records[0]).await.unwrap();
    for kind in ["error_503", "access_denied"] {
        lab.desk.post("faults", json!({ "op": "PutObject", "kind": kind, "times": 50 })).await;
        let error = hand.append(1, &records[1]).await.unwrap_err();
        assert!(matches!(error, StoreError::Io { .. }), "{kind}: {error}");
        assert_eq!(place.hand().await.load().await.unwrap().0.head.seq, 1, "{kind}");
    }
}

#[tokio::test]
async fn reads_are_asked_again() {
    let place = Place::lab().await;
    let Place::Lab(lab) = &place else { unreachable!() };
    place.hand().await.append(0, &chain("dana", 1)[0]).await.unwrap();
    for (op, kind) in [("ListObjectsV2", "reset_after"), ("GetObject", "truncate"), ("GetObject", "error_503")] {
        lab.desk.fault(op, json!(kind)).await;
        assert_eq!(place.hand().await.load().await.unwrap().0.head.seq, 1, "{op} {kind}");
    }
    assert!(lab.desk.faults().await.iter().all(|fault| !fault.fired.is_empty()));
}
