//! What every router promises of its value: pure functions, but for the reads that they begin with.

use modelswap::providers::Split;

use crate::register::{begin, writes};
use crate::subjects::{Make, a, b};

pub(crate) async fn aiming_leads_there_and_back(make: Make) {
    let (lab, subject, before, _) = begin(make).await;
    let router = subject.router.unwrap();
    assert_eq!(router.split(&before), Some(Split::all_to(&a())));
    let there = router.aim(&before, &Split::all_to(&b())).unwrap();
    assert_eq!(router.split(&there), Some(Split::all_to(&b())));
    let back = router.aim(&there, &Split::all_to(&a())).unwrap();
    assert_eq!(router.split(&back), Some(Split::all_to(&a())));
    // A share is met exactly, or refused before anything is done.
    let share = Split::of_weights([(a(), 90), (b(), 10)]).unwrap();
    if let Ok(shared) = router.aim(&before, &share) {
        assert_eq!(router.split(&shared), Some(share));
    }
    assert_eq!(writes(&lab), [], "these functions only think");
}

pub(crate) async fn aiming_twice_is_aiming_once(make: Make) {
    let (_lab, subject, before, _) = begin(make).await;
    let router = subject.router.unwrap();
    let once = router.aim(&before, &Split::all_to(&b())).unwrap();
    assert_eq!(router.aim(&once, &Split::all_to(&b())).unwrap(), once);
}

pub(crate) async fn attaching_moves_nobody_and_detaching_takes_it_back(make: Make) {
    let (_lab, subject, before, other) = begin(make).await;
    let router = subject.router.unwrap();
    let attached = router.attach(&before, &b()).unwrap();
    assert_eq!(router.split(&attached), router.split(&before));
    assert_eq!(router.attach(&attached, &b()).unwrap(), attached);
    assert_eq!(router.detach(&attached, &b()).unwrap(), before);
    // Who gets traffic is not taken off, where taking off means anything.
    if attached != before {
        router.detach(&other, &b()).unwrap_err();
    }
}

pub(crate) async fn a_ttl_is_set_or_refused_and_moves_nobody(make: Make) {
    let (_lab, subject, before, _) = begin(make).await;
    let router = subject.router.unwrap();
    match router.with_ttl(&before, 30) {
        Ok(shorter) => {
            assert_eq!((router.ttl_s(&before), router.ttl_s(&shorter)), (Some(300), Some(30)));
            assert_eq!(router.split(&shorter), router.split(&before));
            assert_eq!(router.with_ttl(&shorter, 300).unwrap(), before);
            // The swap after it keeps what was lowered.
            assert_eq!(router.ttl_s(&router.aim(&shorter, &Split::all_to(&b())).unwrap()), Some(30));
        }
        Err(why) => {
            assert!(why.0.contains("TTL"), "{why}");
            assert_eq!(router.ttl_s(&before), None);
        }
    }
}

pub(crate) async fn what_the_plan_does_not_name_is_not_explained(make: Make) {
    let (lab, mut subject, ..) = begin(make).await;
    let router = subject.router.unwrap();
    // The first is always another place for clients.
    let edit = subject.by_hand.swap_remove(0);
    let what = format!("{edit:?}");
    edit.make(&mut lab.cloud.lock()).unwrap();
    let theirs = router.read().await.unwrap();
    let explained = router.split(&theirs);
    let known = explained.as_ref().is_none_or(|split| split.shares().all(|(e, _)| *e == a() || *e == b()));
    assert!(known && !router.show(&theirs).is_empty(), "{what}: {explained:?}");
}
