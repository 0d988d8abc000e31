//! The text of a plan.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelswap::plan::{Vars, parse};

fuzz_target!(|text: &str| {
    for finding in parse("plan.yaml", text, &Vars::none()).err().unwrap_or_default() {
        finding.rendered(false, 80);
    }
});
