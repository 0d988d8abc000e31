//! What an authoritative server says to a question: pure, over the records that it serves.

use std::net::IpAddr;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::lab::state::{Alias, Balancer, RecordSet, Zone};

/// Seconds; what Elastic Load Balancing gives its names, and thereby every alias to one.
const BALANCER_TTL_S: u32 = 60;
/// Seconds; what Route 53 gives the addresses of its name servers, about two days.
const NAME_SERVER_TTL_S: u32 = 172_800;
/// CNAMEs and aliases that are followed before a loop is assumed; BIND allows 16 as well.
const LINKS_MAX: u32 = 16;

/// What a server knows at one moment.
pub(super) struct View<'a> {
    /// Each zone with the records that this server has of it.
    pub(super) zones: Vec<(&'a Zone, &'a [RecordSet])>,
    pub(super) balancers: Vec<&'a Balancer>,
    /// DNS names of balancers that are unhealthy to Route 53 where a record asks for their health.
    pub(super) dark: Vec<&'a str>,
    /// Host names of name servers, with their addresses.
    pub(super) hosts: Vec<(&'a str, &'a [IpAddr])>,
}

impl View<'_> {
    /// The answer to a question; `pick(n)` draws from `0..n` and decides among weighted sets.
    pub(super) fn answer(&self, name: &Name, kind: RecordType, pick: &mut dyn FnMut(u64) -> u64) -> Message {
        let mut message = Message::new(0, MessageType::Response, OpCode::Query);
        message.metadata.authoritative = true;
        self.follow(name, kind, pick, &mut message, LINKS_MAX);
        self.add_glue(&mut message);
        message
    }

    fn follow(
        &self,
        owner: &Name,
        kind: RecordType,
        pick: &mut dyn FnMut(u64) -> u64,
        out: &mut Message,
        links_left: u32,
    ) {
        let name = canonical(&owner.to_ascii());
        if let Some((addresses, ttl_s)) = self.host(&name) {
            out.add_answers(addresses_of(owner, kind, &addresses, ttl_s));
            return;
        }
        let Some((zone, records)) = self.zone_of(&name) else {
            // The end of a chain that leaves our zones is for the resolver to look up; a first name is refused.
            if out.answers.is_empty() {
                out.metadata.response_code = ResponseCode::Refused;
                out.metadata.authoritative = false;
            }
            return;
        };
        let there = sets_at(records, &name);
        if let Some(set) = choose(&there, kind, &|set| self.is_lit(set), pick) {
            match &set.alias {
                None => drop(out.add_answers(records_of(set, owner))),
                Some(alias) => self.add_alias(alias, owner, kind, pick, out, links_left),
            }
        } else if let Some(set) = choose(&there, RecordType::CNAME, &|set| self.is_lit(set), pick) {
            let links = records_of(set, owner);
            let target =
                links.iter().find_map(|r| if let RData::CNAME(c) = &r.data { Some(c.0.clone()) } else { None });
            out.add_answers(links);
            if let (Some(target), true) = (target, links_left > 0) {
                return self.follow(&target, kind, pick, out, links_left - 1);
            }
        } else if name == canonical(&zone.name) && matches!(kind, RecordType::SOA | RecordType::NS) {
            let made_up = if kind == RecordType::SOA { soa_of(zone, records) } else { ns_of(zone) };
            out.add_answers(records_of(&made_up, owner));
        } else if there.is_empty() && !is_inner_node(records, &name) && name != canonical(&zone.name) {
            out.metadata.response_code = ResponseCode::NXDomain;
        }
        let answered = out.answers.iter().any(|r| r.record_type() == kind);
        if !answered {
            out.add_authorities(negative(zone, records));
        }
    }

    /// An alias shows the records of its target under its own name, with the target's TTL.
    fn add_alias(
        &self,
        alias: &Alias,
        owner: &Name,
        kind: RecordType,
        pick: &mut dyn FnMut(u64) -> u64,
        out: &mut Message,
        links_left: u32,
    ) {
        let Ok(target) = Name::from_ascii(canonical(&alias.dns_name)) else { return };
        if links_left == 0 {
            return;
        }
        let mut found = Message::new(0, MessageType::Response, OpCode::Query);
        self.follow(&target, kind, pick, &mut found, links_left - 1);
        out.add_answers(found.answers.into_iter().filter(|r| r.record_type() == kind).map(|mut record| {
            record.name = owner.clone();
            record
        }));
    }

    /// Whether a record may be answered, as far as the health goes that it asks for.
    fn is_lit(&self, set: &RecordSet) -> bool {
        let Some(alias) = set.alias.as_ref().filter(|alias| alias.evaluate_target_health) else { return true };
        let target = canonical(&alias.dns_name);
        let target = target.strip_prefix("dualstack.").unwrap_or(&target);
        !self.dark.iter().any(|dark| canonical(dark) == target)
    }

    fn host(&self, name: &str) -> Option<(Vec<IpAddr>, u32)> {
        let short = name.strip_prefix("dualstack.").unwrap_or(name);
        let balancer = self.balancers.iter().find(|b| canonical(&b.dns_name) == short);
        if let Some(balancer) = balancer {
            return Some((balancer.addresses.iter().filter_map(|a| a.parse().ok()).collect(), BALANCER_TTL_S));
        }
        let (_, addresses) = self.hosts.iter().find(|(host, _)| canonical(host) == name)?;
        Some((addresses.to_vec(), NAME_SERVER_TTL_S))
    }

    /// The zone with the longest name that `name` is under; a public one before a private one of the same name.
    fn zone_of(&self, name: &str) -> Option<(&Zone, &[RecordSet])> {
        let inside = self.zones.iter().filter(|(zone, _)| is_under(name, &canonical(&zone.name)));
        inside.max_by_key(|(zone, _)| (zone.name.len(), !zone.private)).copied()
    }

    fn add_glue(&self, out: &mut Message) {
        let mut glue = Vec::new();
        for record in &out.answers {
            let RData::NS(host) = &record.data else { continue };
            if let Some((addresses, ttl_s)) = self.host(&canonical(&host.0.to_ascii())) {
                glue.extend(addresses_of(&host.0, RecordType::A, &addresses, ttl_s));
                glue.extend(addresses_of(&host.0, RecordType::AAAA, &addresses, ttl_s));
            }
        }
        out.add_additionals(glue);
    }
}

/// Lower case, with the trailing dot, `*` instead of Route 53's `\052`.
fn canonical(name: &str) -> String {
    let mut name = name.to_ascii_lowercase().replace("\\052", "*");
    if !name.ends_with('.') {
        name.push('.');
    }
    name
}

fn is_under(name: &str, zone: &str) -> bool {
    zone == "." || name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

/// Whether names exist below `name`, so that it exists as well (an empty non-terminal, RFC 8020).
fn is_inner_node(records: &[RecordSet], name: &str) -> bool {
    records.iter().any(|r| {
        let below = canonical(&r.name);
        below != name && is_under(&below, name)
    })
}

/// The sets at a name; those of the closest wildcard when the name itself does not exist (RFC 4592).
fn sets_at<'a>(records: &'a [RecordSet], name: &str) -> Vec<&'a RecordSet> {
    let at = |wanted: &str| records.iter().filter(|r| canonical(&r.name) == wanted).collect::<Vec<_>>();
    let exact = at(name);
    if !exact.is_empty() || is_inner_node(records, name) {
        return exact;
    }
    let mut rest = name;
    while let Some((_, parent)) = rest.split_once('.').filter(|(_, parent)| !parent.is_empty()) {
        let wild = at(&format!("*.{parent}"));
        if !wild.is_empty() || !at(parent).is_empty() || is_inner_node(records, parent) {
            return wild;
        }
        rest = parent;
    }
    Vec::new()
}

/// One set of the type: among weighted ones by weight, where 0 means never unless all are 0.
///
/// Of those that are unhealthy none is chosen while another can be, first with weight, then without; when all are unhealthy, all
/// count as healthy (developer guide, how Route 53 chooses records when health checking is configured).
fn choose<'a>(
    there: &[&'a RecordSet],
    kind: RecordType,
    is_lit: &dyn Fn(&RecordSet) -> bool,
    pick: &mut dyn FnMut(u64) -> u64,
) -> Option<&'a RecordSet> {
    let of_kind =
        there.iter().filter(|r| r.kind.parse().is_ok_and(|k: RecordType| k == kind)).copied().collect::<Vec<_>>();
    let weight = |set: &RecordSet| u64::from(set.weight.unwrap_or(0));
    let lit: Vec<_> = of_kind.iter().filter(|set| is_lit(set)).copied().collect();
    let of_kind = if lit.is_empty() { of_kind } else { lit };
    let total: u64 = of_kind.iter().map(|set| weight(set)).sum();
    if total == 0 {
        let n = u64::try_from(of_kind.len()).ok().filter(|n| *n > 0)?;
        return of_kind.get(usize::try_from(pick(n)).ok()?).copied();
    }
    let mut drawn = pick(total);
    of_kind.into_iter().find(|set| match drawn.checked_sub(weight(set)) {
        None => true,
        Some(rest) => {
            drawn = rest;
            false
        }
    })
}

/// A value that is no value of its type is left out, as if it were not there.
fn records_of(set: &RecordSet, owner: &Name) -> Vec<Record> {
    let Ok(kind) = set.kind.parse::<RecordType>() else { return Vec::new() };
    let named = matches!(kind, RecordType::CNAME | RecordType::NS | RecordType::PTR);
    let parse = |value: &String| {
        let text = if named { canonical(value) } else { value.clone() };
        Some(Record::from_rdata(owner.clone(), set.ttl_s.unwrap_or(0), RData::try_from_str(kind, &text).ok()?))
    };
    set.values.iter().filter_map(parse).collect()
}

fn addresses_of(owner: &Name, kind: RecordType, addresses: &[IpAddr], ttl_s: u32) -> Vec<Record> {
    let data = addresses.iter().filter_map(|address| match (address, kind) {
        (IpAddr::V4(ip), RecordType::A) => Some(RData::A(A(*ip))),
        (IpAddr::V6(ip), RecordType::AAAA) => Some(RData::AAAA(AAAA(*ip))),
        (IpAddr::V4(_) | IpAddr::V6(_), _) => None,
    });
    data.map(|data| Record::from_rdata(owner.clone(), ttl_s, data)).collect()
}

/// The SOA that goes with a negative answer; its TTL is how long that may be kept (RFC 2308 section 3).
fn negative(zone: &Zone, records: &[RecordSet]) -> Vec<Record> {
    let Ok(apex) = Name::from_ascii(canonical(&zone.name)) else { return Vec::new() };
    let mut found = records_of(&soa_of(zone, records), &apex);
    for record in &mut found {
        if let RData::SOA(soa) = &record.data {
            record.ttl = record.ttl.min(soa.minimum);
        }
    }
    found
}

/// The zone's SOA; Route 53's own values when the zone shows none.
fn soa_of(zone: &Zone, records: &[RecordSet]) -> RecordSet {
    let apex = canonical(&zone.name);
    if let Some(set) = records.iter().find(|r| r.kind == "SOA" && canonical(&r.name) == apex) {
        return set.clone();
    }
    let primary = zone.name_servers.first().map_or_else(|| format!("ns.{apex}"), |host| canonical(host));
    let value = format!("{primary} awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400");
    RecordSet { name: apex, kind: "SOA".into(), ttl_s: Some(900), values: vec![value], ..RecordSet::default() }
}

fn ns_of(zone: &Zone) -> RecordSet {
    let values = zone.name_servers.clone();
    RecordSet { name: zone.name.clone(), kind: "NS".into(), ttl_s: Some(172_800), values, ..RecordSet::default() }
}
