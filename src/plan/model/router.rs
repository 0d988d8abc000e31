//! What moves traffic.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{default_minute, from_map};
use crate::ids::{EnvironmentName, RouterName};
use crate::units::Span;

/// What moves traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Router {
    /// A rule of an Application Load Balancer.
    Alb(Alb),
    /// The records of a name in Route 53.
    Route53(Route53),
}

/// A rule of an Application Load Balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alb {
    /// The listener, for `rule: default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// Which rule: `{listener: ARN, host: NAME, path: PATTERN}`, or `default` beside `listener`.
    pub rule: AlbRule,
    /// The target group of each environment, by name or ARN.
    pub target_groups: BTreeMap<EnvironmentName, String>,
    /// Healthy targets below which no traffic is sent to a group. Default 1.
    #[serde(default = "default_floor")]
    pub floor: u32,
    /// Who else manages this rule, once you have told them to leave its actions alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// Which rule of a listener.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlbRule {
    /// The listener's default action: everything that no rule matches.
    Default,
    /// The rule with exactly these conditions.
    #[serde(untagged)]
    Matching(AlbConditions),
}

/// The conditions of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlbConditions {
    /// ARN of the listener.
    pub listener: String,
    /// Host pattern of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Path pattern of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

fn default_floor() -> u32 {
    1
}

/// The records of a name in Route 53. Exactly one of `values`, `aliases` and `weighted`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route53 {
    /// The hosted zone's name, or its id.
    pub zone: String,
    /// Whether the private zone of that name is meant.
    #[serde(default)]
    pub private: bool,
    /// The name whose records move; all its types move together.
    pub name: String,
    /// Plain records: the values of each environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<BTreeMap<EnvironmentName, RecordValues>>,
    /// Alias records: where the name leads for each environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliases: Option<BTreeMap<EnvironmentName, AliasTarget>>,
    /// Weighted records that exist: the set identifier of each environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighted: Option<BTreeMap<EnvironmentName, String>>,
    /// The router that this name leads to; traffic is then decided there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<RouterName>,
    /// How propagation is watched and how long an old answer may live.
    #[serde(default)]
    pub propagation: Propagation,
    /// Who else manages these records, once you have told them to leave them alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// The values of an environment's records.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum RecordValues {
    /// Addresses; A and AAAA are told apart by their form.
    Addresses(Vec<std::net::IpAddr>),
    /// Values by record type: `{A: [...], AAAA: [...], CNAME: [...]}`.
    ByType(BTreeMap<String, Vec<String>>),
}

/// Where an alias leads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AliasTarget {
    /// DNS name of the target.
    pub target: String,
    /// Hosted zone id of the target.
    pub zone: String,
    /// Whether Route 53 asks the target's health. Default false.
    #[serde(default)]
    pub evaluate_target_health: bool,
}

/// How propagation is watched and how long an old answer may live; defaults are for public names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Propagation {
    /// Resolvers to ask, as `IP` or `IP:PORT`. Default: eight public ones and the system's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolvers: Vec<String>,
    /// How far resolvers may raise a short TTL. Default 60s; 0s when all clients use the listed resolvers.
    #[serde(default = "default_minute")]
    pub clamp: Span,
    /// How long clients keep an address whatever its TTL. Default 60s (browsers), 30s for API clients.
    #[serde(default = "default_minute")]
    pub client_cache: Span,
    /// A longer TTL that was in force until recently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_old_ttl: Option<Span>,
}

impl Default for Propagation {
    fn default() -> Self {
        Self { resolvers: Vec::new(), clamp: default_minute(), client_cache: default_minute(), assume_old_ttl: None }
    }
}

impl<'de> Deserialize<'de> for AlbRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrMap;

        impl<'de> Visitor<'de> for WordOrMap {
            type Value = AlbRule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`default`, or the conditions of a rule")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<AlbRule, E> {
                if word == "default" { Ok(AlbRule::Default) } else { Err(E::unknown_variant(word, &["default"])) }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AlbRule, A::Error> {
                from_map(map).map(AlbRule::Matching)
            }
        }

        deserializer.deserialize_any(WordOrMap)
    }
}

impl<'de> Deserialize<'de> for RecordValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOrMap;

        impl<'de> Visitor<'de> for ListOrMap {
            type Value = RecordValues;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of addresses, or values by record type")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RecordValues, A::Error> {
                let mut addresses = Vec::new();
                while let Some(address) = list.next_element::<Address>()? {
                    addresses.push(address.0);
                }
                Ok(RecordValues::Addresses(addresses))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RecordValues, A::Error> {
                from_map(map).map(RecordValues::ByType)
            }
        }

        deserializer.deserialize_any(ListOrMap)
    }
}

/// An IP address; the error names the text that is none.
struct Address(std::net::IpAddr);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let not_one = |_| {
            D::Error::custom(format_args!("`{text}` is no IP address; other values go by type: `{{CNAME: [...]}}`"))
        };
        text.parse().map(Self).map_err(not_one)
    }
}
