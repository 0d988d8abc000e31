//! Who gets traffic serves, and who gets none is not asked any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use modelswap::providers::Ready;
use modelswap::providers::erased::AnyRouter;
use modelswap::steps::Verdict;
use modelswap::steps::guards::{DestinationProven, NoTraffic, Proven, RouterReady};
use modelswap::steps::set::Guard;
use serde_json::Value;

use crate::support::{Memory, Scene, Server, environment, leads, plain, release};

fn router(memory: Memory) -> Arc<dyn AnyRouter> {
    Arc::new(memory)
}

async fn verdict(guard: &dyn Guard, from: &str, to: &str, unproven: bool) -> Verdict {
    let mut scene = Scene::new();
    scene.unproven = unproven;
    guard.holds(&leads(from), &leads(to), &scene.cx()).await.unwrap()
}

#[tokio::test]
async fn nothing_is_torn_down_that_a_router_leads_to_or_that_nobody_can_explain() {
    for (live, holds) in [("a", true), ("b", false), ("elsewhere", false)] {
        let quiet = router(Memory::holding(leads("a")));
        let guard =
            NoTraffic { environment: environment("b"), routers: vec![quiet, router(Memory::holding(leads(live)))] };
        let said = guard.holds(&Value::Null, &Value::Null, &Scene::new().cx()).await.unwrap();
        assert_eq!(matches!(said, Verdict::Yes { .. }), holds, "{live}: {said:?}");
        assert!(holds || matches!(said, Verdict::No(_)), "{live}: waiting does not help: {said:?}");
    }
}

#[tokio::test]
async fn a_router_that_is_not_ready_is_waited_for() {
    for (ready, want) in [
        (Ready::Yes("x".to_owned()), Verdict::yes("x")),
        (Ready::No("x".to_owned()), Verdict::NotYet("x".to_owned())),
        (Ready::NotAsked("x".to_owned()), Verdict::NotYet("x".to_owned())),
    ] {
        let memory = Memory { ready, ..Memory::holding(leads("a")) };
        let guard = RouterReady { environment: environment("b"), router: router(memory) };
        assert_eq!(verdict(&guard, "a", "b", false).await, want);
    }
}

/// A guard of the way back to `b`, whose one server says that it serves `model`.
async fn destination(model: &str, ready: Ready) -> (DestinationProven, Server) {
    let server = Server::start().await;
    server.says("/", "fine");
    server.says("/model", format!("{{\"name\": \"{model}\"}}"));
    let proof = Proven::new(plain(vec![server.url.clone()]), Some(release("m")), 1);
    let memory = Memory { ready, ..Memory::holding(leads("a")) };
    let proofs = BTreeMap::from([(environment("b"), proof)]);
    (DestinationProven { router: router(memory), proofs }, server)
}

#[tokio::test]
async fn traffic_goes_back_only_to_who_proves_that_it_serves() {
    let healthy = || Ready::Yes("1 healthy".to_owned());
    let (guard, _server) = destination("m", healthy()).await;
    assert!(matches!(verdict(&guard, "a", "b", false).await, Verdict::Yes { .. }));
    let (guard, server) = destination("other", healthy()).await;
    // Another model may still be replaced by the right one, so it is waited for, and never accepted.
    let said = verdict(&guard, "a", "b", false).await;
    assert!(matches!(&said, Verdict::NotYet(why) if why.contains("other")), "{said:?}");
    server.answers.lock().unwrap().clear();
    let said = verdict(&guard, "a", "b", false).await;
    assert!(matches!(said, Verdict::NotYet(_)), "{said:?}");
    // Who loses traffic, or keeps what it has, proves nothing; an operator may say that it goes back all the same.
    for (from, to, unproven) in [("b", "a", false), ("b", "b", false), ("a", "b", true)] {
        let said = verdict(&guard, from, to, unproven).await;
        assert!(matches!(said, Verdict::Yes { .. }), "{from} to {to}: {said:?}");
    }
}

#[tokio::test]
async fn a_destination_that_the_router_does_not_see_healthy_is_waited_for() {
    let (guard, _server) = destination("m", Ready::No("1 unhealthy".to_owned())).await;
    assert_eq!(verdict(&guard, "a", "b", false).await, Verdict::NotYet("1 unhealthy".to_owned()));
    // A group that no rule names is not checked by anybody; its own proof has to do.
    let (guard, _server) = destination("m", Ready::NotAsked("1 unused".to_owned())).await;
    assert!(matches!(verdict(&guard, "a", "b", false).await, Verdict::Yes { .. }));
}

#[tokio::test]
async fn an_environment_without_servers_and_one_with_a_dead_server_prove_nothing() {
    let server = Server::start().await;
    server.says("/", "fine");
    server.says("/model", "{\"name\": \"m\"}");
    let dead = Server::start().await;
    for urls in [vec![], vec![server.url.clone(), dead.url.clone()], vec![dead.url.clone()]] {
        let count = urls.len();
        let said = plain(urls).prove(Some(&release("m"))).await;
        assert!(matches!(said, Verdict::NotYet(_)), "{count} servers: {said:?}");
    }
    assert!(matches!(plain(vec![server.url]).prove(Some(&release("m"))).await, Verdict::Yes { .. }));
}

#[tokio::test]
async fn as_many_proofs_as_wanted_must_come_in_a_row() {
    let server = Server::start().await;
    server.says("/", "fine");
    server.says("/model", "{\"name\": \"m\"}");
    let proven = Proven::new(plain(vec![server.url.clone()]), Some(release("m")), 3);
    let yes = |verdict: &Verdict| matches!(verdict, Verdict::Yes { .. });
    for round in 0..2 {
        for _ in 0..2 {
            assert!(!yes(&proven.look().await), "round {round}");
        }
        server.says("/model", "{\"name\": \"other\"}");
        assert!(!yes(&proven.look().await));
        server.says("/model", "{\"name\": \"m\"}");
    }
    let looks = [proven.look().await, proven.look().await, proven.look().await, proven.look().await];
    assert_eq!(looks.each_ref().map(yes), [false, false, true, false], "{looks:?}");
}
