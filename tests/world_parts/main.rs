//! The parts of the loopback world that carry traffic, on real sockets.

mod balancer;
mod dns;
mod health;
mod load;
mod model_server;
mod support;
