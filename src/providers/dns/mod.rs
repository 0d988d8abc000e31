//! Record sets.

pub mod route53;
