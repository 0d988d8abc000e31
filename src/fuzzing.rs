//! Doors for the fuzzer and for its short form in the tests: each takes what comes from outside, and panics when a promise
//! about it does not hold. Not part of a normal build.

use crate::journal::log::Log;
use crate::journal::record::{Framed, digest, frame, read, unframe};
pub use crate::probes::fuzzing::{dns, events, metrics};
pub use crate::providers::fuzzing::cloud;

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

/// Lines of records whose place and checksums are made right, so that what they say is reached.
pub fn facts(text: &str) {
    let (mut bytes, mut prev) = (Vec::new(), String::new());
    for (seq, line) in (1_u64..).zip(text.lines()) {
        let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_str(line) else { break };
        fields.insert("seq".to_owned(), seq.into());
        fields.insert("prev".to_owned(), prev.into());
        let payload = serde_json::Value::Object(fields).to_string().into_bytes();
        prev = digest(&payload);
        bytes.extend(frame(&payload));
    }
    journal(&bytes);
}

#[cfg(test)]
mod tests;
