//! CreateRule, DeleteRule and the conditions of a rule.

use super::super::form::Form;
use super::super::refusal::Refusal;
use super::super::xml::Xml;
use super::describe::{no_such_listener, no_such_rule};
use super::{actions, usage, write};
use crate::lab::build::rule_arn;
use crate::lab::state::{Cloud, Rule};

/// What a request must be like.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) hosts: Vec<String>,
    pub(super) paths: Vec<String>,
    pub(super) headers: Vec<(String, Vec<String>)>,
}

/// The conditions of a request, if it names any.
pub(super) fn conditions(form: &Form) -> Result<Option<Conditions>, Refusal> {
    let Some(written) = form.list("Conditions") else { return Ok(None) };
    let mut conditions = Conditions::default();
    for form in written {
        let config = |name: &str| {
            let mut values = form.below(name).texts("Values");
            if values.is_empty() {
                values = form.texts("Values");
            }
            if values.is_empty() { Err(Refusal::invalid("A condition value must be specified")) } else { Ok(values) }
        };
        match form.need("Field")? {
            "host-header" => conditions.hosts.extend(config("HostHeaderConfig")?),
            "path-pattern" => conditions.paths.extend(config("PathPatternConfig")?),
            "http-header" => {
                let name = form.below("HttpHeaderConfig").need("HttpHeaderName")?.to_owned();
                conditions.headers.push((name, config("HttpHeaderConfig")?));
            }
            other @ ("http-request-method" | "query-string" | "source-ip") => {
                return Err(Refusal::not_here(&format!("rule conditions of the field {other}")));
            }
            other => {
                return Err(Refusal::invalid(format!("Condition field '{other}' must be one of the known fields")));
            }
        }
    }
    Ok(Some(conditions))
}

pub(super) fn create(cloud: &mut Cloud, form: &Form, xml: &mut Xml) -> Result<(), Refusal> {
    let listener_arn = form.need("ListenerArn")?;
    let listener = cloud.listeners.get(listener_arn).ok_or_else(|| no_such_listener(listener_arn))?;
    let priority = form.number::<u32>("Priority")?.ok_or_else(|| Refusal::invalid("Priority must be specified"))?;
    if !(1..=50_000).contains(&priority) {
        return Err(Refusal::invalid(format!("Priority '{priority}' must be between 1 and 50000")));
    }
    if cloud.rules.values().any(|rule| rule.listener == listener_arn && rule.priority == Some(priority)) {
        return Err(Refusal::new(400, "PriorityInUse", format!("Priority '{priority}' is currently in use")));
    }
    let actions = actions::read(form, "Actions", cloud, &listener.balancer, &[])?;
    let actions = actions.ok_or_else(|| Refusal::invalid("Actions must be specified"))?;
    let conditions = conditions(form)?.ok_or_else(|| Refusal::invalid("Conditions must be specified"))?;
    let used_before = usage::used(cloud);
    let arn = rule_arn(listener_arn);
    let rule = Rule {
        listener: listener_arn.to_owned(),
        priority: Some(priority),
        hosts: conditions.hosts,
        paths: conditions.paths,
        headers: conditions.headers,
        actions,
    };
    xml.members("Rules", [&rule], |xml, rule| write::rule(xml, &arn, rule));
    cloud.rules.insert(arn, rule);
    usage::restart_checks(cloud, &used_before);
    Ok(())
}

pub(super) fn delete(cloud: &mut Cloud, form: &Form) -> Result<(), Refusal> {
    let arn = form.need("RuleArn")?;
    let rule = cloud.rules.get(arn).ok_or_else(|| no_such_rule(arn))?;
    if rule.priority.is_none() {
        return Err(Refusal::new(400, "OperationNotPermitted", format!("Default rule '{arn}' cannot be deleted")));
    }
    let used_before = usage::used(cloud);
    cloud.rules.remove(arn);
    usage::restart_checks(cloud, &used_before);
    Ok(())
}
