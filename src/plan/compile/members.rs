//! The members of an environment's target group, found when they are first asked for: compiling asks nobody.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::ids::EnvironmentName;
use crate::providers::erased::{AnyRegister, AnyRouter};
use crate::providers::{LATE_AT_MOST, Late, ProviderError, Settled};

/// The members of `environment`'s group of `router`.
#[derive(Debug)]
pub(super) struct LazyMembers {
    pub(super) router: Arc<dyn AnyRouter>,
    pub(super) environment: EnvironmentName,
    pub(super) found: OnceCell<Arc<dyn AnyRegister>>,
}

impl LazyMembers {
    async fn find(&self) -> Result<&Arc<dyn AnyRegister>, ProviderError> {
        let find = || async {
            let why = || format!("{} keeps no targets", self.router.key());
            let none =
                || ProviderError::Rejected { call: format!("finding the targets of {}", self.environment), why: why() };
            self.router.members(&self.environment).await?.ok_or_else(none)
        };
        self.found.get_or_try_init(find).await
    }
}

#[async_trait]
impl AnyRegister for LazyMembers {
    fn key(&self) -> String {
        self.found
            .get()
            .map_or_else(|| format!("targets of {} in {}", self.environment, self.router.key()), |m| m.key())
    }
    async fn read(&self) -> Result<Value, ProviderError> {
        self.find().await?.read().await
    }
    async fn swap(&self, expected: &Value, new: &Value) -> Result<Value, ProviderError> {
        self.find().await?.swap(expected, new).await
    }
    async fn settled(&self, value: &Value, receipt: Option<&Value>) -> Result<Settled, ProviderError> {
        self.find().await?.settled(value, receipt).await
    }
    fn show(&self, value: &Value) -> String {
        self.found.get().map_or_else(|| value.to_string(), |m| m.show(value))
    }
    fn merges(&self) -> bool {
        true
    }
    fn late(&self) -> Option<Late> {
        self.found
            .get()
            .map_or(Some(Late { within: LATE_AT_MOST, compared: false, outlives_sender: true }), |m| m.late())
    }
    fn touch(&self, value: &Value, late: &Value) -> Option<Value> {
        self.found.get()?.touch(value, late)
    }
    fn has(&self, live: &Value, from: &Value, to: &Value) -> bool {
        self.found.get().map_or(live == to, |m| m.has(live, from, to))
    }
    fn take_back(&self, live: &Value, before: &Value, want: &Value) -> Option<Value> {
        self.found.get()?.take_back(live, before, want)
    }
}
