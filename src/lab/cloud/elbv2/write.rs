//! Writes listeners, rules and actions as the Describe calls show them.

use std::collections::BTreeMap;

use super::super::xml::Xml;
use crate::lab::state::{Action, Cloud, Listener, Rule};

/// A listener with its default actions.
pub(super) fn listener(xml: &mut Xml, cloud: &Cloud, arn: &str, listener: &Listener) {
    xml.leaf("ListenerArn", arn).leaf("LoadBalancerArn", &listener.balancer);
    xml.leaf("Port", listener.port).leaf("Protocol", &listener.protocol);
    if listener.protocol == "HTTPS" {
        xml.leaf("SslPolicy", "ELBSecurityPolicy-TLS13-1-2-2021-06");
        xml.members("Certificates", &listener.certificates, |xml, certificate| {
            xml.leaf("CertificateArn", certificate);
        });
    }
    let default = cloud.rules.values().find(|rule| rule.listener == arn && rule.priority.is_none());
    actions(xml, "DefaultActions", default.map_or(&[][..], |rule| &rule.actions));
}

/// A rule; the default rule has the priority `default`.
pub(super) fn rule(xml: &mut Xml, arn: &str, rule: &Rule) {
    xml.leaf("RuleArn", arn);
    match rule.priority {
        Some(priority) => xml.leaf("Priority", priority),
        None => xml.leaf("Priority", "default"),
    };
    xml.node("Conditions", |xml| {
        condition(xml, "host-header", "HostHeaderConfig", &rule.hosts);
        condition(xml, "path-pattern", "PathPatternConfig", &rule.paths);
        for (name, values) in &rule.headers {
            xml.node("member", |xml| {
                xml.leaf("Field", "http-header");
                xml.node("HttpHeaderConfig", |xml| {
                    xml.leaf("HttpHeaderName", name);
                    texts(xml, values);
                });
            });
        }
    });
    actions(xml, "Actions", &rule.actions);
    xml.leaf("IsDefault", rule.priority.is_none());
}

fn condition(xml: &mut Xml, field: &str, config: &str, values: &[String]) {
    if values.is_empty() {
        return;
    }
    xml.node("member", |xml| {
        xml.leaf("Field", field);
        texts(xml, values);
        xml.node(config, |xml| texts(xml, values));
    });
}

fn texts(xml: &mut Xml, values: &[String]) {
    xml.node("Values", |xml| {
        for value in values {
            xml.leaf("member", value);
        }
    });
}

fn actions(xml: &mut Xml, name: &str, actions: &[Action]) {
    let many = actions.len() > 1;
    xml.members(name, (1..).zip(actions), |xml, (order, one)| {
        action(xml, one);
        if many {
            xml.leaf("Order", order);
        }
    });
}

fn action(xml: &mut Xml, action: &Action) {
    match action {
        Action::Forward { groups, sticky_s } => forward(xml, groups, *sticky_s),
        Action::FixedResponse { status, content_type, body } => {
            xml.leaf("Type", "fixed-response").node("FixedResponseConfig", |xml| {
                xml.leaf("StatusCode", status);
                xml.some("ContentType", Some(content_type).filter(|text| !text.is_empty()));
                xml.some("MessageBody", Some(body).filter(|text| !text.is_empty()));
            });
        }
        Action::Redirect { status, location } => {
            xml.leaf("Type", "redirect").node("RedirectConfig", |xml| {
                for (key, value) in location {
                    xml.leaf(key, value);
                }
                xml.leaf("StatusCode", format!("HTTP_{status}"));
            });
        }
        Action::Authenticate { kind, settings } => {
            let config =
                if kind == "authenticate-oidc" { "AuthenticateOidcConfig" } else { "AuthenticateCognitoConfig" };
            xml.leaf("Type", kind).node(config, |xml| authenticate(xml, settings));
        }
    }
}

/// A forward to one group is shown in both forms, whichever was written.
fn forward(xml: &mut Xml, groups: &[(String, u16)], sticky_s: Option<u32>) {
    xml.leaf("Type", "forward");
    if let [(arn, _)] = groups {
        xml.leaf("TargetGroupArn", arn);
    }
    xml.node("ForwardConfig", |xml| {
        xml.members("TargetGroups", groups, |xml, (arn, weight)| {
            xml.leaf("TargetGroupArn", arn).leaf("Weight", weight);
        });
        xml.node("TargetGroupStickinessConfig", |xml| {
            xml.leaf("Enabled", sticky_s.is_some()).some("DurationSeconds", sticky_s);
        });
    });
}

/// "AuthenticationRequestExtraParams" was written as `….entry.N.key`; the secret is never read out.
fn authenticate(xml: &mut Xml, settings: &BTreeMap<String, String>) {
    for (key, value) in settings.iter().filter(|(key, _)| *key != "ClientSecret" && !key.contains('.')) {
        xml.leaf(key, value);
    }
    let entry = |(key, name): (&String, _)| {
        let entry = key.strip_prefix("AuthenticationRequestExtraParams.")?.strip_suffix(".key")?;
        Some((name, settings.get(&format!("AuthenticationRequestExtraParams.{entry}.value"))?))
    };
    let extra: Vec<_> = settings.iter().filter_map(entry).collect();
    if !extra.is_empty() {
        xml.node("AuthenticationRequestExtraParams", |xml| {
            for (name, value) in extra {
                xml.node("entry", |xml| {
                    xml.leaf("key", name).leaf("value", value);
                });
            }
        });
    }
}
