//! A disk that says no: at each write that there is no room, at each sync that it failed. What was acknowledged is read back, and
//! after a failed sync nothing is written any more.

use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::support::{again, at, attempt, begin, block_on, count_cells, look, me, prepared, scratch};

const KEY: &str = "MODELSWAP_TEST_BROKEN";
const NAME: &str = "broken::what_was_acknowledged_outlives_each_write_and_each_sync_that_fails";

/// The system calls that fail, how, and at how many of them at least that must have been done.
const FAILURES: [(&str, &str, usize); 2] = [("write,pwrite64", "ENOSPC", 5), ("fsync,fdatasync", "EIO", 8)];

#[test]
fn what_was_acknowledged_outlives_each_write_and_each_sync_that_fails() {
    if let Some(state) = std::env::var_os(KEY) {
        return block_on(write_until_told_no(Path::new(&state)));
    }
    for (calls, error, least) in FAILURES {
        let began = Instant::now();
        // The first that is not reached: every one before it was.
        let reached = (1..).find(|nth| !fails_at(calls, error, *nth)).expect("the calls come to an end") - 1;
        assert!(reached >= least, "{error} was met at {reached} of {calls} only");
        count_cells(&format!("{error} at each of {calls}"), reached, began);
    }
}

/// Whether the nth such call in the journal's directory was reached, and failed as it should.
fn fails_at(calls: &str, error: &str, nth: usize) -> bool {
    let top = scratch();
    let state = top.path().join("state");
    let (log, this) = (top.path().join("calls"), again(NAME, KEY, &state));
    let mut strace = std::process::Command::new("strace");
    strace.args([
        "-f",
        "-e",
        &format!("trace={calls}"),
        "-e",
        &format!("inject={calls}:error={error}:when={nth}"),
        "-o",
    ]);
    strace.arg(&log);
    for path in ["", "chat", "chat/journal", "chat/reserve", "chat/blobs"] {
        strace.arg("-P").arg(state.join(path));
    }
    strace.arg(this.get_program()).args(this.get_args()).env(KEY, &state);
    let out = strace.output().unwrap_or_else(|e| panic!("strace is needed: apt-get install strace ({e})"));
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{error} at {calls} {nth}: {said}{}", String::from_utf8_lossy(&out.stderr));
    let number = |word: &str| -> u64 {
        let found = said.split_whitespace().find_map(|w| w.strip_prefix(word));
        found.unwrap_or_else(|| panic!("no `{word}` in {said}")).parse().unwrap()
    };
    let (acknowledged, tried) = (number("acknowledged="), number("tried="));
    let read = block_on(look(&state)).1.head.seq;
    assert!(
        (acknowledged..=tried).contains(&read),
        "{error} at {calls} {nth}: {read} records are read, {acknowledged} were acknowledged and {tried} tried"
    );
    let log = std::fs::read_to_string(&log).unwrap();
    let injected = log.lines().find(|line| line.contains("(INJECTED)"));
    if error == "EIO" && injected.is_some_and(|line| line.contains("/chat/journal>")) {
        assert_eq!(number("goes_on="), 0, "it was written on after the journal's sync had failed: {said}");
    }
    injected.is_some()
}

/// Appends until it is refused, and says how far it came.
async fn write_until_told_no(state: &Path) {
    // A run begins with two records.
    let (mut acknowledged, mut tried, mut goes_on) = (0_u64, 2, false);
    match begin(state, 1, me()).await {
        Err(_) => {}
        Ok(mut holder) => {
            acknowledged = 2;
            let facts = [attempt("a", false), prepared("b", json!("x".repeat(40_000))), attempt("b", false)];
            for fact in facts {
                tried += 1;
                if holder.append(fact, at(1)).await.is_err() {
                    break;
                }
                acknowledged += 1;
            }
            // One more, after whatever happened.
            tried += 1;
            goes_on = holder.append(attempt("c", false), at(2)).await.is_ok();
        }
    }
    println!("acknowledged={} tried={tried} goes_on={}", acknowledged + u64::from(goes_on), u8::from(goes_on));
}
