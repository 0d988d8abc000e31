//! Weights.

pub mod alb;
