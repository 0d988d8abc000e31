//! What every register promises when all calls are answered.

use std::time::Duration;

use modelswap::lab::oracle::Call;
use modelswap::providers::erased::AnyRegister;
use modelswap::providers::{ProviderError, Settled};
use serde_json::Value;

use crate::subjects::{Make, Subject};
use crate::support::world::Lab;

/// Calls that could change something, so far.
pub(crate) fn writes(lab: &Lab) -> Vec<Call> {
    lab.oracle.calls().into_iter().filter(|call| call.mutating).collect()
}

/// How many of them did.
pub(crate) fn effects(lab: &Lab) -> usize {
    writes(lab).iter().filter(|call| call.outcome.as_ref().is_some_and(|o| o.effect)).count()
}

/// A world, the subject in it, the value in force, and the value that B gets.
pub(crate) async fn begin(make: Make) -> (Lab, Subject, Value, Value) {
    let lab = Lab::start().await;
    let subject = make(&lab);
    let before = subject.register.read().await.unwrap();
    let other = (subject.to_b)(&before);
    assert_ne!(before, other, "a swap that changes nothing proves nothing");
    (lab, subject, before, other)
}

/// Lets time pass until `value` is in force.
pub(crate) async fn settle(lab: &Lab, register: &dyn AnyRegister, value: &Value, receipt: &Value) {
    let mut waited = String::new();
    // A deregistered target drains for 300 s.
    for _ in 0..80 {
        match register.settled(value, Some(receipt)).await.unwrap() {
            Settled::Yes(_) => return,
            Settled::NotYet(why) | Settled::CannotTell(why) => waited = why,
        }
        lab.clock.advance(Duration::from_secs(5));
    }
    panic!("not settled after 400 s: {waited}");
}

pub(crate) async fn what_was_swapped_settles_and_is_read(make: Make) {
    let (lab, subject, before, other) = begin(make).await;
    let register = subject.register.as_ref();
    let beside = lab.desk.cloud().await;
    for (from, to) in [(&before, &other), (&other, &before)] {
        let receipt = register.swap(from, to).await.unwrap();
        settle(&lab, register, to, &receipt).await;
        assert_eq!(register.read().await.unwrap(), *to);
        assert!(!register.show(to).is_empty());
    }
    // There and back leaves the whole cloud as it was: other types at the name, other names, other rules, secrets.
    let mut after = lab.desk.cloud().await;
    after.changes.clone_from(&beside.changes);
    for group in after.groups.values_mut() {
        // A target that was deregistered is shown until it has drained.
        group.targets.retain(|t| t.draining_until.is_none());
    }
    for zone in after.zones.values_mut() {
        // Answers of in between are in caches until their TTL is over.
        zone.lingering.clear();
    }
    assert_eq!(serde_json::to_value(&after).unwrap(), serde_json::to_value(&beside).unwrap());
    assert_eq!(lab.desk.broken().await, Vec::<String>::new());
}

pub(crate) async fn a_swap_is_one_write(make: Make) {
    let (lab, subject, before, other) = begin(make).await;
    subject.register.swap(&before, &other).await.unwrap();
    let sent: Vec<_> = writes(&lab).into_iter().map(|call| call.operation).collect();
    assert_eq!(sent, [subject.writes]);
}

pub(crate) async fn a_swap_to_the_value_in_force_writes_nothing(make: Make) {
    let (lab, subject, before, _) = begin(make).await;
    subject.register.swap(&before, &before).await.unwrap();
    assert_eq!(writes(&lab), []);
}

pub(crate) async fn doing_twice_is_doing_once(make: Make) {
    let (lab, subject, before, other) = begin(make).await;
    subject.register.swap(&before, &other).await.unwrap();
    subject.register.swap(&before, &other).await.unwrap();
    assert_eq!((effects(&lab), subject.register.read().await.unwrap()), (1, other));
}

pub(crate) async fn undoing_twice_is_undoing_once(make: Make) {
    let (lab, subject, before, other) = begin(make).await;
    // Undo of nothing is nothing.
    subject.register.swap(&other, &before).await.unwrap();
    assert_eq!((effects(&lab), subject.register.read().await.unwrap()), (0, before.clone()));
    subject.register.swap(&before, &other).await.unwrap();
    subject.register.swap(&other, &before).await.unwrap();
    subject.register.swap(&other, &before).await.unwrap();
    assert_eq!((effects(&lab), subject.register.read().await.unwrap()), (2, before));
}

pub(crate) async fn someone_elses_write_is_never_overwritten(make: Make) {
    let kinds = make(&Lab::start().await).by_hand.len();
    for n in 0..kinds {
        let (lab, mut subject, before, other) = begin(make).await;
        let edit = subject.by_hand.swap_remove(n);
        let what = format!("{edit:?}");
        edit.make(&mut lab.cloud.lock()).unwrap();
        let theirs = subject.register.read().await.unwrap();
        assert_ne!(theirs, before, "{what} is not seen");
        let refused = subject.register.swap(&before, &other).await;
        assert!(matches!(refused, Err(ProviderError::Conflict { .. })), "{what}: {refused:?}");
        assert_eq!((subject.register.read().await.unwrap(), effects(&lab)), (theirs, 0), "{what}");
        let settled = subject.register.settled(&other, None).await;
        assert!(matches!(settled, Err(ProviderError::Conflict { .. })), "{what}: {settled:?}");
    }
    if kinds == 0 {
        // A register that writes only the difference has no conflicts; what others added stays instead.
        assert!(make(&Lab::start().await).register.merges(), "nothing was tried");
    }
}

pub(crate) async fn it_is_never_left_empty(make: Make) {
    let (lab, subject, before, _) = begin(make).await;
    for nowhere in &subject.nowhere {
        // What stands beside the forward is compared too, so only the forward is emptied.
        let mut wanted = before.clone();
        for (key, value) in nowhere.as_object().unwrap() {
            wanted[key] = value.clone();
        }
        let refused = subject.register.swap(&before, &wanted).await;
        assert!(matches!(refused, Err(ProviderError::Rejected { .. })), "{wanted}: {refused:?}");
    }
    assert_eq!((writes(&lab), subject.register.read().await.unwrap()), (Vec::new(), before));
}

pub(crate) async fn a_recorded_value_survives_the_journal(make: Make) {
    let (lab, subject, before, other) = begin(make).await;
    let written: (Value, Value) = serde_json::from_str(&serde_json::to_string(&(&before, &other)).unwrap()).unwrap();
    subject.register.swap(&before, &other).await.unwrap();
    // Another process, later, with nothing but the record.
    let again = make_again(make, &lab);
    again.swap(&written.1, &written.0).await.unwrap();
    assert_eq!(again.read().await.unwrap(), before);
    let garbage = again.swap(&serde_json::json!({ "sets": 1, "forward": [] }), &before).await;
    assert!(matches!(garbage, Err(ProviderError::Rejected { .. })), "{garbage:?}");
}

/// A second process on the same world: its own clients, and nothing read yet.
fn make_again(make: Make, lab: &Lab) -> std::sync::Arc<dyn AnyRegister> {
    let cloud = lab.cloud.lock().clone();
    let subject = make(lab);
    // Making a subject furnishes the world anew; the world is to stay as it was.
    *lab.cloud.lock() = cloud;
    subject.register
}
