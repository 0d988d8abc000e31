//! GetHostedZone and ListHostedZonesByName.

use super::super::names;
use super::super::refusal::Refusal;
use super::super::xml::Xml;
use super::{Query, document};
use crate::lab::state::{Cloud, Zone};

/// Zones in one page unless fewer are asked for.
const PAGE: usize = 100;

/// `Z1` of `Z1` or `/hostedzone/Z1`.
pub(super) fn plain_id(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

pub(super) fn no_such_zone(id: &str) -> Refusal {
    Refusal::new(404, "NoSuchHostedZone", format!("No hosted zone found with ID: {id}"))
}

/// A zone with the name servers of its delegation set.
pub(super) fn get(cloud: &Cloud, id: &str) -> Result<String, Refusal> {
    let id = plain_id(id);
    let zone = cloud.zones.get(id).ok_or_else(|| no_such_zone(id))?;
    Ok(document("GetHostedZoneResponse", |xml| {
        hosted_zone(xml, id, zone);
        // A private zone has no delegation set: nobody outside its networks can ask it.
        if zone.private {
            xml.node("VPCs", |xml| {
                xml.node("VPC", |xml| {
                    xml.leaf("VPCRegion", &cloud.region).leaf("VPCId", "vpc-0lab");
                });
            });
        } else {
            xml.node("DelegationSet", |xml| {
                xml.node("NameServers", |xml| {
                    for host in &zone.name_servers {
                        xml.leaf("NameServer", host);
                    }
                });
            });
        }
    }))
}

/// Zones sorted by reversed labels, from a name (and id) on.
pub(super) fn by_name(cloud: &Cloud, query: &Query) -> Result<String, Refusal> {
    let from_name = query.get("dnsname").filter(|name| !name.is_empty());
    let from_id = query.get("hostedzoneid").map(|id| plain_id(id));
    if from_name.is_none() && from_id.is_some() {
        return Err(Refusal::invalid_input("The parameter HostedZoneId needs the parameter DNSName"));
    }
    let max = page_size(query, PAGE)?;
    let mut zones: Vec<(&String, &Zone)> = cloud.zones.iter().collect();
    zones.sort_by_cached_key(|(id, zone)| (names::sort_key(&zone.name), (*id).clone()));
    if let Some(name) = from_name {
        let from = (names::sort_key(&names::normal(name)), from_id.unwrap_or_default().to_owned());
        zones.retain(|(id, zone)| (names::sort_key(&zone.name), (*id).clone()) >= from);
    }
    let next = zones.get(max).copied();
    zones.truncate(max);
    Ok(document("ListHostedZonesByNameResponse", |xml| {
        xml.node("HostedZones", |xml| {
            for (id, zone) in zones {
                hosted_zone(xml, id, zone);
            }
        });
        xml.some("DNSName", from_name).some("HostedZoneId", from_id);
        xml.leaf("IsTruncated", next.is_some());
        if let Some((id, zone)) = next {
            xml.leaf("NextDNSName", names::shown(&zone.name)).leaf("NextHostedZoneId", id);
        }
        xml.leaf("MaxItems", max);
    }))
}

/// `maxitems`, within what the service allows.
pub(super) fn page_size(query: &Query, most: usize) -> Result<usize, Refusal> {
    match query.get("maxitems").map(|text| text.parse::<usize>()) {
        None => Ok(most),
        Some(Ok(n)) if n > 0 => Ok(n.min(most)),
        Some(Ok(_) | Err(_)) => Err(Refusal::invalid_input("MaxItems must be a positive number")),
    }
}

fn hosted_zone(xml: &mut Xml, id: &str, zone: &Zone) {
    xml.node("HostedZone", |xml| {
        xml.leaf("Id", format!("/hostedzone/{id}")).leaf("Name", names::shown(&zone.name));
        xml.leaf("CallerReference", format!("lab-{id}"));
        xml.node("Config", |xml| {
            xml.leaf("PrivateZone", zone.private);
        });
        xml.leaf("ResourceRecordSetCount", zone.records.len());
    });
}
