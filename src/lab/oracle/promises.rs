//! What must hold of every transition: nothing is left empty, nothing goes dark (cached answers included), nothing that traffic
//! leads to is taken away, nothing is overwritten blindly. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::View;
use super::way_back::taken_away;
use crate::lab::cloud::in_use;
use crate::lab::state::{Action, Balancer, Cloud, Health, RecordSet, Rule, Target};

/// Promise, on what, why.
pub(super) type Broken = (&'static str, String, String);

/// The promises that the step from `before` to `after` breaks.
pub(super) fn broken(before: &View<'_>, after: &View<'_>, blind: &[String]) -> Vec<Broken> {
    let mut broken: Vec<Broken> = blind
        .iter()
        .map(|set| {
            ("blind", set.clone(), "UPSERT over a record set that exists, where a compare was possible".to_owned())
        })
        .collect();
    broken.extend(emptied_names(before.cloud, after.cloud));
    broken.extend(emptied_forwards(before.cloud, after.cloud));
    broken.extend(taken_away(before, after));
    let (lit_before, lit_after) = (lights(before), lights(after));
    for (on, light) in lit_after {
        // What was dark before, or is new, is no step into the dark.
        if let (Some(Light::Lit), Light::Dark(why)) = (lit_before.get(&on), light) {
            broken.push(("never-dark", on, why));
        }
    }
    broken
}

/// Names with addresses that have none any more.
fn emptied_names(before: &Cloud, after: &Cloud) -> Vec<Broken> {
    let after = names(after);
    let gone = names(before).into_iter().filter(|name| !after.contains(name));
    gone.map(|(zone, name)| ("never-empty", format!("{name} in {zone}"), "no A, AAAA or CNAME is left".to_owned()))
        .collect()
}

fn names(cloud: &Cloud) -> BTreeSet<(String, String)> {
    let leads = |set: &&RecordSet| matches!(set.kind.as_str(), "A" | "AAAA" | "CNAME");
    let of_zone = |(id, zone): (&String, &crate::lab::state::Zone)| {
        zone.records.iter().filter(leads).map(|set| (id.clone(), set.name.clone())).collect::<Vec<_>>()
    };
    cloud.zones.iter().flat_map(of_zone).collect()
}

/// Forward actions that were written without a group of any weight.
fn emptied_forwards(before: &Cloud, after: &Cloud) -> Vec<Broken> {
    let empty = |rule: &Rule| {
        rule.actions.iter().any(|action| match action {
            Action::Forward { groups, .. } => groups.iter().all(|(_, weight)| *weight == 0),
            Action::FixedResponse { .. } | Action::Redirect { .. } | Action::Authenticate { .. } => false,
        })
    };
    let fresh = |arn: &String| before.rules.get(arn).is_none_or(|rule| !empty(rule));
    let found = after.rules.iter().filter(|(arn, rule)| empty(rule) && fresh(arn));
    found.map(|(arn, _)| ("never-empty", arn.clone(), "all weights are 0 or no group is left".to_owned())).collect()
}

/// Whether something leads to anything healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Light {
    Lit,
    /// And why.
    Dark(String),
}

impl From<Option<String>> for Light {
    fn from(darkness: Option<String>) -> Self {
        darkness.map_or(Self::Lit, Self::Dark)
    }
}

/// Each rule that forwards, each name with addresses, and each answer that is still in caches.
fn lights(view: &View<'_>) -> BTreeMap<String, Light> {
    let (mut lights, cloud) = (BTreeMap::new(), view.cloud);
    for (arn, rule) in cloud.rules.iter().filter(|(_, rule)| is_reached(cloud, rule)) {
        if let Some(light) = rule_light(view, rule) {
            lights.insert(arn.clone(), light);
        }
    }
    for (id, zone) in &cloud.zones {
        let names: BTreeSet<&String> = zone.records.iter().map(|set| &set.name).collect();
        for name in names {
            let sets = zone.records.iter().filter(|set| set.name == *name && matches!(set.kind.as_str(), "A" | "AAAA"));
            // Weight 0 is asked for only when all weights are 0.
            let sets: Vec<&RecordSet> = sets.collect();
            let all_zero = sets.iter().all(|set| set.weight == Some(0));
            let live: Vec<&&RecordSet> = sets.iter().filter(|set| all_zero || set.weight != Some(0)).collect();
            if !live.is_empty() {
                let dark = live.iter().find_map(|set| set_darkness(view, set));
                lights.insert(format!("{name} in {id}"), dark.into());
            }
        }
        for lingering in &zone.lingering {
            let (set, until) = (&lingering.set, crate::units::clock_time(lingering.until));
            let on = format!("{} {} in {id}, in caches until {until}", set.name, set.values.join(" "));
            lights.insert(on, set_darkness(view, set).into());
        }
    }
    lights
}

/// Whether every group that gets a share of a forward has a healthy target; `None` for rules that forward nothing.
fn rule_light(view: &View<'_>, rule: &Rule) -> Option<Light> {
    let groups = rule.actions.iter().find_map(|action| match action {
        Action::Forward { groups, .. } => Some(groups),
        Action::FixedResponse { .. } | Action::Redirect { .. } | Action::Authenticate { .. } => None,
    })?;
    let shares: Vec<&String> = groups.iter().filter(|(_, weight)| *weight > 0).map(|(arn, _)| arn).collect();
    if shares.is_empty() {
        return Some(Light::Dark("no group has any weight".to_owned()));
    }
    let dark = shares.iter().find(|arn| !group_lit(view, arn));
    Some(dark.map(|arn| format!("{arn} gets traffic and has no healthy target")).into())
}

fn group_lit(view: &View<'_>, arn: &str) -> bool {
    // The health check finds an end out later; clients meet it at once.
    let serves = |t: &&Target| !view.ended.contains(&format!("{}:{}", t.id, t.port));
    let healthy = |group: &crate::lab::state::TargetGroup| {
        group.targets.iter().filter(serves).any(|t| t.health == Health::Healthy && t.draining_until.is_none())
    };
    in_use(view.cloud, arn) && view.cloud.groups.get(arn).is_some_and(healthy)
}

/// Why a record set leads to nothing healthy. Every one of its values gets clients, so every one counts.
fn set_darkness(view: &View<'_>, set: &RecordSet) -> Option<String> {
    let cloud = view.cloud;
    if set.alias.is_some() {
        let balancer = cloud.balancers.iter().find(|(_, b)| names_balancer(set, b));
        return balancer.and_then(|(arn, b)| balancer_darkness(view, arn, b, &set.name));
    }
    set.values.iter().find_map(|value| {
        if let Some((arn, balancer)) = cloud.balancers.iter().find(|(_, b)| b.addresses.contains(value)) {
            return balancer_darkness(view, arn, balancer, &set.name);
        }
        if ended_at(view, value) {
            return Some(format!("the server at {value} has ended"));
        }
        // Health is known of targets only; an address that is nobody's here is surely dark.
        let mut targets = cloud.groups.values().flat_map(|group| &group.targets).filter(|t| t.id == *value).peekable();
        let nobody = targets.peek().is_none() && !view.stand_ins.knows(value);
        nobody.then(|| format!("{value} is nobody's address in this world"))
    })
}

/// Whether a record set names a balancer: as an alias, or by one of its addresses.
fn names_balancer(set: &RecordSet, balancer: &Balancer) -> bool {
    let alias = set.alias.as_ref().map(|alias| alias.dns_name.trim_end_matches('.'));
    let host = alias.map(|host| host.strip_prefix("dualstack.").unwrap_or(host));
    host.is_some_and(|host| balancer.dns_name.eq_ignore_ascii_case(host))
        || set.values.iter().any(|value| balancer.addresses.contains(value))
}

/// Whether clients come to the balancer of a rule: by a name that leads to it, now or out of a cache. In a world where no name
/// leads to any balancer, they come to its listener without one.
pub(super) fn is_reached(cloud: &Cloud, rule: &Rule) -> bool {
    let Some(listener) = cloud.listeners.get(&rule.listener) else { return false };
    let sets = || {
        cloud.zones.values().flat_map(|zone| {
            let now = zone.records.iter().chain(&zone.served).filter(|set| set.weight != Some(0));
            now.chain(zone.lingering.iter().map(|lingering| &lingering.set))
        })
    };
    let leads_to = |balancer: &Balancer| sets().any(|set| names_balancer(set, balancer));
    cloud.balancers.get(&listener.balancer).is_some_and(leads_to) || !cloud.balancers.values().any(leads_to)
}

/// Whether what served at `host` has ended: all of it, where it listened on several ports.
pub(super) fn ended_at(view: &View<'_>, host: &str) -> bool {
    let here = |address: &&String| address.rsplit_once(':').is_some_and(|(h, _)| h == host);
    let known = view.stand_ins.all();
    let mut servers = known.keys().filter(here).peekable();
    servers.peek().is_some() && servers.all(|address| view.ended.contains(address))
}

/// A balancer serves a name when a rule that the name can reach does.
fn balancer_darkness(view: &View<'_>, arn: &str, balancer: &Balancer, name: &str) -> Option<String> {
    let name = name.trim_end_matches('.');
    let of_balancer = |rule: &&Rule| view.cloud.listeners.get(&rule.listener).is_some_and(|l| l.balancer == arn);
    let reached = |rule: &&Rule| rule.hosts.is_empty() || rule.hosts.iter().any(|pattern| matches(pattern, name));
    let lit = view
        .cloud
        .rules
        .values()
        .filter(of_balancer)
        .filter(reached)
        .any(|rule| matches!(rule_light(view, rule), Some(Light::Lit)));
    (!lit).then(|| format!("no rule of balancer {} leads {name} to a healthy target", balancer.name))
}

/// `*` stands for any number of characters, `?` for one; case does not count.
fn matches(pattern: &str, text: &str) -> bool {
    fn rest(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', tail)), _) if rest(tail, text) => true,
            (Some((b'*', _)), Some((_, text))) => rest(pattern, text),
            (Some((b'?', tail)), Some((_, text))) => rest(tail, text),
            (Some((p, tail)), Some((t, text))) => p.eq_ignore_ascii_case(t) && rest(tail, text),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
    rest(pattern.as_bytes(), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_patterns_match_as_balancers_match_them() {
        for (pattern, text) in
            [("*.example.com", "chat.example.com"), ("CHAT.*", "chat.example.com"), ("c?at.x", "chat.x"), ("*", "x")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("*.example.com", "example.com"), ("c?at.x", "cat.x"), ("chat.x", "chat.xy"), ("", "x")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
