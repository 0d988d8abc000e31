//! Records of a name in Route 53.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::names;
use super::values;
use crate::ids::{EnvironmentName, RouterName};
use crate::plan::draft::Draft;
use crate::plan::finding::Note;
use crate::plan::model::{AliasTarget, RecordValues, Route53, Router};
use crate::plan::nearest;
use crate::plan::path::Path;

/// Types whose values can be another environment's. NS and SOA are the zone itself.
const TYPES: [&str; 8] = ["A", "AAAA", "CNAME", "HTTPS", "SVCB", "SRV", "TXT", "MX"];

pub(super) fn check(draft: &Draft, notes: &mut Vec<Note>) {
    let mut moved: BTreeMap<(String, bool), Path> = BTreeMap::new();
    for (name, router) in &draft.routers {
        let Some(Router::Route53(record)) = router else { continue };
        let path = Path::of("routers").key(name).key("route53");
        one(record, draft, &path, notes);
        behind(name, record, draft, &path.key("behind"), notes);
        if let Some(other) = moved.insert((host(&record.name), record.private), path.key("name")) {
            let says = "two routers move the records of one name";
            notes.push(Note::error("same-name", path.key("name"), says).also(other, "the other"));
        }
    }
}

fn one(record: &Route53, draft: &Draft, path: &Path, notes: &mut Vec<Note>) {
    values::not_empty(&record.zone, &path.key("zone"), notes);
    values::not_empty(&record.name, &path.key("name"), notes);
    in_zone(record, path, notes);
    let forms = [
        ("values", record.values.is_some()),
        ("aliases", record.aliases.is_some()),
        ("weighted", record.weighted.is_some()),
    ];
    let said: Vec<_> = forms.iter().filter(|(_, said)| *said).map(|(key, _)| *key).collect();
    if said.len() != 1 {
        let found = if said.is_empty() { "none of them".to_owned() } else { said.join(" and ") };
        let says = format!("a record has exactly one of `values`, `aliases` and `weighted`; here is {found}");
        notes.push(Note::error("one-of", path.clone(), says).on_key());
    }
    if let Some(by_environment) = &record.values {
        plain(record, by_environment, draft, &path.key("values"), notes);
    }
    if let Some(aliases) = &record.aliases {
        alias(aliases, draft, &path.key("aliases"), notes);
    }
    if let Some(weighted) = &record.weighted {
        let path = path.key("weighted");
        names::covers(weighted.keys(), draft, &path, notes);
        distinct(weighted, Clone::clone, "a set identifier", &path, notes);
        for (environment, identifier) in weighted {
            values::not_empty(identifier, &path.key(environment), notes);
        }
    }
    propagation(record, &path.key("propagation"), notes);
}

fn host(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A zone may be named or given by its id, `Z0123...`.
fn in_zone(record: &Route53, path: &Path, notes: &mut Vec<Note>) {
    let (name, zone) = (host(&record.name), host(&record.zone));
    let named = zone.contains('.');
    if named && name != zone && !name.ends_with(&format!(".{zone}")) {
        let says = format!("`{}` is not in the zone `{}`", record.name, record.zone);
        notes.push(Note::error("not-in-zone", path.key("name"), says).also(path.key("zone"), "the zone"));
    }
    let has_cname = record.values.iter().flatten().any(|(_, v)| typed(v).contains_key("CNAME"));
    if named && name == zone && has_cname {
        let says = "the top of a zone cannot have a CNAME";
        notes.push(Note::error("cname-at-top", path.key("name"), says).help("use `aliases`, or addresses"));
    }
}

fn typed(values: &RecordValues) -> BTreeMap<String, Vec<String>> {
    match values {
        RecordValues::ByType(by_type) => by_type.clone(),
        RecordValues::Addresses(addresses) => {
            let mut by_type: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for address in addresses {
                let of = if address.is_ipv4() { "A" } else { "AAAA" };
                by_type.entry(of.to_owned()).or_default().push(address.to_string());
            }
            by_type
        }
    }
}

fn plain(
    record: &Route53,
    by_environment: &BTreeMap<EnvironmentName, RecordValues>,
    draft: &Draft,
    path: &Path,
    notes: &mut Vec<Note>,
) {
    names::covers(by_environment.keys(), draft, path, notes);
    for (environment, values) in by_environment {
        records(&typed(values), &path.key(environment), notes);
    }
    distinct(by_environment, |v| format!("{:?}", typed(v)), "its values", path, notes);
    let all_types: BTreeSet<String> = by_environment.values().flat_map(|v| typed(v).into_keys()).collect();
    for (environment, values) in by_environment {
        let has = typed(values);
        for missing in all_types.iter().filter(|t| !has.contains_key(*t)) {
            let others: Vec<_> = by_environment.iter().filter(|(_, v)| typed(v).contains_key(missing)).collect();
            let Some((other, _)) = others.first() else { continue };
            let says = format!("`{other}` has {missing} records and `{environment}` has none");
            let leads = match missing.as_str() {
                "AAAA" => format!("clients with IPv6 would stay on `{other}` for ever; give both, or neither"),
                _ => format!("the {missing} records of `{}` would stay behind; give both, or neither", record.name),
            };
            notes.push(
                Note::error("unlike-types", path.key(environment), says)
                    .help(leads)
                    .also(path.key(other), "here they are"),
            );
        }
    }
}

fn records(by_type: &BTreeMap<String, Vec<String>>, path: &Path, notes: &mut Vec<Note>) {
    if by_type.is_empty() {
        notes.push(Note::error("nothing-there", path.clone(), "there is no value, so the name would vanish"));
    }
    if by_type.contains_key("CNAME") && by_type.len() > 1 {
        notes.push(Note::error(
            "cname-not-alone",
            path.clone(),
            "a CNAME stands alone: no other type can be beside it",
        ));
    }
    for (of, values) in by_type {
        let here = path.key(of);
        if !TYPES.contains(&of.as_str()) {
            let says = format!("`{of}` is no type of record that can be moved");
            notes.push(Note::error("bad-type", here, says).on_key().help(nearest::hint(of, TYPES, "those are")));
            continue;
        }
        if values.is_empty() {
            notes.push(Note::error("nothing-there", here.clone(), format!("`{of}` has no value")));
        }
        if of == "CNAME" && values.len() > 1 {
            notes.push(Note::error("cname-not-alone", here.clone(), "a name has one CNAME"));
        }
        for (at, value) in values.iter().enumerate() {
            let wrong = match of.as_str() {
                "A" => value.parse::<Ipv4Addr>().is_err().then_some("no IPv4 address"),
                "AAAA" => value.parse::<Ipv6Addr>().is_err().then_some("no IPv6 address"),
                "CNAME" if value.parse::<IpAddr>().is_ok() => Some("an address, and a CNAME takes a name"),
                _ => value.trim().is_empty().then_some("empty"),
            };
            if let Some(wrong) = wrong {
                notes.push(Note::error("bad-record", here.item(at), format!("`{value}` is {wrong}")));
            }
            if values.iter().take(at).any(|other| other == value) {
                notes.push(Note::error("twice", here.item(at), format!("`{value}` stands in the list twice")));
            }
        }
    }
}

fn alias(aliases: &BTreeMap<EnvironmentName, AliasTarget>, draft: &Draft, path: &Path, notes: &mut Vec<Note>) {
    names::covers(aliases.keys(), draft, path, notes);
    distinct(aliases, |a| host(&a.target), "its target", path, notes);
    for (environment, alias) in aliases {
        let path = path.key(environment);
        values::not_empty(&alias.target, &path.key("target"), notes);
        if !alias.zone.starts_with('Z') || alias.zone.contains('.') {
            let says = format!("`{}` is no hosted zone id of an alias target: that is like Z32O12XQLNTSW2", alias.zone);
            notes.push(Note::error("bad-zone", path.key("zone"), says));
        }
    }
}

/// Environments that look the same to the router cannot be told apart.
fn distinct<V>(
    of: &BTreeMap<EnvironmentName, V>,
    key: impl Fn(&V) -> String,
    what: &str,
    path: &Path,
    notes: &mut Vec<Note>,
) {
    let mut seen = BTreeMap::new();
    for (environment, value) in of {
        if let Some(other) = seen.insert(key(value), environment) {
            let says = format!("`{environment}` shares {what} with `{other}`, so they cannot be told apart");
            notes.push(Note::error("same-target", path.key(environment), says).also(path.key(other), "the other"));
        }
    }
}

fn propagation(record: &Route53, path: &Path, notes: &mut Vec<Note>) {
    let p = &record.propagation;
    for (at, resolver) in p.resolvers.iter().enumerate() {
        if resolver.parse::<IpAddr>().is_err() && resolver.parse::<std::net::SocketAddr>().is_err() {
            let says = format!("`{resolver}` is no resolver: write `IP` or `IP:PORT`");
            notes.push(Note::error("bad-resolver", path.key("resolvers").item(at), says));
        }
    }
    values::zero_or_length(p.clamp, &path.key("clamp"), notes);
    values::zero_or_length(p.client_cache, &path.key("client_cache"), notes);
    if let Some(old) = p.assume_old_ttl {
        values::length(old, &path.key("assume_old_ttl"), notes);
    }
}

/// A name leads to a router that exists, and not in a circle.
fn behind(name: &RouterName, record: &Route53, draft: &Draft, path: &Path, notes: &mut Vec<Note>) {
    let Some(next) = &record.behind else { return };
    if !draft.routers.contains_key(next) {
        let hint = nearest::hint(next.as_str(), draft.routers.keys().map(RouterName::as_str), "the routers are");
        notes.push(Note::error("unknown-router", path.clone(), format!("there is no router `{next}`")).help(hint));
        return;
    }
    let mut way = vec![name];
    let mut here = Some(next);
    while let Some(router) = here {
        way.push(router);
        if router == name {
            let way: Vec<_> = way.iter().map(|r| format!("`{r}`")).collect();
            notes.push(Note::error("circle", path.clone(), format!("this leads in a circle: {}", way.join(" to "))));
            return;
        }
        if way.iter().filter(|r| **r == router).count() > 1 {
            return; // a circle of others, which they say themselves
        }
        here = match draft.routers.get(router) {
            Some(Some(Router::Route53(r))) => r.behind.as_ref(),
            _ => None,
        };
    }
}
