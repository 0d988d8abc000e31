//! ChangeResourceRecordSets and GetChange.

use jiff::Timestamp;

use super::super::Cx;
use super::super::refusal::Refusal;
use super::super::xml::Xml;
use super::apply;
use super::batch::ChangeItem;
use super::document;
use super::zones::{no_such_zone, plain_id};
use crate::ids::random_u64;
use crate::lab::state::{Change, Cloud};

/// Makes a batch of changes: PENDING at once, INSYNC later.
pub(super) fn submit(
    cx: &mut Cx<'_>,
    zone_id: &str,
    comment: Option<&str>,
    changes: &[ChangeItem],
) -> Result<String, Refusal> {
    let zone_id = plain_id(zone_id);
    let zone = cx.cloud.zones.get(zone_id).ok_or_else(|| no_such_zone(zone_id))?;
    let applied = apply::apply(cx.cloud, zone_id, zone, changes)?;
    cx.blind = applied.blind;
    if let Some(zone) = cx.cloud.zones.get_mut(zone_id) {
        zone.records.clone_from(&applied.records);
    }
    let change = Change {
        zone_id: zone_id.to_owned(),
        submitted_at: cx.now,
        insync_at: cx.now + cx.settings.insync_after,
        records: applied.records,
        insync: cx.settings.insync_after.is_zero(),
    };
    if let (true, Some(zone)) = (change.insync, cx.cloud.zones.get_mut(zone_id)) {
        zone.served.clone_from(&change.records);
    }
    // The number makes ids sort by age: the newest of several changes that are due is served last.
    let id = format!("C{:08}{:012X}", cx.cloud.changes.len() + 1, random_u64() >> 16);
    let answer = document("ChangeResourceRecordSetsResponse", |xml| info(xml, &id, &change, comment));
    cx.cloud.changes.insert(id, change);
    Ok(answer)
}

/// Whether a change has reached all name servers.
pub(super) fn get(cloud: &Cloud, id: &str) -> Result<String, Refusal> {
    let id = id.rsplit('/').next().unwrap_or(id);
    let change = cloud
        .changes
        .get(id)
        .ok_or_else(|| Refusal::new(404, "NoSuchChange", format!("Could not find resource with ID: {id}")))?;
    Ok(document("GetChangeResponse", |xml| info(xml, id, change, None)))
}

fn info(xml: &mut Xml, id: &str, change: &Change, comment: Option<&str>) {
    xml.node("ChangeInfo", |xml| {
        xml.leaf("Id", format!("/change/{id}"));
        xml.leaf("Status", if change.insync { "INSYNC" } else { "PENDING" });
        xml.leaf("SubmittedAt", iso(change.submitted_at)).some("Comment", comment);
    });
}

/// Milliseconds, as AWS writes times.
fn iso(at: Timestamp) -> String {
    format!("{at:.3}")
}
