//! Elastic Load Balancing v2 as it speaks: Query and XML, API version 2015-12-01.
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/>

use super::Cx;
use super::call::Service;
use super::form::Form;
use super::refusal::Refusal;
use super::xml::Xml;

mod actions;
mod attributes;
mod describe;
mod groups;
mod modify;
mod page;
mod rules;
mod targets;
mod usage;
mod write;

pub(crate) use usage::in_use;

/// What this world has of it.
pub(super) const OPERATIONS: [&str; 18] = [
    "DescribeLoadBalancers",
    "DescribeLoadBalancerAttributes",
    "DescribeListeners",
    "DescribeRules",
    "DescribeTargetGroups",
    "DescribeTargetGroupAttributes",
    "DescribeTargetHealth",
    "DescribeTags",
    "ModifyRule",
    "ModifyListener",
    "RegisterTargets",
    "DeregisterTargets",
    "ModifyTargetGroupAttributes",
    "ModifyLoadBalancerAttributes",
    "CreateTargetGroup",
    "DeleteTargetGroup",
    "CreateRule",
    "DeleteRule",
];

/// Carries out a request on the cloud.
pub(super) fn perform(cx: &mut Cx<'_>, operation: &str, form: &Form, request_id: &str) -> Result<String, Refusal> {
    let mut result = Xml::default();
    let xml = &mut result;
    match operation {
        "DescribeLoadBalancers" => describe::balancers(cx.cloud, form, xml)?,
        "DescribeLoadBalancerAttributes" => attributes::describe_balancer(cx.cloud, form, xml)?,
        "DescribeListeners" => describe::listeners(cx.cloud, form, xml)?,
        "DescribeRules" => describe::rules(cx.cloud, form, xml)?,
        "DescribeTargetGroups" => groups::describe(cx.cloud, form, xml)?,
        "DescribeTargetGroupAttributes" => attributes::describe_group(cx.cloud, form, xml)?,
        "DescribeTargetHealth" => targets::health(cx.cloud, form, xml)?,
        "DescribeTags" => describe::tags(cx.cloud, form, xml)?,
        "ModifyRule" => modify::rule(cx.cloud, form, xml)?,
        "ModifyListener" => modify::listener(cx.cloud, form, xml)?,
        "RegisterTargets" => targets::register(cx, form)?,
        "DeregisterTargets" => targets::deregister(cx, form)?,
        "ModifyTargetGroupAttributes" => attributes::modify_group(cx.cloud, form, xml)?,
        "ModifyLoadBalancerAttributes" => attributes::modify_balancer(cx.cloud, form, xml)?,
        "CreateTargetGroup" => groups::create(cx.cloud, form, xml)?,
        "DeleteTargetGroup" => groups::delete(cx.cloud, form)?,
        "CreateRule" => rules::create(cx.cloud, form, xml)?,
        "DeleteRule" => rules::delete(cx.cloud, form)?,
        other => return Err(Refusal::not_here(other)),
    }
    Ok(Xml::document(&format!("{operation}Response"), Service::Elb.namespace(), |xml| {
        xml.node(&format!("{operation}Result"), |xml| xml.append(&result));
        xml.node("ResponseMetadata", |xml| {
            xml.leaf("RequestId", request_id);
        });
    }))
}
