//! Do both kinds of environment keep the contract of a register, and what only one of them promises?

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod command;
mod contract;
mod help;
mod process;
