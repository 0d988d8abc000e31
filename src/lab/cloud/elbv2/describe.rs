//! The Describe calls of balancers, listeners, rules and tags.

use std::collections::BTreeMap;

use super::super::form::Form;
use super::super::refusal::Refusal;
use super::super::xml::Xml;
use super::page::page;
use super::write;
use crate::lab::state::{Balancer, Cloud, Listener, Rule};

/// Resources of one DescribeTags call.
const TAGGED_MAX: usize = 20;

pub(super) fn no_such_balancer(name: &str) -> Refusal {
    Refusal::new(400, "LoadBalancerNotFound", format!("Load balancers '[{name}]' not found"))
}

pub(super) fn no_such_listener(arn: &str) -> Refusal {
    Refusal::new(400, "ListenerNotFound", format!("One or more listeners not found: '{arn}'"))
}

pub(super) fn no_such_rule(arn: &str) -> Refusal {
    Refusal::new(400, "RuleNotFound", format!("One or more rules not found: '{arn}'"))
}

pub(super) fn balancers(cloud: &Cloud, form: &Form, xml: &mut Xml) -> Result<(), Refusal> {
    let (arns, names) = (form.texts("LoadBalancerArns"), form.texts("Names"));
    let mut found: Vec<(&String, &Balancer)> = Vec::new();
    for arn in &arns {
        found.push(cloud.balancers.get_key_value(arn).ok_or_else(|| no_such_balancer(arn))?);
    }
    for name in &names {
        let by_name = cloud.balancers.iter().find(|(_, balancer)| balancer.name == *name);
        found.push(by_name.ok_or_else(|| no_such_balancer(name))?);
    }
    if arns.is_empty() && names.is_empty() {
        found.extend(&cloud.balancers);
    }
    let (found, next) = page(found, form)?;
    xml.members("LoadBalancers", found, |xml, (arn, balancer)| one_balancer(xml, cloud, arn, balancer));
    xml.some("NextMarker", next);
    Ok(())
}

fn one_balancer(xml: &mut Xml, cloud: &Cloud, arn: &str, balancer: &Balancer) {
    xml.leaf("LoadBalancerArn", arn).leaf("DNSName", &balancer.dns_name);
    xml.leaf("CanonicalHostedZoneId", &balancer.canonical_zone_id).leaf("CreatedTime", "2025-01-01T00:00:00.000Z");
    xml.leaf("LoadBalancerName", &balancer.name).leaf("Scheme", "internet-facing").leaf("VpcId", "vpc-0lab");
    xml.node("State", |xml| {
        xml.leaf("Code", "active");
    });
    xml.leaf("Type", if arn.contains("/net/") { "network" } else { "application" });
    xml.members("AvailabilityZones", ["a", "b"], |xml, zone| {
        xml.leaf("ZoneName", format!("{}{zone}", cloud.region)).leaf("SubnetId", format!("subnet-0lab{zone}"));
    });
    xml.leaf("IpAddressType", "ipv4");
}

pub(super) fn listeners(cloud: &Cloud, form: &Form, xml: &mut Xml) -> Result<(), Refusal> {
    let arns = form.texts("ListenerArns");
    let mut found: Vec<(&String, &Listener)> = Vec::new();
    for arn in &arns {
        found.push(cloud.listeners.get_key_value(arn).ok_or_else(|| no_such_listener(arn))?);
    }
    match form.get("LoadBalancerArn") {
        Some(balancer) if !cloud.balancers.contains_key(balancer) => return Err(no_such_balancer(balancer)),
        Some(balancer) => found.extend(cloud.listeners.iter().filter(|(_, l)| l.balancer == balancer)),
        None if arns.is_empty() => {
            return Err(Refusal::invalid("A load balancer ARN or listener ARNs must be specified"));
        }
        None => {}
    }
    let (found, next) = page(found, form)?;
    xml.members("Listeners", found, |xml, (arn, listener)| write::listener(xml, cloud, arn, listener));
    xml.some("NextMarker", next);
    Ok(())
}

pub(super) fn rules(cloud: &Cloud, form: &Form, xml: &mut Xml) -> Result<(), Refusal> {
    let arns = form.texts("RuleArns");
    let mut found: Vec<(&String, &Rule)> = Vec::new();
    match (form.get("ListenerArn"), arns.is_empty()) {
        (Some(listener), true) => {
            if !cloud.listeners.contains_key(listener) {
                return Err(no_such_listener(listener));
            }
            found.extend(cloud.rules.iter().filter(|(_, rule)| rule.listener == listener));
            // By priority; the default rule is the last that is tried.
            found.sort_by_key(|(_, rule)| rule.priority.unwrap_or(u32::MAX));
        }
        (None, false) => {
            for arn in &arns {
                found.push(cloud.rules.get_key_value(arn).ok_or_else(|| no_such_rule(arn))?);
            }
        }
        (Some(_), false) | (None, true) => {
            return Err(Refusal::invalid("You must specify either a listener ARN or one or more rule ARNs"));
        }
    }
    let (found, next) = page(found, form)?;
    xml.members("Rules", found, |xml, (arn, rule)| write::rule(xml, arn, rule));
    xml.some("NextMarker", next);
    Ok(())
}

pub(super) fn tags(cloud: &Cloud, form: &Form, xml: &mut Xml) -> Result<(), Refusal> {
    let arns = form.texts("ResourceArns");
    if arns.is_empty() || arns.len() > TAGGED_MAX {
        return Err(Refusal::invalid(format!("Between 1 and {TAGGED_MAX} resource ARNs must be specified")));
    }
    for arn in &arns {
        let known = cloud.balancers.contains_key(arn)
            || cloud.listeners.contains_key(arn)
            || cloud.rules.contains_key(arn)
            || cloud.groups.contains_key(arn);
        if !known {
            return Err(match arn {
                arn if arn.contains(":targetgroup/") => super::actions::no_such_group(arn),
                arn if arn.contains(":listener-rule/") => no_such_rule(arn),
                arn if arn.contains(":listener/") => no_such_listener(arn),
                arn => no_such_balancer(arn),
            });
        }
    }
    let none = BTreeMap::new();
    xml.members("TagDescriptions", &arns, |xml, arn| {
        xml.leaf("ResourceArn", arn);
        xml.members("Tags", cloud.tags.get(arn).unwrap_or(&none), |xml, (key, value)| {
            xml.leaf("Key", key).leaf("Value", value);
        });
    });
    Ok(())
}
