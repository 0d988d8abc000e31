//! What the pages say is so: plans parse, commands and options exist, links lead somewhere, examples are what is written.

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
mod commands;
#[cfg(test)]
mod events;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod plans;
