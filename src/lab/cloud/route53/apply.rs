//! What a batch does to a zone: all of it or none. Pure.
//!
//! Source: ChangeResourceRecordSets in the Route 53 API reference, and "Quotas" in the developer guide.

use std::collections::BTreeMap;

use super::super::names;
use super::super::refusal::Refusal;
use super::batch::{ChangeItem, Verb};
use super::checks;
use crate::lab::state::{Cloud, RecordSet, Zone};

/// Values in one request; an UPSERT's count twice.
const RECORDS_MAX: usize = 1000;
/// Characters of all values in one request; an UPSERT's count twice.
const CHARACTERS_MAX: usize = 32_000;
/// Weighted sets with one name and type.
const WEIGHTED_MAX: usize = 100;

/// The zone after a batch.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) records: Vec<RecordSet>,
    /// Sets that an UPSERT wrote over without saying what it expected there.
    pub(super) blind: Vec<String>,
}

/// Applies the changes in order; every reason against them is reported at once.
pub(super) fn apply(cloud: &Cloud, zone_id: &str, zone: &Zone, changes: &[ChangeItem]) -> Result<Applied, Refusal> {
    limits(changes)?;
    let mut records = zone.records.clone();
    let (mut blind, mut wrong) = (Vec::new(), Vec::new());
    wrong.extend(repeated(changes));
    for ChangeItem { verb, set } in changes {
        let unwritable = || match verb {
            Verb::Delete => None,
            Verb::Create | Verb::Upsert => checks::unwritable(set, zone_id, zone, &records, cloud),
        };
        if let Some(why) = checks::refused(set, zone).or_else(unwritable) {
            wrong.push(why);
            continue;
        }
        let found = records.iter().position(|r| same_key(r, set));
        let result = match (verb, found) {
            (Verb::Delete, found) => delete(&mut records, found, set, zone),
            (Verb::Create, Some(_)) => {
                Err(format!("Tried to create resource record set {} but it already exists", tag(set)))
            }
            (Verb::Create | Verb::Upsert, None) => insert(&mut records, set, zone),
            (Verb::Upsert, Some(at)) => {
                blind.push(tag(set));
                records[at] = set.clone();
                Ok(())
            }
        };
        match result {
            Ok(()) if *verb != Verb::Delete => share_ttl(&mut records, set),
            Ok(()) => {}
            Err(why) => wrong.push(why),
        }
    }
    if !wrong.is_empty() {
        return Err(Refusal::invalid_change_batch(&wrong));
    }
    names::sort(&mut records);
    Ok(Applied { records, blind })
}

fn limits(changes: &[ChangeItem]) -> Result<(), Refusal> {
    let times = |verb: Verb| if verb == Verb::Upsert { 2 } else { 1 };
    let records: usize = changes.iter().map(|c| c.set.values.len() * times(c.verb)).sum();
    let characters: usize =
        changes.iter().map(|c| c.set.values.iter().map(String::len).sum::<usize>() * times(c.verb)).sum();
    if records > RECORDS_MAX {
        return Err(Refusal::new(
            400,
            "InvalidChangeBatch",
            format!("Number of records limit of {RECORDS_MAX} exceeded."),
        ));
    }
    if characters > CHARACTERS_MAX {
        let why = format!("Number of characters limit of {CHARACTERS_MAX} exceeded.");
        return Err(Refusal::new(400, "InvalidChangeBatch", why));
    }
    Ok(())
}

/// A set may be named twice only as DELETE, then CREATE. Any other pair is refused: for DELETE+UPSERT and DELETE+DELETE
/// that is documented or seen, for the rest it is the strict reading.
fn repeated(changes: &[ChangeItem]) -> Vec<String> {
    let mut verbs: BTreeMap<(&str, &str, Option<&str>), Vec<Verb>> = BTreeMap::new();
    for ChangeItem { verb, set } in changes {
        verbs.entry((&set.name, &set.kind, set.set_identifier.as_deref())).or_default().push(*verb);
    }
    let bad = |verbs: &Vec<Verb>| verbs.len() > 1 && *verbs != [Verb::Delete, Verb::Create];
    let why = |(name, kind, id): &(&str, &str, Option<&str>)| {
        let words = "The request contains an invalid set of changes for a resource record set";
        format!("{words} '{kind} {name}{}'", id.map(|id| format!(" {id}")).unwrap_or_default())
    };
    // CREATE before DELETE of an existing set is better told by "it already exists".
    verbs.iter().filter(|(_, v)| bad(v) && **v != [Verb::Create, Verb::Delete]).map(|(key, _)| why(key)).collect()
}

fn delete(records: &mut Vec<RecordSet>, found: Option<usize>, set: &RecordSet, zone: &Zone) -> Result<(), String> {
    let Some(at) = found else {
        return Err(format!("Tried to delete resource record set {} but it was not found", tag(set)));
    };
    if !matches_exactly(&records[at], set) {
        let words = "but the values provided do not match the current values";
        return Err(format!("Tried to delete resource record set {} {words}", tag(set)));
    }
    if set.name == zone.name && set.kind == "SOA" {
        return Err("A HostedZone must contain exactly one SOA record.".to_owned());
    }
    if set.name == zone.name && set.kind == "NS" {
        return Err("A HostedZone must contain at least one NS record for the zone itself.".to_owned());
    }
    records.remove(at);
    Ok(())
}

fn insert(records: &mut Vec<RecordSet>, set: &RecordSet, zone: &Zone) -> Result<(), String> {
    let (name, kind) = (&set.name, &set.kind);
    let cname = |r: &RecordSet| r.kind == "CNAME";
    if records.iter().any(|r| r.name == *name && (cname(r) != cname(set))) {
        return Err(format!(
            "RRSet of type {kind} with DNS name {name} is not permitted because a conflicting RRSet with the same DNS \
             name already exists in zone {}",
            zone.name
        ));
    }
    let siblings: Vec<&RecordSet> = records.iter().filter(|r| r.name == *name && r.kind == *kind).collect();
    match &set.set_identifier {
        Some(id) if siblings.iter().any(|r| r.weight.is_none()) => Err(format!(
            "RRSet with DNS name {name}, type {kind}, SetIdentifier {id} cannot be created as a non-weighted set exists \
             with the same name and type."
        )),
        None if !siblings.is_empty() => Err(format!(
            "RRSet with DNS name {name}, type {kind} cannot be created as other RRSets exist with the same name and type."
        )),
        Some(_) if siblings.len() >= WEIGHTED_MAX => {
            Err(format!("Number of weighted RRSets with DNS name {name}, type {kind} exceeds {WEIGHTED_MAX}."))
        }
        Some(_) | None => {
            records.push(set.clone());
            Ok(())
        }
    }
}

/// "If you specify different values for the TTL, Route 53 changes the TTL of all of them to the last that you specified."
fn share_ttl(records: &mut [RecordSet], set: &RecordSet) {
    let Some(ttl) = set.ttl_s.filter(|_| set.weight.is_some()) else { return };
    for sibling in records.iter_mut().filter(|r| r.name == set.name && r.kind == set.kind && r.ttl_s.is_some()) {
        sibling.ttl_s = Some(ttl);
    }
}

fn same_key(a: &RecordSet, b: &RecordSet) -> bool {
    a.name == b.name && a.kind == b.kind && a.set_identifier == b.set_identifier
}

/// "You must specify all the same values": TTL, weight, alias and health check too; only the order of the values is free.
fn matches_exactly(live: &RecordSet, given: &RecordSet) -> bool {
    let sorted = |set: &RecordSet| {
        let mut set = set.clone();
        set.values.sort_unstable();
        set
    };
    sorted(live) == sorted(given)
}

fn tag(set: &RecordSet) -> String {
    match &set.set_identifier {
        Some(id) => format!("[name='{}', type='{}', set-identifier='{id}']", set.name, set.kind),
        None => format!("[name='{}', type='{}']", set.name, set.kind),
    }
}
