//! What a person writes, as types. The same types are recorded in the journal once variables are expanded.
//!
//! One key names the kind everywhere, so every choice is an externally tagged enum and serde names the valid ones by itself.
//! Every `///` here becomes the schema and the plan reference.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::MapAccess;
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Serialize};

use crate::ids::{EnvironmentName, GateName, RouterName, ServiceName};
use crate::units::Span;

mod access;
mod environment;
mod gate;
mod router;
mod serves;
mod step;
mod step_forms;

pub use access::{Access, Auth, Secret, SecretHolder};
pub use environment::{Closes, CommandRuns, Endpoints, Environment, ProcessRuns, Runs};
pub use gate::{CommandGate, Gate, HttpGate, Witness};
pub use router::{Alb, AlbConditions, AlbRule, AliasTarget, Propagation, RecordValues, Route53, Router};
pub use serves::{HttpIdentity, Kserve, OpenAi, OpenAiServer, PlainHttp, Serves, Tcp};
pub use step::{
    Action, Approve, Attach, Bake, Branch, Check, Drain, LowerTtl, OnEnvironment, OnRouter, Role, Run, Step, Swap,
    SwapWhen, Verify, Wait,
};

/// A plan: which release is wanted, where it can run, how traffic moves, what must hold, and in which order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of the plan language: 1.
    pub version: u32,
    /// What is served; it has one journal, and one run at a time.
    pub service: ServiceName,
    /// Where the journal lives: a directory, or `s3://bucket/prefix`, `gs://…`, `az://…`. Default `.modelswap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The AWS account and region that the plan is for. Another one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<Aws>,
    /// Values for `${var.NAME}` in any string; `--var NAME=VALUE` overrides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, String>,
    /// The goal. When the live environment proves to serve it already, there is nothing to do.
    pub release: Release,
    /// The places where the model can run, by name. They take turns.
    pub environments: BTreeMap<EnvironmentName, Environment>,
    /// What moves traffic, by name.
    pub routers: BTreeMap<RouterName, Router>,
    /// What must hold, by name. Gates only look.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gates: BTreeMap<GateName, Gate>,
    /// A client that asks through the front door during the whole run and counts what is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Witness>,
    /// What happens when a step fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Codes of traps that were read and accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acknowledge: Vec<String>,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// What burns the quick way back; run later by `modelswap finalize`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalize: Option<Finalize>,
}

/// Where the journal lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum State {
    /// A directory or a URL.
    At(String),
    /// The same, and where every record is written down a second time.
    Mirrored(MirroredState),
}

/// A journal with a second place for its records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MirroredState {
    /// Where the journal lives: a directory or a URL.
    pub url: String,
    /// Where a rollback finds it when that place is down: a directory or a URL.
    pub mirror: String,
}

impl State {
    /// Where the journal lives.
    pub fn at(&self) -> &str {
        match self {
            Self::At(at) | Self::Mirrored(MirroredState { url: at, .. }) => at,
        }
    }

    /// Where it is written down a second time.
    pub fn mirror(&self) -> Option<&str> {
        match self {
            Self::At(_) => None,
            Self::Mirrored(state) => Some(&state.mirror),
        }
    }
}

/// The AWS account and region that everything in the plan belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aws {
    /// 12 digits, quoted.
    pub account: String,
    /// For instance `eu-west-1`.
    pub region: String,
    /// A profile of the shared AWS configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

/// The model to serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The name under which the server says that it serves it.
    pub model: String,
    /// Commit, hash or weight version, where the server tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// What happens when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Everything is undone, traffic first.
    #[default]
    Rollback,
    /// Nothing more is done; a person decides.
    Hold,
    /// A person is asked; without a terminal the same as `hold`.
    Ask,
}

impl OnFailure {
    pub(super) fn hold() -> Self {
        Self::Hold
    }
}

/// What burns the quick way back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finalize {
    /// How long after the deploy. `0s`: at once, in the same run.
    #[serde(default = "default_day")]
    pub after: Span,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

pub(super) fn default_day() -> Span {
    Span::from_secs(24 * 3600)
}

fn default_minute() -> Span {
    Span::from_secs(60)
}

/// Reads `T` from the rest of a map.
fn from_map<'de, T: Deserialize<'de>, A: MapAccess<'de>>(map: A) -> Result<T, A::Error> {
    T::deserialize(MapAccessDeserializer::new(map))
}
