//! What a run has left in place, as its record alone says it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::journal::state::RunState;
use crate::plan::graph::Graph;

/// What one register should hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standing {
    pub(super) value: Value,
    /// Whether the last change of it was answered. If not, it may have happened or not.
    pub(super) sure: bool,
}

/// By register, for those that the run looked at.
pub(super) fn standing(graph: &Graph, state: &RunState) -> BTreeMap<String, Standing> {
    let mut held: BTreeMap<String, Standing> = BTreeMap::new();
    for node in &graph.nodes {
        let step = state.step(&node.shape.id);
        let Some((prepared, key)) = step.prepared.as_ref().and_then(|(p, _)| Some((p, p.key.clone()?))) else {
            continue;
        };
        if let Some(touched) = step.touched.as_ref().filter(|_| step.undone.is_some()) {
            held.insert(key, Standing { value: touched.clone(), sure: true });
        } else if step.has_effect() {
            // A step that was being taken back is as open as one that was being made.
            let sure = (step.applied.is_some() || step.verified.is_some()) && step.undo_attempts == 0;
            held.insert(key, Standing { value: prepared.want.clone(), sure });
        } else {
            // Steps on one register are taken back together, so the first one knows what is there again.
            let value = step.goes_back_to().unwrap_or(&prepared.before).clone();
            held.entry(key).or_insert(Standing { value, sure: true });
        }
    }
    held
}
