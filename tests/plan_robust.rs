//! Whatever text comes in, one clear answer comes out, quickly.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]

use std::time::{Duration, Instant};

use modelswap::plan::{Vars, parse};
use proptest::prelude::*;

const GOOD: &str = include_str!("plan_cases/good.yaml");

fn codes(text: &str) -> Vec<&'static str> {
    let findings = parse("x.yaml", text, &Vars::none()).err().unwrap_or_default();
    findings.iter().map(|f| f.code).collect()
}

/// Far above what it takes in an unoptimised build beside other tests; a bomb takes for ever.
const QUICK: Duration = Duration::from_secs(10);

#[test]
fn what_is_no_plan_at_all_gives_one_finding() {
    let bomb = {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            text = format!("{text}a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "));
        }
        text
    };
    let merges = format!("x: &x {{a: 1}}\ny: {{<<: [{}]}}\n", vec!["*x"; 5_000].join(", "));
    let cases = [
        ("empty", String::new()),
        ("empty", "# nothing\n".to_owned()),
        ("empty", "~\n".to_owned()),
        ("wrong-type", "- a\n- b\n".to_owned()),
        ("wrong-type", "plan\n".to_owned()),
        ("not-text", "\u{0}\u{1}\u{2}ELF".to_owned()),
        ("not-text", "service: \u{1b}[2J\n".to_owned()),
        ("too-large", format!("#{}", "x".repeat(1 << 20))),
        ("too-large", bomb),
        ("too-large", merges),
        ("too-large", "[".repeat(20_000)),
        ("too-large", "{a: ".repeat(20_000)),
        ("too-large", "- ".repeat(20_000)),
        ("bad-yaml", "a: [1, 2\n".to_owned()),
        ("bad-yaml", "a: *nowhere\n".to_owned()),
        ("bad-yaml", "a: !!python/object x\n".to_owned()),
        ("bad-yaml", "version: 1\n---\nversion: 1\n".to_owned()),
        ("bad-yaml", "a: \"\\ud800\"\n".to_owned()),
        ("unknown-version", "version: 7\nall: different\n".to_owned()),
    ];
    for (code, text) in cases {
        let started = Instant::now();
        assert_eq!(codes(&text), [code], "{}", text.chars().take(60).collect::<String>());
        assert!(started.elapsed() < QUICK, "{:?} for {}", started.elapsed(), text.chars().take(60).collect::<String>());
    }
}

/// A bomb on one line is not printed; where it is, is.
#[test]
fn what_is_shown_of_a_text_fits_on_a_screen_and_names_the_place() {
    let said = |text: &str| parse("x.yaml", text, &Vars::none()).unwrap_err()[0].rendered(false, 100);
    let bomb = said(&format!("version: 1\nservice: {}", "[".repeat(20_000)));
    assert!(bomb.len() < 1_000 && bomb.contains("at x.yaml:2:"), "{} bytes: {:.1000}", bomb.len(), bomb);
    let circle = said("version: 1\nservice: &s\n  x: *s\n");
    assert!(circle.contains("no end") && circle.contains("x: *s"), "{circle}");
}

#[test]
fn ten_thousand_steps_are_read_and_more_than_twenty_thousand_refused() {
    let steps = |n: usize| {
        let waits: String = (0..n).map(|_| "  - wait: 1s\n").collect();
        GOOD.replacen("steps:\n", &format!("steps:\n{waits}"), 1)
    };
    let started = Instant::now();
    let plan = parse("x.yaml", &steps(10_000), &Vars::none()).unwrap().plan;
    assert!(plan.steps.len() > 10_000);
    assert_eq!(codes(&steps(20_001)), ["too-many-steps"]);
    assert!(started.elapsed() < QUICK, "{:?}", started.elapsed());
}

#[test]
fn a_thousand_mistakes_are_told_as_a_hundred_and_the_rest_counted() {
    let bad: String = (0..1_000).map(|_| "  - {provision: nobody, nonsense: 1}\n").collect();
    let text = GOOD.replacen("steps:\n", &format!("steps:\n{bad}"), 1);
    let findings = parse("x.yaml", &text, &Vars::none()).unwrap_err();
    assert_eq!(findings.len(), 101);
    assert_eq!(findings.last().unwrap().message, "and 900 findings more");
}

#[test]
fn the_deepest_parallel_that_the_text_can_hold_is_refused_and_not_followed_to_the_end() {
    let deep = format!("{}{{wait: 1s}}{}", "{parallel: [".repeat(25), "]}".repeat(25));
    let text = GOOD.replacen("- provision: next", &format!("- {deep}\n  - provision: next"), 1);
    assert_eq!(codes(&text), ["too-deep"]);
}

/// Pieces of the language, so that random texts come near to plans.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\n".to_owned()),
        Just("  ".to_owned()),
        Just("- ".to_owned()),
        Just(": ".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("&a ".to_owned()),
        Just("*a".to_owned()),
        Just("<<: *a".to_owned()),
        Just("${var.".to_owned()),
        Just("$${".to_owned()),
        Just("'".to_owned()),
        Just("\"".to_owned()),
        Just("|\n".to_owned()),
        Just("null".to_owned()),
        Just("1e999".to_owned()),
        Just("-0x1".to_owned()),
        Just("ß𝄞".to_owned()),
        "[a-z_]{1,6}",
        "\\PC{0,4}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        for finding in parse("x.yaml", &text, &Vars::none()).err().unwrap_or_default() {
            finding.rendered(false, 80);
        }
    }

    #[test]
    fn no_text_of_yaml_pieces_makes_it_panic(pieces in prop::collection::vec(piece(), 0..60)) {
        for finding in parse("x.yaml", &pieces.concat(), &Vars::none()).err().unwrap_or_default() {
            finding.rendered(false, 80);
        }
    }

    /// The good plan with a part cut out and something else put in: near a plan, where the checks run.
    #[test]
    fn no_damage_to_a_plan_makes_it_panic(from in 0..GOOD.len(), len in 0..40_usize, new in prop::collection::vec(piece(), 0..4)) {
        let to = (from + len).min(GOOD.len());
        let text = format!("{}{}{}", &GOOD[..from], new.concat(), &GOOD[to..]);
        match parse("x.yaml", &text, &Vars::none()) {
            Ok(parsed) => {
                let recorded = serde_json::to_value(&parsed.plan).unwrap();
                let read: modelswap::plan::model::Plan = serde_json::from_value(recorded).unwrap();
                prop_assert_eq!(read, parsed.plan);
            }
            Err(findings) => {
                prop_assert!(findings.iter().any(modelswap::plan::Finding::is_error));
                for finding in findings {
                    prop_assert!(finding.rendered(false, 80).contains(finding.code));
                    // Every place is inside the text, and says its own line.
                    if let Some(mark) = finding.mark {
                        prop_assert!(mark.offset + mark.len <= text.len());
                        prop_assert_eq!(text[..mark.offset].matches('\n').count() + 1, mark.line);
                    }
                }
            }
        }
    }
}
