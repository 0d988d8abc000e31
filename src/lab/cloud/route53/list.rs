//! ListResourceRecordSets: what the API holds, PENDING changes included.

use super::super::names;
use super::super::refusal::Refusal;
use super::super::xml::Xml;
use super::zones::{no_such_zone, page_size, plain_id};
use super::{Query, document};
use crate::lab::state::{Cloud, RecordSet};

/// Record sets in one page unless fewer are asked for.
const PAGE: usize = 300;

/// Record sets in AWS's order, from a place (name, type, identifier) on.
pub(super) fn records(cloud: &Cloud, zone_id: &str, query: &Query) -> Result<String, Refusal> {
    let zone_id = plain_id(zone_id);
    let zone = cloud.zones.get(zone_id).ok_or_else(|| no_such_zone(zone_id))?;
    let part = |key: &str| query.get(key).filter(|text| !text.is_empty());
    let (name, kind, id) = (part("name"), part("type"), part("identifier"));
    if (kind.is_some() && name.is_none()) || (id.is_some() && kind.is_none()) {
        return Err(Refusal::invalid_input(
            "StartRecordType needs StartRecordName, and StartRecordIdentifier needs both",
        ));
    }
    let max = page_size(query, PAGE)?;
    let from = (
        name.map(|name| names::sort_key(&names::normal(name))).unwrap_or_default(),
        kind.cloned().unwrap_or_default(),
        id.cloned().unwrap_or_default(),
    );
    let mut sets: Vec<&RecordSet> = zone.records.iter().collect();
    sets.sort_by_cached_key(|set| names::place(set));
    sets.retain(|set| names::place(set) >= from);
    let next = sets.get(max).copied();
    sets.truncate(max);
    Ok(document("ListResourceRecordSetsResponse", |xml| {
        xml.node("ResourceRecordSets", |xml| {
            for set in sets {
                record_set(xml, set);
            }
        });
        xml.leaf("IsTruncated", next.is_some());
        if let Some(next) = next {
            xml.leaf("NextRecordName", names::shown(&next.name)).leaf("NextRecordType", &next.kind);
            xml.some("NextRecordIdentifier", next.set_identifier.as_ref());
        }
        xml.leaf("MaxItems", max);
    }))
}

fn record_set(xml: &mut Xml, set: &RecordSet) {
    xml.node("ResourceRecordSet", |xml| {
        xml.leaf("Name", names::shown(&set.name)).leaf("Type", &set.kind);
        xml.some("SetIdentifier", set.set_identifier.as_ref()).some("Weight", set.weight).some("TTL", set.ttl_s);
        if !set.values.is_empty() {
            xml.node("ResourceRecords", |xml| {
                for value in &set.values {
                    xml.node("ResourceRecord", |xml| {
                        xml.leaf("Value", value);
                    });
                }
            });
        }
        if let Some(alias) = &set.alias {
            xml.node("AliasTarget", |xml| {
                xml.leaf("HostedZoneId", &alias.zone_id).leaf("DNSName", names::shown(&alias.dns_name));
                xml.leaf("EvaluateTargetHealth", alias.evaluate_target_health);
            });
        }
        xml.some("HealthCheckId", set.health_check.as_ref());
    });
}
