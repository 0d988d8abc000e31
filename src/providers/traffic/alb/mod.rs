//! One rule of an Application Load Balancer, as a register: who is forwarded to, with which weights.
//!
//! The API has no compare-and-swap (API reference, ModifyRule and ModifyListener replace the whole action list), so a swap
//! reads, compares, writes the whole list back with only the forward changed, and `settled` reads it again.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::types::Action;
use serde_json::Value;
use tokio::sync::OnceCell;

use self::members::Members;
use self::value::{Forward, Rule};
use super::super::aws::{AwsClients, read_error, write_error};
use super::super::erased;
use super::super::{Place, ProviderError, Ready, Refused, Register, Router, Settled, Split, Trap};
use crate::ids::EnvironmentName;

pub mod members;
mod reading;
pub mod survey;
mod traps;
pub mod value;

/// Which rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The listener's default action.
    Default,
    /// The rule with exactly these conditions.
    Matching {
        /// Host pattern.
        host: Option<String>,
        /// Path pattern.
        path: Option<String>,
    },
}

/// A rule, the target groups of the environments, and the floor below which a group gets no traffic.
#[derive(Debug)]
pub struct Alb {
    clients: Arc<AwsClients>,
    listener: String,
    which: Which,
    /// Names or ARNs, as the plan says.
    groups: BTreeMap<EnvironmentName, String>,
    floor: u32,
    owner: Option<String>,
    rule_arn: OnceCell<String>,
    group_arns: OnceCell<BTreeMap<EnvironmentName, String>>,
}

impl Alb {
    /// The register of a rule. Opens nothing.
    pub fn new(
        clients: Arc<AwsClients>,
        listener: String,
        which: Which,
        groups: BTreeMap<EnvironmentName, String>,
        floor: u32,
        owner: Option<String>,
    ) -> Self {
        Self { clients, listener, which, groups, floor, owner, rule_arn: OnceCell::new(), group_arns: OnceCell::new() }
    }

    fn call(&self, operation: &str) -> String {
        format!("elbv2 {operation} of {}", Register::key(self))
    }

    /// The group of an environment; known once the rule was read.
    fn group(&self, environment: &EnvironmentName) -> Result<&String, Refused> {
        let arns = self.group_arns.get().ok_or_else(|| Refused("the rule was not read yet".to_owned()))?;
        arns.get(environment).ok_or_else(|| Refused(format!("the rule has no target group for `{environment}`")))
    }

    fn environment_of(&self, arn: &str) -> Option<&EnvironmentName> {
        self.group_arns.get()?.iter().find(|(_, known)| *known == arn).map(|(e, _)| e)
    }

    async fn write(&self, actions: Vec<Action>) -> Result<(), ProviderError> {
        let client = self.clients.elbv2().await?;
        match &self.which {
            Which::Default => {
                let call = self.call("ModifyListener");
                let request = client.modify_listener().listener_arn(&self.listener).set_default_actions(Some(actions));
                request
                    .customize()
                    .config_override(AwsClients::elbv2_once())
                    .send()
                    .await
                    .map(drop)
                    .map_err(|e| write_error(&call, &e))
            }
            Which::Matching { .. } => {
                let call = self.call("ModifyRule");
                let request = client.modify_rule().rule_arn(self.rule_arn().await?).set_actions(Some(actions));
                request
                    .customize()
                    .config_override(AwsClients::elbv2_once())
                    .send()
                    .await
                    .map(drop)
                    .map_err(|e| write_error(&call, &e))
            }
        }
    }
}

#[async_trait]
impl Register for Alb {
    type Value = Rule;

    fn key(&self) -> String {
        let tail = self.listener.rsplit_once("listener/").map_or(self.listener.as_str(), |(_, tail)| tail);
        match &self.which {
            Which::Default => format!("alb {tail} default action"),
            Which::Matching { host, path } => {
                let conditions = [host.as_deref(), path.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
                format!("alb {tail} rule {conditions}")
            }
        }
    }

    async fn read(&self) -> Result<Rule, ProviderError> {
        let (ours, groups, actions) = tokio::join!(self.clients.check_account(), self.group_arns(), self.actions());
        ours?;
        groups?;
        Ok(Rule::from_sdk(&actions?))
    }

    async fn swap(&self, expected: &Rule, new: &Rule) -> Result<Value, ProviderError> {
        let actions = self.actions().await?;
        let live = Rule::from_sdk(&actions);
        if live == *new {
            return Ok(Value::Null);
        }
        if live != *expected {
            let (expected, found) = (self.show(expected), self.show(&live));
            return Err(ProviderError::Conflict { on: Register::key(self), expected, found });
        }
        let refused = |why: &str| ProviderError::Rejected { call: self.call("ModifyRule"), why: why.to_owned() };
        let forward = new.forward.as_ref().ok_or_else(|| refused("the recorded value forwards nowhere"))?;
        if forward.groups.values().all(|weight| *weight == 0) {
            return Err(refused("it would leave every target group at weight 0"));
        }
        self.write(value::with_forward(actions, forward)).await?;
        Ok(Value::Null)
    }

    async fn settled(&self, value: &Rule, _receipt: Option<&Value>) -> Result<Settled, ProviderError> {
        let (groups, actions) = tokio::join!(self.group_arns(), self.actions());
        groups?;
        let live = Rule::from_sdk(&actions?);
        if live == *value {
            // "Rule updates do not take effect immediately" (ELB guide, listener rules): what clients see is `verify`'s to say.
            return Ok(Settled::Yes(format!("read back {}", self.show(&live))));
        }
        let (expected, found) = (self.show(value), self.show(&live));
        Err(ProviderError::Conflict { on: Register::key(self), expected, found })
    }

    fn show(&self, value: &Rule) -> String {
        let Some(forward) = &value.forward else { return "no forward".to_owned() };
        let name = |arn: &str| match self.environment_of(arn) {
            Some(environment) => environment.to_string(),
            None => value::short_name(arn).to_owned(),
        };
        let groups: Vec<_> = forward.groups.iter().map(|(arn, weight)| format!("{} {weight}", name(arn))).collect();
        groups.join(", ")
    }
}

#[async_trait]
impl Router for Alb {
    fn aim(&self, live: &Rule, want: &Split) -> Result<Rule, Refused> {
        let forward = live.forward.as_ref().ok_or_else(|| Refused("the rule has no forward action".to_owned()))?;
        let mut groups = forward.groups.clone();
        for environment in self.groups.keys() {
            let arn = self.group(environment)?;
            // Thousandths to hundredths; a share that is wanted is never 0.
            let share = (want.share(environment) / 10).max(u32::from(want.share(environment) > 0));
            if share > 0 || groups.contains_key(arn) {
                groups.insert(arn.clone(), u16::try_from(share).unwrap_or(u16::MAX));
            }
        }
        Ok(live.forwarding(groups))
    }

    fn split(&self, value: &Rule) -> Option<Split> {
        let weights = value.forward.as_ref()?.groups.iter().filter(|(_, w)| **w > 0);
        let known: Option<Vec<_>> =
            weights.map(|(arn, w)| Some((self.environment_of(arn)?.clone(), u32::from(*w)))).collect();
        Split::of_weights(known?)
    }

    fn attach(&self, live: &Rule, environment: &EnvironmentName) -> Result<Rule, Refused> {
        let arn = self.group(environment)?;
        let forward = live.forward.as_ref().ok_or_else(|| Refused("the rule has no forward action".to_owned()))?;
        let mut groups = forward.groups.clone();
        groups.entry(arn.clone()).or_insert(0);
        // "A forward action can have at most five target groups" (ELB guide, quotas).
        if groups.len() > 5 {
            return Err(Refused("the rule forwards to five target groups already, and takes no sixth".to_owned()));
        }
        Ok(live.forwarding(groups))
    }

    fn detach(&self, live: &Rule, environment: &EnvironmentName) -> Result<Rule, Refused> {
        let arn = self.group(environment)?;
        let Some(Forward { groups, .. }) = &live.forward else { return Ok(live.clone()) };
        if groups.get(arn).is_some_and(|weight| *weight > 0) {
            return Err(Refused(format!("`{environment}` still gets traffic from {}", Register::key(self))));
        }
        let mut groups = groups.clone();
        groups.remove(arn);
        Ok(live.forwarding(groups))
    }

    fn sticky_s(&self, value: &Rule) -> u32 {
        value.forward.as_ref().and_then(|f| f.sticky_s).unwrap_or(0)
    }

    async fn ready(&self, environment: &EnvironmentName) -> Result<Ready, ProviderError> {
        let health = self.health(environment).await?;
        let healthy = health.get("healthy").copied().unwrap_or(0);
        let said: Vec<_> = health.iter().map(|(state, n)| format!("{n} {state}")).collect();
        let said = if said.is_empty() { "no targets".to_owned() } else { said.join(", ") };
        let says = format!("{said} in the group of {environment}");
        if healthy >= self.floor {
            return Ok(Ready::Yes(says));
        }
        // "unused": no rule names the group; "initial": the first checks are under way (API reference, TargetHealth).
        let not_asked = ["unused", "initial"].iter().any(|state| health.contains_key(*state));
        let says = format!("{says}; {} healthy are needed", self.floor);
        Ok(if not_asked { Ready::NotAsked(says) } else { Ready::No(says) })
    }

    async fn targets(&self, environment: &EnvironmentName) -> Result<Vec<(String, u16)>, ProviderError> {
        let members = self.members_of(environment).await?;
        Ok(members.registered().await?.into_iter().collect())
    }

    async fn members(
        &self,
        environment: &EnvironmentName,
    ) -> Result<Option<Arc<dyn erased::AnyRegister>>, ProviderError> {
        Ok(Some(Arc::new(self.members_of(environment).await?)))
    }

    async fn place(&self) -> Result<Option<Place>, ProviderError> {
        self.listener_parts().await.map(Some)
    }

    async fn traps(&self, live: &Rule) -> Result<Vec<Trap>, ProviderError> {
        self.look_for_traps(live).await
    }
}

impl Alb {
    async fn members_of(&self, environment: &EnvironmentName) -> Result<Members, ProviderError> {
        let arns = self.group_arns().await?;
        let call = self.call("DescribeTargetHealth");
        let why = format!("the rule has no target group for `{environment}`");
        let arn = arns.get(environment).ok_or(ProviderError::Rejected { call, why })?;
        Ok(Members::new(Arc::clone(&self.clients), arn.clone()))
    }

    /// How many targets are in each state.
    async fn health(&self, environment: &EnvironmentName) -> Result<BTreeMap<String, u32>, ProviderError> {
        let members = self.members_of(environment).await?;
        let mut counts = BTreeMap::new();
        for (_, state) in members.health().await? {
            *counts.entry(state).or_insert(0) += 1;
        }
        Ok(counts)
    }

    async fn group_arns(&self) -> Result<&BTreeMap<EnvironmentName, String>, ProviderError> {
        let found = self.group_arns.get_or_try_init(|| async {
            let is_arn = |g: &&String| g.starts_with("arn:");
            let names: Vec<_> = self.groups.values().filter(|g| !is_arn(g)).cloned().collect();
            let mut by_name = BTreeMap::new();
            if !names.is_empty() {
                let call = format!("elbv2 DescribeTargetGroups {}", names.join(", "));
                let request = self.clients.elbv2().await?.describe_target_groups().set_names(Some(names));
                let answer = request.send().await.map_err(|e| read_error(&call, &e))?;
                for group in answer.target_groups() {
                    if let (Some(name), Some(arn)) = (group.target_group_name(), group.target_group_arn()) {
                        by_name.insert(name.to_owned(), arn.to_owned());
                    }
                }
            }
            let arn_of = |(environment, group): (&EnvironmentName, &String)| {
                let arn = if group.starts_with("arn:") { Some(group) } else { by_name.get(group) };
                let call = format!("elbv2 DescribeTargetGroups {group}");
                let missing = ProviderError::Rejected { call, why: "there is no such target group".to_owned() };
                arn.cloned().map(|arn| (environment.clone(), arn)).ok_or(missing)
            };
            self.groups.iter().map(arn_of).collect()
        });
        found.await
    }
}
