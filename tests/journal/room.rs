//! A full disk: nothing new is begun, and what was begun can still be brought to its end.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use modelswap::journal::fact::{Fact, Outcome, Purpose};
use modelswap::journal::store::StoreError;
use modelswap::journal::writer::{Journal, JournalError, Takeover};
use serde_json::json;

use super::support::{at, attempt, begin, block_on, gone, journal_of, look, open, prepared, scratch, step};

const KEY: &str = "MODELSWAP_TEST_ROOM";

/// On a file system of 640 KiB, in mount and user namespaces of its own, so that it takes no root and leaves nothing behind.
#[test]
fn on_a_full_disk_nothing_new_begins_and_what_began_comes_to_its_end() {
    if let Some(state) = std::env::var_os(KEY) {
        return block_on(fill(Path::new(&state)));
    }
    let state = scratch();
    let script =
        "mount -t tmpfs -o size=640k,mode=700 tmpfs \"$1\" && exec \"$2\" --exact \"$3\" --nocapture --test-threads=1";
    let out = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", script, "sh"])
        .arg(state.path())
        .arg(std::env::current_exe().unwrap())
        .arg("room::on_a_full_disk_nothing_new_begins_and_what_began_comes_to_its_end")
        .env(KEY, state.path())
        .output()
        .unwrap_or_else(|e| panic!("unshare is needed: apt-get install util-linux ({e})"));
    let (said, complained) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let hint = "it needs user namespaces (sysctl user.max_user_namespaces) or root";
    assert!(out.status.success() && said.contains("1 passed"), "{hint}\n{said}{complained}");
}

fn is_full(error: &JournalError) -> bool {
    matches!(error, JournalError::Store(StoreError::Io { full: true, .. }))
}

/// Takes all room but `but` bytes.
fn take_room(state: &Path, but: usize) {
    let mut filler = std::fs::OpenOptions::new().create(true).append(true).open(state.join("filler")).unwrap();
    let mut bytes = 0;
    while filler.write_all(&[0; 512]).is_ok() {
        bytes += 512_u64;
    }
    filler.set_len(bytes.saturating_sub(but as u64)).unwrap();
}

async fn fill(state: &Path) {
    // Without room for the reserve, a run does not even begin.
    take_room(state, 40 * 1024);
    let error = begin(state, 1, gone()).await.unwrap_err();
    assert!(is_full(&error), "{error}");
    assert!(look(state).await.1.runs.is_empty());
    std::fs::remove_file(state.join("filler")).unwrap();

    let reserve = state.join("chat/reserve");
    let mut holder = begin(state, 1, gone()).await.unwrap();
    holder.append(prepared("a", json!(0)), at(1)).await.unwrap();
    holder.append(attempt("a", false), at(2)).await.unwrap();
    assert!(reserve.exists());
    take_room(state, 0);

    // What was begun has an outcome; it costs the reserve.
    fill_line(&mut holder, state).await;
    assert!(!reserve.exists(), "the outcome was written, so the reserve must be gone");
    // Nothing new is begun, large or small.
    let before = std::fs::read(journal_of(state)).unwrap();
    for fact in [prepared("b", json!(0)), prepared("b", json!("x".repeat(40_000))), attempt("b", false)] {
        let error = holder.append(fact, at(4)).await.unwrap_err();
        assert!(is_full(&error), "{error}");
    }
    assert_eq!(std::fs::read(journal_of(state)).unwrap(), before, "nothing of it was left in the journal");
    // Another process takes it back, on the same full disk.
    drop(holder);
    let mut back = open(state, gone(), Purpose::Rollback, Takeover::Never).await.unwrap();
    for n in 0..40 {
        let why = format!("{n}");
        back.append(Fact::Unwinding { why, unproven: false, keep: false, asked: true, to: None }, at(5)).await.unwrap();
    }
    back.append(attempt("a", true), at(6)).await.unwrap();
    back.append(Fact::Undone { step: step("a"), evidence: "reads 0".to_owned(), tails: Vec::new() }, at(7))
        .await
        .unwrap();
    back.append(Fact::Finished { outcome: Outcome::RolledBack { why: "asked".to_owned(), to: None } }, at(8))
        .await
        .unwrap();
    let error = begin(state, 2, gone()).await.unwrap_err();
    assert!(is_full(&error), "{error}");
    assert_eq!(look(state).await.1.newest().unwrap(), back.state());

    // With room again, the reserve is there again.
    std::fs::remove_file(state.join("filler")).unwrap();
    let mut next = begin(state, 2, gone()).await.unwrap();
    next.append(prepared("a", json!(0)), at(9)).await.unwrap();
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), 256 * 1024);
}

/// Outcomes, until the journal's last page is full and one of them has taken the reserve's room.
async fn fill_line(holder: &mut Journal, state: &Path) {
    for n in 0..100 {
        let receipt = json!(format!("{n}{}", "r".repeat(400)));
        holder.append(Fact::Applied { step: step("a"), receipt }, at(3)).await.unwrap();
        if !state.join("chat/reserve").exists() {
            return;
        }
    }
}
