//! Runs that are interrupted, held, or in somebody else's hands.

use std::time::{Duration, Instant};

use super::bench::{World, ended, plan, until};

/// The demo's plan with a person in the middle and a long bake: 10 min of the world are 5 s here.
fn with_approval() -> String {
    plan("demo-alb.yaml")
        .replace("  - swap:", "  - approve: {within: 4h}\n    name: go\n  - swap:")
        .replace("for: 30s", "for: 30m")
}

fn waits_for(world: &World, step: &str) {
    until(&format!("the run waits for {step}"), || {
        let said = world.run(&["status", "--output", "json"]);
        (said.code == 0 && said.json()["waits"].to_string().contains(step)).then_some(())
    });
}

#[test]
fn a_run_in_other_hands_is_left_alone_can_be_asked_interrupted_resumed_and_rolled_back() {
    let world = World::up(&with_approval());
    let run = world.spawn(&["deploy", "plan.yaml", "--yes"]);
    until("a run has begun", || world.state().join("chat/journal").exists().then_some(()));
    waits_for(&world, "go");

    // Everybody else is kept out, told by whom, and by name of what can be asked.
    let pid = run.id().to_string();
    world.run(&["deploy", "plan.yaml", "--yes"]).expect(7, &[], &["dana@", &pid, "nothing was done"]).helps();
    world.run(&["stop", "chat", "b"]).expect(7, &[], &["dana@", &pid]).helps();
    world.run(&["status"]).expect(
        0,
        &["under way", &pid, "at work", "modelswap approve chat --world world.json --step go"],
        &[],
    );
    world.run(&["approve", "--step", "come"]).expect(2, &[], &["`come` is no `approve` step", "it has: go"]).helps();
    world.run(&["approve", "--step", "go"]).expect(0, &[], &["approved `go`", "dana@"]);
    waits_for(&world, "bake");

    // TERM: nothing new is started, and it says so within 5 s.
    let began = Instant::now();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(run.id().cast_signed()).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    let stopped = ended(run);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    stopped
        .expect(
            4,
            &[],
            &[
                "approved by dana@",
                "interrupted by SIGTERM",
                "modelswap resume chat --world world.json",
                "modelswap rollback chat --world world.json",
            ],
        )
        .helps();
    world.run(&["events", "--output", "json"]).expect(0, &[r#""fact":"interrupted""#, r#""by":"SIGTERM""#], &[]);
    world.run(&["status"]).expect(
        0,
        &["interrupted by SIGTERM", "modelswap resume chat --world world.json   goes on"],
        &[],
    );

    // Over an unfinished run no other plan begins; nor is it previewed or stopped in its back.
    world.bench.write("other.yaml", &with_approval().replace("30m", "31m"));
    world
        .run(&["deploy", "other.yaml", "--yes"])
        .expect(4, &[], &["is unfinished; nothing was done", "modelswap resume chat", "modelswap rollback chat"])
        .helps();
    world.run(&["plan", "plan.yaml"]).expect(4, &[], &["is unfinished"]).helps();
    world.run(&["stop", "chat", "a"]).expect(4, &[], &["is unfinished"]).helps();

    // The same plan goes on with it; a person far away stops it; it is held.
    let run = world.spawn(&["deploy", "plan.yaml", "--yes"]);
    until("it is under way again", || world.run(&["status"]).out.contains("under way").then_some(()));
    world.run(&["abort"]).expect(0, &[], &["to stop and hold", "modelswap rollback chat"]);
    ended(run).expect(4, &[], &["going on with it", "asked it to stop", "held"]);
    world.run(&["status"]).expect(0, &["held: dana@"], &[]);

    world.run(&["rollback"]).expect(0, &[], &["all traffic is on a again, verified"]);
    world.run(&["history"]).expect(0, &["rolled back"], &[]);
    assert_eq!(world.get("findings"), serde_json::json!([]), "the oracle found broken promises");
}

#[test]
fn a_rollback_asks_the_run_that_is_under_way_to_make_room() {
    let world = World::up(&with_approval());
    let run = world.spawn(&["deploy", "plan.yaml", "--yes"]);
    until("a run has begun", || world.state().join("chat/journal").exists().then_some(()));
    waits_for(&world, "go");
    world.run(&["rollback"]).expect(0, &[], &["asking it to stop", "rollback of plan.yaml", "verified"]);
    ended(run).expect(4, &[], &["held"]);
    world.run(&["status"]).expect(0, &["rolled back", "b         is stopped"], &[]);
}

#[test]
fn a_closed_pipe_never_ends_a_deploy() {
    let world = World::up(&plan("demo-alb.yaml"));
    let mut run = world.spawn(&["deploy", "plan.yaml", "--yes", "--output", "json"]);
    // As in `modelswap deploy ... | head -0`: nobody reads either.
    drop((run.stdout.take(), run.stderr.take()));
    assert_eq!(ended(run).code, 0);
    world.run(&["status"]).expect(0, &["deployed"], &[]);

    // Nor does it end anything else in a panic.
    for args in
        [&["schema"][..], &["completions", "bash"], &["status"], &["events"], &["deploy", "none.yaml"], &["--help"]]
    {
        let mut child = world.bench.command(args).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        let code = ended(child).code;
        assert!(matches!(code, 0 | 2), "{args:?}: {code}");
    }
}
