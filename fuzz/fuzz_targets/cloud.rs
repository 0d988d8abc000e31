//! What Route 53 and the load balancers answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelswap::fuzzing;

const STATUSES: [u16; 4] = [200, 200, 400, 500];

fuzz_target!(|bytes: &[u8]| {
    if let Some((first, body)) = bytes.split_first() {
        fuzzing::cloud(STATUSES[usize::from(first % 4)], body);
    }
});
