//! Registers without their types, so that steps of all kinds hold them alike and the journal keeps their values.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::{Answers, Datum, Place, ProviderError, Ready, Refused, Register, Router, Settled, Split, Trap};
use crate::ids::EnvironmentName;

/// A [`Register`] whose value is JSON.
#[async_trait]
pub trait AnyRegister: Send + Sync + std::fmt::Debug {
    /// See [`Register::key`].
    fn key(&self) -> String;
    /// See [`Register::read`].
    async fn read(&self) -> Result<Value, ProviderError>;
    /// See [`Register::swap`].
    async fn swap(&self, expected: &Value, new: &Value) -> Result<Value, ProviderError>;
    /// See [`Register::settled`].
    async fn settled(&self, value: &Value, receipt: Option<&Value>) -> Result<Settled, ProviderError>;
    /// See [`Register::show`].
    fn show(&self, value: &Value) -> String;
    /// See [`Register::merges`].
    fn merges(&self) -> bool;
}

/// A [`Router`] whose value is JSON.
#[async_trait]
pub trait AnyRouter: AnyRegister {
    /// See [`Router::aim`].
    fn aim(&self, live: &Value, want: &Split) -> Result<Value, Refused>;
    /// See [`Router::split`].
    fn split(&self, value: &Value) -> Option<Split>;
    /// See [`Router::attach`].
    fn attach(&self, live: &Value, environment: &EnvironmentName) -> Result<Value, Refused>;
    /// See [`Router::detach`].
    fn detach(&self, live: &Value, environment: &EnvironmentName) -> Result<Value, Refused>;
    /// See [`Router::ttl_s`].
    fn ttl_s(&self, value: &Value) -> Option<u32>;
    /// See [`Router::with_ttl`].
    fn with_ttl(&self, live: &Value, ttl_s: u32) -> Result<Value, Refused>;
    /// See [`Router::sticky_s`].
    fn sticky_s(&self, value: &Value) -> u32;
    /// See [`Router::ready`].
    async fn ready(&self, environment: &EnvironmentName) -> Result<Ready, ProviderError>;
    /// See [`Router::traps`].
    async fn traps(&self, live: &Value) -> Result<Vec<Trap>, ProviderError>;
    /// See [`Router::targets`].
    async fn targets(&self, environment: &EnvironmentName) -> Result<Vec<(String, u16)>, ProviderError>;
    /// See [`Router::members`].
    async fn members(&self, environment: &EnvironmentName) -> Result<Option<Arc<dyn AnyRegister>>, ProviderError>;
    /// See [`Router::place`].
    async fn place(&self) -> Result<Option<Place>, ProviderError>;
    /// See [`Router::name_servers`].
    async fn name_servers(&self) -> Result<Vec<String>, ProviderError>;
    /// See [`Router::answers`].
    fn answers(&self, value: &Value) -> Option<Answers>;
}

fn typed<T: Datum>(call: &str, value: &Value) -> Result<T, ProviderError> {
    serde_json::from_value(value.clone()).map_err(|e| ProviderError::Rejected {
        call: call.to_owned(),
        why: format!("the recorded value is not one of its own: {e}"),
    })
}

fn json<T: Datum>(value: &T) -> Value {
    serde_json::to_value(value).expect("BUG: values of registers are JSON")
}

#[async_trait]
impl<R: Register> AnyRegister for R {
    fn key(&self) -> String {
        Register::key(self)
    }
    async fn read(&self) -> Result<Value, ProviderError> {
        Ok(json(&Register::read(self).await?))
    }
    async fn swap(&self, expected: &Value, new: &Value) -> Result<Value, ProviderError> {
        let call = Register::key(self);
        Register::swap(self, &typed(&call, expected)?, &typed(&call, new)?).await
    }
    async fn settled(&self, value: &Value, receipt: Option<&Value>) -> Result<Settled, ProviderError> {
        Register::settled(self, &typed(&Register::key(self), value)?, receipt).await
    }
    fn merges(&self) -> bool {
        Register::merges(self)
    }
    fn show(&self, value: &Value) -> String {
        typed(&Register::key(self), value).map_or_else(|e| e.to_string(), |v| Register::show(self, &v))
    }
}

/// A pure function of a router, over JSON.
fn with<R: Router>(
    router: &R,
    live: &Value,
    f: impl FnOnce(&R::Value) -> Result<R::Value, Refused>,
) -> Result<Value, Refused> {
    let live: R::Value = typed(&Register::key(router), live).map_err(|e| Refused(e.to_string()))?;
    Ok(json(&f(&live)?))
}

#[async_trait]
impl<R: Router> AnyRouter for R {
    fn aim(&self, live: &Value, want: &Split) -> Result<Value, Refused> {
        with(self, live, |live| Router::aim(self, live, want))
    }
    fn split(&self, value: &Value) -> Option<Split> {
        Router::split(self, &typed(&Register::key(self), value).ok()?)
    }
    fn attach(&self, live: &Value, environment: &EnvironmentName) -> Result<Value, Refused> {
        with(self, live, |live| Router::attach(self, live, environment))
    }
    fn detach(&self, live: &Value, environment: &EnvironmentName) -> Result<Value, Refused> {
        with(self, live, |live| Router::detach(self, live, environment))
    }
    fn ttl_s(&self, value: &Value) -> Option<u32> {
        Router::ttl_s(self, &typed(&Register::key(self), value).ok()?)
    }
    fn with_ttl(&self, live: &Value, ttl_s: u32) -> Result<Value, Refused> {
        with(self, live, |live| Router::with_ttl(self, live, ttl_s))
    }
    fn sticky_s(&self, value: &Value) -> u32 {
        typed(&Register::key(self), value).map_or(0, |v| Router::sticky_s(self, &v))
    }
    async fn ready(&self, environment: &EnvironmentName) -> Result<Ready, ProviderError> {
        Router::ready(self, environment).await
    }
    async fn traps(&self, live: &Value) -> Result<Vec<Trap>, ProviderError> {
        Router::traps(self, &typed(&Register::key(self), live)?).await
    }
    async fn targets(&self, environment: &EnvironmentName) -> Result<Vec<(String, u16)>, ProviderError> {
        Router::targets(self, environment).await
    }
    async fn members(&self, environment: &EnvironmentName) -> Result<Option<Arc<dyn AnyRegister>>, ProviderError> {
        Router::members(self, environment).await
    }
    async fn place(&self) -> Result<Option<Place>, ProviderError> {
        Router::place(self).await
    }
    async fn name_servers(&self) -> Result<Vec<String>, ProviderError> {
        Router::name_servers(self).await
    }
    fn answers(&self, value: &Value) -> Option<Answers> {
        Router::answers(self, &typed(&Register::key(self), value).ok()?)
    }
}
