//! The shape of the program, read from its source: which room may use which, and what must be absent where.
//!
//! docs/architecture.md says why. The clippy lints of Cargo.toml hold the rest of it (printing, waiting, exits).

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]

// `cfg(test)` is always on here; it tells clippy that helpers are test code too.
#[cfg(test)]
mod absences;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod source;
#[cfg(test)]
mod tree;
