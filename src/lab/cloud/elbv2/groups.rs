//! Target groups: CreateTargetGroup, DescribeTargetGroups, DeleteTargetGroup.

use std::collections::BTreeMap;

use super::super::form::Form;
use super::super::refusal::Refusal;
use super::super::xml::Xml;
use super::actions::no_such_group;
use super::describe::no_such_balancer;
use super::page::page;
use super::usage;
use crate::lab::build::hex16;
use crate::lab::state::{Cloud, TargetGroup};

pub(super) fn describe(cloud: &Cloud, form: &Form, xml: &mut Xml) -> Result<(), Refusal> {
    let (arns, names) = (form.texts("TargetGroupArns"), form.texts("Names"));
    let mut found: Vec<(&String, &TargetGroup)> = Vec::new();
    for arn in &arns {
        found.push(cloud.groups.get_key_value(arn).ok_or_else(|| no_such_group(arn))?);
    }
    for name in &names {
        found.push(cloud.groups.iter().find(|(_, g)| g.name == *name).ok_or_else(|| no_such_group(name))?);
    }
    match form.get("LoadBalancerArn") {
        Some(balancer) if !cloud.balancers.contains_key(balancer) => return Err(no_such_balancer(balancer)),
        Some(balancer) => {
            found.extend(cloud.groups.iter().filter(|(arn, _)| usage::balancers_of(cloud, arn).contains(balancer)));
        }
        None if arns.is_empty() && names.is_empty() => found.extend(&cloud.groups),
        None => {}
    }
    let (found, next) = page(found, form)?;
    xml.members("TargetGroups", found, |xml, (arn, group)| one(xml, cloud, arn, group));
    xml.some("NextMarker", next);
    Ok(())
}

/// Creates a group; asking again for the same one is no error, for another one of its name it is.
pub(super) fn create(cloud: &mut Cloud, form: &Form, xml: &mut Xml) -> Result<(), Refusal> {
    let name = form.need("Name")?;
    let sound = name.len() <= 32
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !sound {
        return Err(Refusal::invalid(format!(
            "Target group name '{name}' must have at most 32 characters of letters, digits and inner hyphens"
        )));
    }
    let text = |key: &str, default: &str| form.get(key).filter(|v| !v.is_empty()).unwrap_or(default).to_owned();
    let port = form.number::<u16>("Port")?.filter(|port| *port > 0);
    let group = TargetGroup {
        name: name.to_owned(),
        port: port.ok_or_else(|| Refusal::invalid("A port must be specified"))?,
        protocol: text("Protocol", "HTTP"),
        target_type: text("TargetType", "instance"),
        attributes: BTreeMap::new(),
        health_path: text("HealthCheckPath", "/"),
        health_interval_s: form.number::<f64>("HealthCheckIntervalSeconds")?.unwrap_or(30.0),
        healthy_threshold: form.number::<u32>("HealthyThresholdCount")?.unwrap_or(5),
        unhealthy_threshold: form.number::<u32>("UnhealthyThresholdCount")?.unwrap_or(2),
        health_codes: text("Matcher.HttpCode", "200"),
        targets: Vec::new(),
    };
    if let Some((arn, live)) = cloud.groups.iter().find(|(_, live)| live.name == name) {
        if settings(live) != settings(&group) {
            let why = format!("A target group with the same name '{name}' exists, but with different settings");
            return Err(Refusal::new(400, "DuplicateTargetGroupName", why));
        }
        xml.members("TargetGroups", [live], |xml, live| one(xml, cloud, arn, live));
        return Ok(());
    }
    let arn = format!("arn:aws:elasticloadbalancing:{}:{}:targetgroup/{name}/{}", cloud.region, cloud.account, hex16());
    xml.members("TargetGroups", [&group], |xml, group| one(xml, cloud, &arn, group));
    cloud.groups.insert(arn, group);
    Ok(())
}

pub(super) fn delete(cloud: &mut Cloud, form: &Form) -> Result<(), Refusal> {
    let arn = form.need("TargetGroupArn")?;
    if usage::in_use(cloud, arn) {
        let why = format!("Target group '{arn}' is currently in use by a listener or a rule");
        return Err(Refusal::new(400, "ResourceInUse", why));
    }
    cloud.groups.remove(arn).map(|_| ()).ok_or_else(|| no_such_group(arn))
}

/// What must be the same for two orders to be one group.
fn settings(group: &TargetGroup) -> impl PartialEq + use<> {
    let texts = [&group.protocol, &group.target_type, &group.health_path, &group.health_codes].map(Clone::clone);
    (texts, group.port, group.health_interval_s.to_bits(), group.healthy_threshold, group.unhealthy_threshold)
}

fn one(xml: &mut Xml, cloud: &Cloud, arn: &str, group: &TargetGroup) {
    xml.leaf("TargetGroupArn", arn).leaf("TargetGroupName", &group.name);
    xml.leaf("Protocol", &group.protocol).leaf("Port", group.port).leaf("VpcId", "vpc-0lab");
    xml.leaf("HealthCheckProtocol", &group.protocol).leaf("HealthCheckPort", "traffic-port");
    xml.leaf("HealthCheckEnabled", true);
    // The API counts whole seconds; the world may check more often.
    xml.leaf("HealthCheckIntervalSeconds", format!("{:.0}", group.health_interval_s.max(1.0).ceil()));
    xml.leaf("HealthCheckTimeoutSeconds", 5);
    xml.leaf("HealthyThresholdCount", group.healthy_threshold);
    xml.leaf("UnhealthyThresholdCount", group.unhealthy_threshold);
    xml.leaf("HealthCheckPath", &group.health_path);
    xml.node("Matcher", |xml| {
        xml.leaf("HttpCode", &group.health_codes);
    });
    xml.node("LoadBalancerArns", |xml| {
        for balancer in usage::balancers_of(cloud, arn) {
            xml.leaf("member", balancer);
        }
    });
    xml.leaf("TargetType", &group.target_type).leaf("ProtocolVersion", "HTTP1").leaf("IpAddressType", "ipv4");
}
