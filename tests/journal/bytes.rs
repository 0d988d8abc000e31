//! Every cut and every flipped bit of a journal.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use modelswap::journal::record::{Record, digest, frame, payload};
use modelswap::journal::store::local::Local;
use modelswap::journal::store::{Appended, Store, StoreError};
use modelswap::journal::writer::JournalError;
use serde_json::Value;

use super::support::{
    at, attempt, begin, block_on, chain, count_cells, every_kind, journal_of, look, me, put, scratch, service, started,
    step,
};

fn twenty() -> Vec<Vec<u8>> {
    let mut facts = vec![started()];
    facts.extend(every_kind());
    facts.extend(["c", "d", "e"].map(|name| attempt(name, false)));
    chain(facts)
}

async fn load(state: &Path) -> Result<usize, StoreError> {
    Ok(Local::new(state, &service()).load().await?.1.len())
}

/// `check` for each of `0..count`, on several threads, each with a journal of its own: most of the time goes into calls.
fn for_each(count: usize, check: impl AsyncFn(&Path, usize) + Sync) {
    let began = std::time::Instant::now();
    std::thread::scope(|threads| {
        for thread in 0..THREADS {
            let check = &check;
            threads.spawn(move || {
                let state = scratch();
                block_on(async {
                    for n in (thread..count).step_by(THREADS) {
                        check(state.path(), n).await;
                    }
                });
            });
        }
    });
    count_cells(std::thread::current().name().unwrap_or("?"), count, began);
}

const THREADS: usize = 4;

#[test]
fn every_cut_leaves_the_acknowledged_prefix_and_the_next_append_goes_on_from_there() {
    let frames = twenty();
    let whole = frames.concat();
    let ends: Vec<usize> = frames
        .iter()
        .scan(0, |end, f| {
            *end += f.len();
            Some(*end)
        })
        .collect();
    let torn = AtomicUsize::new(0);
    for_each(whole.len() + 1, async |state, cut| {
        put(state, &whole[..cut]);
        let acknowledged = ends.iter().filter(|end| **end <= cut).count();
        let end = acknowledged.checked_sub(1).map_or(0, |last| ends[last]);

        let mut store = Local::new(state, &service());
        let (log, records) = store.load().await.unwrap_or_else(|e| panic!("cut at {cut}: {e}"));
        assert_eq!((records.len(), log.head.seq), (acknowledged, acknowledged as u64), "cut at {cut}");
        let line = frames.get(acknowledged).unwrap_or(&frames[0]);
        let payload = &line[18..line.len() - 1];
        assert!(matches!(store.append(acknowledged as u64, payload).await.unwrap(), Appended::Yes), "cut at {cut}");

        let after = [&whole[..end], line.as_slice()].concat();
        assert!(
            std::fs::read(journal_of(state)).unwrap() == after,
            "cut at {cut}: the journal is not prefix and record"
        );
        let aside = state.join("chat").join(format!("torn-{end}"));
        if cut > end {
            torn.fetch_add(1, Ordering::Relaxed);
            assert_eq!(std::fs::read(&aside).unwrap(), &whole[end..cut], "cut at {cut}");
            std::fs::remove_file(aside).unwrap();
        } else {
            assert!(!aside.exists(), "cut at {cut}: nothing was torn");
        }
    });
    assert_eq!(torn.into_inner(), whole.len() - frames.len(), "every cut inside a record has a torn tail");
}

#[tokio::test]
async fn a_second_torn_tail_at_the_same_place_does_not_replace_the_first() {
    let state = scratch();
    let frames = twenty();
    for torn in [&b"first"[..], b"second"] {
        put(state.path(), &[&frames[0][..], torn].concat());
        let mut store = Local::new(state.path(), &service());
        store.load().await.unwrap();
        assert!(matches!(store.append(1, b"{}").await.unwrap(), Appended::Yes));
    }
    let aside = |name: String| std::fs::read(state.path().join("chat").join(name)).unwrap();
    let end = frames[0].len();
    assert_eq!((aside(format!("torn-{end}")), aside(format!("torn-{end}.1"))), (b"first".to_vec(), b"second".to_vec()));
}

#[test]
fn every_flipped_bit_is_refused_by_reading_and_by_appending() {
    let frames = twenty();
    let whole = frames.concat();
    for_each(whole.len() * 8, async |state, bit| {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        put(state, &flipped);
        let read = load(state).await;
        assert!(matches!(read, Err(StoreError::Damaged { .. })), "bit {bit}: {read:?}");
        // One bit of every third byte is enough for what shares the reading.
        if bit % 24 == 5 {
            for after in [0, frames.len() as u64] {
                let appended = Local::new(state, &service()).append(after, b"{}").await;
                assert!(matches!(appended, Err(StoreError::Damaged { .. })), "bit {bit}: {appended:?}");
            }
            assert!(
                std::fs::read(journal_of(state)).unwrap() == flipped,
                "bit {bit}: a damaged journal was written to"
            );
        }
    });
}

#[tokio::test]
async fn a_journal_that_became_shorter_is_not_appended_to() {
    let state = scratch();
    let mut holder = begin(state.path(), 1, me()).await.unwrap();
    holder.append(attempt("a", false), at(1)).await.unwrap();
    let path = journal_of(state.path());
    let bytes = std::fs::read(&path).unwrap();
    let first = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    std::fs::write(&path, &bytes[..first]).unwrap();
    let error = holder.append(attempt("b", false), at(2)).await.unwrap_err();
    assert!(error.to_string().contains("acknowledged"), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = holder.append(attempt("b", false), at(2)).await.unwrap_err();
    assert!(matches!(error, JournalError::Store(StoreError::Io { .. })), "{error}");
    assert!(!path.exists(), "a journal that is gone is not begun anew");
}

#[tokio::test]
async fn nothing_is_appended_behind_records_that_the_caller_has_not_seen() {
    let state = scratch();
    let frames = twenty();
    put(state.path(), &frames.concat());
    let mut store = Local::new(state.path(), &service());
    store.load().await.unwrap();
    for seen in [0, 7, 19] {
        let Appended::Behind(others) = store.append(seen, b"{}").await.unwrap() else {
            panic!("appended after {seen}")
        };
        assert_eq!(others.len() as u64, 20 - seen);
        assert_eq!(store.newer(seen).await.unwrap(), others);
    }
    assert!(
        matches!(store.append(21, b"{}").await, Err(StoreError::Damaged { .. })),
        "it was told of a record that is not there"
    );
    assert_eq!(std::fs::read(journal_of(state.path())).unwrap(), frames.concat());
}

/// A frame like `frame`, whose record was changed by `edit`: its checksum is right.
fn edited(framed: &[u8], edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut json: Value = serde_json::from_slice(&framed[18..framed.len() - 1]).unwrap();
    edit(&mut json);
    frame(&serde_json::to_vec(&json).unwrap())
}

#[tokio::test]
async fn a_record_altered_together_with_its_checksum_breaks_the_chain() {
    let frames = twenty();
    for at in 0..frames.len() - 1 {
        let state = scratch();
        let mut altered = frames.clone();
        altered[at] = edited(&frames[at], |json| json["id"] = "x".into());
        put(state.path(), &altered.concat());
        let error = load(state.path()).await.unwrap_err().to_string();
        assert!(error.contains(&format!("record {} does not follow", at + 2)), "{at}: {error}");
        let mut missing = frames.clone();
        missing.remove(at);
        put(state.path(), &missing.concat());
        assert!(matches!(load(state.path()).await, Err(StoreError::Bad { .. })), "record {} taken out", at + 1);
        let mut twice = frames.clone();
        twice.insert(at, frames[at].clone());
        put(state.path(), &twice.concat());
        assert!(matches!(load(state.path()).await, Err(StoreError::Bad { .. })), "record {} put in twice", at + 1);
        let mut turned = frames.clone();
        turned.swap(at, at + 1);
        put(state.path(), &turned.concat());
        assert!(
            matches!(load(state.path()).await, Err(StoreError::Bad { .. })),
            "records {} and its next turned round",
            at + 1
        );
    }
}

#[tokio::test]
async fn a_journal_of_another_service_is_refused() {
    let state = scratch();
    put(state.path(), &twenty().concat());
    std::fs::rename(state.path().join("chat"), state.path().join("images")).unwrap();
    let images = modelswap::ids::ServiceName::new("images").unwrap();
    let error = Local::new(state.path(), &images).load().await.unwrap_err().to_string();
    assert!(error.contains("record 1 belongs to `chat`"), "{error}");
}

#[tokio::test]
async fn a_record_of_a_newer_format_is_refused_in_words_and_nothing_is_written() {
    let state = scratch();
    let frames = twenty();
    let newer = edited(&frames[19], |json| {
        json["v"] = 2.into();
        json["fact"] = serde_json::json!({ "fact": "teleported", "to": "the future" });
    });
    let bytes = [frames[..19].concat(), newer.clone()].concat();
    put(state.path(), &bytes);
    let error = load(state.path()).await.unwrap_err().to_string();
    assert!(
        error.contains("record 20 cannot be read")
            && error.contains("format 2")
            && error.contains("use a newer modelswap"),
        "{error}"
    );
    assert_eq!(std::fs::read(journal_of(state.path())).unwrap(), bytes);
}

#[tokio::test]
async fn a_holder_that_meets_a_newer_format_writes_nothing_more() {
    let state = scratch();
    let mut holder = begin(state.path(), 1, me()).await.unwrap();
    let (mut other, log) = look(state.path()).await;
    let mut record: Record = serde_json::from_value(serde_json::json!({
        "v": 1, "seq": log.head.seq + 1, "prev": log.head.hash, "service": "chat", "run": "R1", "epoch": 9, "id": "x",
        "actor": me(), "at": at(1), "fact": attempt("z", false),
    }))
    .unwrap();
    record.v = 2;
    assert!(matches!(other.append(log.head.seq, &payload(&record).0).await.unwrap(), Appended::Yes));
    let bytes = std::fs::read(journal_of(state.path())).unwrap();
    for _ in 0..3 {
        let error = holder.append(attempt("a", false), at(2)).await.unwrap_err().to_string();
        assert!(error.contains("use a newer modelswap"), "{error}");
    }
    assert!(holder.refresh().await.is_err());
    assert_eq!(std::fs::read(journal_of(state.path())).unwrap(), bytes);
    assert_eq!(holder.state().step(&step("a")).attempts, 0);
}

#[tokio::test]
async fn what_was_written_is_what_is_read() {
    let state = scratch();
    let mut holder = begin(state.path(), 1, me()).await.unwrap();
    let mut wrote = Vec::new();
    for (n, fact) in every_kind().into_iter().enumerate() {
        wrote.push(holder.append(fact, at(i64::try_from(n).unwrap())).await.unwrap());
    }
    let mut store = Local::new(state.path(), &service());
    let (log, records) = store.load().await.unwrap();
    assert_eq!(records.iter().skip(2).map(|(r, _)| r.clone()).collect::<Vec<_>>(), wrote);
    assert_eq!(log.newest().unwrap(), holder.state(), "replay and live fold to the same");
    for pair in records.windows(2) {
        assert_eq!(pair[1].0.prev, digest(&pair[0].1));
    }
}
