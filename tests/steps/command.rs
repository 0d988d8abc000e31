//! A command of the operator's: run once, unless it is known or said that it may run again.

use std::path::Path;
use std::time::Duration;

use modelswap::journal::fact::{Fact, Prepared};
use modelswap::plan::model::Run;
use modelswap::steps::command::Command;
use modelswap::steps::{Step, Verdict};

use crate::support::Scene;

/// Appends a word to `said`; `check` says that it is in place when a file says so.
fn command(directory: &Path, undo: bool, check: bool, idempotent: bool) -> Command {
    let sh = |script: &str| ["sh", "-c", script].map(str::to_owned).to_vec();
    let run = Run {
        act: sh("echo do >> said"),
        undo: undo.then(|| sh("echo undo >> said")),
        check: check.then(|| sh("test -e in-place || exit 3")),
        idempotent,
    };
    Command { run, directory: directory.to_owned(), within: Duration::from_secs(60) }
}

fn said(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("said")).unwrap_or_default()
}

#[tokio::test]
async fn a_command_of_unknown_outcome_runs_again_only_if_it_may() {
    // With an undo or without, the outcome is as unknown.
    for undo in [false, true] {
        for (tried, idempotent, runs) in [(false, false, true), (true, false, false), (true, true, true)] {
            let place = tempfile::tempdir().unwrap();
            let mut scene = Scene::new();
            if tried {
                scene.fold(&Fact::Attempt { step: scene.step.clone(), n: 1, undo: false });
            }
            let done = command(place.path(), undo, false, idempotent).apply(&Prepared::nothing(), &scene.cx()).await;
            assert_eq!(done.is_ok(), runs, "tried {tried}, idempotent {idempotent}: {done:?}");
            assert_eq!(said(place.path()), if runs { "do\n" } else { "" });
        }
    }
}

#[tokio::test]
async fn what_is_in_place_is_not_done_again_and_what_is_not_is_not_undone() {
    for idempotent in [false, true] {
        let place = tempfile::tempdir().unwrap();
        let command = command(place.path(), true, true, idempotent);
        let mut scene = Scene::new();
        scene.fold(&Fact::Attempt { step: scene.step.clone(), n: 1, undo: false });
        command.undo(&Prepared::nothing(), &scene.cx()).await.unwrap();
        assert_eq!(said(place.path()), "", "it was not in place");
        command.apply(&Prepared::nothing(), &scene.cx()).await.unwrap();
        assert_eq!(said(place.path()), "do\n");
        std::fs::write(place.path().join("in-place"), "").unwrap();
        command.apply(&Prepared::nothing(), &scene.cx()).await.unwrap();
        assert_eq!(said(place.path()), "do\n", "it was in place");
        let verdict = command.undone(&Prepared::nothing(), None, &scene.cx()).await.unwrap();
        assert!(matches!(verdict, Verdict::NotYet(_)), "{verdict:?}");
        command.undo(&Prepared::nothing(), &scene.cx()).await.unwrap();
        assert_eq!(said(place.path()), "do\nundo\n");
    }
}

#[tokio::test]
async fn a_command_without_a_way_back_says_so() {
    let place = tempfile::tempdir().unwrap();
    let refused = command(place.path(), false, false, false).undo(&Prepared::nothing(), &Scene::new().cx()).await;
    assert!(refused.is_err_and(|e| e.to_string().contains("by hand")));
}
