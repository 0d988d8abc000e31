//! The bucket is down: the way back is open, said to be unfenced, and never merged silently afterwards.

use serde_json::json;

use super::{BUCKET, bucket_down, deploy, forget_mirror, kept, must_be_sound, run, up};

#[tokio::test]
async fn with_the_bucket_down_a_rollback_works_from_the_mirror_and_is_brought_home_later() {
    let world = up().await;
    deploy(&world, &[]).await.must_be(0, "the deploy");
    let before = kept(&world).await.len();
    bucket_down(&world).await;
    deploy(&world, &[]).await.must_be(74, "a deploy without its journal");
    let back = run(&world, &["rollback", "--allow-commands"]).await;
    back.must_be(0, "the rollback");
    assert!(back.stderr.contains("UNFENCED") && back.stderr.contains(BUCKET), "{}", back.stderr);
    assert_eq!(world.running()[1], 0, "b is stopped again");
    world.mend().await;
    assert_eq!(kept(&world).await.len(), before, "nothing went to the bucket");
    let status = run(&world, &["status"]).await;
    status.must_be(74, "status when mirror and bucket differ");
    let hint =
        status.stderr.lines().find_map(|line| line.split_once("modelswap state move ")).expect("the way on").1.trim();
    let (from, to) = hint.split_once(' ').expect("two places");
    world.run(&["state", "move", from, to]).await.must_be(0, "what is told to be typed");
    assert!(kept(&world).await.len() > before);
    let status = run(&world, &["status"]).await;
    status.must_be(0, "status afterwards");
    assert!(status.stdout.contains("rolled back"), "{}", status.stdout);
    let events = run(&world, &["events"]).await;
    assert!(events.stdout.contains("unfenced"), "{}", events.stdout);
    world.down().await;
}

#[tokio::test]
async fn with_the_bucket_down_and_no_mirror_a_journal_can_be_named() {
    let world = up().await;
    deploy(&world, &[]).await.must_be(0, "the deploy");
    let mirror = world.directory().join("world.state/mirror");
    let place = std::fs::read_dir(&mirror).unwrap().next().unwrap().unwrap().path();
    let saved = world.directory().join("saved");
    std::fs::rename(place.join("chat"), {
        std::fs::create_dir(&saved).unwrap();
        saved.join("chat")
    })
    .unwrap();
    forget_mirror(&world);
    bucket_down(&world).await;
    let lost = run(&world, &["rollback"]).await;
    lost.must_be(74, "a rollback from nothing");
    assert!(lost.stderr.contains("rollback --from"), "{}", lost.stderr);
    let journal = saved.join("chat/journal");
    let back = run(&world, &["rollback", "--from", journal.to_str().unwrap(), "--allow-commands"]).await;
    back.must_be(0, "the rollback");
    assert!(back.stderr.contains("UNFENCED"), "{}", back.stderr);
    world.down().await;
}

#[tokio::test]
async fn a_bucket_that_ignores_conditions_is_refused_before_anything_is_done() {
    let world = up().await;
    world.order_fault(&json!({ "op": "PutObject", "kind": "ignore_conditions", "times": 100_000 })).await;
    let refused = deploy(&world, &[]).await;
    refused.must_be(74, "the deploy");
    assert!(refused.stderr.contains("cannot keep a journal"), "{}", refused.stderr);
    assert_eq!(kept(&world).await, Vec::<String>::new());
    must_be_sound(&world).await;
    world.down().await;
}

#[tokio::test]
async fn lost_answers_of_the_bucket_change_nothing() {
    let world = up().await;
    for nth in (8..80).step_by(9) {
        let kind = ["reset_after", "error_500_after", "reset_before", "conflict"][nth % 4];
        world.order_fault(&json!({ "op": "PutObject", "kind": kind, "nth": nth })).await;
    }
    deploy(&world, &[]).await.must_be(0, "the deploy");
    let fired = world.oracle("faults").await.as_array().unwrap().iter().filter(|f| f["fired"] != json!([])).count();
    assert!(fired >= 3, "{fired} fired");
    run(&world, &["history", "--verify"]).await.must_be(0, "history");
    run(&world, &["rollback", "--allow-commands"]).await.must_be(0, "the rollback");
    must_be_sound(&world).await;
    world.down().await;
}
