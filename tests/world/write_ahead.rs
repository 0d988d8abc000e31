//! The oracle knows whether a change was written down before it was asked for.

use serde_json::json;

use crate::rig::{self, Pace, World, http};

/// A swap of the rule that modelswap did not announce, as its own client would send it.
async fn unannounced_swap(world: &World) {
    let cloud = world.oracle("cloud").await;
    let (rule, held) =
        cloud["rules"].as_object().unwrap().iter().find(|(_, r)| r["hosts"] == json!(["chat.example.com"])).unwrap();
    let group = held["actions"][0]["Forward"]["groups"][0][0].as_str().unwrap();
    let form = [
        ("Action", "ModifyRule"),
        ("Version", "2015-12-01"),
        ("RuleArn", rule),
        ("Actions.member.1.Type", "forward"),
        ("Actions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn", group),
        ("Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight", "100"),
    ];
    http::post_form(&world.file.cloud, &form).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_no_journal_announces_is_found_once_there_is_a_run() {
    let world = World::up(&rig::plan("demo-alb"), Pace { time: 240, load_s: 5 }).await;
    unannounced_swap(&world).await;
    assert_eq!(world.oracle("findings").await, json!([]), "before the first run anybody may try the API");
    assert_eq!(world.deploy().await.code, Some(0));
    assert_eq!(world.oracle("findings").await, json!([]), "every change of a deploy is announced");
    unannounced_swap(&world).await;
    let findings = world.oracle("findings").await;
    let promises: Vec<_> = findings.as_array().unwrap().iter().map(|f| f["promise"].as_str().unwrap()).collect();
    assert_eq!(promises, ["write-ahead"], "{findings}");
    world.down().await;
}
