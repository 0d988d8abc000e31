//! What the tests have in common. Each test target uses its own part of it.
#![allow(dead_code, reason = "every test target compiles this and uses a part")]

pub(crate) mod desk;
pub(crate) mod hand_clock;
pub(crate) mod moto;
pub(crate) mod python;
pub(crate) mod world;
