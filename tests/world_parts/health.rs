use std::sync::Arc;
use std::time::Duration;

use modelswap::lab::balancer::Balancers;
use modelswap::lab::state::{Health, SharedCloud};
use serde_json::json;

use crate::support::{
    ManualClock, cloud_with_listener, eventually, fast, forward_to, group_of, model, nobody, real_time, register,
    set_rule, target,
};

fn health(cloud: &SharedCloud, group: &str) -> Health {
    cloud.lock().groups[group].targets[0].health
}

#[tokio::test]
async fn a_new_target_is_healthy_after_one_pass_and_a_dead_one_unhealthy_after_its_threshold() {
    let cloud = cloud_with_listener(&[("a", 1), ("b", 0)]);
    let a = model("a", real_time(), |_| {}).await;
    register(&cloud, "a", target("10.0.0.1", a.address, Health::Initial));
    register(&cloud, "b", target("10.0.0.2", nobody(), Health::Initial));
    let _balancers = Balancers::start(cloud.clone(), fast(60.0)).await.unwrap();
    eventually("a is healthy", async || health(&cloud, "a") == Health::Healthy).await;
    eventually("b is unhealthy, at weight 0 as well", async || health(&cloud, "b") == Health::Unhealthy).await;
    assert_eq!(cloud.lock().groups["b"].targets[0].passes, 0);
}

#[tokio::test]
async fn a_group_that_no_rule_names_is_not_checked_until_one_does() {
    let cloud = cloud_with_listener(&[("a", 1)]);
    let b = model("b", real_time(), |_| {}).await;
    cloud.lock().groups.insert("b".into(), group_of(vec![target("10.0.0.2", b.address, Health::Initial)]));
    register(&cloud, "a", target("10.0.0.1", nobody(), Health::Initial));
    let _balancers = Balancers::start(cloud.clone(), fast(60.0)).await.unwrap();
    // Two rounds of a's checks have passed by then.
    eventually("a is unhealthy", async || health(&cloud, "a") == Health::Unhealthy).await;
    assert_eq!(health(&cloud, "b"), Health::Initial);
    set_rule(&cloud, "default", forward_to(&[("a", 1), ("b", 0)], None));
    eventually("b is healthy", async || health(&cloud, "b") == Health::Healthy).await;
    set_rule(&cloud, "default", forward_to(&[("a", 1)], None));
    eventually("b is forgotten", async || health(&cloud, "b") == Health::Initial).await;
}

#[tokio::test]
async fn a_loading_server_is_unhealthy_until_it_has_loaded_and_a_lying_one_is_not() {
    let clock = ManualClock::new();
    let cloud = cloud_with_listener(&[("honest", 1), ("liar", 1)]);
    let loading = Duration::from_mins(2);
    let honest = model("h", clock.clone(), |o| o.load = loading).await;
    let liar = model("l", clock.clone(), |o| (o.load, o.lying_health) = (loading, true)).await;
    register(&cloud, "honest", target("10.0.0.1", honest.address, Health::Initial));
    register(&cloud, "liar", target("10.0.0.2", liar.address, Health::Initial));
    let _balancers = Balancers::start(cloud.clone(), clock.clone()).await.unwrap();
    let step = async |wanted: Health| {
        eventually(&format!("the honest one is {wanted:?}"), async || {
            clock.advance(1);
            health(&cloud, "honest") == wanted
        })
        .await;
    };
    step(Health::Unhealthy).await;
    eventually("the liar is healthy", async || health(&cloud, "liar") == Health::Healthy).await;
    let refused = crate::support::complete(&crate::support::client(), liar.address, json!({})).await;
    assert_eq!(refused.status(), 503, "healthy, and completes nothing");
    step(Health::Healthy).await;
    let passes = cloud.lock().groups["honest"].targets[0].passes;
    assert!(passes >= 2, "healthy again after {passes} passes");
    let _kept: Arc<ManualClock> = clock;
}
