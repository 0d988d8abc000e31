//! The bytes of a journal; and records whose place and checksums are right, so that what they say is reached.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelswap::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    fuzzing::journal(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        fuzzing::facts(text);
    }
});
