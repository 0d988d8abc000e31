//! The generic change and its way back.

use std::sync::Arc;

use async_trait::async_trait;
use modelswap::journal::fact::{Fact, Prepared};
use modelswap::providers::ProviderError;
use modelswap::providers::erased::AnyRegister;
use modelswap::steps::set::{Guard, Set};
use modelswap::steps::{Cx, Step, StepError, Verdict};
use serde_json::{Value, json};

use crate::support::{Memory, Scene, at, leads};

fn to_b(memory: &Arc<Memory>) -> Set {
    let register: Arc<dyn AnyRegister> = Arc::clone(memory) as _;
    Set::new(register, Box::new(|_, _| Ok(leads("b"))))
}

fn prepared(before: &str) -> Prepared {
    Prepared { key: Some("memory".to_owned()), before: leads(before), want: leads("b"), shows: String::new() }
}

#[tokio::test]
async fn undo_leaves_alone_what_this_run_neither_wrote_nor_found() {
    let memory = Arc::new(Memory::holding(leads("c")));
    let mut scene = Scene::new();
    scene.ours = vec![leads("a"), leads("b")];
    let refused = to_b(&memory).undo(&prepared("a"), &scene.cx()).await;
    let Err(StepError::Provider { error: ProviderError::Conflict { found, .. } }) = &refused else {
        panic!("{refused:?}")
    };
    assert!(found.contains('c'), "{found}");
    assert_eq!((memory.now(), memory.writes()), (leads("c"), 0));
}

#[tokio::test]
async fn undo_puts_back_what_any_step_of_its_group_left() {
    let memory = Arc::new(Memory::holding(leads("half")));
    let mut scene = Scene::new();
    scene.ours = vec![leads("b"), leads("a"), leads("half")];
    to_b(&memory).undo(&prepared("a"), &scene.cx()).await.unwrap();
    assert_eq!((memory.now(), memory.writes()), (leads("a"), 1));
}

#[tokio::test]
async fn undo_of_what_was_not_done_makes_no_call_that_changes() {
    let memory = Arc::new(Memory::holding(leads("a")));
    let mut scene = Scene::new();
    scene.ours = vec![leads("b"), leads("a")];
    to_b(&memory).undo(&prepared("a"), &scene.cx()).await.unwrap();
    assert_eq!((memory.now(), memory.writes()), (leads("a"), 0));
}

/// It reads back, but no receipt says that every server has it.
#[tokio::test]
async fn a_change_whose_receipt_was_lost_is_in_force_only_after_its_time() {
    let memory = Arc::new(Memory { settles: false, ..Memory::holding(leads("b")) });
    let mut scene = Scene::new();
    scene.fold(&Fact::Attempt { step: scene.step.clone(), n: 1, undo: false });
    scene.fold(&Fact::Applied { step: scene.step.clone(), receipt: Value::Null });
    let set = to_b(&memory);
    for (second, holds) in [(0, false), (119, false), (120, true)] {
        scene.now = at(second);
        let verdict = set.verify(&prepared("a"), None, &scene.cx()).await.unwrap();
        assert_eq!(matches!(verdict, Verdict::Yes { .. }), holds, "after {second} s: {verdict:?}");
        assert!(holds || matches!(verdict, Verdict::CannotTell(_)), "{verdict:?}");
    }
    // Who changed nothing has nothing to wait for.
    scene.now = at(0);
    let verdict = set.verify(&prepared("b"), None, &scene.cx()).await.unwrap();
    assert!(matches!(verdict, Verdict::Yes { .. }), "{verdict:?}");
}

/// Counted from the way back, not from the way there.
#[tokio::test]
async fn an_undo_whose_receipt_was_lost_has_a_time_of_its_own() {
    let memory = Arc::new(Memory { settles: false, ..Memory::holding(leads("a")) });
    let mut scene = Scene::new();
    for undo in [false, true] {
        scene.fold(&Fact::Attempt { step: scene.step.clone(), n: 1, undo });
        scene.fold(&Fact::Applied { step: scene.step.clone(), receipt: Value::Null });
        scene.now = at(1000);
    }
    for (second, holds) in [(1119, false), (1120, true)] {
        scene.now = at(second);
        let verdict = to_b(&memory).undone(&prepared("a"), None, &scene.cx()).await.unwrap();
        assert_eq!(matches!(verdict, Verdict::Yes { .. }), holds, "after {second} s: {verdict:?}");
    }
}

/// Says what it was told to.
#[derive(Debug)]
struct Says(Verdict);

#[async_trait]
impl Guard for Says {
    async fn holds(&self, _: &Value, _: &Value, _: &Cx<'_>) -> Result<Verdict, StepError> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn every_guard_must_hold_on_every_side_of_a_change() {
    for verdict in [Verdict::NotYet("x".to_owned()), Verdict::No("x".to_owned()), Verdict::CannotTell("x".to_owned())] {
        for place in 0..2 {
            let memory = Arc::new(Memory::holding(leads("b")));
            let mut scene = Scene::new();
            scene.ours = vec![json!(null)];
            let guards = || -> Vec<Arc<dyn Guard>> {
                let mut guards: Vec<Arc<dyn Guard>> = vec![Arc::new(Says(Verdict::yes("fine")))];
                guards.insert(place, Arc::new(Says(verdict.clone())));
                guards
            };
            let mut set = to_b(&memory);
            (set.before, set.after, set.before_undo, set.after_undo) = (guards(), guards(), guards(), guards());
            let (cx, prepared) = (scene.cx(), prepared("a"));
            assert_eq!(set.ready(&prepared, &cx).await.unwrap(), verdict);
            assert_eq!(set.verify(&prepared, None, &cx).await.unwrap(), verdict);
            assert_eq!(set.undo_ready(&prepared, &cx).await.unwrap(), verdict);
            assert_eq!(set.undone(&prepared, None, &cx).await.unwrap(), verdict);
            // Where nothing is to be taken back, nobody needs to prove anything.
            memory.value.lock().unwrap().clone_from(&leads("a"));
            let verdict = set.undo_ready(&prepared, &cx).await.unwrap();
            assert!(matches!(verdict, Verdict::Yes { .. }), "{verdict:?}");
        }
    }
}
