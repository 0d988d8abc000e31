//! A small real world on loopback: cloud API, DNS, balancer, model server, oracle.

pub mod balancer;
pub mod blueprint;
pub mod build;
pub mod caller;
pub mod cloud;
pub mod crash;
pub mod dns;
pub mod faults;
pub mod load;
pub mod model_server;
pub mod oracle;
pub mod passage;
pub mod running;
pub mod stand_ins;
pub mod state;
