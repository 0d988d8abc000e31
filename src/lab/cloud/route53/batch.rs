//! Reads a change batch: what is wrong with its form is `InvalidInput`, whatever the zone holds.

use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::names;
use super::super::refusal::Refusal;
use crate::lab::state::{Alias, RecordSet};

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(in super::super) enum Verb {
    Create,
    Delete,
    Upsert,
}

/// One change of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct ChangeItem {
    pub(in super::super) verb: Verb,
    pub(in super::super) set: RecordSet,
}

/// Reads the comment and the changes of a request body.
pub(super) fn read(body: &[u8]) -> Result<(Option<String>, Vec<ChangeItem>), Refusal> {
    let malformed = |why: String| Refusal::invalid_input(format!("Invalid XML ; {why}"));
    let text = std::str::from_utf8(body).map_err(|e| malformed(e.to_string()))?;
    let request: Request = quick_xml::de::from_str(text).map_err(|e| malformed(e.to_string()))?;
    let changes = request.change_batch.changes.change;
    if changes.is_empty() {
        return Err(malformed("a change batch must hold at least one change".to_owned()));
    }
    let changes = changes.into_iter().map(item).collect::<Result<_, _>>()?;
    Ok((request.change_batch.comment, changes))
}

fn item(written: WrittenChange) -> Result<ChangeItem, Refusal> {
    let (verb, set) = (written.action, written.resource_record_set);
    if set.elsewhere() {
        return Err(Refusal::not_here("routing policies other than simple and weighted"));
    }
    let values: Vec<String> = set
        .resource_records
        .map(|list| list.resource_record.into_iter().map(|r| r.value).collect())
        .unwrap_or_default();
    let plain = set.ttl.is_some() && !values.is_empty();
    let touched = set.ttl.is_some() || !values.is_empty();
    if set.alias_target.is_some() == touched || (touched && !plain) {
        let found = if set.alias_target.is_some() { "more than one" } else { "none" };
        let id = set.set_identifier.as_deref().unwrap_or("null");
        return Err(Refusal::invalid_input(format!(
            "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or \
             TrafficPolicyInstanceId], but found {found} in Change with [Action={verb}, Name={}, Type={}, SetIdentifier={id}]",
            set.name, set.kind
        )));
    }
    if set.set_identifier.is_some() != set.weight.is_some() {
        let (there, missing) =
            if set.weight.is_some() { ("Weight", "SetIdentifier") } else { ("SetIdentifier", "Weight") };
        return Err(Refusal::invalid_input(format!("Invalid request: Missing field '{missing}' beside '{there}'")));
    }
    if set.weight.is_some_and(|weight| !(0..=255).contains(&weight)) {
        return Err(Refusal::invalid_input("Invalid XML ; cvc-type: value of 'Weight' must be between 0 and 255"));
    }
    if set.ttl.is_some_and(|ttl| !(0..=2_147_483_647).contains(&ttl)) {
        return Err(Refusal::invalid_input("Invalid XML ; cvc-type: value of 'TTL' must be between 0 and 2147483647"));
    }
    let alias = set.alias_target.map(|alias| Alias {
        zone_id: alias.hosted_zone_id,
        dns_name: names::normal(&alias.dns_name),
        evaluate_target_health: alias.evaluate_target_health,
    });
    let set = RecordSet {
        name: names::normal(&set.name),
        kind: set.kind,
        set_identifier: set.set_identifier,
        weight: set.weight.and_then(|weight| u16::try_from(weight).ok()),
        ttl_s: set.ttl.and_then(|ttl| u32::try_from(ttl).ok()),
        values,
        alias,
        health_check: set.health_check_id,
    };
    Ok(ChangeItem { verb, set })
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "CREATE",
            Self::Delete => "DELETE",
            Self::Upsert => "UPSERT",
        })
    }
}

/// `DELETE chat.example.com. A [blue] weight=100 ttl=60 1.1.1.1`.
impl fmt::Display for ChangeItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = &self.set;
        write!(f, "{} {} {}", self.verb, set.name, set.kind)?;
        if let (Some(id), Some(weight)) = (&set.set_identifier, set.weight) {
            write!(f, " [{id}] weight={weight}")?;
        }
        if let Some(ttl) = set.ttl_s {
            write!(f, " ttl={ttl}")?;
        }
        if let Some(alias) = &set.alias {
            write!(f, " alias {} in {}", alias.dns_name, alias.zone_id)?;
        }
        if !set.values.is_empty() {
            write!(f, " {}", set.values.join(","))?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    change_batch: WrittenBatch,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenBatch {
    comment: Option<String>,
    changes: WrittenChanges,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenChanges {
    #[serde(default)]
    change: Vec<WrittenChange>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenChange {
    action: Verb,
    resource_record_set: WrittenSet,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenSet {
    name: String,
    #[serde(rename = "Type")]
    kind: String,
    set_identifier: Option<String>,
    weight: Option<i64>,
    #[serde(rename = "TTL")]
    ttl: Option<i64>,
    resource_records: Option<WrittenRecords>,
    alias_target: Option<WrittenAlias>,
    health_check_id: Option<String>,
    // Known to AWS, not to this world.
    region: Option<IgnoredAny>,
    geo_location: Option<IgnoredAny>,
    failover: Option<IgnoredAny>,
    multi_value_answer: Option<IgnoredAny>,
    traffic_policy_instance_id: Option<IgnoredAny>,
    cidr_routing_config: Option<IgnoredAny>,
    geo_proximity_location: Option<IgnoredAny>,
}

impl WrittenSet {
    fn elsewhere(&self) -> bool {
        let latency = self.region.is_some();
        let place = self.geo_location.is_some() || self.geo_proximity_location.is_some();
        let other = [&self.failover, &self.multi_value_answer, &self.traffic_policy_instance_id];
        latency || place || self.cidr_routing_config.is_some() || other.into_iter().any(Option::is_some)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenRecords {
    #[serde(default)]
    resource_record: Vec<WrittenRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenRecord {
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenAlias {
    hosted_zone_id: String,
    #[serde(rename = "DNSName")]
    dns_name: String,
    evaluate_target_health: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(set: &str) -> Result<Vec<ChangeItem>, Refusal> {
        let body = format!(
            "<?xml version=\"1.0\"?><ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             <ChangeBatch><Comment>a &amp; b</Comment><Changes><Change><Action>UPSERT</Action><ResourceRecordSet>\
             <Name>M.example.com</Name><Type>A</Type>{set}</ResourceRecordSet></Change></Changes></ChangeBatch>\
             </ChangeResourceRecordSetsRequest>"
        );
        read(body.as_bytes()).map(|(comment, changes)| {
            assert_eq!(comment.as_deref(), Some("a & b"));
            changes
        })
    }

    const VALUE: &str = "<ResourceRecords><ResourceRecord><Value>1.1.1.1</Value></ResourceRecord></ResourceRecords>";
    const ALIAS: &str = "<AliasTarget><HostedZoneId>Z1</HostedZoneId><DNSName>lb.example</DNSName>\
                         <EvaluateTargetHealth>true</EvaluateTargetHealth></AliasTarget>";

    #[test]
    fn a_plain_and_an_alias_set_are_read() {
        let plain = &batch(&format!("<TTL>60</TTL>{VALUE}")).unwrap()[0].set;
        assert_eq!(
            (plain.name.as_str(), plain.ttl_s, plain.values.as_slice()),
            ("m.example.com.", Some(60), &["1.1.1.1".to_owned()][..])
        );
        let alias = batch(ALIAS).unwrap()[0].set.alias.clone().unwrap();
        assert_eq!((alias.dns_name.as_str(), alias.evaluate_target_health), ("lb.example.", true));
    }

    #[test]
    fn values_need_a_ttl_and_an_alias_must_not_have_one() {
        for bad in [VALUE.to_owned(), "<TTL>60</TTL>".to_owned(), String::new(), format!("<TTL>60</TTL>{ALIAS}")] {
            assert_eq!(batch(&bad).unwrap_err().code, "InvalidInput", "{bad}");
        }
    }

    #[test]
    fn a_weight_needs_an_identifier_and_is_at_most_255() {
        let ok = format!("<SetIdentifier>a</SetIdentifier><Weight>255</Weight><TTL>60</TTL>{VALUE}");
        assert_eq!(batch(&ok).unwrap()[0].set.weight, Some(255));
        for bad in
            [ok.replace("255", "256"), ok.replace("255", "-1"), ok.replace("<SetIdentifier>a</SetIdentifier>", "")]
        {
            assert_eq!(batch(&bad).unwrap_err().code, "InvalidInput", "{bad}");
        }
    }
}
