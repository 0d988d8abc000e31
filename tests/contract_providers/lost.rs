//! What every register promises when calls are lost, refused, or delivered twice.

use std::time::Duration;

use modelswap::providers::ProviderError;
use serde_json::{Value, json};

use crate::register::{begin, effects, settle, writes};
use crate::subjects::{Make, Subject};
use crate::support::world::Lab;

/// Lets a fault hit the next write and says what came of the swap. The fault is proven to have fired, once.
async fn hit(lab: &Lab, subject: &Subject, kind: Value, values: (&Value, &Value)) -> Result<Value, ProviderError> {
    lab.desk.fault(subject.writes, kind).await;
    let answer = subject.register.swap(values.0, values.1).await;
    assert_eq!(lab.desk.faults().await.last().unwrap().fired.len(), 1, "the fault did not fire");
    answer
}

/// The next try succeeds, without a second effect if the first try had one.
async fn the_next_try_finds_out(lab: &Lab, subject: &Subject, before: &Value, other: &Value) {
    let receipt = subject.register.swap(before, other).await.unwrap();
    assert_eq!((effects(lab), subject.register.read().await.unwrap()), (1, other.clone()));
    // The first answer took its change id along; then what is held is all that can be asked.
    if receipt.is_null() {
        subject.register.settled(other, None).await.unwrap();
    } else {
        settle(lab, subject.register.as_ref(), other, &receipt).await;
    }
}

pub(crate) async fn a_lost_answer_is_unknown_and_the_next_try_finds_out(make: Make) {
    for kind in ["reset_after", "error_500_after", "truncate"] {
        let (lab, subject, before, other) = begin(make).await;
        let answer = hit(&lab, &subject, json!(kind), (&before, &other)).await;
        assert!(matches!(answer, Err(ProviderError::Unknown { .. })), "{kind}: {answer:?}");
        assert_eq!((writes(&lab).len(), effects(&lab)), (1, 1), "{kind}: the SDK must not try again by itself");
        the_next_try_finds_out(&lab, &subject, &before, &other).await;
    }
}

pub(crate) async fn an_answer_that_never_comes_is_unknown_and_the_next_try_finds_out(make: Make) {
    let (lab, subject, before, other) = begin(make).await;
    lab.desk.fault(subject.writes, json!("time_out_after")).await;
    let answer = {
        let swap = subject.register.swap(&before, &other);
        tokio::pin!(swap);
        let landed = async {
            while effects(&lab) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            answer = &mut swap => panic!("answered: {answer:?}"),
            () = landed => {}
        }
        // It has taken effect; from here on only time passes.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(31)).await;
        let answer = swap.await;
        tokio::time::resume();
        answer
    };
    assert!(matches!(answer, Err(ProviderError::Unknown { .. })), "{answer:?}");
    assert_eq!(writes(&lab).len(), 1, "the SDK must not try again by itself");
    // Meanwhile the server has closed what was idle. A read finds that out and is tried again.
    assert_eq!(subject.register.read().await.unwrap(), other);
    the_next_try_finds_out(&lab, &subject, &before, &other).await;
}

pub(crate) async fn a_call_that_had_no_effect_is_made_by_the_next_try(make: Make) {
    for kind in ["reset_before", "error_500_before", "error_503"] {
        let (lab, subject, before, other) = begin(make).await;
        let answer = hit(&lab, &subject, json!(kind), (&before, &other)).await;
        assert!(matches!(answer, Err(ProviderError::Unknown { .. })), "{kind}: {answer:?}");
        assert_eq!((writes(&lab).len(), effects(&lab)), (1, 0), "{kind}: the SDK must not try again by itself");
        the_next_try_finds_out(&lab, &subject, &before, &other).await;
    }
}

pub(crate) async fn a_busy_service_is_busy_and_nothing_changed(make: Make) {
    for kind in ["throttle", "prior_request_not_complete"] {
        let (lab, subject, before, other) = begin(make).await;
        let answer = hit(&lab, &subject, json!(kind), (&before, &other)).await;
        assert!(matches!(answer, Err(ProviderError::Busy { .. })), "{kind}: {answer:?}");
        assert_eq!((writes(&lab).len(), effects(&lab)), (1, 0), "{kind}: the SDK must not try again by itself");
        the_next_try_finds_out(&lab, &subject, &before, &other).await;
    }
}

pub(crate) async fn a_refusal_is_rejected_with_a_hint(make: Make) {
    for (kind, hint) in
        [("access_denied", "let the policy of these credentials allow the call"), ("expired_token", "sign in again")]
    {
        let (lab, subject, before, other) = begin(make).await;
        let answer = hit(&lab, &subject, json!(kind), (&before, &other)).await;
        match answer {
            Err(ProviderError::Rejected { why, .. }) => assert!(why.contains(hint), "{why}"),
            other => panic!("{kind}: {other:?}"),
        }
        assert_eq!((writes(&lab).len(), effects(&lab)), (1, 0), "{kind}");
        lab.desk.fault(subject.reads, json!(kind)).await;
        match subject.register.read().await {
            Err(ProviderError::Rejected { why, .. }) => assert!(why.contains(hint), "{why}"),
            other => panic!("{kind}: {other:?}"),
        }
    }
}

pub(crate) async fn a_write_that_is_delivered_twice_takes_effect_once(make: Make) {
    let (lab, subject, before, other) = begin(make).await;
    hit(&lab, &subject, json!("twice"), (&before, &other)).await.unwrap();
    assert_eq!(subject.register.read().await.unwrap(), other);
    assert_eq!(writes(&lab).len(), 2, "delivered twice, sent once");
}

pub(crate) async fn a_read_that_fails_once_is_tried_again(make: Make) {
    for kind in ["reset_before", "error_503", "throttle"] {
        let (lab, subject, before, _) = begin(make).await;
        lab.desk.fault(subject.reads, json!(kind)).await;
        assert_eq!(subject.register.read().await.unwrap(), before, "{kind}");
        assert_eq!(lab.desk.faults().await[0].fired.len(), 1, "{kind}");
    }
}
