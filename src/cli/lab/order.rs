//! From a plan to the world that it names.

use std::collections::BTreeMap;

use crate::ids::EnvironmentName;
use crate::lab::blueprint::{
    BalancerOrder, Blueprint, GroupOrder, ListenerOrder, ResolverKind, RuleOrder, ServerOrder, ZoneOrder,
};
use crate::lab::state::{Alias, RecordSet};
use crate::plan::model::{Alb, AlbRule, AliasTarget, Endpoints, Plan, RecordValues, Release, Route53, Router};

/// TTL of the records of a new world, in seconds: long enough to be worth lowering.
const TTL_S: u32 = 300;

/// What is ordered, and who is live in it.
#[derive(Debug)]
pub(in crate::cli) struct Order {
    pub(in crate::cli) blueprint: Blueprint,
    pub(in crate::cli) live: EnvironmentName,
    pub(in crate::cli) was: Release,
}

/// The world that `plan` names, in which its first environment is live with an earlier model.
///
/// # Errors
/// A fragment for what this world cannot stand in for.
pub(in crate::cli) fn order(plan: &Plan, scale: f64) -> Result<Order, String> {
    let live = plan.environments.keys().next().cloned().ok_or("the plan has no environments")?;
    let mut drafting = Drafting { plan, live: &live, blueprint: Blueprint::default(), addresses: addresses(plan)? };
    drafting.blueprint.account = plan.aws.as_ref().map(|a| a.account.clone()).unwrap_or_default();
    drafting.blueprint.region = plan.aws.as_ref().map(|a| a.region.clone()).unwrap_or_default();
    drafting.blueprint.scale = scale;
    drafting.blueprint.insync_after_s = 20.0;
    drafting.blueprint.resolvers =
        vec![ResolverKind::Honest, ResolverKind::ClampUp { ttl_s: 60 }, ResolverKind::ServeStale];
    drafting.servers();
    for router in plan.routers.values() {
        if let Router::Alb(alb) = router {
            drafting.balancer(alb)?;
        }
    }
    // Names come after the balancers that they may lead to.
    for router in plan.routers.values() {
        if let Router::Route53(record) = router {
            drafting.zone(record)?;
        }
    }
    drafting.front_door();
    let was = earlier(&plan.release);
    Ok(Order { blueprint: drafting.blueprint, was, live })
}

/// The release before: `chat-v1` before `chat-v2`.
fn earlier(release: &Release) -> Release {
    let digits = release.model.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (stem, number) = release.model.split_at(digits);
    let model = match number.parse::<u64>() {
        Ok(n @ 1..) => format!("{stem}{}", n - 1),
        Ok(_) | Err(_) => format!("{}-before", release.model),
    };
    Release { model, revision: release.revision.as_ref().map(|r| format!("{r}-before")) }
}

/// Where each environment's servers are, as `ip:port` of the plan; made up where a target group is all that is known.
fn addresses(plan: &Plan) -> Result<BTreeMap<EnvironmentName, Vec<String>>, String> {
    let mut found = BTreeMap::new();
    for (n, (name, environment)) in plan.environments.iter().enumerate() {
        let here = match &environment.endpoints {
            Endpoints::Urls(urls) => {
                let address = |url: &url::Url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?));
                urls.iter()
                    .map(|url| address(url).ok_or_else(|| format!("{url} names no host")))
                    .collect::<Result<_, _>>()?
            }
            Endpoints::TargetGroup { target_group } => {
                let floor = match plan.routers.get(target_group) {
                    Some(Router::Alb(alb)) => alb.floor.max(2),
                    Some(Router::Route53(_)) | None => 2,
                };
                (0..floor).map(|target| format!("10.0.{}.{}:8000", n + 1, target + 10)).collect()
            }
        };
        found.insert(name.clone(), here);
    }
    Ok(found)
}

struct Drafting<'a> {
    plan: &'a Plan,
    live: &'a EnvironmentName,
    blueprint: Blueprint,
    addresses: BTreeMap<EnvironmentName, Vec<String>>,
}

impl Drafting<'_> {
    fn servers(&mut self) {
        for (environment, addresses) in &self.addresses {
            for address in addresses {
                self.blueprint.servers.push(ServerOrder {
                    environment: environment.clone(),
                    address: address.clone(),
                    model: self.plan.release.model.clone(),
                    revision: self.plan.release.revision.clone(),
                    load_s: 0.0,
                    running: environment == self.live,
                });
            }
        }
    }

    fn balancer(&mut self, alb: &Alb) -> Result<(), String> {
        let (arn, hosts, paths): (String, Vec<String>, Vec<String>) = match &alb.rule {
            AlbRule::Default => (alb.listener.clone().unwrap_or_default(), Vec::new(), Vec::new()),
            AlbRule::Matching(rule) => {
                let listed = |pattern: &Option<String>| pattern.iter().cloned().collect::<Vec<_>>();
                (rule.listener.clone(), listed(&rule.host), listed(&rule.path))
            }
        };
        let (balancer_arn, name) = balancer_of(&arn).ok_or_else(|| format!("{arn} is not the ARN of a listener"))?;
        for (environment, group) in &alb.target_groups {
            let named = group.split(":targetgroup/").nth(1).and_then(|tail| tail.split('/').next());
            let by_hand = matches!(
                self.plan.environments.get(environment).map(|e| &e.endpoints),
                Some(Endpoints::TargetGroup { .. })
            );
            // What modelswap does not register itself stands in the group from the start, running or not.
            let there = by_hand || environment == self.live;
            self.blueprint.groups.push(GroupOrder {
                name: named.unwrap_or(group).to_owned(),
                arn: group.starts_with("arn:").then(|| group.clone()),
                port: 8000,
                health_path: "/health".to_owned(),
                attributes: BTreeMap::new(),
                targets: if there { self.addresses.get(environment).cloned().unwrap_or_default() } else { Vec::new() },
            });
        }
        let live_group = alb.target_groups.get(self.live).ok_or("the rule has no group for the live environment")?;
        let forward = vec![(
            live_group.split(":targetgroup/").nth(1).and_then(|t| t.split('/').next()).unwrap_or(live_group).to_owned(),
            100,
        )];
        let port = self.plan.witness.as_ref().and_then(|w| w.url.port_or_known_default()).unwrap_or(80);
        let protocol =
            if self.plan.witness.as_ref().is_some_and(|w| w.url.scheme() == "https") { "HTTPS" } else { "HTTP" };
        let at =
            self.blueprint.balancers.iter().position(|b| b.arn.as_ref() == Some(&balancer_arn)).unwrap_or_else(|| {
                self.blueprint.balancers.push(BalancerOrder {
                    name,
                    arn: Some(balancer_arn),
                    ..BalancerOrder::default()
                });
                self.blueprint.balancers.len() - 1
            });
        let Some(balancer) = self.blueprint.balancers.get_mut(at) else { return Ok(()) };
        let at = balancer.listeners.iter().position(|l| l.arn.as_ref() == Some(&arn)).unwrap_or_else(|| {
            let listener =
                ListenerOrder { arn: Some(arn), protocol: protocol.to_owned(), port, ..ListenerOrder::default() };
            balancer.listeners.push(listener);
            balancer.listeners.len() - 1
        });
        let Some(listener) = balancer.listeners.get_mut(at) else { return Ok(()) };
        if hosts.is_empty() && paths.is_empty() {
            listener.default = forward;
        } else {
            let priority = u32::try_from(listener.rules.len()).unwrap_or(0) * 10 + 10;
            listener.rules.push(RuleOrder { priority, hosts, paths, forward, sticky_s: None });
        }
        Ok(())
    }

    fn zone(&mut self, record: &Route53) -> Result<(), String> {
        let set = |kind: &str, values: Vec<String>| RecordSet {
            name: record.name.clone(),
            kind: kind.to_owned(),
            ttl_s: Some(TTL_S),
            values,
            ..RecordSet::default()
        };
        let mut records = Vec::new();
        if let Some(values) = record.values.as_ref().and_then(|v| v.get(self.live)) {
            match values {
                RecordValues::ByType(by_type) => {
                    records.extend(by_type.iter().map(|(kind, values)| set(kind, values.clone())))
                }
                RecordValues::Addresses(ips) => {
                    for (kind, four) in [("A", true), ("AAAA", false)] {
                        let of_kind: Vec<_> =
                            ips.iter().filter(|ip| ip.is_ipv4() == four).map(ToString::to_string).collect();
                        if !of_kind.is_empty() {
                            records.push(set(kind, of_kind));
                        }
                    }
                }
            }
        }
        for (environment, id) in record.weighted.iter().flatten() {
            let hosts = self.addresses.get(environment).into_iter().flatten().filter_map(|a| a.rsplit_once(':'));
            let weight = Some(if environment == self.live { 100 } else { 0 });
            let values = hosts.map(|(host, _)| host.to_owned()).collect();
            records.push(RecordSet { set_identifier: Some(id.clone()), weight, ..set("A", values) });
        }
        for (environment, alias) in record.aliases.iter().flatten() {
            self.target_of_alias(environment, alias)?;
            if environment == self.live {
                let alias = Alias {
                    zone_id: alias.zone.clone(),
                    dns_name: alias.target.clone(),
                    evaluate_target_health: alias.evaluate_target_health,
                };
                let (name, kind) = (record.name.clone(), "A".to_owned());
                records.push(RecordSet { name, kind, alias: Some(alias), ..RecordSet::default() });
            }
        }
        self.blueprint.moved.push(record.name.clone());
        let by_id = !record.zone.contains('.');
        let name = if by_id { parent(&record.name) } else { record.zone.clone() };
        if let Some(zone) = self.blueprint.zones.iter_mut().find(|z| z.name == name && z.private == record.private) {
            zone.records.extend(records);
        } else {
            let id = by_id.then(|| record.zone.clone());
            self.blueprint.zones.push(ZoneOrder { id, name, private: record.private, records });
        }
        Ok(())
    }

    /// The balancer that a name is to be an alias of: one of the plan's own, else one of the environment's, with all its servers
    /// behind it.
    fn target_of_alias(&mut self, environment: &EnvironmentName, alias: &AliasTarget) -> Result<(), String> {
        let host = alias.target.trim_end_matches('.').to_ascii_lowercase();
        let host = host.strip_prefix("dualstack.").unwrap_or(&host).to_owned();
        let first = host.split('.').next().unwrap_or(&host);
        let name = first.rsplit_once('-').map_or(first, |(name, _)| name).to_owned();
        if !host.ends_with(".elb.amazonaws.com") {
            return Err(format!("{host} is no load balancer's name, and this world has nothing else for an alias"));
        }
        let (dns_name, dns_zone) = (Some(host), Some(alias.zone.clone()));
        if let Some(known) = self.blueprint.balancers.iter_mut().find(|b| b.name == name) {
            (known.dns_name, known.dns_zone) = (dns_name, dns_zone);
            return Ok(());
        }
        let group = format!("{name}-targets");
        self.blueprint.groups.push(GroupOrder {
            name: group.clone(),
            arn: None,
            port: 8000,
            health_path: "/health".to_owned(),
            attributes: BTreeMap::new(),
            targets: self.addresses.get(environment).cloned().unwrap_or_default(),
        });
        let door = self.plan.witness.as_ref().map(|w| &w.url);
        let protocol = if door.is_some_and(|url| url.scheme() == "https") { "HTTPS" } else { "HTTP" };
        let listener = ListenerOrder {
            protocol: protocol.to_owned(),
            port: door.and_then(url::Url::port_or_known_default).unwrap_or(80),
            default: vec![(group, 100)],
            ..ListenerOrder::default()
        };
        let listeners = vec![listener];
        self.blueprint.balancers.push(BalancerOrder {
            name,
            dns_name,
            dns_zone,
            listeners,
            ..BalancerOrder::default()
        });
        Ok(())
    }

    /// The name that clients type leads to the balancer when no router of the plan moves it.
    fn front_door(&mut self) {
        let Some(host) = self.plan.witness.as_ref().and_then(|w| w.url.host_str()) else { return };
        let moved = self.plan.routers.values().any(|r| matches!(r, Router::Route53(record) if record.name == host));
        let (false, Some(balancer)) = (moved, self.blueprint.balancers.first()) else { return };
        // The balancer's own name is made up when the world is built, so this is an alias to be completed then.
        let alias = Alias { zone_id: String::new(), dns_name: balancer.name.clone(), evaluate_target_health: false };
        let record =
            RecordSet { name: host.to_owned(), kind: "A".to_owned(), alias: Some(alias), ..RecordSet::default() };
        let name = parent(host);
        match self.blueprint.zones.iter_mut().find(|z| z.name == name) {
            Some(zone) => zone.records.push(record),
            None => self.blueprint.zones.push(ZoneOrder { id: None, name, private: false, records: vec![record] }),
        }
    }
}

fn parent(name: &str) -> String {
    name.split_once('.').map_or_else(|| name.to_owned(), |(_, parent)| parent.to_owned())
}

/// ARN and name of the balancer of a listener.
fn balancer_of(listener: &str) -> Option<(String, String)> {
    let (front, tail) = listener.split_once(":listener/")?;
    let (balancer, _) = tail.rsplit_once('/')?;
    let name = balancer.split('/').nth(1)?;
    Some((format!("{front}:loadbalancer/{balancer}"), name.to_owned()))
}
