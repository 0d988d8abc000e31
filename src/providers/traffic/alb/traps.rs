//! What is known to go wrong with a balancer, looked up before the first effect.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::super::super::aws::read_error;
use super::super::super::{ProviderError, Trap};
use super::value::{Rule, short_name};
use super::{Alb, Which};

/// A stream longer than the deregistration delay is cut; model streams of several minutes are common.
const SHORT_DELAY_S: u32 = 60;

impl Alb {
    pub(super) async fn look_for_traps(&self, live: &Rule) -> Result<Vec<Trap>, ProviderError> {
        let mut traps = Vec::new();
        if let Some(seconds) = live.forward.as_ref().and_then(|f| f.sticky_s) {
            traps.push(Trap {
                code: "sticky-groups".to_owned(),
                must_acknowledge: true,
                says: format!("the rule keeps clients on their group by a cookie for {seconds} s: it outranks weight 0"),
                hint: format!("keep A for {seconds} s after the swap, or switch the stickiness off, then `acknowledge: [sticky-groups]`"),
            });
        }
        if self.floor == 0 {
            traps.push(Trap {
                code: "fail-open".to_owned(),
                must_acknowledge: true,
                says: "with `floor: 0` traffic may go to a group without a healthy target; a balancer then sends it to loading servers".to_owned(),
                hint: "set `floor` to at least 1".to_owned(),
            });
        }
        let groups: Vec<_> = self.group_arns().await?.values().cloned().collect();
        let manager = async { if self.owner.is_none() { self.other_manager().await } else { Ok(None) } };
        let (attributes, manager) =
            tokio::join!(try_join_all(groups.iter().map(|group| self.attributes(group))), manager);
        for (group, attributes) in groups.iter().zip(attributes?) {
            let delay =
                attributes.get("deregistration_delay.timeout_seconds").and_then(|v| v.parse().ok()).unwrap_or(300);
            if delay < SHORT_DELAY_S {
                traps.push(Trap {
                    code: "short-deregistration-delay".to_owned(),
                    must_acknowledge: false,
                    says: format!(
                        "{} cuts what is in flight {delay} s after a target is deregistered",
                        short_name(group)
                    ),
                    hint: "`drain` before `teardown` waits until nothing is in flight; keep it in the plan".to_owned(),
                });
            }
            if attributes.get("stickiness.enabled").is_some_and(|v| v == "true") {
                traps.push(Trap {
                    code: "sticky-targets".to_owned(),
                    must_acknowledge: false,
                    says: format!("{} keeps clients on their target by a cookie", short_name(group)),
                    hint: "it does not outlive the swap unless the rule is sticky too".to_owned(),
                });
            }
        }
        if let Some(owner) = manager? {
            traps.push(Trap {
                code: "owner".to_owned(),
                must_acknowledge: true,
                says: format!("the rule is managed by {owner}, which will put its actions back"),
                hint: "tell it to leave the actions alone (Terraform: `lifecycle { ignore_changes = [action] }`), then state `owner:` in the router".to_owned(),
            });
        }
        Ok(traps)
    }

    async fn attributes(&self, group: &str) -> Result<BTreeMap<String, String>, ProviderError> {
        let call = format!("elbv2 DescribeTargetGroupAttributes of {}", short_name(group));
        let answer =
            self.clients.elbv2().await?.describe_target_group_attributes().target_group_arn(group).send().await;
        let answer = answer.map_err(|e| read_error(&call, &e))?;
        let pairs = answer.attributes().iter().filter_map(|a| Some((a.key()?.to_owned(), a.value()?.to_owned())));
        Ok(pairs.collect())
    }

    /// Tags that managers leave on what they made.
    async fn other_manager(&self) -> Result<Option<String>, ProviderError> {
        let arn = match self.which {
            Which::Default => self.listener.as_str(),
            Which::Matching { .. } => self.rule_arn().await?,
        };
        let call = self.call("DescribeTags");
        let answer = self.clients.elbv2().await?.describe_tags().resource_arns(arn).send().await;
        let answer = answer.map_err(|e| read_error(&call, &e))?;
        let tags = answer.tag_descriptions().iter().flat_map(|d| d.tags());
        let manager = |tag: &aws_sdk_elasticloadbalancingv2::types::Tag| {
            let (key, value) = (tag.key().unwrap_or_default(), tag.value().unwrap_or_default());
            match key {
                "aws:cloudformation:stack-name" => Some(format!("CloudFormation stack {value}")),
                "elbv2.k8s.aws/cluster" | "ingress.k8s.aws/cluster" => {
                    Some(format!("the AWS load balancer controller of cluster {value}"))
                }
                "terraform" | "Terraform" => Some("Terraform".to_owned()),
                "ManagedBy" | "managed-by" | "managed_by" => Some(value.to_owned()),
                _ => None,
            }
        };
        Ok(tags.filter_map(manager).next())
    }
}
