//! What is acknowledged has been synced, in the right order: seen from outside, by the system calls.

use std::path::Path;

use serde_json::json;

use super::support::{again, at, attempt, begin, block_on, journal_of, me, prepared, scratch};

const KEY: &str = "MODELSWAP_TEST_SYNC";

#[test]
fn every_record_is_synced_before_the_next_call_and_every_new_entry_with_its_directory() {
    if let Some(state) = std::env::var_os(KEY) {
        return block_on(write_some(Path::new(&state)));
    }
    let top = scratch();
    let (state, log) = (top.path().join("new/state"), top.path().join("calls"));
    let this =
        again("sync::every_record_is_synced_before_the_next_call_and_every_new_entry_with_its_directory", KEY, &state);
    let mut strace = std::process::Command::new("strace");
    strace.args([
        "-f",
        "-y",
        "-s",
        "16",
        "-e",
        "trace=write,pwrite64,fdatasync,fsync,openat,mkdir,rename,renameat,renameat2,link,linkat",
        "-o",
    ]);
    strace.arg(&log).arg(this.get_program()).args(this.get_args()).env(KEY, &state);
    let out = strace.output().unwrap_or_else(|e| panic!("strace is needed: apt-get install strace ({e})"));
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let calls = std::fs::read_to_string(&log).unwrap();
    let top = top.path().display().to_string();
    let ours =
        |l: &&str| l.contains(&top) && !l.contains("= -1 ") && !l.contains("openat(") && !l.contains("<unfinished");
    let calls: Vec<String> = calls.lines().filter(ours).map(short(&top)).collect();
    assert_eq!(calls.iter().filter(|c| *c == "write journal").count(), 4, "{calls:#?}");

    // One write a record, synced before anything else is touched.
    for (n, call) in calls.iter().enumerate().filter(|(_, c)| *c == "write journal") {
        assert_eq!(calls.get(n + 1).map(String::as_str), Some("fdatasync journal"), "after {call} ({n}) of {calls:#?}");
    }
    // Each new entry, then its directory; all of it before the first record.
    let place =
        |what: &str| calls.iter().position(|c| c == what).unwrap_or_else(|| panic!("no `{what}` in {calls:#?}"));
    let record = place("write journal");
    for (new, directory) in [
        ("mkdir new", "fsync ."),
        ("mkdir state", "fsync new"),
        ("mkdir chat", "fsync state"),
        ("fsync journal", "fsync chat"),
        ("fsync reserve", "fsync chat"),
    ] {
        assert!(place(new) < place(directory) && place(directory) < record, "{new}, {directory}, record: {calls:#?}");
    }
    assert!(place("mkdir blobs") < calls.iter().rposition(|c| c == "fsync chat").unwrap(), "{calls:#?}");
    // A large value is there before the record that names it.
    let blob = calls.iter().position(|c| c.starts_with("fsync .tmp")).unwrap_or_else(|| panic!("{calls:#?}"));
    let named = calls
        .iter()
        .position(|c| c.starts_with("rename") || c.starts_with("link"))
        .unwrap_or_else(|| panic!("{calls:#?}"));
    let after = calls.iter().skip(named).position(|c| c == "fsync blobs").unwrap() + named;
    let last = calls.iter().rposition(|c| c == "write journal").unwrap();
    assert!(blob < named && named < after && after < last, "{calls:#?}");
}

async fn write_some(state: &Path) {
    let mut holder = begin(state, 1, me()).await.unwrap();
    holder.append(attempt("a", false), at(1)).await.unwrap();
    holder.append(prepared("a", json!("x".repeat(40_000))), at(2)).await.unwrap();
}

/// `12 write(9</tmp/x/chat/journal>, "...", 3) = 3` as `write journal`; the scratch directory itself as `.`.
fn short(top: &str) -> impl Fn(&str) -> String {
    let top = top.to_owned();
    move |line: &str| {
        let call = line.split_once(' ').map_or(line, |(_, call)| call.trim_start());
        let (name, rest) = call.split_once('(').unwrap_or((call, ""));
        let path = rest.split(['<', '>', '"']).find(|part| part.starts_with('/')).unwrap_or("?");
        let file = if path == top { "." } else { path.rsplit('/').next().unwrap_or("?") };
        format!("{name} {file}")
    }
}

const KEY_FAILING: &str = "MODELSWAP_TEST_FAILING_SYNC";

/// The kernel may have dropped the page and call the next sync a success, so a failed one is the end of the journal's use.
#[test]
fn after_a_failed_sync_nothing_more_is_written() {
    if let Some(state) = std::env::var_os(KEY_FAILING) {
        return block_on(write_on(Path::new(&state)));
    }
    let (top, log) = (scratch(), scratch());
    let this = again("sync::after_a_failed_sync_nothing_more_is_written", KEY_FAILING, top.path());
    let mut strace = std::process::Command::new("strace");
    // The first two belong to the beginning of the run.
    strace.args(["-f", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=3", "-o"]);
    strace.arg(log.path().join("calls")).arg(this.get_program()).args(this.get_args()).env(KEY_FAILING, top.path());
    let out = strace.output().unwrap_or_else(|e| panic!("strace is needed: apt-get install strace ({e})"));
    let (said, complained) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success() && said.contains("1 passed"), "{said}{complained}");
    let calls = std::fs::read_to_string(log.path().join("calls")).unwrap();
    assert_eq!(calls.matches("INJECTED").count(), 1, "the fault did not fire: {calls}");
    assert_eq!(calls.matches("fdatasync(").count(), 3, "it was synced again: {calls}");
}

async fn write_on(state: &Path) {
    let mut holder = begin(state, 1, me()).await.unwrap();
    let failed = holder.append(attempt("a", false), at(1)).await.unwrap_err().to_string();
    assert!(failed.contains("cannot sync"), "{failed}");
    let bytes = std::fs::read(journal_of(state)).unwrap();
    for undo in [false, true] {
        let refused = holder.append(attempt("a", undo), at(2)).await.unwrap_err().to_string();
        assert!(refused.contains("is not written any more"), "{refused}");
    }
    assert_eq!(std::fs::read(journal_of(state)).unwrap(), bytes);
}
