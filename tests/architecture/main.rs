//! The shape of the program, read from its source: which room may use which, and what must be absent where.
//!
//! docs/architecture.md says why. The clippy lints of Cargo.toml hold the rest of it (printing, waiting, exits).

// `cfg(test)` is always on here; it tells clippy that helpers are test code too.
#[cfg(test)]
mod absences;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod source;
#[cfg(test)]
mod tree;
