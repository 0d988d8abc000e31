//! A journal is executable input: nobody else may have written it, nobody else reads it.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use modelswap::journal::store::Store;
use modelswap::journal::store::local::Local;
use serde_json::json;

use super::support::{at, begin, journal_of, me, prepared, scratch, service, set_mode};

async fn refused(state: &Path, why: &str) {
    let read = Local::new(state, &service()).load().await;
    assert!(read.as_ref().is_err_and(|e| e.to_string().contains("cannot be trusted")), "{why}: read gave {read:?}");
    for after in [0, 2] {
        let wrote = Local::new(state, &service()).append(after, b"{}").await;
        assert!(
            wrote.as_ref().is_err_and(|e| e.to_string().contains("cannot be trusted")),
            "{why}: append gave {wrote:?}"
        );
    }
}

#[tokio::test]
async fn a_journal_that_is_a_link_or_that_others_may_write_is_refused() {
    let state = scratch();
    drop(begin(state.path(), 1, me()).await.unwrap());
    let (journal, directory) = (journal_of(state.path()), state.path().join("chat"));
    for mode in [0o620, 0o602, 0o666] {
        set_mode(&journal, mode);
        refused(state.path(), "a journal that others may write").await;
    }
    set_mode(&journal, 0o600);
    for mode in [0o720, 0o702, 0o777, 0o1777] {
        set_mode(&directory, mode);
        refused(state.path(), "a directory that others may write").await;
    }
    set_mode(&directory, 0o700);
    let real = state.path().join("real");
    std::fs::rename(&journal, &real).unwrap();
    symlink(&real, &journal).unwrap();
    refused(state.path(), "a journal that is a link").await;
    std::fs::remove_file(&journal).unwrap();
    symlink(state.path().join("nowhere"), &journal).unwrap();
    refused(state.path(), "a journal that is a link to nothing").await;
    assert!(!state.path().join("nowhere").exists(), "it was written through");
    std::fs::remove_file(&journal).unwrap();
    std::fs::rename(&real, &journal).unwrap();
    std::fs::rename(&directory, state.path().join("elsewhere")).unwrap();
    symlink(state.path().join("elsewhere"), &directory).unwrap();
    refused(state.path(), "a directory that is a link").await;
    std::fs::remove_file(&directory).unwrap();
    std::fs::rename(state.path().join("elsewhere"), &directory).unwrap();
    Local::new(state.path(), &service()).load().await.unwrap();
}

/// Giving a file away takes root; without it, the rule itself is tested beside the code.
#[tokio::test]
async fn a_journal_of_another_user_is_refused() {
    let state = scratch();
    drop(begin(state.path(), 1, me()).await.unwrap());
    let give = |path: &Path, to: u32| std::os::unix::fs::chown(path, Some(to), None);
    match give(&journal_of(state.path()), 65534) {
        Ok(()) => {
            refused(state.path(), "a journal of another user").await;
            give(&journal_of(state.path()), 0).unwrap();
            give(&state.path().join("chat"), 65534).unwrap();
            refused(state.path(), "a directory of another user").await;
        }
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{error}"),
    }
}

#[tokio::test]
async fn directories_are_0700_and_files_0600() {
    let top = scratch();
    let state = top.path().join("a/b");
    let mut holder = begin(&state, 1, me()).await.unwrap();
    holder.append(prepared("a", json!("x".repeat(40_000))), at(1)).await.unwrap();
    let journal = journal_of(&state);
    let mut bytes = std::fs::read(&journal).unwrap();
    bytes.extend_from_slice(b"torn");
    std::fs::write(&journal, bytes).unwrap();
    holder.append(prepared("b", json!(0)), at(2)).await.unwrap();
    let (mut looked, mut seen) = (vec![top.path().join("a")], Vec::new());
    while let Some(path) = looked.pop() {
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let mode = meta.permissions().mode() & 0o7777;
        assert_eq!(mode, if meta.is_dir() { 0o700 } else { 0o600 }, "{}: {mode:o}", path.display());
        seen.push(path.strip_prefix(&state).map(|p| p.display().to_string()).unwrap_or_default());
        if meta.is_dir() {
            looked.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
    }
    for part in ["chat/journal", "chat/reserve", "chat/blobs/", "chat/torn-"] {
        assert!(seen.iter().any(|s| s.starts_with(part)), "{part} is not in {seen:?}");
    }
}
