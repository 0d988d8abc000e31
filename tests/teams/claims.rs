//! Two services on one rule do not change it at the same time.

use super::{BUCKET, up};

#[tokio::test]
async fn a_service_waits_for_the_unfinished_run_of_another_in_a_bucket() {
    two_services(&["--state", BUCKET]).await;
}

#[tokio::test]
async fn a_service_waits_for_the_unfinished_run_of_another_in_a_directory() {
    two_services(&[]).await;
}

async fn two_services(state: &[&str]) {
    let world = up().await;
    let plan = std::fs::read_to_string(&world.plan).unwrap().replace("service: chat", "service: search");
    let other = world.directory().join("search.yaml");
    std::fs::write(&other, plan).unwrap();
    for beside in ["golden.sh", "golden.jsonl"] {
        std::fs::copy(world.plan.with_file_name(beside), world.directory().join(beside)).unwrap();
    }
    let typed = |args: &[&str]| args.iter().chain(state).map(|a| (*a).to_owned()).collect::<Vec<_>>();
    let run = async |args: &[&str], env: &[(&str, &str)]| {
        let args = typed(args);
        world.run_with(&args.iter().map(String::as_str).collect::<Vec<_>>(), env).await
    };
    let crash = [(modelswap::lab::crash::VARIABLE, "after:9")];
    let chat = ["deploy", world.plan_text(), "--yes"];
    assert_eq!(run(&chat, &crash).await.signal, Some(9));
    let search = ["deploy", other.to_str().unwrap(), "--yes"];
    let refused = run(&search, &[]).await;
    refused.must_be(7, "the deploy of another service");
    assert!(
        refused.stderr.contains("is being changed by run") && refused.stderr.contains("of chat"),
        "{}",
        refused.stderr
    );
    let history = run(&["history"], &[]).await;
    assert!(!history.stdout.contains("search"), "nothing was recorded: {}", history.stdout);
    run(&["rollback", "chat", "--allow-commands"], &[]).await.must_be(0, "the rollback of the first");
    run(&search, &[]).await.must_be(0, "the deploy when the first has ended");
    run(&["rollback", "search", "--allow-commands"], &[]).await.must_be(0, "its rollback");
    run(&chat, &[]).await.must_be(0, "and the first again");
    world.down().await;
}
