//! The witness at the front door while a run is carried on.

use std::sync::Arc;

use serde_json::Value;

use super::desk::Desk;
use crate::engine::drive::Observer;
use crate::plan::compile::Backends;
use crate::plan::resolve::Resolved;
use crate::probes::http::Asker;
use crate::probes::witness::{self, Handle, WitnessReport};

/// A witness at work.
#[derive(Debug)]
pub(super) struct Watching(Handle);

impl Watching {
    /// Starts the plan's witness, if it has one. A witness that cannot start is said, and is no reason to stop.
    pub(super) async fn start(resolved: &Resolved, backends: &Backends, desk: &Desk) -> Option<Self> {
        let plan = resolved.plan.witness.clone()?;
        let asker = match Asker::new(&backends.addresses, &plan.access).await {
            Ok(asker) => asker,
            Err(why) => {
                desk.tell(&format!("no witness: {why}"));
                return None;
            }
        };
        let order = witness::Order {
            witness: plan,
            // Servers answer any name or only their own; clients of a service that changes models name none.
            model: None,
            resolver: backends.resolvers.as_ref().and_then(|r| r.first().copied()),
        };
        Some(Self(witness::start(&backends.addresses, asker, order, Arc::clone(&desk.clock))))
    }

    /// Says what was counted so far, for whoever watches.
    pub(super) fn says(&self) -> crate::report::bars::Witness {
        let onlooker = self.0.onlooker();
        Box::new(move || crate::report::words::observed(&json(&onlooker.report())))
    }

    /// What is kept in the journal at the end of the run.
    pub(super) fn observer(&self) -> Observer {
        let onlooker = self.0.onlooker();
        Box::new(move || ("witness".to_owned(), json(&onlooker.report())))
    }

    /// Ends it and tells what it saw.
    pub(super) async fn finish(self) -> Value {
        json(&self.0.finish().await)
    }
}

fn json(report: &WitnessReport) -> Value {
    serde_json::to_value(report).unwrap_or_default()
}
