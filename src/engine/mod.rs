//! When it changes: deciding is pure, doing is one loop.

// A variant that is added later must be thought about here.
#![warn(clippy::wildcard_enum_match_arm)]

mod back;
pub mod cancel;
pub mod decide;
pub mod drive;
mod perform;
