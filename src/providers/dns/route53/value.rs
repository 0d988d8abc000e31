//! What the register holds: every address record of one name, complete enough to be deleted and created again.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_route53::types::{AliasTarget, ResourceRecord, ResourceRecordSet, RrType};
use aws_smithy_types::error::operation::BuildError;
use serde::{Deserialize, Serialize};

use super::super::super::Refused;

/// The types that lead clients somewhere; they move together. Other types at the name (TXT, MX) stay.
pub const KINDS: [&str; 3] = ["A", "AAAA", "CNAME"];

/// All address record sets of a name, in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Records {
    /// Sorted by type and set identifier.
    pub sets: Vec<Set>,
}

/// One resource record set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Set {
    /// `A`, `AAAA` or `CNAME`.
    pub kind: String,
    /// Tells weighted sets of one name apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_identifier: Option<String>,
    /// 0 to 255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
    /// Seconds; none for an alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u32>,
    /// Sorted; their order means nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Where an alias leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<Alias>,
    /// Id of a health check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<String>,
}

/// Where an alias leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alias {
    /// DNS name, lower case, with the trailing dot.
    pub target: String,
    /// Hosted zone id of the target.
    pub zone: String,
    /// Whether Route 53 asks the target's health.
    pub evaluate_target_health: bool,
}

impl Records {
    /// Plain sets, one for each type.
    pub fn plain(values: &BTreeMap<String, Vec<String>>, ttl_s: u32) -> Self {
        let set = |(kind, values): (&String, &Vec<String>)| {
            let mut values = values.clone();
            values.sort();
            Set {
                kind: kind.clone(),
                ttl_s: Some(ttl_s),
                values,
                set_identifier: None,
                weight: None,
                alias: None,
                health_check: None,
            }
        };
        Self { sets: values.iter().map(set).collect() }
    }

    /// Alias sets of these types; A where none is known.
    pub fn alias(mut kinds: Vec<String>, alias: &Alias) -> Self {
        if kinds.is_empty() {
            kinds.push("A".to_owned());
        }
        kinds.sort();
        kinds.dedup();
        let set = |kind| Set {
            kind,
            alias: Some(alias.clone()),
            ttl_s: None,
            values: Vec::new(),
            set_identifier: None,
            weight: None,
            health_check: None,
        };
        Self { sets: kinds.into_iter().map(set).collect() }
    }

    /// The same sets with other weights, where `weight` says one.
    pub fn weighted<'a>(
        &self,
        weight: impl Fn(&String) -> Option<u32>,
        must_exist: impl Iterator<Item = &'a String>,
    ) -> Result<Self, Refused> {
        for id in must_exist {
            if !self.sets.iter().any(|s| s.set_identifier.as_ref() == Some(id)) {
                return Err(Refused(format!(
                    "there is no weighted record with the set identifier `{id}`; create it with weight 0"
                )));
            }
        }
        let with = |set: &Set| {
            let wanted = set.set_identifier.as_ref().and_then(&weight);
            let wanted = wanted.map(|w| u8::try_from(w).unwrap_or(u8::MAX));
            Set { weight: wanted.or(set.weight), ..set.clone() }
        };
        Ok(Self { sets: self.sets.iter().map(with).collect() })
    }

    /// The longest TTL among them, in seconds; none when all are aliases.
    pub fn ttl_s(&self) -> Option<u32> {
        self.sets.iter().filter_map(|s| s.ttl_s).max()
    }

    /// The same answers with every TTL one second off: a batch that deletes one of these sets exactly as it was then fails as
    /// a whole (API reference, ChangeResourceRecordSets: all values, the TTL among them, must match). None for aliases,
    /// which have no TTL of their own.
    pub fn touched(&self) -> Option<Self> {
        let off = |ttl_s: u32| if ttl_s > 0 { ttl_s - 1 } else { 1 };
        let touch = |set: &Set| Some(Set { ttl_s: Some(off(set.ttl_s?)), ..set.clone() });
        let sets = self.sets.iter().map(touch).collect::<Option<Vec<_>>>()?;
        (!sets.is_empty()).then_some(Self { sets })
    }

    /// These sets as somebody else left them, but leading where `before` did: the values, aliases and weights that changed
    /// from `before` to `want` are taken back; TTLs and health checks stay. None when it would leave no record.
    pub fn taken_back(&self, before: &Self, want: &Self) -> Option<Self> {
        let find = |of: &Self, set: &Set| {
            of.sets.iter().find(|s| (&s.kind, &s.set_identifier) == (&set.kind, &set.set_identifier)).cloned()
        };
        let mut sets = Vec::new();
        for live in &self.sets {
            match (find(before, live), find(want, live)) {
                (Some(was), Some(put)) => {
                    let changed = (&was.values, &was.alias, was.weight) != (&put.values, &put.alias, put.weight);
                    let ttl_s = if was.alias.is_some() { None } else { live.ttl_s.or(was.ttl_s) };
                    let back = Set { ttl_s, health_check: live.health_check.clone(), ..was };
                    sets.push(if changed { back } else { live.clone() });
                }
                // A set that this run brought goes, one that it never knew stays.
                (None, Some(_)) => {}
                (_, None) => sets.push(live.clone()),
            }
        }
        sets.extend(before.sets.iter().filter(|was| find(want, was).is_none() && find(self, was).is_none()).cloned());
        sets.sort();
        (!sets.is_empty()).then_some(Self { sets })
    }

    /// Whether clients are led to the same places, whatever the TTL.
    pub fn same_answers(&self, other: &Self) -> bool {
        let answers = |r: &Self| r.sets.iter().map(|s| Set { ttl_s: None, ..s.clone() }).collect::<Vec<_>>();
        answers(self) == answers(other)
    }
}

impl Set {
    /// What Route 53 returned, if it is of a kind that can be moved.
    ///
    /// # Errors
    /// A fragment naming the routing policy that is not ours to move.
    pub fn from_sdk(set: &ResourceRecordSet) -> Result<Self, String> {
        let foreign = [
            ("latency", set.region().is_some()),
            ("geolocation", set.geo_location().is_some()),
            ("failover", set.failover().is_some()),
            ("multivalue", set.multi_value_answer().is_some()),
            ("geoproximity", set.geo_proximity_location().is_some()),
            ("CIDR", set.cidr_routing_config().is_some()),
            ("traffic policy", set.traffic_policy_instance_id().is_some()),
        ];
        if let Some((policy, _)) = foreign.iter().find(|(_, used)| *used) {
            return Err(format!(
                "its {} record uses {policy} routing, which modelswap does not move",
                set.r#type().as_str()
            ));
        }
        let mut values: Vec<String> = set.resource_records().iter().map(|r| r.value().to_owned()).collect();
        values.sort();
        Ok(Self {
            kind: set.r#type().as_str().to_owned(),
            set_identifier: set.set_identifier().map(str::to_owned),
            weight: set.weight().and_then(|w| u8::try_from(w).ok()),
            ttl_s: set.ttl().and_then(|t| u32::try_from(t).ok()),
            values,
            alias: set.alias_target().map(|alias| Alias {
                target: super::fully_qualified(alias.dns_name()),
                zone: alias.hosted_zone_id().to_owned(),
                evaluate_target_health: alias.evaluate_target_health(),
            }),
            health_check: set.health_check_id().map(str::to_owned),
        })
    }

    /// What Route 53 is sent.
    pub fn to_sdk(&self, name: &str) -> Result<ResourceRecordSet, BuildError> {
        let records: Result<Vec<_>, _> =
            self.values.iter().map(|v| ResourceRecord::builder().value(v).build()).collect();
        let alias = self.alias.as_ref().map(|alias| {
            AliasTarget::builder()
                .dns_name(&alias.target)
                .hosted_zone_id(&alias.zone)
                .evaluate_target_health(alias.evaluate_target_health)
                .build()
        });
        ResourceRecordSet::builder()
            .name(name)
            .r#type(RrType::from(self.kind.as_str()))
            .set_set_identifier(self.set_identifier.clone())
            .set_weight(self.weight.map(i64::from))
            .set_ttl(self.ttl_s.map(i64::from))
            .set_resource_records(Some(records?).filter(|r| !r.is_empty()))
            .set_alias_target(alias.transpose()?)
            .set_health_check_id(self.health_check.clone())
            .build()
    }
}

/// `A 203.0.113.10 (ttl 60)`.
impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sets.is_empty() {
            return f.write_str("no record");
        }
        let sets: Vec<_> = self.sets.iter().map(Set::to_string).collect();
        f.write_str(&sets.join(", "))
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if let (Some(id), Some(weight)) = (&self.set_identifier, self.weight) {
            write!(f, " {id} weight {weight}")?;
        }
        match &self.alias {
            Some(alias) => write!(f, " alias {}", alias.target.trim_end_matches('.')),
            None => write!(f, " {} (ttl {})", self.values.join(" "), self.ttl_s.unwrap_or(0)),
        }
    }
}
