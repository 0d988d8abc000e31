//! Verbs beside the story: a yes, gates alone, an environment stopped, a way back to a step, a preview's money, a first plan.

use serde_json::{Value, json};

use super::bench::{World, ended, plan, until};

/// JSON objects of stdout, a line each.
fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Place and kind of each fact.
fn facts(out: &str) -> Vec<(u64, String)> {
    let facts = lines(out).into_iter().filter(|line| line["type"] == "fact");
    facts.map(|fact| (fact["seq"].as_u64().unwrap(), fact["fact"].as_str().unwrap().to_owned())).collect()
}

fn waits_for(world: &World, step: &str) {
    until(&format!("the run waits for {step}"), || {
        let said = world.run(&["status", "--output", "json"]);
        (said.code == 0 && said.json()["waits"].to_string().contains(step)).then_some(())
    });
}

#[test]
fn the_live_stream_is_the_journal_and_a_yes_is_for_the_step_that_waits() {
    let twice = plan("demo-alb.yaml")
        .replace("  - swap:", "  - {approve: {within: 4h}, name: go}\n  - swap:")
        .replace("  - bake:", "  - {approve: {within: 4h}, name: stay}\n  - bake:");
    let world = World::up(&twice);
    let run = world.spawn(&["deploy", "plan.yaml", "--yes", "--output", "json"]);
    until("a run has begun", || world.state().join("chat/journal").exists().then_some(()));
    waits_for(&world, "go");
    let yes = world.run(&["approve", "--output", "json"]);
    yes.expect(0, &[], &["approved `go`"]);
    assert_eq!(yes.json()["steps"], json!(["go"]));
    // The second one was not shown to anybody when the first was approved.
    waits_for(&world, "stay");
    world.run(&["approve"]).expect(0, &[], &["approved `stay`"]);
    let deployed = ended(run);
    assert_eq!(deployed.code, 0, "{deployed:#?}");

    let told = world.run(&["events", "--output", "json"]);
    assert_eq!(facts(&deployed.out), facts(&told.out), "the live stream is not the journal");
    let kinds: Vec<_> = facts(&deployed.out).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds[..2], ["run_started", "opened"]);
    assert_eq!(kinds.iter().filter(|kind| *kind == "asked").count(), 2);

    let back = world.run(&["rollback", "--output", "json"]);
    assert_eq!(back.code, 0, "{back:#?}");
    let all = facts(&world.run(&["events", "--output", "json"]).out);
    assert_eq!(facts(&back.out), all[kinds.len()..], "the stream of the rollback is not the rest of the journal");
    assert!(facts(&back.out).iter().any(|(_, kind)| kind == "unwinding"));

    // Whatever is asked for as JSON has a type and a version in every line.
    let asked: [&[&str]; 9] = [
        &["rollback"],
        &["status"],
        &["history"],
        &["history", "--verify"],
        &["abort"],
        &["approve"],
        &["plan", "plan.yaml"],
        &["validate", "plan.yaml"],
        &["stop", "chat", "b"],
    ];
    for args in asked {
        let ran = world.run(&[args, &["--output", "json"]].concat());
        let said = [lines(&ran.out), lines(&deployed.out)].concat();
        assert!(!ran.out.is_empty(), "{args:?} says nothing to a program: {ran:#?}");
        assert!(said.iter().all(|line| line["version"] == 1 && line["type"].is_string()), "{args:?}: {said:#?}");
    }
}

#[test]
fn gates_alone_are_asked_and_a_run_goes_back_to_a_step_and_then_all_the_way() {
    let gated = plan("demo-dns.yaml").replace("- check: next #", "- check: {environment: next, gates: [answers]} #");
    let world = World::up(&gated);
    world.run(&["deploy", "plan.yaml", "--yes", "--until", "03-check"]).expect(4, &[], &["stopped after `03-check`"]);
    world.run(&["check", "plan.yaml"]).expect(0, &["ok b", "answers: 200 from 1", "(gates: answers)"], &[]);
    world.bench.write("strict.yaml", &gated.replace("contains: chat-v2", "contains: chat-v9"));
    let strict = world.run(&["check", "strict.yaml", "--output", "json"]);
    assert_eq!((strict.code, &strict.json()["holds"]), (11, &json!(false)), "{strict:#?}");
    assert!(strict.json()["says"].as_str().unwrap().contains("gate `answers`"), "{strict:#?}");

    // Back to a step that is not there, or not reached, is no way back; nothing is done.
    let done = world.effects();
    world.run(&["rollback", "--to", "provision"]).expect(2, &[], &["no step `provision`", "02-provision"]).helps();
    world.run(&["rollback", "--to", "04-swap"]).expect(2, &[], &["not come as far as `04-swap`", "03-check"]).helps();
    assert_eq!(world.effects(), done);

    world.run(&["resume"]).expect(0, &[], &["deployed and verified"]);
    let back = world.run(&["rollback", "--to", "03-check", "--output", "json"]);
    back.expect(0, &[], &["rolling back to `03-check`", "what came after `03-check` is undone"]);
    let end = back.json();
    assert_eq!((&end["outcome"], &end["to"], &end["exit"]), (&json!("rolled_back"), &json!("03-check"), &json!(0)));
    world.run(&["status", "--live"]).expect(
        0,
        &[
            "rolled back to `03-check`, which stays",
            "record: a 100 %",
            "b         runs",
            "drift     none",
            "undoes the rest",
        ],
        &[],
    );
    let zones = world.get("cloud")["zones"].to_string();
    assert!(zones.contains(r#""ttl_s":60"#), "the lowered TTL stays: {zones}");
    let done = world.effects();
    world.run(&["rollback", "--to", "03-check"]).expect(0, &[], &["rolled back to `03-check`"]);
    world.run(&["rollback", "--to", "04-swap"]).expect(6, &[], &["`04-swap`", "undone already"]).helps();
    world
        .run(&["deploy", "plan.yaml", "--yes"])
        .expect(4, &[], &["rolled back to `03-check`", "rollback chat"])
        .helps();
    assert_eq!(world.effects(), done);
    world.run(&["rollback"]).expect(0, &[], &["all traffic is on a again, verified"]);
    world.run(&["status"]).expect(0, &["b         is stopped", "nothing: all is as it was"], &[]);
    assert_eq!(world.get("findings"), json!([]), "the oracle found broken promises");
}

#[test]
fn an_environment_without_traffic_is_stopped_in_a_run_of_its_own_and_comes_back() {
    let text = plan("demo-dns.yaml");
    // Nobody else stops the old one: this plan has no `finalize`.
    let world = World::up(text.split_once("\nfinalize:").unwrap().0);
    world.run(&["deploy", "plan.yaml", "--yes"]).expect(0, &[], &["deployed and verified"]);
    until("a is stopped", || {
        let ran = world.run(&["stop", "chat", "a"]);
        assert!(matches!(ran.code, 0 | 8), "{ran:#?}");
        (ran.code == 0).then_some(())
    });
    world.run(&["history"]).expect(0, &["deployed", "finalized"], &[]);
    world.run(&["status"]).expect(0, &["a         is stopped", "record: b, as at the start"], &[]);
    world.run(&["events", "--output", "json"]).expect(0, &[r#""plan_name":"stop a""#, r#""purpose":"finalize""#], &[]);
    world.run(&["stop", "chat", "a"]).expect(0, &[], &["a is stopped already"]);
    world.run(&["rollback"]).expect(0, &[], &["everything is as it was before the run, verified"]);
    world.run(&["status", "--live"]).expect(0, &["a         runs", "drift     none"], &[]);
    world.run(&["rollback"]).expect(0, &[], &["already on b", "to undo the one before it as well, name it"]);
    assert_eq!(world.get("findings"), json!([]), "the oracle found broken promises");
}

#[test]
fn a_preview_names_the_price_and_what_it_leaves_alone_and_asks_commands_only_when_told_to() {
    let text = plan("demo.yaml");
    let world = World::up(&text);
    let priced = text.replace("    serves:", "    hourly_cost: 16.40\n    serves:");
    world.bench.write("priced.yaml", &priced);
    let preview = world.run(&["plan", "priced.yaml", "--output", "json"]).json();
    let cost = preview["overlap_cost"].as_f64().unwrap();
    assert!((24.0 * 16.40..25.0 * 16.40).contains(&cost), "a day and the bake: {cost}");
    assert_eq!(preview["untouched"][0]["parts"], json!(["default action"]));
    world.run(&["plan", "priced.yaml"]).expect(
        0,
        &["cost      overlap at least 24.0 h x 16.40 = 39", "untouched on listener app/edge/", ": default action"],
        &[],
    );
    world.bench.write("open.yaml", priced.split_once("\nfinalize:").unwrap().0);
    world.run(&["plan", "open.yaml"]).expect(0, &["16.40 an hour more, until somebody stops a"], &[]);

    // The record that serves becomes a first plan, as its form is.
    let init = ["init", "record.yaml", "--from-record", "example.com", "direct.example.com"];
    world.run(&init).expect(0, &[], &["wrote record.yaml", "TODO-model", "next: modelswap validate record.yaml"]);
    let written = std::fs::read_to_string(world.bench.path("record.yaml")).unwrap();
    for part in [
        "111122223333",
        r#"a: {A: ["203.0.113.10"]}"#,
        "lower_ttl: {router: record, to: 60s} # 300 s now",
        "restore_ttl",
    ] {
        assert!(written.contains(part), "{part}: {written}");
    }
    let known = written.replace("TODO-region", "eu-west-1");
    world.bench.write("known.yaml", &known);
    world.bench.run(&["validate", "known.yaml"]).expect(0, &[], &["known.yaml: valid"]);
    for (zone, name, says) in
        [("ample.com", "x.ample.com", "ample.com"), ("example.com", "no.example.com", "no A, AAAA or CNAME")]
    {
        let refused = world.run(&["init", "other.yaml", "--from-record", zone, name]);
        refused.expect(2, &[], &[says, "nothing was written"]);
    }
    world.bench.run(&["init", "other.yaml", "--from-record", "example.com"]).expect(2, &[], &["NAME"]);
    assert_eq!(world.effects(), 0);
}

#[test]
fn an_operators_command_is_run_by_a_preview_only_when_that_is_asked_for() {
    let text = plan("demo-dns.yaml");
    let world = World::up(&text);
    // The same cloud, as if it were the real one: no stand-ins take the place of the plan's commands.
    let file: Value = serde_json::from_str(&std::fs::read_to_string(world.bench.path("world.json")).unwrap()).unwrap();
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let runs = "runs: {command: {start: [\"true\"], stop: [\"true\"], status: [sh, -c, \"touch asked; exit 3\"]}}";
    let real = text
        .lines()
        .map(|line| if line.trim_start().starts_with("runs:") { format!("    {runs}") } else { line.to_owned() });
    let real = real.collect::<Vec<_>>().join("\n");
    let real = real
        .replace("http://203.0.113.10:8000", &format!("http://{nobody}"))
        .replace("http://203.0.113.20:8000", &format!("http://{nobody}/b"));
    world.bench.write("real.yaml", &real);
    let preview = |more: &[&str]| {
        let mut command = world.bench.command(&[&["plan", "real.yaml"], more].concat());
        command.env("AWS_ENDPOINT_URL", file["cloud"].as_str().unwrap());
        command.env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "y");
        ended(command.spawn().unwrap())
    };
    let provision =
        |ran: &super::bench::Ran| ran.out.lines().find(|l| l.starts_with("02-provision")).unwrap().to_owned();
    let unasked = preview(&[]);
    assert!(provision(&unasked).contains("not asked"), "{unasked:#?}");
    assert!(!world.bench.path("asked").exists(), "a preview ran the operator's command");
    let asked = preview(&["--run-status"]);
    assert!(provision(&asked).contains("stopped"), "{asked:#?}");
    assert!(world.bench.path("asked").exists());
}
