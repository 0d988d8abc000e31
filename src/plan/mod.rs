//! Text → Plan → Resolved → Graph. Pure.

pub mod model;
pub mod graph;
pub mod compile;
pub mod resolve;
