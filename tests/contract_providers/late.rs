//! What a register promises of a write that arrives late, or was announced long ago.

use std::time::Duration;

use modelswap::clock::{Announced, SENT_WITHIN};
use modelswap::providers::ProviderError;
use serde_json::json;

use crate::register::{begin, effects, settle, writes};
use crate::subjects::Make;

/// The write is on its way while the value is touched; then it is refused as a whole, and the exact value can be put back.
pub(crate) async fn a_late_write_does_not_win_over_a_touched_value(make: Make) {
    let (lab, subject, before, other) = begin(make).await;
    let register = &subject.register;
    let late = register.late().expect("what is written over a network can be late");
    let Some(touched) = register.touch(&before, &other) else {
        // Then the engine watches. Nothing may say that it is compared and could be fenced, and offer no fence, but an alias.
        assert!(!late.compared || before.to_string().contains("alias"), "{}", register.key());
        return;
    };
    if let Some(router) = &subject.router {
        assert_eq!(router.split(&touched), router.split(&before), "clients are led elsewhere");
    }
    if !late.compared {
        return;
    }
    lab.desk.fault(subject.writes, json!({ "late_ms": 1500 })).await;
    let arrives_late = register.swap(&before, &other);
    let meanwhile = async {
        while lab.desk.faults().await.last().unwrap().fired.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(register.read().await.unwrap(), before, "it has not arrived yet");
        let receipt = register.swap(&before, &touched).await.unwrap();
        settle(&lab, register.as_ref(), &touched, &receipt).await;
        lab.clock.advance(Duration::from_secs(2));
    };
    let (answer, ()) = tokio::join!(arrives_late, meanwhile);
    assert!(matches!(answer, Err(ProviderError::Conflict { .. })), "{answer:?}");
    assert_eq!((writes(&lab).len(), register.read().await.unwrap()), (2, touched.clone()), "the late write won");
    register.swap(&touched, &before).await.unwrap();
    assert_eq!(register.read().await.unwrap(), before);
}

/// A process that was stopped since it announced a write does not send it any more: nobody could say until when it may arrive.
pub(crate) async fn what_was_announced_long_ago_is_not_sent(make: Make) {
    let (lab, subject, before, other) = begin(make).await;
    let long_ago = Announced::now().earlier(SENT_WITHIN + Duration::from_secs(1));
    let answer = long_ago.scope(subject.register.swap(&before, &other)).await;
    assert!(matches!(answer, Err(ProviderError::Busy { .. })), "{answer:?}");
    assert_eq!((writes(&lab).len(), effects(&lab)), (0, 0), "it was sent");
    Announced::now().scope(subject.register.swap(&before, &other)).await.unwrap();
    assert_eq!(effects(&lab), 1, "the next try announces itself anew");
}
