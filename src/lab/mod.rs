//! A small real world on loopback: cloud API, DNS, balancer, model server, oracle.

pub mod blueprint;
pub mod build;
pub mod cloud;
pub mod faults;
pub mod oracle;
pub mod passage;
pub mod stand_ins;
pub mod state;
