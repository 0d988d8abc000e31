//! The journal keeps its promises: what was acknowledged is there, what was altered is refused, one holder at a time.

mod bytes;
mod holders;
mod large;
mod private;
mod room;
mod size;
mod support;
mod sync;
