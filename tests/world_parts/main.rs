//! The parts of the loopback world that carry traffic, on real sockets.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says where")]

mod balancer;
mod dns;
mod health;
mod load;
mod model_server;
mod support;
