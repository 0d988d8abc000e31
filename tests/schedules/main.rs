//! Random schedules on the real engine: two deploys, a rollback that takes over, a person who edits; requests that are lost, late or
//! delivered twice; processes that pause, die, and whose clocks jump; a journal that is out of reach for a while. In virtual time.
//!
//! Each schedule follows from its seed. `MODELSWAP_SEEDS=N` runs N of them, `MODELSWAP_SEED=S` runs one and tells what happened in
//! it. A seed that was found to fail becomes a test with a name, below.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]

mod people;
mod world;

use std::collections::BTreeMap;

use world::Seen;

/// Seeds of a plain `cargo test`: some seconds.
const SEEDS: u64 = 60;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// One schedule to its end.
fn schedule(seed: u64) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(people::live(seed))
}

fn must_be_true(seed: u64) -> Seen {
    let seen = schedule(seed);
    assert!(
        seen.wrong.is_empty(),
        "seed {seed}: {:#?}\n{}\nagain: MODELSWAP_SEED={seed} cargo test --test schedules",
        seen.wrong,
        seen.story.join("\n")
    );
    seen
}

#[test]
fn every_schedule_keeps_the_promises() {
    if let Some(seed) = number("MODELSWAP_SEED") {
        println!("{}", must_be_true(seed).story.join("\n"));
        return;
    }
    let seeds = number("MODELSWAP_SEEDS").unwrap_or(SEEDS);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..seeds {
        for what in must_be_true(seed).happened {
            *counts.entry(what).or_default() += 1;
        }
    }
    println!("{seeds} schedules: {counts:?}");
    // A schedule in which nothing goes wrong proves nothing.
    for what in
        ["takeover", "late", "lost", "twice", "pause", "crash", "edit", "jump", "touched", "put right", "rolled back"]
    {
        assert!(counts.contains_key(what), "no schedule had a {what}: {counts:?}");
    }
}
