//! Text → Plan → Resolved → Graph. Pure.

pub mod model;
pub mod tree;
