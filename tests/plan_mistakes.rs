//! What a person sees for a mistake: the place, the source, what to do.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]

use modelswap::plan::{Finding, Vars, parse};

const GOOD: &str = include_str!("plan_cases/good.yaml");

/// The good plan with one place changed.
fn with(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "`{old}` is not in the plan");
    GOOD.replacen(old, new, 1)
}

fn findings(text: &str) -> Vec<Finding> {
    match parse("chat.yaml", text, &Vars::none()) {
        Ok(parsed) => parsed.warnings,
        Err(findings) => findings,
    }
}

fn shown(text: &str) -> String {
    findings(text).iter().map(|f| f.rendered(false, 100)).collect()
}

fn codes(text: &str) -> Vec<&'static str> {
    findings(text).iter().map(|f| f.code).collect()
}

macro_rules! shows {
    ($($name:ident: $text:expr;)*) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), shown(&$text));
        })*
    };
}

shows! {
    a_misspelt_key: with("grace: 2m", "graec: 2m");
    a_number_without_its_unit: with("for: 15m", "for: 15");
    an_unquoted_account: with("\"111122223333\"", "111122223333");
    a_router_that_does_not_exist: with("swap: {router: record", "swap: {router: recrod");
    a_step_of_two_kinds: with("- provision: next", "- provision: next\n    wait: 5m");
    a_kind_that_does_not_exist: with("- verify:", "- veryfi:");
    a_tab: with("  a:\n", "\ta:\n");
    a_key_written_twice: with("service: chat", "service: chat\nversion: 1");
    a_forgotten_section: with("release: {model: chat-v2, revision: \"${var.revision}\"}\n", "");
    ipv6_on_one_side: with("b: [203.0.113.20]", "b: [203.0.113.20, \"2001:db8::20\"]");
    teardown_too_early: with("  - provision: next\n", "  - provision: next\n  - teardown: previous\n");
    a_variable_that_does_not_exist: with("${var.revision}", "${var.revsion}");
    a_secret_in_a_header: with("every: 500ms}", "every: 500ms, headers: {Authorization: \"Bearer sk-12345\"}}");
    a_missing_word_in_a_state_url: with("service: chat", "service: chat\nstate: s3:///modelswap");
    many_mistakes_at_once: with("grace: 2m", "graec: 2m")
        .replace("floor: 2", "floor: two")
        .replace("gates: [golden, answers]", "gates: [goldne]")
        .replace("after: 24h", "after: one day");
}

#[test]
fn the_good_plan_is_good() {
    assert_eq!(shown(GOOD), "");
}

#[test]
fn a_secret_is_never_shown_not_even_beside_another_mistake() {
    let text = with("every: 500ms}", "evrey: 500ms, headers: {Authorization: \"Bearer sk-12345\"}}");
    let all = shown(&text);
    assert!(all.contains("evrey") && all.contains("Authorization"), "{all}");
    assert!(!all.contains("sk-12345"), "{all}");
    let json = serde_json::to_string(&findings(&text)).unwrap();
    assert!(!json.contains("sk-12345"), "{json}");
}

#[test]
fn machines_get_file_line_column_code_message_and_hint() {
    let found = findings(&with("swap: {router: record", "swap: {router: recrod"));
    let json = serde_json::to_value(&found[0]).unwrap();
    assert_eq!(json["file"], "chat.yaml");
    assert_eq!((json["line"].as_u64(), json["column"].as_u64()), (Some(42), Some(20)), "{json}");
    assert_eq!(json["code"], "unknown-router");
    assert_eq!(json["severity"], "error");
    assert_eq!(json["path"], "steps[5].swap.router");
    assert!(json["hint"].as_str().unwrap().contains("did you mean `record`?"));
}

#[test]
fn a_terminal_is_not_steered_by_a_plan() {
    let all = shown(&with("router: record, when", "router: \"re\\e[2Jcord\", when"));
    assert!(!all.contains('\u{1b}'), "{all:?}");
}

#[test]
fn an_acknowledged_warning_is_silent_and_an_error_is_not() {
    let run = with("- provision: next", "- run: {do: [x], idempotent: true}\n  - provision: next");
    assert_eq!(codes(&run), ["no-undo"]);
    assert!(codes(&run.replace("service: chat", "service: chat\nacknowledge: [no-undo]")).is_empty());
    let early = with("  - provision: next\n", "  - provision: next\n  - teardown: previous\n");
    let acknowledged = early.replace("service: chat", "service: chat\nacknowledge: [teardown-before-swap]");
    assert_eq!(codes(&acknowledged), ["teardown-before-swap"]);
}

/// One change, one finding: nothing follows from a mistake but the mistake.
#[test]
fn every_rule_says_its_code_and_nothing_else() {
    let cases: &[(&str, &str, &str, &str)] = &[
        // the whole
        ("unknown-version", "version: 1", "version: 2", ""),
        ("bad-value", "service: chat", "service: ../x", ""),
        ("bad-name", "  answers:\n", "  \"the answers\":\n", "unknown-gate"),
        ("bad-state", "service: chat", "service: chat\nstate: file:///x", ""),
        ("bad-account", "\"111122223333\"", "\"1111\"", "other-account"),
        ("bad-region", "region: eu-west-1", "region: ireland", "other-account"),
        ("account-not-pinned", "aws: {account: \"111122223333\", region: eu-west-1}\n", "", ""),
        ("empty-text", "model: chat-v2", "model: \"\"", ""),
        ("no-value", "host: chat.example.com}", "host: }", ""),
        ("unknown-word", "on_failure: rollback", "on_failure: rolback", ""),
        ("unknown-key", "on_failure: rollback", "on_failur: rollback", ""),
        ("too-long", "after: 24h", "after: 9999h", ""),
        // environments
        ("reserved-name", "  a:\n    runs", "  live:\n    runs", "unknown-environment unknown-environment"),
        (
            "one-kind",
            "process: {command: [serve, b], grace: 2m}",
            "process: {command: [serve, b]}\n      command: {start: [a], stop: [b], status: [c]}",
            "",
        ),
        ("no-program", "command: [serve, b]", "command: []", ""),
        ("shell-line", "command: [serve, b]", "command: [serve b]", ""),
        ("zero-length", "grace: 2m", "grace: 0s", ""),
        ("bad-url", "[\"http://203.0.113.10:8000\"]", "[\"ftp://203.0.113.10\"]", ""),
        ("nothing-there", "[\"http://203.0.113.10:8000\"]", "[]", ""),
        ("twice", "[\"http://203.0.113.10:8000\"]", "[\"http://h:1\", \"http://h:1\"]", ""),
        ("unknown-router", "target_group: balancer", "target_group: balancr", ""),
        ("no-target-group", "target_group: balancer", "target_group: record", ""),
        ("same-endpoint", "{target_group: balancer}", "[\"http://203.0.113.10:8000\"]", ""),
        ("negative-cost", "16.40", "-1", ""),
        ("zero", "server: vllm", "server: vllm, proof_tokens: 0", ""),
        ("secret-in-plan", "grace: 2m", "grace: 2m, env: {HF_TOKEN: abc}", ""),
        // the balancer
        (
            "no-listener",
            "rule: {listener: \"arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/edge/50dc/f2f7\", host: chat.example.com}",
            "rule: default",
            "",
        ),
        ("two-listeners", "floor: 2", "listener: x", ""),
        ("no-condition", ", host: chat.example.com}", "}", ""),
        ("bad-arn", "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/edge/50dc/f2f7", "arn:x", ""),
        ("other-account", "elasticloadbalancing:eu-west-1", "elasticloadbalancing:eu-west-2", ""),
        ("zero", "floor: 2", "floor: 0", ""),
        ("too-few-environments", "target_groups: {a: chat-a, b: chat-b}", "target_groups: {b: chat-b}", ""),
        ("unknown-environment", "target_groups: {a: chat-a, b: chat-b}", "target_groups: {a: x, b: y, c: z}", ""),
        ("same-target", "target_groups: {a: chat-a, b: chat-b}", "target_groups: {a: chat, b: chat}", ""),
        // the record
        (
            "one-of",
            "name: chat.example.com\n      values",
            "name: chat.example.com\n      weighted: {a: x, b: y}\n      values",
            "",
        ),
        ("one-of", "      values: {a: [203.0.113.10], b: [203.0.113.20]}\n", "", ""),
        ("not-in-zone", "zone: example.com", "zone: example.org", ""),
        (
            "cname-at-top",
            "name: chat.example.com\n      values: {a: [203.0.113.10], b: [203.0.113.20]}",
            "name: example.com\n      values: {a: {CNAME: [x.y]}, b: {CNAME: [z.y]}}",
            "",
        ),
        ("unlike-types", "a: [203.0.113.10]", "a: {A: [203.0.113.10], TXT: [x]}", ""),
        (
            "cname-not-alone",
            "a: [203.0.113.10], b: [203.0.113.20]",
            "a: {A: [203.0.113.1], CNAME: [x.y]}, b: {A: [203.0.113.2], CNAME: [z.y]}",
            "cname-not-alone",
        ),
        ("bad-type", "a: [203.0.113.10], b: [203.0.113.20]", "a: {NS: [x.y]}, b: {NS: [z.y]}", "bad-type"),
        ("bad-record", "a: [203.0.113.10]", "a: {A: [chat.example.org]}", ""),
        ("same-target", "b: [203.0.113.20]", "b: [203.0.113.10]", ""),
        ("bad-resolver", "      values:", "      propagation: {resolvers: [one.one]}\n      values:", ""),
        ("circle", "      values:", "      behind: record\n      values:", ""),
        ("unknown-router", "      values:", "      behind: balancr\n      values:", ""),
        ("same-target", "values: {a: [203.0.113.10], b: [203.0.113.20]}", "weighted: {a: x, b: x}", ""),
        (
            "bad-zone",
            "values: {a: [203.0.113.10], b: [203.0.113.20]}",
            "values: {a: [203.0.113.10], b: [203.0.113.20]}\n  other:\n    route53:\n      zone: example.com\n      name: o.example.com\n      behind: balancer\n      aliases: {a: {target: x.y, zone: example.com}, b: {target: z.y, zone: Z32O12XQLNTSW2}}",
            "",
        ),
        // gates and witness
        ("bad-url", "url: /v1/models", "url: v1/models", ""),
        ("bad-status", "url: /v1/models", "url: /v1/models, status: 20", ""),
        ("unused-gate", "gates: [golden, answers]", "gates: [golden]", ""),
        ("too-often", "every: 500ms", "every: 5ms", ""),
        ("secret-in-plan", "https://chat.example.com/v1", "https://u:p@chat.example.com/v1", ""),
        // steps
        ("unknown-environment", "provision: next", "provision: nxt", ""),
        ("unknown-gate", "gates: [golden]}\n  - restore", "gates: [golden, silver]}\n  - restore", ""),
        ("no-runs", "    runs:\n      process: {command: [serve, b], grace: 2m}\n", "", "no-runs"),
        (
            "not-a-balancer",
            "attach: {environment: next, router: balancer}",
            "attach: {environment: next, router: record}",
            "",
        ),
        (
            "fixed-ttl",
            "lower_ttl: {router: record, to: 60s}",
            "lower_ttl: {router: balancer}\n  - lower_ttl: {router: record}",
            "ttl-not-restored",
        ),
        (
            "unchecked-swap",
            "  - check: {environment: next, gates: [golden, answers]}\n",
            "  - check: {environment: live, gates: [golden, answers]}\n",
            "unchecked-swap",
        ),
        (
            "swap-to-live",
            "swap: {router: balancer, to: next}",
            "swap: {router: balancer, to: live}",
            "drain-before-swap teardown-before-swap",
        ),
        ("drain-before-swap", "  - provision: next", "  - drain: previous\n  - provision: next", ""),
        ("teardown-before-swap", "  - swap: {router: record, when: settled}\n", "", "drain-before-swap"),
        ("teardown-without-drain", "    - drain: previous\n", "", ""),
        ("nothing-to-restore", "  - lower_ttl: {router: record, to: 60s}\n", "", ""),
        ("ttl-not-restored", "  - restore_ttl: record\n", "", ""),
        (
            "late-lower-ttl",
            "  - restore_ttl: record\n",
            "  - lower_ttl: {router: record}\n  - restore_ttl: record\n",
            "",
        ),
        ("not-whole-seconds", "to: 60s", "to: 1500ms", ""),
        ("zero-length", "for: 15m", "for: 0s", ""),
        ("bake-reads-nothing", "for: 15m, gates: [golden]", "for: 15m", ""),
        ("never-done", "- bake:", "- within: 5m\n    bake:", ""),
        ("two-limits", "- provision: next", "- provision: next\n  - {approve: {}, within: 5m}", ""),
        ("no-check", "- provision: next", "- provision: next\n  - run: {do: [x], undo: [y]}", ""),
        ("no-undo", "- provision: next", "- provision: next\n  - run: {do: [x], check: [y]}", ""),
        ("same-step-name", "- provision: next", "- {provision: next, name: p}\n  - {wait: 1s, name: p}", ""),
        (
            "not-in-finalize",
            "    - drain: previous",
            "    - attach: {environment: next, router: balancer}\n    - drain: previous",
            "",
        ),
        ("nothing-there", "- provision: next", "- provision: next\n  - parallel: []", ""),
        ("branches-collide", "- provision: next", "- parallel: [{provision: next}, {check: next}]", ""),
        (
            "too-deep",
            "- provision: next",
            "- provision: next\n  - parallel: [{parallel: [{parallel: [{parallel: [{parallel: [{wait: 1s}]}]}]}]}]",
            "",
        ),
    ];
    let mut wrong = Vec::new();
    for (code, old, new, follows) in cases {
        let mut expected: Vec<&str> = std::iter::once(*code).chain(follows.split_whitespace()).collect();
        let mut found = codes(&with(old, new));
        expected.sort_unstable();
        found.sort_unstable();
        if found != expected {
            wrong.push(format!("{old} → {new}\nexpected {expected:?}, found {found:?}\n{}", shown(&with(old, new))));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
