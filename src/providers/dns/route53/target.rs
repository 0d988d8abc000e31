//! Whether a load balancer that an alias leads to has anything healthy, before the name is led there.

use super::super::super::aws::read_error;
use super::super::super::traffic::alb::members::Members;
use super::super::super::traffic::alb::value::short_name;
use super::super::super::{ProviderError, Ready};
use super::Route53;
use super::value::Alias;

impl Route53 {
    /// What is no load balancer of ours cannot be asked, and neither can what we may not read: that is said, and is no reason to
    /// keep traffic where it is.
    pub(super) async fn target_ready(&self, alias: &Alias) -> Result<Ready, ProviderError> {
        let target = alias.target.trim_end_matches('.');
        let groups = match self.groups_behind(target).await {
            Ok(Some(groups)) => groups,
            Ok(None) => return Ok(Ready::Yes(format!("{target} is no load balancer of this account and region"))),
            Err(error @ ProviderError::Rejected { .. }) => {
                return Ok(Ready::Yes(format!("the health of {target} was not asked: {error}")));
            }
            Err(error) => return Err(error),
        };
        if groups.is_empty() {
            return Ok(Ready::No(format!("{target} leads to no target group")));
        }
        let (mut lit, mut dark) = (0, Vec::new());
        for group in &groups {
            let health = Members::new(std::sync::Arc::clone(&self.clients), group.clone()).health().await?;
            if health.iter().any(|(_, state)| state == "healthy") {
                lit += 1;
                continue;
            }
            let states: Vec<_> = health.iter().map(|(_, state)| state.as_str()).collect();
            let states = if states.is_empty() { "no targets".to_owned() } else { states.join(", ") };
            dark.push(format!("{} ({states})", short_name(group)));
        }
        // "Every target group that contains targets must contain at least one healthy target", and one without targets is
        // unhealthy too (API reference, AliasTarget). Where that is not asked, what other names use may be as it is.
        let enough = if alias.evaluate_target_health { dark.is_empty() } else { lit > 0 };
        Ok(if enough {
            Ready::Yes(format!("{lit} of {} groups of {target} have a healthy target", groups.len()))
        } else {
            Ready::No(format!("no healthy target behind {target} in {}", dark.join(", ")))
        })
    }

    /// The target groups of the load balancer with this DNS name; none when it is not here.
    async fn groups_behind(&self, target: &str) -> Result<Option<Vec<String>>, ProviderError> {
        let plain = target.strip_prefix("dualstack.").unwrap_or(target);
        let call = format!("elbv2 DescribeLoadBalancers of {plain}");
        let (client, mut marker) = (self.clients.elbv2().await?, None);
        let balancer = loop {
            let answer = client.describe_load_balancers().set_marker(marker.clone()).send().await;
            let answer = answer.map_err(|e| read_error(&call, &e))?;
            let meant = |b: &&aws_sdk_elasticloadbalancingv2::types::LoadBalancer| {
                b.dns_name().is_some_and(|name| name.eq_ignore_ascii_case(plain))
            };
            if let Some(found) = answer.load_balancers().iter().find(meant) {
                break found.load_balancer_arn().unwrap_or_default().to_owned();
            }
            let next = answer.next_marker().filter(|m| !m.is_empty()).map(str::to_owned);
            if next.is_none() || next == marker {
                return Ok(None);
            }
            marker = next;
        };
        // A load balancer has at most 100 target groups (ELB guide, quotas), and a page has room for 400.
        let call = format!("elbv2 DescribeTargetGroups of {plain}");
        let answer = client.describe_target_groups().load_balancer_arn(balancer).send().await;
        let answer = answer.map_err(|e| read_error(&call, &e))?;
        Ok(Some(answer.target_groups().iter().filter_map(|g| g.target_group_arn().map(str::to_owned)).collect()))
    }
}
