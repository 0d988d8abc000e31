//! When it changes: deciding is pure, doing is one loop.

pub mod cancel;
pub mod decide;
pub mod drive;
mod perform;
