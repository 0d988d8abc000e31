//! What a person and a pipe see: stdout, stderr and exit code together.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]

mod bench;
mod mistakes;
mod story;
mod trouble;
mod verbs;
