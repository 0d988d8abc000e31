//! A team on one journal in a bucket, with the real binary on the loopback world: other machines, takeover, a bucket that is
//! down, services on one listener, commands that a shared journal recorded, and moving a journal.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]

#[path = "../rig/mod.rs"]
mod rig;

mod claims;
mod commands;
mod down;
mod elsewhere;
mod moving;

use rig::{Ended, Pace, World};
use serde_json::{Value, json};

/// The place of the journals in these tests.
const BUCKET: &str = "s3://ops/modelswap";

/// World seconds in a real one: a lease of a minute is over in a second.
const PACE: Pace = Pace { time: 60, load_s: 5 };

/// A machine that passes for another one.
const HOST: &str = "MODELSWAP_LAB_HOST";

async fn up() -> World {
    World::up(&rig::plan("alb-blue-green"), PACE).await
}

/// `modelswap ARGS --state BUCKET`.
async fn run(world: &World, args: &[&str]) -> Ended {
    run_on(world, args, &[]).await
}

async fn run_on(world: &World, args: &[&str], env: &[(&str, &str)]) -> Ended {
    let args: Vec<&str> = args.iter().copied().chain(["--state", BUCKET]).collect();
    world.run_with(&args, env).await
}

async fn deploy(world: &World, env: &[(&str, &str)]) -> Ended {
    run_on(world, &["deploy", world.plan_text(), "--yes"], env).await
}

/// A machine that has never seen the journal has no mirror of it.
fn forget_mirror(world: &World) {
    let mirror = world.directory().join("world.state").join("mirror");
    std::fs::remove_dir_all(&mirror).unwrap();
}

/// Every request to the bucket goes unanswered.
async fn bucket_down(world: &World) {
    for op in ["GetObject", "ListObjectsV2", "PutObject"] {
        world.order_fault(&json!({ "op": op, "kind": "reset_before", "times": 100_000 })).await;
    }
}

/// The objects of the journal, by their keys.
async fn kept(world: &World) -> Vec<String> {
    let cloud = world.oracle("cloud").await;
    let objects = cloud["buckets"]["ops"].as_object().cloned().unwrap_or_default();
    objects.keys().filter(|key| key.contains("/log/")).cloned().collect()
}

/// Nothing was broken, and each change was announced in the journal before it arrived.
async fn must_be_sound(world: &World) {
    assert_eq!(world.oracle("findings").await, Value::Array(Vec::new()));
}
