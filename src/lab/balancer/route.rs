//! Where a request goes: pure, over the cloud as it is at that moment.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use hyper::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::patterns::{matches, matches_any_case};
use crate::lab::state::{Action, Cloud, Health, Rule, TargetGroup};

/// The cookie by which a client stays with its target group.
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/sticky-sessions.html>
pub(super) const STICKY_COOKIE: &str = "AWSALBTG";

/// What rules look at.
pub(super) struct Asked<'a> {
    /// Without the port.
    pub(super) host: &'a str,
    /// Without the query.
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) now: Timestamp,
}

/// What is decided for a request.
#[derive(Debug, PartialEq)]
pub(super) enum Routed {
    Target(Chosen),
    Fixed {
        status: u16,
        content_type: String,
        body: String,
    },
    Redirect {
        status: u16,
        location: BTreeMap<String, String>,
    },
    /// The group is empty, or there is no rule to obey: 503.
    NoTarget,
}

/// One target, counted as having one more request under way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chosen {
    pub(super) group: String,
    pub(super) id: String,
    pub(super) port: u16,
    pub(super) socket: Option<SocketAddr>,
    /// The stickiness cookie's value and life in seconds, when the action is sticky.
    pub(super) cookie: Option<(String, u32)>,
    /// Seconds of silence after which the balancer gives up (`idle_timeout.timeout_seconds`).
    pub(super) idle_s: u64,
}

/// Decides, and counts the request at its target. `pick(n)` draws from `0..n`; `turns` holds whose turn it is, by group.
pub(super) fn route(
    cloud: &mut Cloud,
    listener_arn: &str,
    asked: &Asked<'_>,
    pick: &mut dyn FnMut(u64) -> u64,
    turns: &mut HashMap<String, usize>,
) -> Routed {
    let Some(rule) = rule_for(cloud, listener_arn, asked) else { return Routed::NoTarget };
    for action in &rule.actions {
        match action {
            Action::Authenticate { .. } => {} // nobody logs in here; what follows is what is looked at
            Action::FixedResponse { status, content_type, body } => {
                return Routed::Fixed { status: *status, content_type: content_type.clone(), body: body.clone() };
            }
            Action::Redirect { status, location } => {
                return Routed::Redirect { status: *status, location: location.clone() };
            }
            Action::Forward { groups, sticky_s } => {
                let sticky = sticky_s.and_then(|_| group_of_cookie(groups, asked));
                let Some(group) = sticky.or_else(|| by_weight(groups, pick)).map(str::to_owned) else { break };
                let cookie = sticky_s.map(|s| (cookie_of(&group, asked.now, s), s));
                let idle_s = idle_timeout_s(cloud, listener_arn);
                let Some(found) = cloud.groups.get_mut(&group) else { break };
                let turn = turns.entry(group.clone()).or_default();
                return match take_turn(found, turn) {
                    Some((id, port, socket)) => Routed::Target(Chosen { group, id, port, socket, cookie, idle_s }),
                    None => Routed::NoTarget,
                };
            }
        }
    }
    Routed::NoTarget
}

/// The first rule that holds, by priority; the default rule is the last.
fn rule_for<'a>(cloud: &'a Cloud, listener_arn: &str, asked: &Asked<'_>) -> Option<&'a Rule> {
    let holding = cloud.rules.values().filter(|r| r.listener == listener_arn && holds(r, asked));
    holding.min_by_key(|r| r.priority.unwrap_or(u32::MAX))
}

fn holds(rule: &Rule, asked: &Asked<'_>) -> bool {
    let header_holds = |(name, patterns): &(String, Vec<String>)| {
        let values = asked.headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok());
        values.into_iter().any(|value| patterns.iter().any(|p| matches_any_case(p, value)))
    };
    rule.priority.is_none()
        || ((rule.hosts.is_empty() || rule.hosts.iter().any(|p| matches_any_case(p, asked.host)))
            && (rule.paths.is_empty() || rule.paths.iter().any(|p| matches(p, asked.path)))
            && rule.headers.iter().all(header_holds))
}

/// A group by weight; none when all weights are 0.
fn by_weight<'a>(groups: &'a [(String, u16)], pick: &mut dyn FnMut(u64) -> u64) -> Option<&'a str> {
    let total: u64 = groups.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let mut drawn = (total > 0).then(|| pick(total))?;
    for (group, weight) in groups {
        match drawn.checked_sub(u64::from(*weight)) {
            None => return Some(group),
            Some(rest) => drawn = rest,
        }
    }
    None
}

/// The next target in turn: among the healthy ones; among all that are not draining when none is healthy (fail-open).
fn take_turn(group: &mut TargetGroup, turn: &mut usize) -> Option<(String, u16, Option<SocketAddr>)> {
    let open = |i: &usize| group.targets[*i].draining_until.is_none();
    let registered: Vec<usize> = (0..group.targets.len()).filter(open).collect();
    let healthy: Vec<usize> =
        registered.iter().copied().filter(|i| group.targets[*i].health == Health::Healthy).collect();
    let among = if healthy.is_empty() { registered } else { healthy };
    let at = *among.get(turn.checked_rem(among.len())?)?;
    *turn = turn.wrapping_add(1);
    let target = group.targets.get_mut(at)?;
    target.in_flight += 1;
    target.requests += 1;
    Some((target.id.clone(), target.port, target.socket))
}

/// Opaque to clients, as AWS's is; names the group and when it ends.
fn cookie_of(group: &str, now: Timestamp, life_s: u32) -> String {
    let until = now + SignedDuration::from_secs(i64::from(life_s));
    format!("{}-{}", seal(group), until.as_second())
}

fn seal(group: &str) -> String {
    Sha256::digest(group).iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The group that the request's cookie names, if the action still has it; its weight does not matter.
fn group_of_cookie<'a>(groups: &'a [(String, u16)], asked: &Asked<'_>) -> Option<&'a str> {
    let cookies = asked.headers.get_all(hyper::header::COOKIE).into_iter().filter_map(|v| v.to_str().ok());
    let value = cookies.flat_map(|c| c.split(';')).find_map(|c| {
        let (name, value) = c.trim().split_once('=')?;
        (name == STICKY_COOKIE).then(|| value.to_owned())
    })?;
    let (sealed, until) = value.split_once('-')?;
    let alive = until.parse::<i64>().is_ok_and(|until| asked.now.as_second() < until);
    groups.iter().map(|(group, _)| group.as_str()).find(|group| alive && seal(group) == sealed)
}

fn idle_timeout_s(cloud: &Cloud, listener_arn: &str) -> u64 {
    const DEFAULT_S: u64 = 60; // ELBv2's default
    let balancer = cloud.listeners.get(listener_arn).and_then(|l| cloud.balancers.get(&l.balancer));
    let written = balancer.and_then(|b| b.attributes.get("idle_timeout.timeout_seconds")?.parse().ok());
    written.unwrap_or(DEFAULT_S)
}
