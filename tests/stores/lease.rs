//! A lease says whether somebody is at work, by the clock of the store.

use std::time::Duration;

use modelswap::ids::RunId;
use modelswap::journal::actor::Alive;
use modelswap::journal::fact::Purpose;
use modelswap::journal::log::Log;
use modelswap::journal::store::object::ObjectLog;
use modelswap::journal::writer::{Journal, JournalError, Takeover, free};
use serde_json::json;

use super::places::{Place, at_second, elsewhere, me, service, started};

async fn held(place: &Place, every: Duration) -> Journal {
    let hand = Box::new(ObjectLog::new(place.bucket().await, &service()).renewed_every(every));
    let facts = (started(json!({ "live": "blue" })), Purpose::Deploy);
    let run = RunId::new("R1").unwrap();
    Journal::begin(hand, Log::of(&service()), service(), run, elsewhere(), facts, at_second(0)).await.unwrap()
}

#[tokio::test]
async fn a_holder_on_another_host_is_gone_when_its_lease_is_over() {
    let place = Place::lab().await;
    let Place::Lab(lab) = &place else { unreachable!() };
    let journal = held(&place, Duration::from_secs(3600)).await;
    let (log, _) = place.hand().await.load().await.unwrap();
    assert_eq!(log.alive(), Alive::Yes);
    assert!(matches!(free(&log), Err(JournalError::Held { .. })));
    drop(journal);
    lab.clock.advance(Duration::from_secs(59));
    assert_eq!(place.hand().await.load().await.unwrap().0.alive(), Alive::Yes, "a minute is not over");
    lab.clock.advance(Duration::from_secs(3));
    let mut hand = place.hand().await;
    let (log, _) = hand.load().await.unwrap();
    assert_eq!(log.alive(), Alive::No);
    let run = RunId::new("R1").unwrap();
    let purpose = (Purpose::Rollback, Takeover::Never);
    Journal::open(hand, log, service(), run, me(), purpose, at_second(1)).await.unwrap();
}

#[tokio::test]
async fn a_holder_that_renews_its_lease_is_not_gone() {
    let place = Place::lab().await;
    let Place::Lab(lab) = &place else { unreachable!() };
    let _journal = held(&place, Duration::from_millis(10)).await;
    lab.clock.advance(Duration::from_secs(600));
    // The next renewal comes by itself; until then the holder may look gone.
    let renewed = async {
        loop {
            let (log, _) = place.hand().await.load().await.unwrap();
            if log.alive() == Alive::Yes {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), renewed).await.unwrap();
}

#[tokio::test]
async fn a_lease_of_an_older_holder_says_nothing_of_the_newest() {
    let place = Place::lab().await;
    let Place::Lab(lab) = &place else { unreachable!() };
    let _old = held(&place, Duration::from_millis(10)).await;
    let mut hand = place.hand().await;
    let (log, _) = hand.load().await.unwrap();
    let purpose = (Purpose::Rollback, Takeover::Because("it hangs".to_owned()));
    let gone = modelswap::journal::actor::Actor { host: "gpu-10".to_owned(), ..elsewhere() };
    drop(Journal::open(hand, log, service(), RunId::new("R1").unwrap(), gone, purpose, at_second(1)).await.unwrap());
    lab.clock.advance(Duration::from_secs(61));
    assert_eq!(place.hand().await.load().await.unwrap().0.alive(), Alive::No);
}
