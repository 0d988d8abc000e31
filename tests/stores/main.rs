//! Every place that can keep a journal keeps the same promises: a directory, a bucket in memory, the loopback world's S3, moto's.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]

mod contract;
mod lease;
mod lost;
mod mirror;
mod places;
mod race;
#[path = "../support/mod.rs"]
mod support;
mod unfit;
