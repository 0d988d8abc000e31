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
pub(super) struct Watching {
    handle: Arc<tokio::sync::Mutex<Option<Handle>>>,
    latest: Arc<std::sync::Mutex<WitnessReport>>,
    refresh: tokio::task::JoinHandle<()>,
}

/// How often the count is taken for whoever asks meanwhile.
const EVERY: std::time::Duration = std::time::Duration::from_millis(200);

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
        let handle = witness::start(&backends.addresses, asker, order, Arc::clone(&desk.clock));
        let latest = Arc::new(std::sync::Mutex::new(handle.snapshot()));
        let handle = Arc::new(tokio::sync::Mutex::new(Some(handle)));
        let refresh = tokio::spawn(follow(Arc::clone(&handle), Arc::clone(&latest)));
        Some(Self { handle, latest, refresh })
    }

    /// Says what was counted so far, for whoever watches.
    pub(super) fn says(&self) -> crate::report::bars::Witness {
        let latest = Arc::clone(&self.latest);
        Box::new(move || {
            let report = latest.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            crate::report::words::observed(&serde_json::to_value(report).unwrap_or_default())
        })
    }

    /// What is kept in the journal at the end of the run.
    pub(super) fn observer(&self) -> Observer {
        let latest = Arc::clone(&self.latest);
        Box::new(move || {
            let report = latest.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            ("witness".to_owned(), serde_json::to_value(report).unwrap_or_default())
        })
    }

    /// Ends it and tells what it saw.
    pub(super) async fn finish(self) -> Value {
        self.refresh.abort();
        match self.handle.lock().await.take() {
            Some(handle) => serde_json::to_value(handle.finish().await).unwrap_or_default(),
            None => Value::Null,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "counting goes by real time")]
async fn follow(handle: Arc<tokio::sync::Mutex<Option<Handle>>>, latest: Arc<std::sync::Mutex<WitnessReport>>) {
    loop {
        if let Some(handle) = handle.lock().await.as_ref() {
            *latest.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = handle.snapshot();
        }
        tokio::time::sleep(EVERY).await;
    }
}
