//! A release goes live and comes back, looked at with every verb.

use super::bench::{Bench, World, plan};

#[test]
fn a_release_goes_live_and_comes_back_and_every_verb_says_so() {
    let world = World::up(&plan("demo.yaml"));

    world.run(&["plan", "plan.yaml"]).looks_like("plan");

    // Before: a preview, the gates, the propagation; nothing changes.
    let preview = world.run(&["plan", "plan.yaml", "--detailed-exitcode"]);
    preview.expect(
        10,
        &[
            "from a chat-v1 (live)   to b chat-v2",
            "record: A 203.0.113.10 (ttl 60)",
            "b: running",
            "balancer: a 0, b 100",
            "nothing moved",
            "1 call, seen within 5s",
            "2 calls, seen within 3m3s",
            "60 s TTL + 60 s clamp + 60 s client + 3 s rounding",
            "SLOW: starts a again",
            "a stays up for 24h",
            "no plan file",
            "--plan-digest",
        ],
        &[],
    );
    assert!(
        preview.out.lines().all(|line| line.starts_with("LAB")),
        "every line of a rehearsal says so: {}",
        preview.out
    );
    let told = world.run(&["plan", "plan.yaml", "--output", "json"]).json();
    assert_eq!(
        (&told["type"], &told["changes"], &told["from"], &told["to"]),
        (&"preview".into(), &true.into(), &"a".into(), &"b".into())
    );
    let swap = told["steps"].as_array().unwrap().iter().find(|s| s["step"] == "07-swap").unwrap();
    assert_eq!(swap["now"], "A 203.0.113.10 (ttl 60)", "the step before will have lowered the TTL");
    let digest = told["digest"].as_str().unwrap().to_owned();

    world.run(&["check", "plan.yaml", "--environment", "live"]).expect(0, &["ok a", "chat-v1", "no gates"], &[]);
    world.run(&["check", "plan.yaml"]).expect(11, &["!! b", "refused"], &[]);
    world.run(&["check", "plan.yaml", "--environment", "c"]).expect(
        2,
        &[],
        &["there is no environment `c`", "hint: --environment takes live, next, a, b"],
    );
    world.run(&["verify", "plan.yaml", "--within", "10m"]).expect(
        0,
        &["name server", "resolver", "A 203.0.113.10", "ok 2 name server addresses"],
        &[],
    );
    assert_eq!(world.effects(), 0, "looking changed something");

    // A stale digest is refused, the right one is taken.
    world.run(&["deploy", "plan.yaml", "--yes", "--plan-digest", "0123456789ab"]).expect(
        6,
        &[],
        &["the preview 0123456789ab no longer holds", "hint: "],
    );
    assert_eq!(world.effects(), 0);
    let deployed = world.run(&["deploy", "plan.yaml", "--yes", "--plan-digest", &digest[..12]]);
    deployed.expect(
        0,
        &[],
        &[
            "LAB",
            "deploy plan.yaml",
            "ok 05-swap",
            "deployed and verified",
            "back: modelswap rollback chat --world world.json",
        ],
    );
    assert_eq!(deployed.out, "", "stdout is for programs");

    // After: what is true, from the journal and from the routers.
    world.run(&["status"]).expect(
        0,
        &[
            "chat   run ",
            "deployed",
            "holder    nobody",
            "record: b 100 %",
            "b         runs (was next)",
            "modelswap finalize chat --world world.json",
            "modelswap rollback chat --world world.json",
        ],
        &[],
    );
    world.run(&["status"]).looks_like("status_deployed");
    world.run(&["status", "chat", "--live", "--detailed-exitcode"]).expect(0, &["drift     none"], &[]);
    let said = world.run(&["status", "--live", "--output", "json"]).json();
    assert_eq!(
        (&said["state"], &said["from"], &said["to"], &said["drift"]),
        (&"deployed".into(), &"a".into(), &"b".into(), &serde_json::json!([]))
    );
    let run = said["run"].as_str().unwrap().to_owned();
    world.run(&["history"]).expect(0, &[&run, "a -> b", "chat-v2", "dana@", "deployed"], &[]);
    world.run(&["history", "--verify"]).expect(0, &["each follows from the one before it; head "], &[]);
    world.run(&["events", &run]).expect(
        0,
        &["01-lower_ttl", "203.0.113.10 (ttl 300) → A 203.0.113.10 (ttl 60)", "deployed and verified"],
        &[],
    );
    let facts = world.run(&["events", "--output", "json"]);
    facts.expect(0, &[r#""fact":"run_started""#, r#""fact":"finished""#], &[]);
    assert!(facts.out.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{facts:#?}");

    // Typed again, nothing is done.
    let done = world.effects();
    world.run(&["deploy", "plan.yaml", "--yes"]).expect(0, &[], &["b serves chat-v2 already", "nothing was done"]);
    world.run(&["plan", "plan.yaml", "--detailed-exitcode"]).expect(0, &["a deploy would do nothing"], &[]);
    world.run(&["resume"]).expect(0, &[], &["no run of chat is unfinished"]);
    world.run(&["abort"]).expect(0, &[], &["nobody is at work on chat"]);
    world.run(&["approve"]).expect(2, &[], &["nothing to approve", "hint: modelswap status chat"]).helps();
    world.run(&["finalize"]).expect(8, &[], &["keeps the quick way back until", "--now"]).helps();
    world.run(&["stop", "chat", "b"]).expect(8, &[], &["sends traffic to `b`"]).helps();
    world.run(&["stop", "chat", "c"]).expect(2, &[], &["no environment `c`", "a, b"]).helps();
    assert_eq!(world.effects(), done, "something was done after all");

    // Back, and back again.
    world.run(&["rollback", "--keep"]).expect(
        0,
        &[],
        &["rollback of plan.yaml", "all traffic is on a again, verified"],
    );
    world.run(&["status"]).expect(
        0,
        &["rolled back", "record: a 100 %", "b         runs", "modelswap stop chat b --world world.json"],
        &[],
    );
    let stopped = world.run(&["stop", "chat", "b"]);
    if stopped.code == 8 {
        stopped.expect(8, &[], &["clients may still come to `b` until", "type it again then"]).helps();
    }
    super::bench::until("b is stopped", || {
        let again = world.run(&["stop", "chat", "b"]);
        assert!(matches!(again.code, 0 | 8), "{again:#?}");
        (again.code == 0).then_some(())
    });
    world.run(&["status"]).expect(0, &["b         is stopped", "nothing: all is as it was"], &[]);
    world.run(&["stop", "chat", "b"]).expect(0, &[], &["b is stopped already; nothing was done"]);
    let done = world.effects();
    world.run(&["rollback"]).expect(0, &[], &["already on a", "nothing was done"]);
    assert_eq!(world.effects(), done);
    assert_eq!(world.get("findings"), serde_json::json!([]), "the oracle found broken promises");

    // Somebody else moves the record: drift is said, with a code of its own where that is asked for.
    let zones = world.get("cloud")["zones"].clone();
    let zone = zones.as_object().unwrap().keys().next().unwrap().clone();
    let set = serde_json::json!({"name": "direct.example.com.", "kind": "A", "ttl_s": 300, "values": ["203.0.113.99"], "set_identifier": null, "weight": null, "alias": null, "health_check": null});
    world.post("edit", &serde_json::json!({"set_record": {"zone": zone, "set": set}}));
    world.run(&["status", "--live"]).expect(
        0,
        &["! drift    `record` holds A 203.0.113.99 (ttl 300), the journal says A 203.0.113.10 (ttl 300)"],
        &[],
    );
    world.run(&["status", "--live", "--detailed-exitcode"]).expect(10, &["! drift"], &[]);
}

#[test]
fn a_listener_that_serves_becomes_a_first_plan_that_is_valid() {
    let world = World::up(&plan("demo-alb.yaml"));
    let listener =
        "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/edge/50dc6c495c0c9188/f2f7dc8efc522ab2";
    let init = ["init", "first.yaml", "--from-listener", listener, "--host", "chat.example.com"];
    world.run(&init).expect(0, &[], &["wrote first.yaml", "TODO-model", "next: modelswap validate first.yaml"]);
    let written = std::fs::read_to_string(world.bench.path("first.yaml")).unwrap();
    for part in [
        "account: \"111122223333\"",
        "region: eu-west-1",
        "a: chat-a",
        "a: # 203.0.113.10:8000 ",
        "http://chat.example.com/",
    ] {
        assert!(written.contains(part), "{part}: {written}");
    }
    world.bench.run(&["validate", "first.yaml"]).expect(0, &[], &["first.yaml: valid"]);
    // What is still missing is named when it is needed.
    world.run(&["plan", "first.yaml"]).expect(2, &[], &["TODO-chat-b"]);
    world.run(&init).expect(2, &[], &["first.yaml exists already; nothing was written"]).helps();
    assert_eq!(std::fs::read_to_string(world.bench.path("first.yaml")).unwrap(), written);
    let elsewhere = listener.replace("111122223333", "222222222222");
    let refused = world.run(&["init", "other.yaml", "--from-listener", &elsewhere, "--host", "chat.example.com"]);
    refused.expect(2, &[], &["account 222222222222", "nothing was written"]);
    assert!(!world.bench.path("other.yaml").exists());
    assert_eq!(world.effects(), 0);
}

#[test]
fn the_schema_and_completions_are_printed_for_programs() {
    let bench = Bench::new();
    let schema = bench.run(&["schema"]);
    assert_eq!((schema.code, schema.err.as_str()), (0, ""));
    let printed: serde_json::Value = serde_json::from_str(&schema.out).unwrap();
    assert!(printed == modelswap::plan::schema::schema(), "what is printed is not the schema");
    for shell in ["bash", "zsh", "fish"] {
        bench.run(&["completions", shell]).expect(0, &["modelswap", "rollback", "world"], &[]);
    }
    bench.run(&["completions", "tcsh"]).expect(2, &[], &["invalid value 'tcsh'", "bash"]);
}
