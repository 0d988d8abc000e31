//! The fuzzer's properties, for a few seconds each.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::json;

use super::*;

/// Frames that hang together, of any facts, then damaged a little.
fn near_journal() -> impl Strategy<Value = Vec<u8>> {
    let steps = prop_oneof![Just("a"), Just("b"), Just("..")];
    let fact = prop_oneof![
        (steps.clone(), any::<bool>(), any::<u32>())
            .prop_map(|(step, undo, n)| json!({ "fact": "attempt", "step": step, "n": n, "undo": undo })),
        (steps.clone(), "\\PC{0,8}")
            .prop_map(|(step, text)| json!({ "fact": "applied", "step": step, "receipt": text })),
        steps.prop_map(|step| json!({ "fact": "prepared", "step": step, "before": { "$blob": "a".repeat(64) } })),
        Just(json!({ "fact": "opened", "purpose": "rollback" })),
        Just(json!({ "fact": "finished", "outcome": { "outcome": "deployed" } })),
        "\\PC{0,8}".prop_map(|text| json!({ "fact": text })),
    ];
    let change = (any::<prop::sample::Index>(), any::<Option<u8>>());
    let damage = proptest::collection::vec(change, 0..3);
    (proptest::collection::vec(fact, 0..8), damage, any::<bool>()).prop_map(|(facts, damage, begun)| {
        let actor = json!({ "user": "u", "host": "h", "boot_id": "b", "pid": 1, "started": "1", "version": "0" });
        let started = json!({
            "fact": "run_started", "format": 1, "plan_name": "p", "plan_text": "", "digest": "", "resolved": null,
        });
        let (mut bytes, mut prev) = (Vec::new(), String::new());
        for (at, fact) in std::iter::once(started).filter(|_| begun).chain(facts).enumerate() {
            let record = json!({
                "v": 1, "seq": at + 1, "prev": prev, "service": "chat", "run": "R1", "epoch": 1, "id": "x",
                "actor": actor, "at": "2026-01-01T00:00:00Z", "fact": fact,
            });
            let payload = record.to_string().into_bytes();
            prev = digest(&payload);
            bytes.extend(frame(&payload));
        }
        for (at, new) in damage.into_iter().filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
            let at = at.index(bytes.len());
            match new {
                Some(byte) => bytes[at] = byte,
                None => bytes.truncate(at.max(1)),
            }
        }
        bytes
    })
}

fn metric_piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "vllm:num_requests_running",
            "vllm:num_requests_waiting",
            "vllm:request_success_total",
            "tgi_queue_size",
            "{",
            "}",
            "\"",
            "\\",
            "\\\"",
            "=",
            ",",
            " ",
            "\t",
            "\n",
            "\r\n",
            "# HELP ",
            "model=\"a}b\"",
            "1",
            "1e308",
            "9e999",
            "-1",
            "NaN",
            "+Inf",
            "0.5",
            "18446744073709551616",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,6}",
    ]
}

fn event_piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec![
            &b"data: "[..],
            b"data:",
            b"data",
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b": c",
            b"event: x\n",
            b"[DONE]",
            b"\xff\xc3",
            b"{\"choices\":[{\"delta\":{\"content\":\"x\"}}]}",
            b"{\"error\":null}",
            b"{\"choices\":[{\"finish_reason\":1}]}",
        ])
        .prop_map(<[u8]>::to_vec),
        proptest::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_of_a_journal_break_the_reading(bytes in proptest::collection::vec(any::<u8>(), 0..300), near in near_journal()) {
        journal(&bytes);
        journal(&near);
    }

    #[test]
    fn no_metrics_break_the_reading(pieces in proptest::collection::vec(metric_piece(), 0..40)) {
        metrics(&pieces.concat());
    }

    #[test]
    fn no_stream_breaks_the_reading_however_it_is_cut(pieces in proptest::collection::vec(event_piece(), 0..40), cut in 0..64_usize) {
        events(&pieces.concat(), cut);
    }

    #[test]
    fn no_answer_of_a_name_server_breaks_the_reading(bytes in proptest::collection::vec(any::<u8>(), 0..200), flips in proptest::collection::vec(any::<(prop::sample::Index, u8)>(), 0..4)) {
        dns(&bytes);
        let mut near = crate::probes::fuzzing::an_answer();
        for (at, byte) in flips {
            let at = at.index(near.len());
            near[at] = byte;
        }
        dns(&near);
    }
}

/// What makes the properties above more than air: near input is really read.
#[test]
fn an_undamaged_journal_is_read_to_its_end_and_an_answer_fits() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut whole = 0;
    for _ in 0..200 {
        let bytes = near_journal().new_tree(&mut runner).unwrap().current();
        whole += usize::from(matches!(unframe(&bytes), Framed::Whole(..)));
    }
    assert!(whole > 50, "{whole}");
    assert!(dns(&crate::probes::fuzzing::an_answer()), "the answer that is damaged was none to begin with");
}
