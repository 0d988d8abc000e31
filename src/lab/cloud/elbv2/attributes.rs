//! Attributes of target groups and balancers: known keys, defaults, ranges.
//!
//! Sources: TargetGroupAttribute and LoadBalancerAttribute in the API reference.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::form::Form;
use super::super::refusal::Refusal;
use super::super::xml::Xml;
use super::actions::no_such_group;
use super::describe::no_such_balancer;
use crate::lab::state::{Cloud, TargetGroup};

/// What an attribute may hold.
#[derive(Debug, Clone, Copy)]
enum Domain {
    Number(u32, u32),
    /// 0, or a number in the range.
    ZeroOr(u32, u32),
    OneOf(&'static [&'static str]),
    Text,
}

use Domain::{Number, OneOf, Text, ZeroOr};

const SWITCH: Domain = OneOf(&["true", "false"]);

const GROUP: [(&str, &str, Domain); 9] = [
    ("deregistration_delay.timeout_seconds", "300", Number(0, 3600)),
    (
        "load_balancing.algorithm.type",
        "round_robin",
        OneOf(&["round_robin", "least_outstanding_requests", "weighted_random"]),
    ),
    (
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
        OneOf(&["true", "false", "use_load_balancer_configuration"]),
    ),
    ("slow_start.duration_seconds", "0", ZeroOr(30, 900)),
    ("stickiness.app_cookie.cookie_name", "", Text),
    ("stickiness.app_cookie.duration_seconds", "86400", Number(1, 604_800)),
    ("stickiness.enabled", "false", SWITCH),
    ("stickiness.lb_cookie.duration_seconds", "86400", Number(1, 604_800)),
    ("stickiness.type", "lb_cookie", OneOf(&["lb_cookie", "app_cookie"])),
];

const BALANCER: [(&str, &str, Domain); 6] = [
    ("access_logs.s3.enabled", "false", SWITCH),
    ("client_keep_alive.seconds", "3600", Number(60, 604_800)),
    ("deletion_protection.enabled", "false", SWITCH),
    ("idle_timeout.timeout_seconds", "60", Number(1, 4000)),
    ("load_balancing.cross_zone.enabled", "true", SWITCH),
    ("routing.http2.enabled", "true", SWITCH),
];

/// How long a target that is deregistered is shown as draining.
pub(super) fn deregistration_delay(group: &TargetGroup) -> Duration {
    let written = group.attributes.get("deregistration_delay.timeout_seconds");
    Duration::from_secs(written.and_then(|text| text.parse().ok()).unwrap_or(300))
}

pub(super) fn describe_group(cloud: &Cloud, form: &Form, xml: &mut Xml) -> Result<(), Refusal> {
    let arn = form.need("TargetGroupArn")?;
    let group = cloud.groups.get(arn).ok_or_else(|| no_such_group(arn))?;
    write(xml, &GROUP, &group.attributes);
    Ok(())
}

pub(super) fn describe_balancer(cloud: &Cloud, form: &Form, xml: &mut Xml) -> Result<(), Refusal> {
    let arn = form.need("LoadBalancerArn")?;
    let balancer = cloud.balancers.get(arn).ok_or_else(|| no_such_balancer(arn))?;
    write(xml, &BALANCER, &balancer.attributes);
    Ok(())
}

pub(super) fn modify_group(cloud: &mut Cloud, form: &Form, xml: &mut Xml) -> Result<(), Refusal> {
    let arn = form.need("TargetGroupArn")?;
    let group = cloud.groups.get_mut(arn).ok_or_else(|| no_such_group(arn))?;
    modify(&mut group.attributes, &GROUP, form)?;
    write(xml, &GROUP, &group.attributes);
    Ok(())
}

pub(super) fn modify_balancer(cloud: &mut Cloud, form: &Form, xml: &mut Xml) -> Result<(), Refusal> {
    let arn = form.need("LoadBalancerArn")?;
    let balancer = cloud.balancers.get_mut(arn).ok_or_else(|| no_such_balancer(arn))?;
    modify(&mut balancer.attributes, &BALANCER, form)?;
    write(xml, &BALANCER, &balancer.attributes);
    Ok(())
}

fn modify(live: &mut BTreeMap<String, String>, known: &[(&str, &str, Domain)], form: &Form) -> Result<(), Refusal> {
    for attribute in form.list("Attributes").unwrap_or_default() {
        let (key, value) = (attribute.need("Key")?, attribute.get("Value").unwrap_or_default());
        let Some((_, _, domain)) = known.iter().find(|(name, _, _)| *name == key) else {
            return Err(Refusal::invalid(format!("Attribute key '{key}' is not recognized")));
        };
        if !domain.admits(value) {
            return Err(Refusal::invalid(format!("Attribute value '{value}' of '{key}' must be {domain}")));
        }
        live.insert(key.to_owned(), value.to_owned());
    }
    Ok(())
}

/// All attributes: what was set over what is the default.
fn write(xml: &mut Xml, known: &[(&str, &str, Domain)], set: &BTreeMap<String, String>) {
    let mut all: BTreeMap<&str, &str> = known.iter().map(|(key, default, _)| (*key, *default)).collect();
    all.extend(set.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    xml.members("Attributes", all, |xml, (key, value)| {
        xml.leaf("Key", key).leaf("Value", value);
    });
}

impl Domain {
    fn admits(self, value: &str) -> bool {
        let number = value.parse::<u32>();
        match self {
            Number(low, high) => number.is_ok_and(|n| (low..=high).contains(&n)),
            ZeroOr(low, high) => number.is_ok_and(|n| n == 0 || (low..=high).contains(&n)),
            OneOf(values) => values.contains(&value),
            Text => true,
        }
    }
}

impl std::fmt::Display for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Number(low, high) => write!(f, "between {low} and {high}"),
            ZeroOr(low, high) => write!(f, "0 or between {low} and {high}"),
            OneOf(values) => write!(f, "one of {}", values.join(", ")),
            Text => f.write_str("a text"),
        }
    }
}
