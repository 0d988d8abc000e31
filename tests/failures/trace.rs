//! What undisturbed commands write and call: where they can be disturbed.

use serde_json::Value;

use crate::PACE;
use crate::rig::{self, World, journal, look};

/// A command in a world, and what must have been typed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Deploy,
    /// Of what is deployed.
    Rollback,
    /// Of what is deployed.
    Finalize,
    /// Of what is finalized: what is gone is started again.
    RollbackFinalized,
}

impl Phase {
    pub(crate) const ALL: [Self; 4] = [Self::Deploy, Self::Rollback, Self::Finalize, Self::RollbackFinalized];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Finalize => "finalize",
            Self::RollbackFinalized => "rollback after finalize",
        }
    }

    /// Brings a new world to where this command is typed.
    pub(crate) async fn before(self, world: &World) {
        if self != Self::Deploy {
            world.deploy().await.must_be(0, "deploy");
        }
        if self == Self::RollbackFinalized {
            world.run(&["finalize", "--now"]).await.must_be(0, "finalize");
        }
    }

    /// What is typed.
    pub(crate) fn command(self, world: &World) -> Vec<&str> {
        match self {
            Self::Deploy => vec!["deploy", world.plan_text(), "--yes", "--output", "json"],
            Self::Rollback | Self::RollbackFinalized => vec!["rollback", "--output", "json"],
            Self::Finalize => vec!["finalize", "--now", "--output", "json"],
        }
    }
}

/// What one command wrote and called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    /// The records, as JSON, in order.
    pub(crate) records: Vec<Value>,
    /// The calls, in order of arrival.
    pub(crate) calls: Vec<Value>,
}

impl Trace {
    /// The nth call (from 1) of each operation, in order: where a fault can be ordered. Only those that change something, or
    /// only those that do not.
    pub(crate) fn sites(&self, mutating: bool) -> Vec<(String, u32, &Value)> {
        let mut counts = std::collections::BTreeMap::<&str, u32>::new();
        let numbered = self.calls.iter().map(|call| {
            let operation = call["operation"].as_str().expect("a name");
            let n = counts.entry(operation).or_default();
            *n += 1;
            (operation.to_owned(), *n, call)
        });
        numbered.collect::<Vec<_>>().into_iter().filter(|(_, _, call)| call["mutating"] == mutating).collect()
    }
}

/// The undisturbed ends of a plan, and the way to each.
#[derive(Debug, Clone)]
pub(crate) struct Undisturbed {
    pub(crate) before: Value,
    pub(crate) deployed: Value,
    pub(crate) finalized: Value,
    pub(crate) traces: Vec<(Phase, Trace)>,
}

impl Undisturbed {
    pub(crate) async fn of(plan: &str) -> Self {
        let mut traces = Vec::new();
        let world = up(plan).await;
        let before = look::routers(&world).await;
        traces.push((Phase::Deploy, done(&world, Phase::Deploy).await));
        let deployed = look::routers(&world).await;
        assert_ne!(before, deployed, "a deploy moves something");
        traces.push((Phase::Rollback, done(&world, Phase::Rollback).await));
        look::must_equal(&look::routers(&world).await, &before, "rolled back is as before", &world.said());
        world.down().await;
        let world = up(plan).await;
        world.deploy().await.must_be(0, "deploy");
        traces.push((Phase::Finalize, done(&world, Phase::Finalize).await));
        let finalized = look::routers(&world).await;
        traces.push((Phase::RollbackFinalized, done(&world, Phase::RollbackFinalized).await));
        look::must_equal(&look::routers(&world).await, &before, "rolled back is as before", &world.said());
        world.down().await;
        Self { before, deployed, finalized, traces }
    }

    pub(crate) fn trace(&self, phase: Phase) -> &Trace {
        &self.traces.iter().find(|(p, _)| *p == phase).expect("each was done").1
    }
}

/// A new world of `plans/NAME.yaml` for a cell.
pub(crate) async fn up(plan: &str) -> World {
    World::up(&rig::plan(plan), PACE).await.with_short_times().await
}

/// Does what `phase` is about, and says what it wrote and called.
async fn done(world: &World, phase: Phase) -> Trace {
    let command = phase.command(world);
    traced(world, &command).await
}

/// Runs a command that must succeed, and says what it wrote and called.
pub(crate) async fn traced(world: &World, command: &[&str]) -> Trace {
    let (wrote, called) =
        (journal::of(world).records.len(), world.oracle("calls").await.as_array().map_or(0, Vec::len));
    world.run(command).await.must_be(0, command[0]);
    let records = journal::of(world).records.into_iter().skip(wrote);
    let records = records.map(|record| serde_json::to_value(record).expect("records are JSON")).collect();
    let calls = world.oracle("calls").await.as_array().into_iter().flatten().skip(called).cloned().collect();
    Trace { records, calls }
}
