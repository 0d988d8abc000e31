//! modelswap replaces a running model A by B without losing a request, and can always go back.
//!
//! The rooms, in the order in which they are best read:

pub mod cli;
pub mod clock; //      time, handed in
pub mod engine; //      when it changes
pub mod ids; //        names that must not be mixed up
pub mod journal; //    what happened: facts, state, where they are kept
pub mod lab;
pub mod plan; //       text → Plan → Resolved → Graph
pub mod probes; //     what is asked, read-only
pub mod providers; //  where it changes: registers that are read, swapped and watched
pub mod report; //      how it is told
pub mod steps; //      what can change
pub mod units; //      quantities with their unit
pub mod world; //      where the loopback world's stand-ins listen
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing; //    doors for the fuzzer
