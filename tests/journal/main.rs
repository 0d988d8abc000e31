//! The journal keeps its promises: what was acknowledged is there, what was altered is refused, one holder at a time.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]

mod broken;
mod bytes;
mod holders;
mod large;
mod private;
mod room;
mod size;
mod support;
mod sync;
