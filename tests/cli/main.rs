//! What a person and a pipe see: stdout, stderr and exit code together.

mod bench;
mod mistakes;
mod story;
mod trouble;
