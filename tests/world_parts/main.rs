//! The parts of the loopback world that carry traffic, on real sockets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says where")]

mod balancer;
mod dns;
mod health;
mod load;
mod model_server;
mod support;
