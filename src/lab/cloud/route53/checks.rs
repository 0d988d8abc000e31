//! What a record set must be, whatever else the zone holds.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::lab::state::{Balancer, Cloud, RecordSet, Zone};

/// Types that Route 53 accepts (ResourceRecordSet, API reference).
const KINDS: [&str; 16] = [
    "SOA", "A", "TXT", "NS", "CNAME", "MX", "NAPTR", "PTR", "SRV", "SPF", "AAAA", "CAA", "DS", "TLSA", "SSHFP", "SVCB",
];

/// Longest domain name and label (RFC 1035, 2.3.4).
const NAME_MAX: usize = 255;
const LABEL_MAX: usize = 63;

/// Why no change of this set is possible in this zone, in AWS's words where they are known.
pub(super) fn refused(set: &RecordSet, zone: &Zone) -> Option<String> {
    let (name, kind) = (&set.name, set.kind.as_str());
    if name != &zone.name && !name.ends_with(&format!(".{}", zone.name)) {
        return Some(format!("RRSet with DNS name {name} is not permitted in zone {}", zone.name));
    }
    if name.len() > NAME_MAX {
        return Some(format!("FATAL problem: DomainNameTooLong (Domain name is too long) encountered with '{name}'"));
    }
    if let Some(label) = name.split('.').find(|label| label.len() > LABEL_MAX) {
        return Some(format!(
            "FATAL problem: DomainLabelTooLong (Domain label is too long) encountered with '{label}'"
        ));
    }
    if !KINDS.contains(&kind) && kind != "HTTPS" {
        return Some(format!("Invalid Resource Record: unknown record type '{kind}'"));
    }
    if let Some((first, second)) = zone.protected.iter().find(|(n, k)| n == name && k == kind) {
        return Some(format!("Resource record set [name='{first}', type='{second}'] is protected"));
    }
    None
}

/// Why this set cannot be written; what is only deleted need not be writable any more.
/// `records` is the zone as the earlier changes of the batch leave it.
pub(super) fn unwritable(
    set: &RecordSet,
    zone_id: &str,
    zone: &Zone,
    records: &[RecordSet],
    cloud: &Cloud,
) -> Option<String> {
    let name = &set.name;
    if set.kind == "CNAME" && *name == zone.name {
        return Some(format!(
            "RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {}",
            zone.name
        ));
    }
    check_alias(set, zone_id, zone, records, cloud).or_else(|| check_values(set))
}

fn check_values(set: &RecordSet) -> Option<String> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = set.values.iter().find(|value| !seen.insert(value.as_str())) {
        return Some(format!("Duplicate Resource Record: '{twice}'"));
    }
    let invalid = |value: &String| match set.kind.as_str() {
        "A" if value.parse::<Ipv4Addr>().is_err() => Some(("ARRDATAIllegalIPv4Address", "IPv4")),
        "AAAA" if value.parse::<Ipv6Addr>().is_err() => Some(("AAAARRDATAIllegalIPv6Address", "IPv6")),
        _ => None,
    };
    if let Some((value, (code, what))) = set.values.iter().find_map(|value| Some((value, invalid(value)?))) {
        return Some(format!(
            "Invalid Resource Record: 'FATAL problem: {code} (Value is not a valid {what} address) encountered with '{value}''"
        ));
    }
    if set.kind == "CNAME" && set.values.len() > 1 {
        return Some("Invalid Resource Record: 'FATAL problem: more than one value for CNAME'".to_owned());
    }
    None
}

fn check_alias(set: &RecordSet, zone_id: &str, zone: &Zone, records: &[RecordSet], cloud: &Cloud) -> Option<String> {
    let alias = set.alias.as_ref()?;
    let (target, kind) = (&alias.dns_name, &set.kind);
    let words = format!("Tried to create an alias that targets {target}, type {kind} in zone {}, but", alias.zone_id);
    if alias.zone_id == zone_id {
        let within = target == &zone.name || target.ends_with(&format!(".{}", zone.name));
        let there = records.iter().any(|r| r.name == *target && r.kind == *kind);
        return match (within, there) {
            (true, true) => None,
            (true, false) => Some(format!("{words} that target was not found")),
            (false, _) => Some(format!("{words} the alias target name does not lie within the target zone")),
        };
    }
    let host = target.trim_end_matches('.');
    let host = host.strip_prefix("dualstack.").unwrap_or(host);
    let in_zone = |b: &&Balancer| b.canonical_zone_id == alias.zone_id;
    let mut of_zone = cloud.balancers.values().filter(in_zone).peekable();
    if of_zone.peek().is_none() {
        return Some(format!("{words} the alias target name does not lie within the target zone"));
    }
    let found = of_zone.any(|b| b.dns_name.eq_ignore_ascii_case(host)) && matches!(kind.as_str(), "A" | "AAAA");
    (!found).then(|| format!("{words} that target was not found"))
}
