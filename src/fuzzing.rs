//! Doors for the fuzzer and for its short form in the tests: each takes what comes from outside, and panics when a promise
//! about it does not hold. Not part of a normal build.

use crate::journal::log::Log;
use crate::journal::record::{Framed, digest, frame, read, unframe};
pub use crate::probes::fuzzing::{dns, events, metrics};

/// The bytes of a journal: whatever they are, reading ends, and what is read as whole is what a writer writes.
pub fn journal(bytes: &[u8]) {
    let (mut log, mut rest) = (Log::default(), bytes);
    while let Framed::Whole(payload, taken) = unframe(rest) {
        assert_eq!(rest.get(..taken), Some(&*frame(payload)), "a frame that no writer writes was taken for whole");
        let Ok(record) = read(payload, |name| Ok(name.as_bytes().to_vec())) else { break };
        let before = log.head.clone();
        if log.push(payload, &record).is_err() {
            assert_eq!(log.head, before, "a refused record moved the head");
            break;
        }
        assert_eq!(log.head.hash, digest(payload), "the head is not the newest record");
        rest = rest.get(taken..).unwrap_or_default();
    }
    for run in &log.runs {
        let _ = (run.has_effects(), log.newest_open(), log.newest_with_effects());
    }
}

#[cfg(test)]
mod tests;
