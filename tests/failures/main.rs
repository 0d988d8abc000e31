//! The fault matrix: the real binary on the loopback world is killed, and its calls go wrong, at every point of every step; what
//! is typed next ends as planned or as before, and says truthfully which.
//!
//! By default a part of each suite is done, taken evenly from all of its cells (`part`): what a push has time for. With
//! `MODELSWAP_MATRIX=full` it is every cell; `tests/matrix` does that and counts. `MODELSWAP_CELLS=TEXT` keeps the cells whose name
//! contains the text.

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

mod calls;
mod crash;
mod ends;
mod points;
mod races;
mod trace;
mod twice;

use rig::Pace;

/// Fast: times of the plan do not matter here, only the order of things.
pub(crate) const PACE: Pace = Pace { time: 240, load_s: 5 };

/// Every plan that is shown to anybody and has a world.
const PLANS: [&str; 6] =
    ["demo", "alb-blue-green", "route53-blue-green", "route53-weighted", "alb-and-route53", "single-host"];

/// Whether every cell is done.
pub(crate) fn full() -> bool {
    match std::env::var("MODELSWAP_MATRIX").as_deref() {
        Err(_) | Ok("") => false,
        Ok("full") => true,
        Ok(other) => panic!("MODELSWAP_MATRIX is `{other}`; it may be `full`"),
    }
}

/// The plans that are crashed: all of them where there is time.
pub(crate) fn plans() -> Vec<&'static str> {
    if full() { PLANS.to_vec() } else { vec!["demo"] }
}

/// One in `every` of the cells, evenly, unless all are wanted.
pub(crate) fn part(cases: Vec<rig::cells::Case>, every: usize) -> Vec<rig::cells::Case> {
    let every = if full() || std::env::var_os("MODELSWAP_CELLS").is_some() { 1 } else { every };
    cases.into_iter().step_by(every).collect()
}
