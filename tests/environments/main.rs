//! Do both kinds of environment keep the contract of a register, and what only one of them promises?

mod command;
mod contract;
mod help;
mod process;
