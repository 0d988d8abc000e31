//! Any machine that sees the state can look, go back and go on.

use super::{HOST, deploy, forget_mirror, kept, must_be_sound, run, run_on, up};

#[tokio::test]
async fn what_one_machine_deployed_another_rolls_back() {
    let world = up().await;
    deploy(&world, &[(HOST, "ci-7")]).await.must_be(0, "the deploy");
    assert!(kept(&world).await.len() > 10, "the journal is in the bucket");
    forget_mirror(&world);
    let laptop = [(HOST, "laptop")];
    let status = run_on(&world, &["status"], &laptop).await;
    status.must_be(0, "status");
    assert!(status.stdout.contains("deployed") && status.stdout.contains("@ci-7"), "{}", status.stdout);
    let history = run_on(&world, &["history", "--verify"], &laptop).await;
    history.must_be(0, "history");
    assert!(history.stdout.contains("each follows from the one before it"), "{}", history.stdout);
    run_on(&world, &["events"], &laptop).await.must_be(0, "events");
    let back = run_on(&world, &["rollback", "--allow-commands"], &laptop).await;
    back.must_be(0, "the rollback");
    assert_eq!(world.running(), [world.running()[0], 0], "b is stopped again");
    must_be_sound(&world).await;
    world.down().await;
}

#[tokio::test]
async fn a_crash_is_resumed_from_the_bucket() {
    let world = up().await;
    let crash = [(modelswap::lab::crash::VARIABLE, "after:9")];
    assert_eq!(deploy(&world, &crash).await.signal, Some(9));
    assert_eq!(kept(&world).await.len(), 9);
    forget_mirror(&world);
    let refused = run(&world, &["resume"]).await;
    refused.must_be(8, "a resume on the word of the bucket alone");
    assert!(refused.stderr.contains("--plan FILE"), "{}", refused.stderr);
    run(&world, &["resume", "--plan", world.plan_text()]).await.must_be(0, "the resume");
    must_be_sound(&world).await;
    world.down().await;
}

#[tokio::test]
async fn a_holder_elsewhere_is_taken_over_by_itself_when_its_lease_is_over() {
    let world = up().await;
    let crash = [(modelswap::lab::crash::VARIABLE, "after:9"), (HOST, "ci-7")];
    assert_eq!(deploy(&world, &crash).await.signal, Some(9));
    let at_once = run(&world, &["rollback", "--allow-commands"]).await;
    // On a busy machine the minute of the world may be over already.
    if at_once.code == Some(7) {
        assert!(at_once.stderr.contains("--takeover --reason"), "{}", at_once.stderr);
        let mut ended = at_once;
        for _ in 0..200 {
            ended = run(&world, &["rollback", "--allow-commands"]).await;
            if ended.code != Some(7) {
                break;
            }
        }
        ended.must_be(0, "the rollback after the lease");
    } else {
        at_once.must_be(0, "the rollback");
    }
    must_be_sound(&world).await;
    world.down().await;
}

#[tokio::test]
async fn a_holder_elsewhere_is_taken_over_at_once_when_that_is_said() {
    let world = up().await;
    let crash = [(modelswap::lab::crash::VARIABLE, "after:9"), (HOST, "ci-7")];
    assert_eq!(deploy(&world, &crash).await.signal, Some(9));
    let args = ["resume", "--plan", world.plan_text(), "--takeover", "--reason", "the job was killed"];
    run(&world, &args).await.must_be(0, "the resume");
    must_be_sound(&world).await;
    world.down().await;
}
