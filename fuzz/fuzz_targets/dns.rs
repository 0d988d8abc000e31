//! What a DNS server answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelswap::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    fuzzing::dns(bytes);
});
