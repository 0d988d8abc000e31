//! A store that ignores conditions would let two runs believe that each is the only one.

use modelswap::journal::store::StoreError;
use serde_json::json;

use super::places::{Place, chain};

#[tokio::test]
async fn a_store_that_ignores_conditions_is_refused_before_the_first_record() {
    let place = Place::lab().await;
    let Place::Lab(lab) = &place else { unreachable!() };
    lab.desk.post("faults", json!({ "op": "PutObject", "kind": "ignore_conditions", "times": 10_000 })).await;
    let error = place.hand().await.append(0, &chain("dana", 1)[0]).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unfit { .. }), "{error}");
    let said = error.to_string();
    assert!(said.starts_with("s3://ops/state cannot keep a journal: ") && said.contains("If-None-Match"), "{said}");
    assert_eq!(place.hand().await.load().await.unwrap().0.head.seq, 0, "nothing was written to the log");
    assert_eq!(lab.cloud.lock().buckets["ops"].len(), 0, "nothing is left lying about");
}

#[tokio::test]
async fn a_store_that_ignores_replacements_on_a_condition_is_refused() {
    let place = Place::lab().await;
    let Place::Lab(lab) = &place else { unreachable!() };
    // Create, second create and its repetition, replacement, and the replacement of what is no longer there.
    lab.desk.post("faults", json!({ "op": "PutObject", "nth": 5, "kind": "ignore_conditions" })).await;
    let said = place.hand().await.append(0, &chain("dana", 1)[0]).await.unwrap_err().to_string();
    assert!(said.contains("If-Match"), "{said}");
}

#[tokio::test]
async fn a_place_is_checked_once() {
    let place = Place::lab().await;
    let Place::Lab(lab) = &place else { unreachable!() };
    let records = chain("dana", 2);
    place.hand().await.append(0, &records[0]).await.unwrap();
    let before = lab.desk.calls().await.len();
    place.hand().await.append(1, &records[1]).await.unwrap();
    let calls: Vec<_> = lab.desk.calls().await.into_iter().skip(before).map(|call| call.operation).collect();
    assert_eq!(calls, ["GetObject", "GetObject", "PutObject"], "two markers are read, the record is written");
}
