//! modelswap replaces a running model A by B without losing a request, and can always go back.
//!
//! The rooms, in the order in which they are best read:

/// Names that must not be mixed up.
pub mod ids;
/// Quantities with their unit.
pub mod units;
/// Time, handed in.
pub mod clock;
/// Where the loopback world's stand-ins listen.
pub mod world;
/// What happened: facts, the state they fold into, and where they are kept.
pub mod journal;
/// Where it changes: registers that are read, swapped and watched.
pub mod providers;
/// What is asked, read-only.
pub mod probes;
/// What can change.
pub mod steps;
/// Text → Plan → Resolved → Graph.
pub mod plan;
/// When it changes: deciding is pure, doing is one loop.
pub mod engine;
/// How it is told.
pub mod report;
/// A small real world on loopback, for the demo, the tests and rehearsals.
pub mod lab;
/// What a person types.
pub mod cli;

#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
