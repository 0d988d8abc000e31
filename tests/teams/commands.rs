//! Commands that a shared journal recorded are not run on its word.

use super::{deploy, run, up};

#[tokio::test]
async fn a_rollback_from_shared_state_restores_traffic_and_leaves_commands_to_a_person() {
    let world = with_a_command().await;
    deploy(&world, &[]).await.must_be(0, "the deploy");
    let mark = world.directory().join("undone");
    let back = run(&world, &["rollback"]).await;
    back.must_be(5, "the rollback without the plan");
    assert!(back.stderr.contains("traffic is on a"), "{}", back.stderr);
    assert!(back.stderr.contains("was not run") && back.stderr.contains("--allow-commands"), "{}", back.stderr);
    assert!(!mark.exists(), "the recorded command was run");
    run(&world, &["rollback", "--plan", world.plan_text()]).await.must_be(0, "the rollback with the plan");
    assert!(mark.exists(), "with the plan at hand its command runs");
    world.down().await;
}

#[tokio::test]
async fn a_plan_that_has_other_commands_vouches_for_none() {
    let world = with_a_command().await;
    deploy(&world, &[]).await.must_be(0, "the deploy");
    let other = world.directory().join("other.yaml");
    let text = std::fs::read_to_string(&world.plan).unwrap().replace("[touch, ", "[touch, -c, ");
    std::fs::write(&other, text).unwrap();
    let back = run(&world, &["rollback", "--plan", other.to_str().unwrap()]).await;
    back.must_be(5, "the rollback with another plan");
    run(&world, &["rollback", "--allow-commands"]).await.must_be(0, "the rollback that was told to");
    world.down().await;
}

/// The plan with a step whose way back is a command.
async fn with_a_command() -> super::World {
    let mut world = up().await;
    let mark = world.directory().join("undone");
    let text = std::fs::read_to_string(&world.plan).unwrap();
    let step = format!(
        "  - run: {{do: [\"true\"], undo: [touch, {}], idempotent: true}}\n  - provision: next",
        mark.display()
    );
    let text = text.replacen("  - provision: next", &step, 1);
    let plan = world.directory().join("with-a-command.yaml");
    std::fs::write(&plan, text).unwrap();
    for beside in ["golden.sh", "golden.jsonl"] {
        std::fs::copy(world.plan.with_file_name(beside), world.directory().join(beside)).unwrap();
    }
    world.plan = plan;
    world
}
