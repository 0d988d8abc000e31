//! What stands behind a host name on a listener, for a first plan. Reads only.

use aws_sdk_elasticloadbalancingv2::types::{Action, ProtocolEnum, Rule as SdkRule};

use super::super::super::ProviderError;
use super::super::super::aws::{AwsClients, read_error};
use super::members::Members;
use super::reading::all_rules;
use super::value::{Rule, short_name};

/// What stands behind a host name on a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// `HTTPS`.
    pub protocol: String,
    /// The listener's port.
    pub port: u16,
    /// Path pattern of the rule, if it has one; none for the default action too.
    pub path: Option<String>,
    /// Whether no rule names the host, so that the listener's default action answers for it.
    pub is_default: bool,
    /// Whom it forwards to, with most weight first.
    pub groups: Vec<Group>,
    /// Seconds for which a cookie keeps clients; none when off.
    pub sticky_s: Option<u32>,
}

/// A target group of the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its weight on the rule.
    pub weight: u16,
    /// Its targets with their health: `10.0.1.10:8000`, `healthy`.
    pub targets: Vec<(String, String)>,
}

/// Reads the rule of `host` on `listener`; the default action when none names it.
///
/// # Errors
/// When the listener cannot be read, or several rules name the host.
pub async fn survey(clients: &std::sync::Arc<AwsClients>, listener: &str, host: &str) -> Result<Survey, ProviderError> {
    let (protocol, port, default_actions) = read_listener(clients, listener).await?;
    let call = format!("elbv2 DescribeRules of {listener}");
    let mut of_host: Vec<_> = all_rules(clients, &call, listener)
        .await?
        .into_iter()
        .filter(|rule| rule.is_default() != Some(true) && values(rule, "host-header").iter().any(|v| v == host))
        .collect();
    let rule = of_host.pop();
    if !of_host.is_empty() {
        let why =
            format!("{} rules name {host}; write the one that is meant by hand, with its path", of_host.len() + 1);
        return Err(ProviderError::Rejected { call, why });
    }
    let path = rule.as_ref().and_then(|rule| values(rule, "path-pattern").first().cloned());
    let actions = rule.as_ref().map_or(default_actions, |rule| rule.actions().to_vec());
    let Rule { forward, .. } = Rule::from_sdk(&actions);
    let (weights, sticky_s) = forward.map(|f| (f.groups, f.sticky_s)).unwrap_or_default();
    let mut groups = Vec::new();
    for (arn, weight) in weights {
        let members = Members::new(std::sync::Arc::clone(clients), arn.clone());
        let targets =
            members.health().await?.into_iter().map(|((id, port), health)| (format!("{id}:{port}"), health)).collect();
        groups.push(Group { name: short_name(&arn).to_owned(), weight, targets });
    }
    groups.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.name.cmp(&b.name)));
    Ok(Survey { protocol, port, path, is_default: rule.is_none(), groups, sticky_s })
}

async fn read_listener(clients: &AwsClients, listener: &str) -> Result<(String, u16, Vec<Action>), ProviderError> {
    let call = format!("elbv2 DescribeListeners {listener}");
    let answer = clients
        .elbv2()
        .await?
        .describe_listeners()
        .listener_arns(listener)
        .send()
        .await
        .map_err(|e| read_error(&call, &e))?;
    let missing = ProviderError::Rejected { call, why: "there is no such listener".to_owned() };
    let found = answer.listeners().first().ok_or(missing)?;
    let protocol = found.protocol().map_or("HTTP", ProtocolEnum::as_str).to_owned();
    let port = found.port().and_then(|port| u16::try_from(port).ok()).unwrap_or(80);
    Ok((protocol, port, found.default_actions().to_vec()))
}

/// The values of one of a rule's conditions, in the older or the newer form.
fn values(rule: &SdkRule, field: &str) -> Vec<String> {
    let of_field = rule.conditions().iter().filter(|c| c.field() == Some(field));
    let configured = of_field.flat_map(|c| {
        let configured =
            c.host_header_config().map(|h| h.values()).or_else(|| c.path_pattern_config().map(|p| p.values()));
        configured.filter(|v| !v.is_empty()).unwrap_or_else(|| c.values()).to_vec()
    });
    configured.collect()
}
