//! Each plan in `plans/`: deployed, finalized, rolled back.

use std::path::PathBuf;

use serde_json::json;

use modelswap::clock::{Clock, SystemClock};
use modelswap::journal::actor::Actor;
use modelswap::journal::fact::{Ask, Fact};
use modelswap::journal::store::Store;
use modelswap::journal::store::local::Local;
use modelswap::journal::writer::ask;
use modelswap::plan::model::Action;

use crate::rig::cells::{self, Cell, case};
use crate::rig::clients::Clients;
use crate::rig::{self, Ended, Pace, World, journal, look};

/// Half an hour in a minute: slow enough that no patience of a plan ends while a busy machine does its work. At twice this a
/// request that a busy machine carried for a quarter of a second had been under way for a quarter of a minute.
const PACE: Pace = Pace { time: 30, load_s: 5 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_plan_deploys_and_finalizes_and_goes_back_and_loses_nothing() {
    let cases = rig::plans().into_iter().map(|plan| case(name(&plan), deploy_finalize_rollback(plan)));
    cells::all(cases.collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_plan_deploys_and_goes_back_quickly_and_loses_nothing() {
    let cases = rig::plans().into_iter().map(|plan| case(name(&plan), deploy_rollback(plan)));
    cells::all(cases.collect()).await;
}

fn name(plan: &std::path::Path) -> String {
    plan.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

async fn deploy_finalize_rollback(plan: PathBuf) -> Cell {
    let world = World::up(&plan, PACE).await;
    let before = look::routers(&world).await;
    let clients = Clients::start(&world);
    deploy(&world).await.must_be(0, "deploy");
    assert_eq!(look::live(&world).await.as_deref(), Ok("b"));
    assert_eq!(world.running(), [1, 1], "a stays up as the way back");

    world.run(&["finalize", "--now"]).await.must_be(0, "finalize");
    clients.stop_and_count().await;
    assert_eq!(look::live(&world).await.as_deref(), Ok("b"));
    assert_eq!(world.running(), [0, 1], "a is gone");
    assert_eq!(world.oracle("findings").await, json!([]));

    let clients = Clients::start(&world);
    roll_back(&world, &before).await;
    clients.stop_and_count().await;
    world.down().await;
    Cell::Passed
}

async fn deploy_rollback(plan: PathBuf) -> Cell {
    let world = World::up(&plan, PACE).await;
    let before = look::routers(&world).await;
    let clients = Clients::start(&world);
    deploy(&world).await.must_be(0, "deploy");
    roll_back(&world, &before).await;
    clients.stop_and_count().await;
    world.down().await;
    Cell::Passed
}

async fn roll_back(world: &World, before: &serde_json::Value) {
    world.run(&["rollback"]).await.must_be(0, "rollback");
    look::must_equal(&look::routers(world).await, before, "rolled back is as before, byte for byte", &world.said());
    assert_eq!(world.running(), [1, 0], "a runs, b is gone");
    let calls = world.mutations().await;
    let again = world.run(&["rollback"]).await;
    again.must_be(0, "the second rollback");
    assert!(again.stderr.contains("already"), "{}", again.stderr);
    assert_eq!(world.mutations().await, calls, "the second rollback changes nothing");
    assert_eq!(world.oracle("findings").await, json!([]));
    assert_eq!(journal::of(world).torn, 0);
}

/// Deploys; where the plan waits for a person, one approves.
async fn deploy(world: &World) -> Ended {
    let asks = world.read_plan().steps.iter().any(|s| matches!(s.action, Action::Approve(_)));
    if !asks {
        return world.deploy().await;
    }
    let (ended, ()) = tokio::join!(world.deploy(), approve(world));
    ended
}

/// Approves as soon as the run asks for it.
async fn approve(world: &World) {
    let waits = |record: &modelswap::journal::record::Record| matches!(&record.fact, Fact::Prepared { step, .. } if step.as_str().ends_with("approve"));
    while !journal::of(world).records.iter().any(waits) {
        SystemClock.sleep(std::time::Duration::from_millis(50)).await;
    }
    let service = world.read_plan().service;
    let mut store = Local::new(&world.directory().join("world.state"), &service);
    let (mut log, _) = store.load().await.unwrap();
    let run = log.newest().unwrap().run.clone();
    let fact = Fact::Asked { ask: Ask::Approve { step: None }, by: "a person".to_owned() };
    let actor = Actor::here("a person".to_owned(), None);
    ask(&mut store, &mut log, &service, &run, &actor, fact, SystemClock.now()).await.unwrap();
}
