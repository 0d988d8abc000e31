//! Whole deploys by the real binary on the loopback world: every plan that is shown to anybody works, with clients at the door.

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

mod plans;
mod write_ahead;
