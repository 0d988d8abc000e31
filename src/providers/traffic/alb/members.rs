//! The targets that are registered in a group, as a register.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::types::{TargetDescription, TargetHealthStateEnum};
use serde_json::Value;

use super::super::super::aws::{AwsClients, read_error, write_error};
use super::super::super::{ProviderError, Register, Settled};
use super::value::short_name;

/// Who is registered in one target group.
#[derive(Debug)]
pub struct Members {
    clients: Arc<AwsClients>,
    group: String,
}

/// Address or instance id, and port.
pub type Target = (String, u16);

impl Members {
    /// The members of the group with this ARN.
    pub fn new(clients: Arc<AwsClients>, group: String) -> Self {
        Self { clients, group }
    }

    /// Every target with its state (`healthy`, `initial`, `draining`, ...).
    pub async fn health(&self) -> Result<Vec<(Target, String)>, ProviderError> {
        let call = format!("elbv2 DescribeTargetHealth of {}", short_name(&self.group));
        let answer = self.clients.elbv2().await?.describe_target_health().target_group_arn(&self.group).send().await;
        let answer = answer.map_err(|e| read_error(&call, &e))?;
        let described = answer.target_health_descriptions().iter().filter_map(|d| {
            let target = d.target()?;
            let state = d.target_health().and_then(|h| h.state()).map_or("unknown", TargetHealthStateEnum::as_str);
            let port = target.port().and_then(|p| u16::try_from(p).ok()).unwrap_or(0);
            Some(((target.id()?.to_owned(), port), state.to_owned()))
        });
        Ok(described.collect())
    }

    /// The targets that are not on their way out.
    pub async fn registered(&self) -> Result<BTreeSet<Target>, ProviderError> {
        Ok(self.health().await?.into_iter().filter(|(_, state)| stays(state)).map(|(target, _)| target).collect())
    }
}

/// Whether a target in this state is registered, and not on its way out.
fn stays(state: &str) -> bool {
    !state.contains("draining")
}

fn describe<'a>(targets: impl Iterator<Item = &'a Target>) -> Vec<TargetDescription> {
    targets.map(|(id, port)| TargetDescription::builder().id(id).port(i32::from(*port)).build()).collect()
}

#[async_trait]
impl Register for Members {
    type Value = BTreeSet<Target>;

    fn key(&self) -> String {
        format!("alb target group {}", short_name(&self.group))
    }

    async fn read(&self) -> Result<BTreeSet<Target>, ProviderError> {
        self.registered().await
    }

    /// There is no compare in this API either: others' targets are never touched, only the difference is written.
    async fn swap(&self, expected: &BTreeSet<Target>, new: &BTreeSet<Target>) -> Result<Value, ProviderError> {
        let live = self.registered().await?;
        let come: Vec<_> = new.difference(expected).filter(|t| !live.contains(*t)).collect();
        let gone: Vec<_> = expected.difference(new).filter(|t| live.contains(*t)).collect();
        let client = self.clients.elbv2().await?;
        if !come.is_empty() {
            let call = format!("elbv2 RegisterTargets in {}", short_name(&self.group));
            let request =
                client.register_targets().target_group_arn(&self.group).set_targets(Some(describe(come.into_iter())));
            request
                .customize()
                .config_override(self.clients.elbv2_once())
                .send()
                .await
                .map_err(|e| write_error(&call, &e))?;
        }
        if !gone.is_empty() {
            let call = format!("elbv2 DeregisterTargets in {}", short_name(&self.group));
            let request =
                client.deregister_targets().target_group_arn(&self.group).set_targets(Some(describe(gone.into_iter())));
            request
                .customize()
                .config_override(self.clients.elbv2_once())
                .send()
                .await
                .map_err(|e| write_error(&call, &e))?;
        }
        Ok(Value::Null)
    }

    async fn settled(&self, value: &BTreeSet<Target>, _receipt: Option<&Value>) -> Result<Settled, ProviderError> {
        let health = self.health().await?;
        let there = |target: &Target| health.iter().any(|(known, state)| known == target && stays(state));
        let missing: Vec<_> = value.iter().filter(|t| !there(t)).map(show).collect();
        if !missing.is_empty() {
            return Ok(Settled::NotYet(format!("not registered yet: {}", missing.join(", "))));
        }
        let leaving: Vec<_> =
            health.iter().filter(|(t, state)| !value.contains(t) && state.contains("draining")).collect();
        Ok(if leaving.is_empty() {
            Settled::Yes(format!("{} registered", value.len()))
        } else {
            Settled::NotYet(format!("{} still draining", leaving.len()))
        })
    }

    fn merges(&self) -> bool {
        true
    }

    fn has(&self, live: &BTreeSet<Target>, from: &BTreeSet<Target>, to: &BTreeSet<Target>) -> bool {
        to.difference(from).all(|t| live.contains(t)) && from.difference(to).all(|t| !live.contains(t))
    }

    fn show(&self, value: &BTreeSet<Target>) -> String {
        if value.is_empty() { "no targets".to_owned() } else { value.iter().map(show).collect::<Vec<_>>().join(", ") }
    }
}

fn show((id, port): &Target) -> String {
    format!("{id}:{port}")
}
