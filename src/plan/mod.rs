//! Text → Plan → Resolved → Graph. Pure.

pub mod model;
