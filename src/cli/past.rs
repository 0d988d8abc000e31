//! A run of the past, compiled again from its record alone: no plan file, no variables, nothing detected.

use super::desk::Desk;
use super::{Exit, Failure, backends};
use crate::journal::state::RunState;
use crate::plan::compile::{Backends, compile};
use crate::plan::graph::Graph;
use crate::plan::resolve::{FORMAT, Resolved};

/// A run's plan and what it is compiled to.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) resolved: Resolved,
    pub(super) backends: Backends,
    pub(super) graph: Graph,
    /// Commands that may not run here, a line each.
    pub(super) withheld: Vec<String>,
}

/// Reads a run's plan from its record.
pub(super) fn recall(run: &RunState, desk: &Desk) -> Result<Past, Failure> {
    let foreign = |why: String| {
        Failure::new(Exit::Usage, format!("run {} cannot be carried on by this modelswap: {why}", run.run))
            .detail("nothing was changed")
            .hint("use the modelswap that began it (`modelswap history` shows which), or a newer one")
    };
    if run.started.format > FORMAT {
        return Err(foreign(format!("its plan has format {}, this one knows {FORMAT} at most", run.started.format)));
    }
    let mut resolved: Resolved =
        serde_json::from_value(run.started.resolved.clone()).map_err(|e| foreign(e.to_string()))?;
    let withheld = desk.withhold(&mut resolved);
    let backends = backends::with_environments(backends::open(&resolved.plan, desk), &resolved, desk);
    let graph = compile(&resolved, &backends)
        .map_err(|errors| foreign(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    Ok(Past { resolved, backends, graph, withheld })
}
