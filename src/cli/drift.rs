//! `--on-drift`: what going back does with a value that somebody else changed meanwhile.

use super::past::Past;
use super::{Exit, Failure};
use crate::journal::fact::{FailureKind, OnDrift};
use crate::journal::state::RunState;
use crate::plan::graph::Graph;

/// What was said, checked against what the run has: `merge`, or `force:` with a router, a step or the key of a register.
pub(super) fn said(options: &[String], run: &RunState, past: &Past) -> Result<OnDrift, Failure> {
    let mut on_drift = OnDrift::default();
    for option in options {
        match option.split_once(':') {
            None if option == "merge" => on_drift.merge = true,
            Some(("force", name)) if is_known(name, run, past) => on_drift.force.push(name.to_owned()),
            Some(("force", name)) => {
                let routers = past.resolved.plan.routers.keys().map(ToString::to_string);
                let steps = past.graph.nodes.iter().filter(|n| n.shape.effect).map(|n| n.shape.id.to_string());
                let known = routers.chain(steps).collect::<Vec<_>>().join(", ");
                return Err(Failure::new(Exit::Usage, format!("run {} has no `{name}`; nothing was done", run.run))
                    .detail(format!("it has: {known}")));
            }
            _ => {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("`--on-drift {option}` is neither `merge` nor `force:RESOURCE`; nothing was done"),
                ));
            }
        }
    }
    Ok(on_drift)
}

fn is_known(name: &str, run: &RunState, past: &Past) -> bool {
    past.resolved.plan.routers.keys().any(|router| router.as_str() == name)
        || past.graph.nodes.iter().any(|node| node.shape.id.as_str() == name)
        || run.steps.values().any(|s| s.prepared.as_ref().is_some_and(|(p, _)| p.key.as_deref() == Some(name)))
}

/// What to type where somebody else's value was left alone: a line for each resource, and one for all.
pub(super) fn ways_on(graph: &Graph, state: &RunState, back: &str) -> Vec<String> {
    let drifted = graph
        .nodes
        .iter()
        .filter(|node| state.step(&node.shape.id).undo_failed.as_ref().is_some_and(|f| f.kind == FailureKind::Drift));
    let mut names: Vec<String> =
        drifted.map(|n| n.shape.group.as_ref().map_or_else(|| n.shape.id.to_string(), ToString::to_string)).collect();
    names.dedup();
    if names.is_empty() {
        return Vec::new();
    }
    let force = |name: &String| format!("{back} --on-drift force:{name}   overwrites what somebody else put there");
    let merge = format!("{back} --on-drift merge   keeps what somebody else changed, takes back only this run's part");
    std::iter::once(merge).chain(names.iter().map(force)).collect()
}
