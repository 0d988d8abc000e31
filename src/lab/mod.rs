//! A small real world on loopback: cloud API, DNS, balancer, model server, oracle.

pub mod blueprint;
pub mod state;
