//! The typical mistakes: each gets one error, what is true now, and something to type. Nothing is done.

use serde_json::json;

use super::bench::{Bench, World, plan};

#[test]
fn mistakes_of_the_command_line_are_named() {
    let bench = Bench::new();
    bench.run(&["--help"]).looks_like("help");
    bench.run(&["deplyo"]).expect(2, &[], &["unrecognized subcommand 'deplyo'", "similar subcommand", "deploy"]);
    bench.run(&["deploy"]).expect(2, &[], &["<PLAN>"]);
    bench.run(&["deploy", "x.yaml", "--var", "revision"]).expect(2, &[], &["write it as NAME=VALUE"]);
    bench.run(&["rollback", "--takeover"]).expect(2, &[], &["--reason"]);
    bench.run(&["init", "--from-listener", "x"]).expect(2, &[], &["--host"]);
    bench
        .run(&["init", "--from-listener", "x", "--host", "y"])
        .expect(2, &[], &["not the ARN of an Application Load Balancer's listener"])
        .helps();
    bench.run(&["lab", "up", "--time", "soon"]).expect(2, &[], &["1x to 3600x"]);
    bench.run(&["lab", "down"]).expect(2, &[], &["world.json"]).helps();
    bench.run(&["plan", "x.yaml", "--world", "none.json"]).expect(2, &[], &["x.yaml"]).helps();
    assert_eq!(std::fs::read_dir(bench.directory.path()).unwrap().count(), 0, "a mistake left something behind");
}

#[test]
fn a_plan_that_cannot_be_read_is_said_for_every_verb_that_takes_one() {
    let bench = Bench::new();
    bench.write("latin.yaml", "");
    std::fs::write(bench.path("latin.yaml"), b"service: caf\xe9\n").unwrap();
    std::fs::create_dir(bench.path("plans")).unwrap();
    for verb in ["plan", "deploy", "validate", "check", "verify"] {
        bench.run(&[verb, "plans"]).expect(2, &[], &["cannot read the plan plans: it is a directory"]).helps();
        bench
            .run(&[verb, "none.yaml"])
            .expect(2, &[], &["cannot read the plan none.yaml: No such file", "modelswap init none.yaml"])
            .helps();
        bench.run(&[verb, "latin.yaml"]).expect(2, &[], &["not UTF-8 text (byte 12)"]);
    }
    let json = bench.run(&["deploy", "plans", "--output", "json"]);
    assert_eq!((json.code, &json.json()["type"], &json.json()["exit"]), (2, &json!("error"), &json!(2)));
}

#[test]
fn a_variable_that_is_missing_or_unknown_is_named() {
    let bench = Bench::new();
    bench.write("plan.yaml", &plan("demo.yaml").replace("{model: chat-v2}", "{model: \"${var.model}\"}"));
    bench.run(&["validate", "plan.yaml"]).expect(2, &[], &["model", "nothing was done"]);
    bench.run(&["validate", "plan.yaml", "--var", "model=chat-v2", "--var", "modle=x"]).expect(
        2,
        &[],
        &["`modle`", "nothing was done"],
    );
    bench.run(&["validate", "plan.yaml", "--vars-file", "none.yaml"]).expect(
        2,
        &[],
        &["cannot use the values in none.yaml"],
    );
    bench.run(&["validate", "plan.yaml", "--var", "model=chat-v2"]).expect(0, &[], &["plan.yaml: valid"]);
}

#[test]
fn a_service_that_is_not_there_is_answered_with_those_that_are() {
    let bench = Bench::new();
    let verbs: [&[&str]; 6] = [&["rollback"], &["resume"], &["status"], &["history"], &["approve"], &["finalize"]];
    for verb in verbs {
        bench.run(verb).expect(2, &[], &["there is no journal in .modelswap", "--state DIR"]).helps();
        bench.run(&[verb, &["chat"]].concat()).expect(2, &[], &["no journal of `chat`", "--state DIR"]).helps();
    }
    bench.run(&["events", "01J"]).expect(2, &[], &["no run and no service `01J`"]).helps();
    bench.run(&["stop", "chat", "a"]).expect(2, &[], &["no journal of `chat`"]).helps();
    bench.write("state/chat/journal", "");
    bench.write("state/talk/journal", "");
    for verb in ["rollback", "resume", "finalize", "approve", "abort", "events"] {
        let ran = bench.run(&[verb, "--state", "state"]);
        ran.expect(2, &[], &["several services: chat, talk", "name the service that is meant"]).helps();
    }
    bench
        .run(&["rollback", "caht", "--state", "state"])
        .expect(2, &[], &["no journal of `caht`", "it holds: chat, talk"])
        .helps();
    bench.run(&["rollback", "../chat", "--state", "state"]).expect(2, &[], &["`../chat` is not a name"]);
    bench.run(&["status", "--state", "state"]).expect(0, &["chat   no run yet", "talk   no run yet"], &[]);
}

#[test]
fn a_state_that_cannot_be_kept_stops_everything_with_a_code_of_its_own() {
    let bench = Bench::new();
    bench.write("plan.yaml", &plan("demo.yaml"));
    bench.write("file", "");
    // A directory that cannot be read is not an empty one: in an incident, that would send people looking elsewhere.
    for verb in ["rollback", "status", "resume", "finalize", "history", "events", "approve"] {
        let ran = bench.run(&[verb, "--state", "file"]);
        ran.expect(74, &[], &["cannot read the state directory file", "nothing was changed"]).helps();
    }
    // A path below a file: nobody can write there, root neither.
    for args in [&["deploy", "plan.yaml", "--yes"][..], &["plan", "plan.yaml"]] {
        bench
            .run(&[args, &["--state", "file/state"]].concat())
            .expect(74, &[], &["file/state", "nothing was changed"])
            .helps();
    }
}

#[test]
fn a_journal_that_was_altered_is_told_from_where_on_and_nothing_is_done_on_its_word() {
    let world = World::up(&plan("demo-dns.yaml"));
    world.run(&["deploy", "plan.yaml", "--yes", "--until", "01-lower_ttl"]).expect(
        4,
        &[],
        &["stopped after `01-lower_ttl`"],
    );
    let journal = world.state().join("chat/journal");
    let text = std::fs::read_to_string(&journal).unwrap();
    // A line is dropped: each of the others is whole, but they no longer follow from each other.
    let lines: Vec<_> =
        text.lines().enumerate().filter(|(n, _)| *n != 2).map(|(_, line)| format!("{line}\n")).collect();
    std::fs::write(&journal, lines.concat()).unwrap();
    let broken = world.run(&["history", "--verify"]);
    broken.expect(74, &[], &["breaks at record 3", "2 records before it follow from each other"]).helps();
    let done = world.effects();
    world.run(&["rollback"]).expect(74, &[], &["nothing was changed"]).helps();
    // A flipped byte in the middle is damage, not a torn tail.
    std::fs::write(&journal, text.replacen("plan_name", "plan_nome", 1)).unwrap();
    world.run(&["history", "--verify"]).expect(74, &[], &["is damaged at byte 0"]).helps();
    assert_eq!(world.effects(), done);
}

#[test]
fn missing_credentials_or_region_are_one_clear_line_at_once() {
    let bench = Bench::new();
    bench.write("plan.yaml", &plan("demo.yaml"));
    let began = std::time::Instant::now();
    for verb in [
        &["plan", "plan.yaml"][..],
        &["deploy", "plan.yaml", "--yes"],
        &["check", "plan.yaml"],
        &["verify", "plan.yaml"],
    ] {
        let ran = bench.run(verb);
        ran.expect(2, &[], &["no AWS credentials were found", "nothing was done", "hint: set AWS_PROFILE"]).helps();
        assert!(ran.err.lines().count() <= 3, "{ran:#?}");
        if verb.starts_with(&["plan"]) {
            ran.looks_like("no_credentials");
        }
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    let without = plan("demo.yaml").lines().filter(|l| !l.starts_with("aws:")).collect::<Vec<_>>().join("\n");
    bench.write("noregion.yaml", &without);
    let mut command = bench.command(&["plan", "noregion.yaml"]);
    command.env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "y");
    super::bench::ended(command.spawn().unwrap())
        .expect(2, &[], &["no AWS region is known", "hint: set `aws:"])
        .helps();
    assert!(!bench.path(".modelswap").exists(), "a run that never began left a journal");
}

#[test]
fn a_world_that_is_not_the_plans_is_refused_before_anything_is_done() {
    let text = plan("demo.yaml");
    let world = World::up(&text);
    let other = "f2f7dc8efc522ab3";
    let cases: [(&str, &str, &str, i32, &[&str]); 7] = [
        ("111122223333", "999988887777", "account", 2, &["the plan is for account 999988887777", "111122223333"]),
        ("zone: example.com", "zone: ample.com", "zone", 2, &["ample.com"]),
        (
            "name: direct.",
            "name: indirect.",
            "record",
            6,
            &["`record` leads somewhere that the plan does not name", "no record"],
        ),
        ("f2f7dc8efc522ab2", other, "listener", 2, &["ListenerNotFound", other]),
        (
            "host: chat.example.com",
            "host: chit.example.com",
            "rule",
            2,
            &["no rule has exactly these conditions", "chat.example.com"],
        ),
        ("b: chat-b", "b: chat-c", "group", 2, &["'chat-c' not found"]),
        ("{a: [203.0.113.10]", "{a: [203.0.113.11]", "value", 6, &["`record` leads somewhere", "A 203.0.113.10"]),
    ];
    for (was, is, what, code, says) in cases {
        let name = format!("{what}.yaml");
        world.bench.write(&name, &text.replace(was, is));
        for verb in [&["plan", &name][..], &["deploy", &name, "--yes"]] {
            let ran = world.run(verb);
            assert_eq!(ran.code, code, "{what}: {ran:#?}");
            ran.expect(code, &[], says).expect(code, &[], &["nothing was done"]);
        }
    }
    world.post("faults", &json!({"op": "GetCallerIdentity", "kind": "expired_token"}));
    world
        .run(&["deploy", "plan.yaml", "--yes"])
        .expect(2, &[], &["ExpiredToken", "aws sso login", "nothing was done"])
        .helps();
    world.post("faults", &json!({"op": "DescribeRules", "kind": "access_denied"}));
    world.run(&["plan", "plan.yaml"]).expect(2, &[], &["AccessDenied", "DescribeRules", "nothing was done"]);

    // Traffic that is shared, and no run of ours explains it.
    let cloud = world.get("cloud");
    let (rule, found) =
        cloud["rules"].as_object().unwrap().iter().find(|(_, r)| r["hosts"] == json!(["chat.example.com"])).unwrap();
    let groups: Vec<_> = cloud["groups"].as_object().unwrap().keys().map(|arn| json!([arn, 50])).collect();
    let mixed = json!([{"Forward": {"groups": groups, "sticky_s": null}}]);
    world.post("edit", &json!({"set_actions": {"rule": rule, "actions": mixed}}));
    for verb in [&["plan", "plan.yaml"][..], &["deploy", "plan.yaml", "--yes"]] {
        world.run(verb).expect(6, &[], &["`balancer` shares traffic (a 50 %, b 50 %)", "nothing was done"]).helps();
    }
    world.post("edit", &json!({"set_actions": {"rule": rule, "actions": found["actions"]}}));
    world.run(&["plan", "plan.yaml", "--detailed-exitcode"]).expect(10, &[], &[]);
    assert_eq!(world.effects(), 0);
    assert!(!world.state().join("chat/journal").exists(), "a run that never began left a journal");
}
