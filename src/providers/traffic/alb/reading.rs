//! Reading a rule: found by its conditions, page by page.

use aws_sdk_elasticloadbalancingv2::types::{Action, Rule as SdkRule};

use super::super::super::aws::{AwsClients, read_error};
use super::super::super::{Place, ProviderError};
use super::{Alb, Which};

impl Alb {
    /// The actions in force, as the API returns them.
    pub(super) async fn actions(&self) -> Result<Vec<Action>, ProviderError> {
        let client = self.clients.elbv2().await?;
        match &self.which {
            Which::Default => {
                let call = self.call("DescribeListeners");
                let answer = client.describe_listeners().listener_arns(&self.listener).send().await;
                let answer = answer.map_err(|e| read_error(&call, &e))?;
                let why = "there is no such listener".to_owned();
                let listener = answer.listeners().first().ok_or(ProviderError::Rejected { call, why })?;
                Ok(listener.default_actions().to_vec())
            }
            Which::Matching { .. } => {
                if let Some(arn) = self.rule_arn.get() {
                    let call = self.call("DescribeRules");
                    let answer =
                        client.describe_rules().rule_arns(arn).send().await.map_err(|e| read_error(&call, &e))?;
                    let why = "the rule is gone".to_owned();
                    let rule = answer.rules().first().ok_or(ProviderError::Rejected { call, why })?;
                    return Ok(rule.actions().to_vec());
                }
                let rule = self.find_rule().await?;
                if let Some(arn) = rule.rule_arn() {
                    drop(self.rule_arn.set(arn.to_owned()));
                }
                Ok(rule.actions().to_vec())
            }
        }
    }

    pub(super) async fn rule_arn(&self) -> Result<&str, ProviderError> {
        let arn = self.rule_arn.get_or_try_init(|| async {
            let found = self.find_rule().await?;
            Ok(found.rule_arn().unwrap_or_default().to_owned())
        });
        Ok(arn.await?.as_str())
    }

    /// Everything on the listener, and which of it is ours.
    pub(super) async fn listener_parts(&self) -> Result<Place, ProviderError> {
        let rules = all_rules(&self.clients, &self.call("DescribeRules"), &self.listener).await?;
        let named = |rule: &SdkRule| match rule.is_default() {
            Some(true) => "default action".to_owned(),
            Some(false) | None => format!("rule {}", rule.priority().unwrap_or("?")),
        };
        let ours = |rule: &&SdkRule| match &self.which {
            Which::Default => rule.is_default() == Some(true),
            Which::Matching { .. } => self.is_meant(rule),
        };
        let own = rules.iter().find(ours).map(named).unwrap_or_default();
        let of = self.listener.rsplit_once("listener/").map_or(self.listener.as_str(), |(_, tail)| tail);
        Ok(Place { of: format!("listener {of}"), own, parts: rules.iter().map(named).collect() })
    }

    async fn find_rule(&self) -> Result<SdkRule, ProviderError> {
        let call = self.call("DescribeRules");
        let rules = all_rules(&self.clients, &call, &self.listener).await?;
        let seen: Vec<_> = rules.iter().map(conditions).collect();
        let mut found: Vec<_> = rules.into_iter().filter(|rule| self.is_meant(rule)).collect();
        match (found.pop(), found.len()) {
            (Some(rule), 0) => Ok(rule),
            (None, _) => {
                let why = format!("no rule has exactly these conditions; the listener has: {}", seen.join("; "));
                Err(ProviderError::Rejected { call, why })
            }
            (Some(_), more) => Err(ProviderError::Rejected {
                call,
                why: format!("{} rules have these conditions; which one is meant?", more + 1),
            }),
        }
    }

    fn is_meant(&self, rule: &SdkRule) -> bool {
        let Which::Matching { host, path } = &self.which else { return false };
        let values_of = |field: &str| -> Option<Vec<String>> {
            let condition = rule.conditions().iter().find(|c| c.field() == Some(field))?;
            let configured = condition
                .host_header_config()
                .map(|c| c.values().to_vec())
                .or_else(|| condition.path_pattern_config().map(|c| c.values().to_vec()));
            Some(configured.filter(|v| !v.is_empty()).unwrap_or_else(|| condition.values().to_vec()))
        };
        let one = |wanted: &Option<String>| wanted.as_ref().map(|w| vec![w.clone()]);
        // Host names are matched without regard to case, paths with it (ELB guide, rule condition types).
        let small =
            |values: Option<Vec<String>>| values.map(|v| v.iter().map(|v| v.to_ascii_lowercase()).collect::<Vec<_>>());
        let count = usize::from(host.is_some()) + usize::from(path.is_some());
        rule.is_default() != Some(true)
            && rule.conditions().len() == count
            && small(values_of("host-header")) == small(one(host))
            && values_of("path-pattern") == one(path)
    }
}

/// Every rule of a listener, its default one too, in the API's order; page by page.
pub(super) async fn all_rules(clients: &AwsClients, call: &str, listener: &str) -> Result<Vec<SdkRule>, ProviderError> {
    let (client, mut marker, mut rules) = (clients.elbv2().await?, None, Vec::new());
    loop {
        let request = client.describe_rules().listener_arn(listener).set_marker(marker.clone());
        let answer = request.send().await.map_err(|e| read_error(call, &e))?;
        rules.extend(answer.rules().iter().cloned());
        let next = answer.next_marker().filter(|m| !m.is_empty()).map(str::to_owned);
        if next.is_none() || next == marker {
            return Ok(rules);
        }
        marker = next;
    }
}

/// A rule's conditions in a few words, for a message.
fn conditions(rule: &SdkRule) -> String {
    let of = |c: &aws_sdk_elasticloadbalancingv2::types::RuleCondition| {
        let configured = c
            .host_header_config()
            .map(|h| h.values().join(","))
            .or_else(|| c.path_pattern_config().map(|p| p.values().join(",")));
        format!("{} {}", c.field().unwrap_or("?"), configured.unwrap_or_else(|| c.values().join(",")))
    };
    if rule.is_default() == Some(true) {
        return "default".to_owned();
    }
    rule.conditions().iter().map(of).collect::<Vec<_>>().join(" and ")
}
