//! Values too large for a line are kept beside the journal, under the digest of their content.

use std::path::PathBuf;

use modelswap::journal::fact::{Fact, Prepared, Purpose};
use modelswap::journal::record::{PAYLOAD_MAX, digest, payload, read};
use modelswap::journal::store::Store;
use modelswap::journal::store::local::Local;
use modelswap::journal::writer::Takeover;
use serde_json::{Value, json};

use super::support::{at, begin, me, open, prepared, scratch, service, step};

const LINE: usize = 32 * 1024;

async fn load(state: &std::path::Path) -> Result<Fact, String> {
    let (_, mut records) = Local::new(state, &service()).load().await.map_err(|e| e.to_string())?;
    Ok(records.pop().unwrap().0.fact)
}

fn blobs(state: &std::path::Path) -> Vec<PathBuf> {
    std::fs::read_dir(state.join("chat/blobs")).map(|d| d.map(|e| e.unwrap().path()).collect()).unwrap_or_default()
}

#[tokio::test]
async fn a_large_value_comes_back_and_a_small_one_stays_in_its_line() {
    // Two bytes of a JSON string are its quotes.
    for (length, kept) in [(LINE - 2, 0), (LINE - 1, 1), (3 * LINE, 1), (1_000_000, 1)] {
        let state = scratch();
        let fact = prepared("a", json!("x".repeat(length)));
        begin(state.path(), 1, me()).await.unwrap().append(fact.clone(), at(1)).await.unwrap();
        assert_eq!(load(state.path()).await.unwrap(), fact);
        assert_eq!(blobs(state.path()).len(), kept, "{length} bytes");
    }
}

#[tokio::test]
async fn no_payload_is_longer_than_a_line_may_be() {
    let state = scratch();
    let mut holder = begin(state.path(), 1, me()).await.unwrap();
    // Each fits, all of them together do not.
    let fact = Fact::Prepared {
        step: step("a"),
        prepared: Prepared {
            key: Some("k".repeat(20_000)),
            before: json!("b".repeat(31_000)),
            want: json!("w".repeat(30_000)),
            shows: "s".repeat(25_000),
        },
    };
    let record = holder.append(fact.clone(), at(1)).await.unwrap();
    let (line, large) = payload(&record);
    assert!(line.len() <= PAYLOAD_MAX, "{} bytes", line.len());
    assert_eq!(large.len(), 2, "the largest go, no more than must");
    assert_eq!(load(state.path()).await.unwrap(), fact);
}

#[tokio::test]
async fn a_large_value_that_is_missing_altered_or_a_link_is_refused() {
    let state = scratch();
    let fact = prepared("a", json!("x".repeat(2 * LINE)));
    begin(state.path(), 1, me()).await.unwrap().append(fact.clone(), at(1)).await.unwrap();
    let blob = blobs(state.path()).pop().unwrap();
    let whole = std::fs::read(&blob).unwrap();

    let mut altered = whole.clone();
    altered[LINE] ^= 1;
    std::fs::write(&blob, &altered).unwrap();
    let why = load(state.path()).await.unwrap_err();
    assert!(why.contains("its content does not match its name"), "{why}");

    std::fs::write(&blob, &whole[..LINE]).unwrap();
    assert!(load(state.path()).await.is_err());

    std::fs::remove_file(&blob).unwrap();
    let why = load(state.path()).await.unwrap_err();
    assert!(why.contains("cannot read") && why.contains("blobs"), "{why}");

    let elsewhere = state.path().join("elsewhere");
    std::fs::write(&elsewhere, &whole).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &blob).unwrap();
    let why = load(state.path()).await.unwrap_err();
    assert!(why.contains("it is a link"), "{why}");

    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, &whole).unwrap();
    assert_eq!(load(state.path()).await.unwrap(), fact);
}

#[tokio::test]
async fn a_large_value_that_was_altered_is_written_anew_when_it_is_kept_again() {
    let state = scratch();
    let mut store = Local::new(state.path(), &service());
    let name = digest(b"content");
    store.keep(&name, b"content").await.unwrap();
    std::fs::write(state.path().join("chat/blobs").join(&name), b"rubbish").unwrap();
    assert!(store.fetch(&name).is_err());
    store.keep(&name, b"content").await.unwrap();
    assert_eq!(store.fetch(&name).unwrap(), b"content");
}

#[tokio::test]
async fn the_name_of_a_large_value_is_never_taken_for_a_path() {
    let state = scratch();
    let store = Local::new(state.path(), &service());
    for name in ["/dev/zero", "../journal", "", "x", &"A".repeat(64), &format!("/{}", "a".repeat(63))] {
        let error = store.fetch(name).unwrap_err().to_string();
        assert!(error.contains("not named for its content"), "{name}: {error}");
    }
    let state = scratch();
    let mut record = begin(state.path(), 1, me()).await.unwrap().append(prepared("a", json!(1)), at(1)).await.unwrap();
    record.fact = prepared("a", json!({ "$blob": "/dev/zero" }));
    let line = serde_json::to_vec(&record).unwrap();
    let why = read(&line, |_| panic!("asked for it")).unwrap_err();
    assert!(why.contains("no name of a large value"), "{why}");
}

#[tokio::test]
async fn a_value_that_looks_like_the_mark_of_a_large_one_comes_back_as_it_was() {
    let state = scratch();
    drop(begin(state.path(), 1, me()).await.unwrap());
    for odd in [
        json!({ "$blob": "/etc/passwd" }),
        json!({ "$blob": "a".repeat(64), "more": 1 }),
        json!({ "$blob": Value::Null }),
    ] {
        let fact = prepared("a", odd);
        let taken = Takeover::Because("a test".to_owned());
        let mut holder = open(state.path(), me(), Purpose::Resume, taken).await.unwrap();
        holder.append(fact.clone(), at(1)).await.unwrap();
        assert_eq!(load(state.path()).await.unwrap(), fact);
    }
}
