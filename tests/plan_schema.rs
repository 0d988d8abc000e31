//! The schema that editors use and the parser agree on what a plan looks like; the generated pages are current.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]

use std::path::Path;

use modelswap::plan::{Vars, parse, reference, schema, tree};

const GOOD: &str = include_str!("plan_cases/good.yaml");

/// Findings about the shape of a plan; all others are about what it means, which a schema cannot know.
const SHAPE: [&str; 9] = [
    "wrong-type",
    "unknown-key",
    "unknown-word",
    "missing-key",
    "no-value",
    "one-kind",
    "bad-value",
    "bad-name",
    "unknown-version",
];

/// One place of the good plan changed; whether it still has the shape of a plan.
#[rustfmt::skip]
const CASES: &[(&str, &str, bool)] = &[
    // the whole
    ("version: 1", "version: 2", false),
    ("version: 1", "version: \"1\"", false),
    ("version: 1\n", "", false),
    ("service: chat", "service: my chat", false),
    ("service: chat", "service: 5", false),
    ("service: chat", "service: chat\nstate: .modelswap", true),
    ("service: chat", "service: chat\nstate:", false),
    ("service: chat", "service: chat\nstates: x", false),
    ("service: chat", "service: chat\nacknowledge: [no-undo]", true),
    ("service: chat", "service: chat\nacknowledge: no-undo", false),
    ("\"111122223333\"", "111122223333", false),
    (", region: eu-west-1}", "}", false),
    ("region: eu-west-1}", "region: eu-west-1, profile: ops}", true),
    ("{revision: 41de}", "{revision: 41}", false),
    ("{revision: 41de}", "[revision]", false),
    ("release: {model: chat-v2, revision: \"${var.revision}\"}\n", "", false),
    ("model: chat-v2, ", "", false),
    ("on_failure: rollback", "on_failure: hold", true),
    ("on_failure: rollback", "on_failure: rolback", false),
    ("on_failure: rollback", "on_failure: true", false),
    ("on_failure: rollback", "on_failure: {hold: {}}", false),
    // environments
    ("  a:\n", "  \"a b\":\n", false),
    ("hourly_cost: 16.40", "hourly_cost: 16", true),
    ("hourly_cost: 16.40", "hourly_cost: cheap", false),
    ("    hourly_cost: 16.40\n", "", true),
    ("{openai: {server: vllm}}", "{openai: {}}", true),
    ("{openai: {server: vllm}}", "openai", false),
    ("{openai: {server: vllm}}", "{openai: {server: vlm}}", false),
    ("{openai: {server: vllm}}", "{openai: {proof_tokens: -1}}", false),
    ("{openai: {server: vllm}}", "{openai: {auth: {bearer: {secret: {env: KEY}}}}}", true),
    ("{openai: {server: vllm}}", "{openai: {auth: {bearer: {secret: {env: KEY, file: x}}}}}", false),
    ("{openai: {server: vllm}}", "{openai: {auth: {bearer: KEY}}}", false),
    ("{openai: {server: vllm}}", "{openai: {headers: {x-tenant: one}, ca: ca.pem}}", true),
    ("{openai: {server: vllm}}", "{openai: {headers: [x]}}", false),
    ("{openai: {server: vllm}}", "{openai: {access: {}}}", false),
    ("{openai: {server: vllm}}", "{openai: {}, tcp: {}}", false),
    ("{openai: {server: vllm}}", "{}", false),
    ("{openai: {server: vllm}}", "{tcp: {}}", true),
    ("{openai: {server: vllm}}", "{http: {health: /up, identity: {path: /v, model: /m}}}", true),
    ("{openai: {server: vllm}}", "{http: {identity: {path: /v}}}", false),
    ("{openai: {server: vllm}}", "{kserve: {infer: {inputs: [1, two]}}}", true),
    ("[\"http://203.0.113.10:8000\"]", "[203.0.113.10]", false),
    ("[\"http://203.0.113.10:8000\"]", "http://203.0.113.10:8000", false),
    ("[\"http://203.0.113.10:8000\"]", "{target_group: balancer}", true),
    ("[\"http://203.0.113.10:8000\"]", "{target_groups: balancer}", false),
    ("[\"http://203.0.113.10:8000\"]", "[\"http://${var.revision}/\"]", true),
    ("grace: 2m", "grace: 2", false),
    ("grace: 2m", "grace: 2 minutes", false),
    ("grace: 2m", "grace: 1h2m3s4ms, directory: /tmp, log: x.log", true),
    ("command: [serve, b]", "command: serve b", false),
    ("command: [serve, b]", "command: [serve, 5]", false),
    ("command: [serve, b], grace: 2m", "grace: 2m", false),
    ("status: [look, a]", "status: [look, a], within: 5m, env: {X: y}", true),
    (", status: [look, a]", "", false),
    // routers
    ("host: chat.example.com}", "hosts: [chat.example.com]}", false),
    ("      floor: 2", "      floor: 2.5", false),
    ("      floor: 2", "      floor: 5000000000", false),
    ("      floor: 2", "      owner: terraform", true),
    ("  balancer:\n    alb:\n", "  balancer:\n    elb:\n", false),
    ("target_groups: {a: chat-a, b: chat-b}", "target_groups: [chat-a, chat-b]", false),
    ("target_groups: {a: chat-a, b: chat-b}", "target_groups: {\"?\": chat-a}", false),
    ("{a: [203.0.113.10], b: [203.0.113.20]}", "{a: [203.0.113.10], b: [203.0.113.256]}", false),
    ("{a: [203.0.113.10], b: [203.0.113.20]}", "{a: [\"2001:db8::1\"], b: [\"2001:db8::2\"]}", true),
    ("{a: [203.0.113.10], b: [203.0.113.20]}", "{a: {A: [203.0.113.10]}, b: {A: [203.0.113.20]}}", true),
    ("{a: [203.0.113.10], b: [203.0.113.20]}", "{a: 203.0.113.10, b: 203.0.113.20}", false),
    ("{a: [203.0.113.10], b: [203.0.113.20]}", "{a: {A: 203.0.113.10}, b: {A: [203.0.113.20]}}", false),
    ("      zone: example.com", "      zone: example.com\n      private: yes", false),
    ("      zone: example.com", "      zone: example.com\n      private: true", true),
    ("      zone: example.com", "      zone: example.com\n      propagation: {clamp: 0s, resolvers: [1.1.1.1]}", true),
    ("      zone: example.com", "      zone: example.com\n      propagation: {clamps: 0s}", false),
    ("      zone: example.com\n", "", false),
    ("      values: {a: [203.0.113.10], b: [203.0.113.20]}", "      aliases: {a: {target: x, zone: Z1}, b: {target: y, zone: Z1}}", true),
    ("      values: {a: [203.0.113.10], b: [203.0.113.20]}", "      aliases: {a: {target: x}, b: {target: y, zone: Z1}}", false),
    ("      values: {a: [203.0.113.10], b: [203.0.113.20]}", "      weighted: {a: x, b: y}", true),
    ("      values: {a: [203.0.113.10], b: [203.0.113.20]}", "      weighted: {a: 1, b: 2}", false),
    // gates and witness
    ("http: {url: /v1/models, contains: chat-v2}", "http: {status: 204}", false),
    ("http: {url: /v1/models, contains: chat-v2}", "http: {url: /v1/models, status: 70000}", false),
    ("http: {url: /v1/models, contains: chat-v2}", "grpc: {url: /v1/models}", false),
    ("every: 500ms}", "every: 0.5s}", false),
    ("every: 500ms}", "streams_every: 10s, stream_tokens: 50}", true),
    ("witness: {url: \"https://chat.example.com/v1/models\", every: 500ms}", "witness: https://chat.example.com/", false),
    // steps
    ("provision: next", "provision: {environment: next}", true),
    ("provision: next", "provision: {environment: next}\n    name: up\n    within: 5m", true),
    ("provision: next", "provision: [next]", false),
    ("provision: next", "provision:", false),
    ("provision: next", "provision", false),
    ("provision: next", "provision: next\n    wait: 5m", false),
    ("provision: next", "provisoin: next", false),
    ("provision: next", "name: x", false),
    ("provision: next", "provision: next\n    name: x y", false),
    ("provision: next", "provision: next\n    within: soon", false),
    ("provision: next", "provision: next\n    within: ${var.revision}s", false),
    ("provision: next", "check: next", true),
    ("provision: next", "check: {environment: next, times: 5, gates: []}", true),
    ("provision: next", "check: {environment: next, gates: golden}", false),
    ("provision: next", "wait: 5m", true),
    ("provision: next", "wait: 5", false),
    ("provision: next", "wait: soon", false),
    ("provision: next", "wait: {for: 5m}", true),
    ("provision: next", "approve: {}", true),
    ("provision: next", "approve: {within: 1h, else: ask}", true),
    ("provision: next", "approve:", false),
    ("provision: next", "approve: {else: maybe}", false),
    ("provision: next", "run: {do: [a], undo: [b], check: [c], idempotent: true}", true),
    ("provision: next", "run: {undo: [b]}", false),
    ("provision: next", "run: {do: [a], idempotent: yes}", false),
    ("provision: next", "run: a", false),
    ("provision: next", "drain: {environment: next, at_most: 5m, quiet: 1s}", true),
    ("provision: next", "parallel: [{wait: 1s}, [{wait: 1s}, {wait: 2s}]]", true),
    ("provision: next", "parallel: [wait]", false),
    ("provision: next", "parallel: {wait: 1s}", false),
    ("provision: next", "parallel: [{wait: 1s}, [{wait: 1}]]", false),
    ("swap: {router: balancer, to: next}", "swap: balancer", false),
    ("swap: {router: balancer, to: next}", "swap: {to: next}", false),
    ("when: settled", "when: later", false),
    ("verify: {router: record, sees: next}", "verify: {router: record}", true),
    ("restore_ttl: record", "restore_ttl: {router: record}", true),
    ("restore_ttl: record", "restore_ttl: the record", false),
    ("bake: {for: 15m, gates: [golden]}", "bake: 15m", false),
    ("  after: 24h\n", "", true),
    ("  after: 24h\n", "  after: 24h\n  when: later\n", false),
    ("    - drain: previous", "    drain: previous", false),
];

/// What the parser says about the shape of a plan.
fn shape(text: &str) -> Vec<String> {
    let findings = parse("chat.yaml", text, &Vars::none()).err().unwrap_or_default();
    findings.iter().filter(|f| SHAPE.contains(&f.code)).map(|f| f.rendered(false, 100)).collect()
}

#[test]
fn the_schema_and_the_parser_agree() {
    let schema = schema::schema();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (old, new, good) in CASES.iter().chain(&[("version: 1", "version: 1", true)]) {
        assert!(GOOD.contains(old), "`{old}` is not in the plan");
        let text = GOOD.replacen(old, new, 1);
        let Ok(node) = tree::read(&text) else { continue };
        compared += 1;
        if let Ok(parsed) = parse("chat.yaml", &text, &Vars::none()) {
            let recorded = serde_json::to_string(&parsed.plan).unwrap();
            let read: modelswap::plan::model::Plan = serde_json::from_str(&recorded).unwrap();
            assert_eq!(read, parsed.plan, "{new} is recorded as another plan");
        }
        let by_parser = shape(&text);
        let by_schema: Vec<_> = validator.iter_errors(&node.to_json()).map(|e| e.to_string()).collect();
        if by_parser.is_empty() != *good && !new.contains("${") || by_schema.is_empty() != *good && !new.contains("${")
        {
            wrong.push(format!("{old} → {new}: {good}\nparser {by_parser:#?}\nschema {by_schema:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared >= 100, "{compared}");
}

#[test]
fn the_schema_lets_variables_stand_where_text_may_stand() {
    let validator = jsonschema::options().should_validate_formats(true).build(&schema::schema()).unwrap();
    for (old, new) in [
        ("grace: 2m", "grace: \"${var.t}\""),
        ("http://203.0.113.10:8000", "http://${var.t}"),
        ("router: record, when", "router: \"${var.t}\", when"),
    ] {
        let node = tree::read(&GOOD.replacen(old, new, 1)).unwrap();
        let errors: Vec<_> = validator.iter_errors(&node.to_json()).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{new}: {errors:?}");
    }
}

/// Compares a generated page with its file; `MODELSWAP_BLESS=1` writes it.
fn is_current(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("MODELSWAP_BLESS").is_some() {
        std::fs::write(&path, text).expect("docs/ can be written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "{file} is not what the types say: run `MODELSWAP_BLESS=1 cargo test --test plan_schema`");
}

#[test]
fn the_schema_file_is_current() {
    is_current("docs/plan.schema.json", &format!("{}\n", serde_json::to_string_pretty(&schema::schema()).unwrap()));
}

#[test]
fn the_reference_is_current() {
    is_current("docs/plan-reference.md", &reference::reference());
}

#[test]
fn every_key_is_described() {
    fn below(value: &serde_json::Value, path: &str, without: &mut Vec<String>) {
        let serde_json::Value::Object(map) = value else { return };
        if let Some(serde_json::Value::Object(keys)) = map.get("properties") {
            for (key, schema) in keys.iter().filter(|(_, s)| s.get("description").is_none()) {
                // The one key that names a kind is described by the kind.
                if map.get("description").is_none() {
                    without.push(format!("{path}.{key}: {schema}"));
                }
            }
        }
        for (key, inner) in map {
            let path = format!("{path}/{key}");
            for item in inner.as_array().map_or(std::slice::from_ref(inner), Vec::as_slice) {
                below(item, &path, without);
            }
        }
    }
    let mut without = Vec::new();
    below(&schema::schema(), "", &mut without);
    assert!(without.is_empty(), "{without:#?}");
}
