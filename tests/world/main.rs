//! Whole deploys by the real binary on the loopback world: every plan that is shown to anybody works, with clients at the door.

#[path = "../rig/mod.rs"]
mod rig;

mod faults;
mod plans;
mod write_ahead;
