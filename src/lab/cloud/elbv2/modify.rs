//! ModifyRule and ModifyListener: what is given replaces the whole list, what is omitted stays.

use super::super::form::Form;
use super::super::refusal::Refusal;
use super::super::xml::Xml;
use super::describe::{no_such_listener, no_such_rule};
use super::{actions, rules, usage, write};
use crate::lab::state::Cloud;

pub(super) fn rule(cloud: &mut Cloud, form: &Form, xml: &mut Xml) -> Result<(), Refusal> {
    let arn = form.need("RuleArn")?;
    let rule = cloud.rules.get(arn).ok_or_else(|| no_such_rule(arn))?;
    if rule.priority.is_none() {
        let why = format!("Default rule '{arn}' cannot be modified");
        return Err(Refusal::new(400, "OperationNotPermitted", why));
    }
    let listener = cloud.listeners.get(&rule.listener).ok_or_else(|| no_such_listener(&rule.listener))?;
    let actions = actions::read(form, "Actions", cloud, &listener.balancer, &rule.actions)?;
    let conditions = rules::conditions(form)?;
    if !form.below("Transforms").is_empty() {
        return Err(Refusal::not_here("rule transforms"));
    }
    let used_before = usage::used(cloud);
    if let Some(rule) = cloud.rules.get_mut(arn) {
        if let Some(actions) = actions {
            rule.actions = actions;
        }
        if let Some(conditions) = conditions {
            (rule.hosts, rule.paths, rule.headers) = (conditions.hosts, conditions.paths, conditions.headers);
        }
    }
    usage::restart_checks(cloud, &used_before);
    let rule = cloud.rules.get(arn).ok_or_else(|| no_such_rule(arn))?;
    xml.members("Rules", [rule], |xml, rule| write::rule(xml, arn, rule));
    Ok(())
}

pub(super) fn listener(cloud: &mut Cloud, form: &Form, xml: &mut Xml) -> Result<(), Refusal> {
    let arn = form.need("ListenerArn")?;
    let listener = cloud.listeners.get(arn).ok_or_else(|| no_such_listener(arn))?;
    // A listener's socket is bound when the world begins, so what it accepts stays.
    for fixed in ["Port", "Protocol", "SslPolicy"] {
        if form.get(fixed).is_some() {
            return Err(Refusal::not_here(&format!("ModifyListener with {fixed}")));
        }
    }
    if form.list("Certificates").is_some() || form.list("AlpnPolicy").is_some() {
        return Err(Refusal::not_here("ModifyListener with Certificates or AlpnPolicy"));
    }
    let default = cloud.rules.iter().find(|(_, rule)| rule.listener == arn && rule.priority.is_none());
    let (default_arn, live) = default.ok_or_else(|| no_such_rule("default"))?;
    let default_arn = default_arn.clone();
    let actions = actions::read(form, "DefaultActions", cloud, &listener.balancer, &live.actions)?;
    let used_before = usage::used(cloud);
    if let (Some(actions), Some(rule)) = (actions, cloud.rules.get_mut(&default_arn)) {
        rule.actions = actions;
    }
    usage::restart_checks(cloud, &used_before);
    let listener = cloud.listeners.get(arn).ok_or_else(|| no_such_listener(arn))?;
    xml.members("Listeners", [listener], |xml, listener| write::listener(xml, cloud, arn, listener));
    Ok(())
}
