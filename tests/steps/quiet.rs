//! Nobody is left behind in what is about to stop.

use modelswap::steps::Verdict;
use modelswap::steps::guards::Quiet;
use modelswap::units::Span;

use crate::support::{Scene, Server, at, vllm};

fn yes(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Yes { .. })
}

/// Quiet for 10 s in `b`, whose metrics the server tells.
fn quiet(server: &Server) -> Quiet {
    Quiet::new(vllm(vec![server.url.clone()]), Span::from_secs(10), None)
}

#[tokio::test]
async fn who_may_still_be_asked_is_not_quiet_however_idle() {
    let server = Server::start().await;
    server.load(0, 7);
    let mut scene = Scene::new();
    scene.tail("b", at(60));
    let quiet = quiet(&server);
    for second in [0, 20, 40, 59] {
        scene.now = at(second);
        let said = quiet.look(&scene.cx()).await;
        assert!(matches!(&said, Verdict::NotYet(why) if why.contains("60 s TTL")), "{second}: {said:?}");
    }
    for (second, holds) in [(60, false), (65, false), (70, true)] {
        scene.now = at(second);
        let said = quiet.look(&scene.cx()).await;
        assert_eq!(yes(&said), holds, "{second}: {said:?}");
    }
}

#[tokio::test]
async fn one_request_in_flight_or_one_that_came_and_went_begins_the_silence_anew() {
    let server = Server::start().await;
    let mut scene = Scene::new();
    let quiet = quiet(&server);
    // Time, what is in flight, what was finished, whether it counts as quiet.
    let story = [
        (0, 0, 7, false),
        (6, 0, 7, false),
        (12, 1, 7, false),
        (13, 0, 8, false),
        (20, 0, 8, false),
        (22, 0, 9, false), // nobody saw it in flight
        (31, 0, 9, false),
        (32, 0, 9, true),
    ];
    for (second, in_flight, finished, holds) in story {
        server.load(in_flight, finished);
        scene.now = at(second);
        let said = quiet.look(&scene.cx()).await;
        assert_eq!(yes(&said), holds, "{second}: {said:?}");
    }
}

#[tokio::test]
async fn many_looks_in_no_time_and_two_looks_in_a_long_time_are_no_silence() {
    let server = Server::start().await;
    server.load(0, 7);
    let mut scene = Scene::new();
    let hasty = quiet(&server);
    for _ in 0..5 {
        assert!(!yes(&hasty.look(&scene.cx()).await));
    }
    let lazy = quiet(&server);
    assert!(!yes(&lazy.look(&scene.cx()).await));
    scene.now = at(100);
    assert!(!yes(&lazy.look(&scene.cx()).await));
    assert!(yes(&lazy.look(&scene.cx()).await));
}

#[tokio::test]
async fn a_server_that_does_not_say_what_is_in_flight_makes_it_unknown() {
    let (idle, silent) = (Server::start().await, Server::start().await);
    idle.load(0, 7);
    let both = || vllm(vec![idle.url.clone(), silent.url.clone()]);
    let mut scene = Scene::new();
    let never = Quiet::new(both(), Span::from_secs(10), None);
    let second_best = Quiet::new(both(), Span::from_secs(10), Some(Span::from_secs(30)));
    for (second, waited) in [(0, false), (10, false), (29, false), (30, true)] {
        scene.now = at(second);
        let said = never.look(&scene.cx()).await;
        assert!(matches!(said, Verdict::CannotTell(_)), "{second}: {said:?}");
        let said = second_best.look(&scene.cx()).await;
        assert_eq!(yes(&said), waited, "{second}: {said:?}");
    }
}

#[tokio::test]
async fn what_no_client_was_led_to_is_quiet_at_once_and_only_where_that_was_asked_for() {
    let server = Server::start().await;
    server.load(1, 7);
    let mut scene = Scene::new();
    assert!(!yes(&quiet(&server).look(&scene.cx()).await));
    assert!(yes(&quiet(&server).only_after_clients().look(&scene.cx()).await));
    scene.tail("a", at(-10));
    assert!(yes(&quiet(&server).only_after_clients().look(&scene.cx()).await), "the tail is another's");
    scene.tail("b", at(-10));
    assert!(!yes(&quiet(&server).only_after_clients().look(&scene.cx()).await), "clients were led there");
}
