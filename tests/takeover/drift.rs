//! What somebody else changed after a deploy is left alone, unless it is said what shall become of it.

use modelswap::journal::fact::{Fact, OnDrift};
use serde_json::{Value, json};

use crate::rig::{self, Pace, World, http, journal, look};

const PACE: Pace = Pace { time: 60, load_s: 5 };

/// The record of `direct.example.com`, whatever else is there.
async fn record(world: &World) -> Value {
    let cloud = world.oracle("cloud").await;
    let zones = cloud["zones"].as_object().unwrap();
    let records = zones.values().flat_map(|zone| zone["records"].as_array().unwrap());
    records.into_iter().find(|r| r["name"] == "direct.example.com.").unwrap().clone()
}

/// Somebody writes the record by hand.
async fn edit(world: &World, change: impl FnOnce(&mut Value)) {
    let cloud = world.oracle("cloud").await;
    let (zone, _) = cloud["zones"].as_object().unwrap().iter().find(|(_, z)| z["private"] == false).unwrap();
    let mut set = record(world).await;
    change(&mut set);
    let order = json!({ "set_record": { "zone": zone, "set": set } });
    http::post(&format!("{}/edit", world.file.oracle), &order).await;
}

async fn deployed() -> (World, Value) {
    let world = World::up(&rig::plan("demo-dns"), PACE).await;
    let before = look::routers(&world).await;
    world.deploy().await.must_be(0, "deploy");
    (world, before)
}

fn turned(world: &World) -> OnDrift {
    let records = journal::of(world).records;
    let turns = records.into_iter().filter_map(|r| match r.fact {
        Fact::Unwinding { on_drift, .. } => Some(on_drift),
        _ => None,
    });
    turns.collect::<Vec<_>>().pop().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_value_is_left_alone_until_it_is_named() {
    let (world, before) = deployed().await;
    edit(&world, |set| set["values"] = json!(["203.0.113.99"])).await;
    let theirs = record(&world).await;
    let left = world.run(&["rollback"]).await;
    left.must_be(5, "the rollback of what somebody else changed");
    let file = world.path();
    let typed = format!("modelswap rollback chat --world {} --on-drift", file.display());
    for command in [format!("{typed} force:record"), format!("{typed} merge")] {
        assert!(left.stderr.contains(&command), "it does not say `{command}`: {}", left.stderr);
    }
    assert_eq!(record(&world).await, theirs, "it was overwritten");

    let unknown = world.run(&["rollback", "--on-drift", "force:balancer"]).await;
    unknown.must_be(2, "a resource that the run has not");
    assert!(unknown.stderr.contains("it has: record"), "{}", unknown.stderr);

    world.run(&["rollback", "--on-drift", "force:record"]).await.must_be(0, "the rollback that overwrites");
    look::must_equal(&look::routers(&world).await, &before, "all is as it was before", &world.said());
    assert_eq!(turned(&world), OnDrift { merge: false, force: vec!["record".to_owned()] });
    let overwritten = journal::of(&world).records.iter().any(|r| {
        matches!(&r.fact, Fact::Observed { what, detail } if what == "overwritten" && detail.to_string().contains("203.0.113.99"))
    });
    assert!(overwritten, "what was overwritten is not written down");
    world.down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merging_takes_back_where_a_record_leads_and_keeps_the_ttl_that_somebody_set() {
    let (world, _) = deployed().await;
    edit(&world, |set| set["ttl_s"] = json!(30)).await;
    world.run(&["rollback"]).await.must_be(5, "the rollback of what somebody else changed");
    let merged = world.run(&["rollback", "--on-drift", "merge"]).await;
    merged.must_be(0, "the rollback that merges");
    let now = record(&world).await;
    assert_eq!((&now["values"], &now["ttl_s"]), (&json!(["203.0.113.10"]), &json!(30)), "{}", merged.stderr);
    assert!(turned(&world).merge);
    assert!(journal::of(&world).records.iter().any(|r| matches!(r.fact, Fact::Merged { .. })));
    world.down().await;
}
