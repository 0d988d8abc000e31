//! A deploy that nothing disturbs: what the disturbed ones are compared with.

use std::path::Path;

use serde_json::Value;

use super::{Pace, World, journal, look};

/// What an undisturbed deploy of a plan leaves behind.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    /// The routers before and after.
    pub(crate) before: Value,
    pub(crate) deployed: Value,
    /// Records that the deploy wrote, and those that the rollback of it wrote after them.
    pub(crate) deploy_records: u64,
    pub(crate) rollback_records: u64,
    /// The operations of its mutating calls, in their order.
    pub(crate) mutations: Vec<String>,
}

impl Reference {
    /// Deploys and rolls back in a world that ends with this.
    pub(crate) async fn of(plan: &Path, pace: Pace) -> Self {
        let world = World::up(plan, pace).await;
        let before = look::routers(&world).await;
        world.deploy().await.must_be(0, "the undisturbed deploy");
        let deployed = look::routers(&world).await;
        assert_ne!(before, deployed, "a deploy moves something");
        let deploy_records = journal::of(&world).log.head.seq;
        let calls = world.oracle("calls").await;
        let mutating = calls.as_array().expect("a list").iter().filter(|c| c["mutating"] == true);
        let mutations = mutating.map(|c| c["operation"].as_str().unwrap_or_default().to_owned()).collect();
        world.run(&["rollback"]).await.must_be(0, "the undisturbed rollback");
        let rollback_records = journal::of(&world).log.head.seq - deploy_records;
        look::must_equal(&look::routers(&world).await, &before, "rolled back is as before", &world.said());
        world.down().await;
        Self { before, deployed, deploy_records, rollback_records, mutations }
    }
}
