//! What must be true when a command has ended: the world, the journal, the exit code and the JSON say the same.

use serde_json::{Value, json};

use super::trace::Undisturbed;
use crate::rig::{Ended, World, journal, look};

/// The routers are as planned, and both environments run.
pub(crate) async fn as_planned(world: &World, reference: &Undisturbed) {
    look::must_equal(&look::routers(world).await, &reference.deployed, "it is as planned", &world.said());
    assert_eq!(world.running(), [1, 1], "{}", world.said());
}

/// The routers are as they were, and what was started is gone.
pub(crate) async fn as_before(world: &World, reference: &Undisturbed) {
    look::must_equal(&look::routers(world).await, &reference.before, "it is as before", &world.said());
    assert_eq!(world.running(), [1, 0], "{}", world.said());
}

/// The routers are as planned, and A is gone.
pub(crate) async fn as_finalized(world: &World, reference: &Undisturbed) {
    look::must_equal(&look::routers(world).await, &reference.finalized, "it is finalized", &world.said());
    assert_eq!(world.running(), [0, 1], "{}", world.said());
}

/// Whatever happened, these hold in the end.
pub(crate) async fn sound(world: &World) {
    assert_eq!(world.oracle("findings").await, json!([]), "{}", world.said());
    let written = journal::of(world);
    assert_eq!(written.torn, 0, "the torn tail is cut off");
    let ended = written.log.newest().is_none_or(|run| run.outcome.is_some());
    assert!(ended, "the run has no end in the journal: {:?}", written.records.last().map(|r| &r.fact));
}

/// The JSON that a command ended with says what its exit code says, and the world is so.
pub(crate) async fn truthful(world: &World, reference: &Undisturbed, ended: &Ended) {
    let Some(said) = last_object(&ended.stdout) else {
        let nothing = ended.stderr.contains("nothing was done");
        assert!(ended.code != Some(0) || nothing, "it ended well and said nothing: {}", ended.stderr);
        return;
    };
    if said["type"] != "finished" {
        return;
    }
    assert_eq!(said["exit"].as_i64(), ended.code.map(i64::from), "{said}");
    match (ended.code, said["outcome"].as_str()) {
        (Some(0), Some("deployed")) => as_planned(world, reference).await,
        (Some(0), Some("finalized")) => as_finalized(world, reference).await,
        (Some(0 | 3), Some("rolled_back")) => as_before(world, reference).await,
        (Some(0), Some("already")) => {}
        (Some(5), Some("rollback_incomplete")) => {
            if said["traffic_restored"] == true {
                assert_eq!(look::live(world).await.as_deref(), Ok("a"), "{said}\n{}", world.said());
            }
        }
        (Some(4 | 6 | 9), Some("held")) => {}
        other => panic!("exit code and outcome do not belong together: {other:?}: {said}"),
    }
}

fn last_object(stdout: &str) -> Option<Value> {
    stdout.lines().rev().find(|line| !line.is_empty()).and_then(|line| serde_json::from_str(line).ok())
}
