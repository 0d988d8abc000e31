//! Steps and what must hold around them, with registers and servers that do as they are told.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]

#[cfg(test)]
mod command;
#[cfg(test)]
mod compiled;
#[cfg(test)]
mod guards;
#[cfg(test)]
mod quiet;
#[cfg(test)]
mod set;
#[cfg(test)]
mod support;
