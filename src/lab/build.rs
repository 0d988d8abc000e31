//! Builds a cloud from a blueprint: zones with their name servers, balancers with bound listeners, groups with targets.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::blueprint::{BalancerOrder, Blueprint, GroupOrder, ListenerOrder, ZoneOrder};
use super::cloud::names;
use super::stand_ins::StandIns;
use super::state::{Action, Balancer, Cloud, Health, Listener, RecordSet, Rule, Target, TargetGroup, Zone};
use crate::ids::random_u64;

/// Host names of the name servers that serve every zone here, and their plan addresses (RFC 5737); the DNS servers stand in for them.
pub const NAME_SERVERS: [(&str, Ipv4Addr); 2] = [
    ("ns-53.awsdns-06.com", Ipv4Addr::new(198, 51, 100, 53)),
    ("ns-1053.awsdns-03.org", Ipv4Addr::new(198, 51, 100, 54)),
];

/// A cloud and what its parts need to come alive.
#[derive(Debug)]
pub struct Built {
    pub cloud: Cloud,
    /// Balancer addresses and model servers; the DNS servers are added by whoever binds them.
    pub stand_ins: StandIns,
    /// The socket of each listener, by ARN: bound already, so that nobody else takes the port.
    pub sockets: BTreeMap<String, TcpListener>,
}

/// Builds what was ordered.
///
/// # Errors
/// When no loopback port can be had, or an order names a group that was not ordered or an address without a port.
pub fn build(order: &Blueprint) -> io::Result<Built> {
    let account = if order.account.is_empty() { "123456789012" } else { &order.account };
    let region = if order.region.is_empty() { "eu-west-1" } else { &order.region };
    let cloud = Cloud { account: account.to_owned(), region: region.to_owned(), ..Cloud::default() };
    let mut built = Built { cloud, stand_ins: StandIns::default(), sockets: BTreeMap::new() };
    for server in &order.servers {
        let (host, port) = host_and_port(&server.address)?;
        built.stand_ins.insert(host, port, free_port()?);
    }
    for group in &order.groups {
        built.add_group(group)?;
    }
    for (n, balancer) in (0u8..).zip(&order.balancers) {
        built.add_balancer(n, balancer)?;
    }
    for zone in &order.zones {
        built.add_zone(&built.completed(zone));
    }
    Ok(built)
}

impl Built {
    /// An order can name a balancer before its DNS name is made up: an alias without a zone leads to the balancer called so.
    fn completed(&self, order: &ZoneOrder) -> ZoneOrder {
        let mut order = order.clone();
        for alias in order.records.iter_mut().filter_map(|r| r.alias.as_mut()).filter(|a| a.zone_id.is_empty()) {
            if let Some(balancer) = self.cloud.balancers.values().find(|b| b.name == alias.dns_name) {
                alias.dns_name = names::normal(&balancer.dns_name);
                alias.zone_id.clone_from(&balancer.canonical_zone_id);
            }
        }
        order
    }

    fn arn(&self, resource: &str) -> String {
        format!("arn:aws:elasticloadbalancing:{}:{}:{resource}", self.cloud.region, self.cloud.account)
    }

    fn add_zone(&mut self, order: &ZoneOrder) {
        let name = names::normal(&order.name);
        let id = order.id.clone().unwrap_or_else(|| format!("Z0{:016X}{:03X}", random_u64(), random_u64() & 0xfff));
        let name_servers: Vec<String> = NAME_SERVERS.iter().map(|(host, _)| (*host).to_owned()).collect();
        let mut records: Vec<RecordSet> = order.records.iter().cloned().map(names::normal_set).collect();
        let has = |kind: &str| order.records.iter().any(|r| r.kind == kind && names::normal(&r.name) == name);
        if !has("NS") {
            let values = name_servers.iter().map(|host| format!("{host}.")).collect();
            records.push(RecordSet {
                name: name.clone(),
                kind: "NS".to_owned(),
                ttl_s: Some(172_800),
                values,
                ..RecordSet::default()
            });
        }
        if !has("SOA") {
            // The values that Route 53 gives a new zone.
            let soa = format!("{}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400", NAME_SERVERS[0].0);
            records.push(RecordSet {
                name: name.clone(),
                kind: "SOA".to_owned(),
                ttl_s: Some(900),
                values: vec![soa],
                ..RecordSet::default()
            });
        }
        names::sort(&mut records);
        let served = records.clone();
        let zone = Zone { name, private: order.private, name_servers, records, served, ..Zone::default() };
        self.cloud.zones.insert(id, zone);
    }

    fn add_group(&mut self, order: &GroupOrder) -> io::Result<()> {
        let mut targets = Vec::new();
        for address in &order.targets {
            let (id, port) = host_and_port(address)?;
            targets.push(new_target(id, port, &self.stand_ins));
        }
        let arn = order.arn.clone().unwrap_or_else(|| self.arn(&format!("targetgroup/{}/{}", order.name, hex16())));
        let health_path = if order.health_path.is_empty() { "/" } else { &order.health_path };
        let group = TargetGroup {
            name: order.name.clone(),
            port: order.port,
            protocol: "HTTP".to_owned(),
            target_type: "ip".to_owned(),
            attributes: order.attributes.clone(),
            health_path: health_path.to_owned(),
            // AWS's defaults for an ALB.
            health_interval_s: 30.0,
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            health_codes: "200".to_owned(),
            targets,
        };
        self.cloud.groups.insert(arn, group);
        Ok(())
    }

    fn add_balancer(&mut self, n: u8, order: &BalancerOrder) -> io::Result<()> {
        let arn =
            order.arn.clone().unwrap_or_else(|| self.arn(&format!("loadbalancer/app/{}/{}", order.name, hex16())));
        let region = &self.cloud.region;
        let made_up = || format!("{}-{:010}.{region}.elb.amazonaws.com", order.name, random_u64() % 10_000_000_000);
        let dns_name = order.dns_name.clone().unwrap_or_else(made_up);
        let base = 10 + 2 * (n % 100);
        let addresses = vec![format!("192.0.2.{base}"), format!("192.0.2.{}", base + 1)];
        for listener in &order.listeners {
            let socket = self.add_listener(&arn, listener)?;
            for host in addresses.iter().chain([&dns_name]) {
                self.stand_ins.insert(host, listener.port, socket);
            }
        }
        let balancer = Balancer {
            name: order.name.clone(),
            dns_name,
            canonical_zone_id: order.dns_zone.clone().unwrap_or_else(|| "Z32O12XQLNTSW2".to_owned()),
            attributes: order.attributes.clone(),
            addresses,
        };
        self.cloud.balancers.insert(arn, balancer);
        Ok(())
    }

    fn add_listener(&mut self, balancer: &str, order: &ListenerOrder) -> io::Result<SocketAddr> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        bound.set_nonblocking(true)?;
        let socket = bound.local_addr()?;
        let arn = order
            .arn
            .clone()
            .unwrap_or_else(|| format!("{}/{}", balancer.replacen(":loadbalancer/", ":listener/", 1), hex16()));
        let certificates = if order.protocol == "HTTPS" {
            vec![format!("arn:aws:acm:{}:{}:certificate/lab", self.cloud.region, self.cloud.account)]
        } else {
            Vec::new()
        };
        let default = if order.default.is_empty() {
            Action::FixedResponse { status: 404, content_type: "text/plain".to_owned(), body: String::new() }
        } else {
            self.forward(&order.default, None)?
        };
        self.add_rule(&arn, Rule { listener: arn.clone(), actions: vec![default], ..Rule::default() });
        for rule in &order.rules {
            let actions = vec![self.forward(&rule.forward, rule.sticky_s)?];
            let rule = Rule {
                listener: arn.clone(),
                priority: Some(rule.priority),
                hosts: rule.hosts.clone(),
                paths: rule.paths.clone(),
                headers: Vec::new(),
                actions,
            };
            self.add_rule(&arn, rule);
        }
        let listener = Listener {
            balancer: balancer.to_owned(),
            protocol: order.protocol.clone(),
            port: order.port,
            socket,
            certificates,
        };
        self.cloud.listeners.insert(arn.clone(), listener);
        self.sockets.insert(arn, bound);
        Ok(socket)
    }

    fn add_rule(&mut self, listener: &str, rule: Rule) {
        self.cloud.rules.insert(rule_arn(listener), rule);
    }

    fn forward(&self, groups: &[(String, u16)], sticky_s: Option<u32>) -> io::Result<Action> {
        let arn_of = |name: &String| {
            let found = self.cloud.groups.iter().find(|(arn, group)| *arn == name || group.name == *name);
            found.map(|(arn, _)| arn.clone()).ok_or_else(|| bad(format!("no target group `{name}` was ordered")))
        };
        let groups = groups.iter().map(|(name, weight)| Ok((arn_of(name)?, *weight))).collect::<io::Result<_>>()?;
        Ok(Action::Forward { groups, sticky_s })
    }
}

/// A target as it is when it has just been registered.
pub fn new_target(id: &str, port: u16, stand_ins: &StandIns) -> Target {
    Target {
        id: id.to_owned(),
        port,
        socket: stand_ins.get(id, port),
        health: Health::Initial,
        passes: 0,
        failures: 0,
        draining_until: None,
        in_flight: 0,
        requests: 0,
    }
}

/// A new rule's ARN, formed as AWS forms them.
pub(super) fn rule_arn(listener: &str) -> String {
    format!("{}/{}", listener.replacen(":listener/", ":listener-rule/", 1), hex16())
}

/// The random tail of an ARN.
pub(super) fn hex16() -> String {
    format!("{:016x}", random_u64())
}

/// A port for a server that is started later, by another process: free now, and below the range from which the
/// kernel takes ports for outgoing connections, so that none of these takes it meanwhile.
fn free_port() -> io::Result<SocketAddr> {
    for _ in 0..1000 {
        let port = 20_000 + u16::try_from(random_u64() % 12_000).unwrap_or(0);
        if let Ok(probe) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return probe.local_addr();
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no free port between 20000 and 32000 on 127.0.0.1"))
}

fn host_and_port(address: &str) -> io::Result<(&str, u16)> {
    let split = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    split.ok_or_else(|| bad(format!("`{address}` is not `ip:port`")))
}

fn bad(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use super::super::blueprint::{RuleOrder, ServerOrder};
    use super::*;
    use crate::ids::EnvironmentName;

    fn blueprint() -> Blueprint {
        let address = "203.0.113.10:8000".to_owned();
        let rule = RuleOrder { priority: 1, forward: vec![("blue".to_owned(), 1)], ..RuleOrder::default() };
        let listener =
            ListenerOrder { protocol: "HTTPS".to_owned(), port: 443, rules: vec![rule], ..ListenerOrder::default() };
        Blueprint {
            zones: vec![ZoneOrder {
                id: Some("Z1".to_owned()),
                name: "Example.com".to_owned(),
                ..ZoneOrder::default()
            }],
            balancers: vec![BalancerOrder {
                name: "front".to_owned(),
                listeners: vec![listener],
                ..BalancerOrder::default()
            }],
            groups: vec![GroupOrder {
                name: "blue".to_owned(),
                arn: Some("arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/blue/1".to_owned()),
                port: 8000,
                targets: vec![address.clone()],
                ..GroupOrder::default()
            }],
            servers: vec![ServerOrder {
                environment: EnvironmentName::new("blue").unwrap(),
                address,
                model: "m".to_owned(),
                revision: None,
                load_s: 0.0,
                running: true,
            }],
            ..Blueprint::default()
        }
    }

    #[test]
    fn every_plan_address_of_the_cloud_has_a_stand_in_on_loopback() {
        let built = build(&blueprint()).unwrap();
        let cloud = &built.cloud;
        let target = &cloud.groups.values().next().unwrap().targets[0];
        assert_eq!(target.socket, built.stand_ins.get("203.0.113.10", 8000));
        assert!(target.socket.is_some_and(|socket| socket.ip().is_loopback()));
        let (arn, listener) = cloud.listeners.iter().next().unwrap();
        let balancer = &cloud.balancers[&listener.balancer];
        for host in balancer.addresses.iter().chain([&balancer.dns_name]) {
            assert_eq!(built.stand_ins.get(host, 443), Some(listener.socket));
        }
        assert_eq!(built.sockets[arn].local_addr().unwrap(), listener.socket, "bound already");
        assert!(built.stand_ins.knows("192.0.2.10") && !built.stand_ins.knows("192.0.2.1"));
    }

    #[test]
    fn what_was_ordered_by_name_is_there_by_arn_and_the_rest_is_made_up_as_aws_does() {
        let Built { cloud, .. } = build(&blueprint()).unwrap();
        assert_eq!(cloud.zones["Z1"].name, "example.com.");
        let kinds: Vec<_> = cloud.zones["Z1"].served.iter().map(|set| set.kind.as_str()).collect();
        assert_eq!(kinds, ["NS", "SOA"]);
        let group = cloud.groups.keys().next().unwrap().clone();
        let rule = cloud.rules.iter().find(|(_, rule)| rule.priority == Some(1)).unwrap();
        assert_eq!(rule.1.actions, [Action::Forward { groups: vec![(group, 1)], sticky_s: None }]);
        assert!(rule.0.contains(":listener-rule/app/front/"), "{}", rule.0);
        assert!(cloud.rules.values().any(|rule| rule.priority.is_none()), "each listener has a default rule");
    }

    #[test]
    fn an_order_that_names_what_is_not_there_is_refused() {
        let mut order = blueprint();
        order.groups.clear();
        assert!(build(&order).unwrap_err().to_string().contains("blue"));
        let mut order = blueprint();
        order.groups[0].targets = vec!["203.0.113.10".to_owned()];
        assert!(build(&order).unwrap_err().to_string().contains("ip:port"));
    }
}
