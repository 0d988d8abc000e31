//! Places where the model can run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::from_map;
use super::serves::Serves;
use crate::ids::RouterName;
use crate::units::Span;

/// A place where the model can run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// How it is started and stopped. Without it, others do that, and `provision` and `teardown` are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<Runs>,
    /// How to talk to it: health, identity, completion, metrics.
    pub serves: Serves,
    /// Where its servers answer directly: a list of URLs, or the targets of a router's group.
    pub endpoints: Endpoints,
    /// How its servers are asked to close the connections that clients keep open, where they can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes: Option<Closes>,
    /// What an hour of it costs, in any one currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly_cost: Option<f64>,
}

/// Paths that are POSTed to every server, so that clients who keep a connection come back by the name they know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Closes {
    /// From now on every answer carries `Connection: close`.
    pub start: String,
    /// No longer.
    pub stop: String,
}

/// How an environment is started and stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Runs {
    /// A server process on this host, detached, found again by pid, start time and token.
    Process(ProcessRuns),
    /// Commands that start, stop and look: terraform, ssh, docker, kubectl.
    Command(CommandRuns),
}

/// A server process on this host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessRuns {
    /// Program and arguments; never a shell.
    pub command: Vec<String>,
    /// Variables for it, beside `MODELSWAP_MODEL`, `MODELSWAP_REVISION`, `MODELSWAP_ENVIRONMENT` and `MODELSWAP_TOKEN`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Where it runs; default: where the plan is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// Where its output goes; default: a file beside the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
    /// From TERM to KILL. Default 30s.
    #[serde(default = "default_grace")]
    pub grace: Span,
}

/// Commands that start, stop and look. Each gets `MODELSWAP_TOKEN`, the same for a start and its repetition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRuns {
    /// Starts the environment; must do nothing when it runs already.
    pub start: Vec<String>,
    /// Stops it; must do nothing when it is stopped already.
    pub stop: Vec<String>,
    /// Exits 0 when it runs, 3 when it is stopped; anything else: cannot tell.
    /// If it prints a line `MODELSWAP_TOKEN=...`, that start is recognised on every machine, not only where it was made.
    pub status: Vec<String>,
    /// Variables for all three.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Where they run; default: where the plan is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// How long one may take. Default 10m.
    #[serde(default = "default_command_within")]
    pub within: Span,
}

fn default_grace() -> Span {
    Span::from_secs(30)
}

pub(super) fn default_command_within() -> Span {
    Span::from_secs(600)
}

/// Where an environment's servers answer directly.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Endpoints {
    /// Their URLs.
    Urls(Vec<url::Url>),
    /// The targets that are registered in the environment's group of this router.
    TargetGroup {
        /// The router.
        target_group: RouterName,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetGroupKeys {
    target_group: RouterName,
}

impl<'de> Deserialize<'de> for Endpoints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOrMap;

        impl<'de> Visitor<'de> for ListOrMap {
            type Value = Endpoints;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of URLs, or `{target_group: ROUTER}`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Endpoints, A::Error> {
                let mut urls = Vec::new();
                while let Some(url) = list.next_element()? {
                    urls.push(url);
                }
                Ok(Endpoints::Urls(urls))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Endpoints, A::Error> {
                let keys: TargetGroupKeys = from_map(map)?;
                Ok(Endpoints::TargetGroup { target_group: keys.target_group })
            }
        }

        deserializer.deserialize_any(ListOrMap)
    }
}
