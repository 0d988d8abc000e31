//! A journal of a directory moves into a bucket, and is not continued where it was.

use super::{BUCKET, deploy, kept, must_be_sound, run, up};

#[tokio::test]
async fn a_journal_moves_into_a_bucket_and_goes_on_there() {
    let world = up().await;
    world.deploy().await.must_be(0, "the deploy");
    let directory = world.directory().join("world.state");
    let directory = directory.to_str().unwrap();
    let checked = world.run(&["state", "check", BUCKET]).await;
    checked.must_be(0, "the check");
    assert!(checked.stdout.contains("keeps conditions"), "{}", checked.stdout);
    world.run(&["state", "move", directory, BUCKET]).await.must_be(0, "the move");
    let records = kept(&world).await.len();
    assert!(records > 10);
    // Again is harmless: everything is there.
    world.run(&["state", "move", directory, BUCKET]).await.must_be(0, "the move again");
    let refused = world.run(&["rollback"]).await;
    refused.must_be(74, "a rollback where the journal was");
    assert!(refused.stderr.contains("was moved to") && refused.stderr.contains(BUCKET), "{}", refused.stderr);
    assert_eq!(kept(&world).await.len(), records);
    run(&world, &["history", "--verify"]).await.must_be(0, "history");
    run(&world, &["rollback", "--allow-commands"]).await.must_be(0, "the rollback where the journal is");
    must_be_sound(&world).await;
    world.down().await;
}

#[tokio::test]
async fn a_journal_is_not_moved_over_another_or_from_under_a_run() {
    let world = up().await;
    deploy(&world, &[]).await.must_be(0, "a deploy in the bucket");
    world.run(&["rollback", "chat", "--state", BUCKET, "--allow-commands"]).await.must_be(0, "and back");
    world.deploy().await.must_be(0, "a deploy in the directory");
    let directory = world.directory().join("world.state");
    let records = kept(&world).await.len();
    let refused = world.run(&["state", "move", directory.to_str().unwrap(), BUCKET]).await;
    refused.must_be(2, "a move over another journal");
    assert!(refused.stderr.contains("holds another journal"), "{}", refused.stderr);
    assert_eq!(kept(&world).await.len(), records);
    world.run(&["rollback"]).await.must_be(0, "the journal in the directory goes on");
    world.down().await;
}
