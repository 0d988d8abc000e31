//! RegisterTargets, DeregisterTargets and DescribeTargetHealth.
//!
//! Sources: TargetHealth in the API reference; "Register targets" and "Deregistration delay" in the ALB guide.

use std::net::Ipv4Addr;

use super::super::Cx;
use super::super::form::Form;
use super::super::refusal::Refusal;
use super::super::xml::Xml;
use super::actions::no_such_group;
use super::attributes;
use super::usage;
use crate::lab::build::new_target;
use crate::lab::state::{Cloud, Health, Target, TargetGroup};

/// Registers targets; one that is registered already stays as it is.
pub(super) fn register(cx: &mut Cx<'_>, form: &Form) -> Result<(), Refusal> {
    let (arn, targets) = asked(cx.cloud, form)?;
    let group = cx.cloud.groups.get_mut(&arn).ok_or_else(|| no_such_group(&arn))?;
    for (id, port) in targets {
        if group.target_type == "ip" && id.parse::<Ipv4Addr>().is_err() {
            return Err(Refusal::new(400, "InvalidTarget", format!("The IP address '{id}' is not valid")));
        }
        match group.targets.iter_mut().find(|t| t.id == id && t.port == port) {
            None => group.targets.push(new_target(&id, port, cx.stand_ins)),
            Some(live) if live.draining_until.is_none() => {}
            // "You must wait for the deregistration delay to complete before you can register the same IP address again."
            Some(live) if group.target_type == "ip" => {
                let until = live.draining_until.unwrap_or(cx.now);
                let why = format!("The IP address '{id}' is still deregistering until {until}");
                return Err(Refusal::new(400, "InvalidTarget", why));
            }
            Some(live) => *live = new_target(&id, port, cx.stand_ins),
        }
    }
    Ok(())
}

/// Deregisters targets: no new requests at once, shown as draining until the delay is over.
/// "If the specified target does not exist, the action returns successfully."
pub(super) fn deregister(cx: &mut Cx<'_>, form: &Form) -> Result<(), Refusal> {
    let (arn, targets) = asked(cx.cloud, form)?;
    let group = cx.cloud.groups.get_mut(&arn).ok_or_else(|| no_such_group(&arn))?;
    let until = cx.now + attributes::deregistration_delay(group);
    for (id, port) in targets {
        for target in group.targets.iter_mut().filter(|t| t.id == id && t.port == port) {
            target.draining_until = target.draining_until.or(Some(until));
        }
    }
    if until <= cx.now {
        group.targets.retain(|target| target.draining_until.is_none());
    }
    Ok(())
}

pub(super) fn health(cloud: &Cloud, form: &Form, xml: &mut Xml) -> Result<(), Refusal> {
    let arn = form.need("TargetGroupArn")?;
    let group = cloud.groups.get(arn).ok_or_else(|| no_such_group(arn))?;
    let in_use = usage::in_use(cloud, arn);
    let live = |id: &str, port: u16| group.targets.iter().find(|t| t.id == id && t.port == port);
    let shown: Vec<(String, u16, State)> = match form.list("Targets") {
        Some(_) => targets(form, group)?
            .into_iter()
            .map(|(id, port)| {
                let state = live(&id, port).map_or(NOT_REGISTERED, |target| state(target, in_use));
                (id, port, state)
            })
            .collect(),
        None => group.targets.iter().map(|t| (t.id.clone(), t.port, state(t, in_use))).collect(),
    };
    xml.members("TargetHealthDescriptions", shown, |xml, (id, port, (state, reason))| {
        xml.node("Target", |xml| {
            xml.leaf("Id", id).leaf("Port", port);
        });
        xml.leaf("HealthCheckPort", port);
        xml.node("TargetHealth", |xml| {
            xml.leaf("State", state).some("Reason", reason.map(|(code, _)| code));
            xml.some("Description", reason.map(|(_, words)| words));
        });
    });
    Ok(())
}

/// State; reason code and description, absent when healthy.
type State = (&'static str, Option<(&'static str, &'static str)>);

const NOT_REGISTERED: State =
    ("unused", Some(("Target.NotRegistered", "Target is not registered to the target group")));

fn state(target: &Target, in_use: bool) -> State {
    if target.draining_until.is_some() {
        return ("draining", Some(("Target.DeregistrationInProgress", "Target deregistration is in progress")));
    }
    if !in_use {
        let words = "Target group is not configured to receive traffic from the load balancer";
        return ("unused", Some(("Target.NotInUse", words)));
    }
    match target.health {
        Health::Healthy => ("healthy", None),
        Health::Unhealthy => ("unhealthy", Some(("Target.FailedHealthChecks", "Health checks failed"))),
        Health::Initial if target.passes == 0 && target.failures == 0 => {
            ("initial", Some(("Elb.RegistrationInProgress", "Target registration is in progress")))
        }
        Health::Initial => ("initial", Some(("Elb.InitialHealthChecking", "Initial health checks in progress"))),
    }
}

fn asked(cloud: &Cloud, form: &Form) -> Result<(String, Vec<(String, u16)>), Refusal> {
    let arn = form.need("TargetGroupArn")?;
    let group = cloud.groups.get(arn).ok_or_else(|| no_such_group(arn))?;
    let targets = targets(form, group)?;
    if targets.is_empty() {
        return Err(Refusal::invalid("At least one target must be specified"));
    }
    Ok((arn.to_owned(), targets))
}

/// Targets of a request: without a port the group's own is meant.
fn targets(form: &Form, group: &TargetGroup) -> Result<Vec<(String, u16)>, Refusal> {
    let one = |target: &Form| {
        let port = target.number::<u16>("Port")?.unwrap_or(group.port);
        Ok((target.need("Id")?.to_owned(), port))
    };
    form.list("Targets").unwrap_or_default().iter().map(one).collect()
}
