//! What a model server answers: metrics in Prometheus' text format, and a stream of events.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelswap::fuzzing;

fuzz_target!(|input: (&str, &[u8], u8)| {
    let (metrics, stream, cut) = input;
    fuzzing::metrics(metrics);
    fuzzing::events(stream, usize::from(cut));
});
