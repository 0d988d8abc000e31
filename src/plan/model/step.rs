//! Steps: what they do. How they are read is in `step_forms.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{OnFailure, default_minute};
use crate::ids::{GateName, RouterName, StepId};
use crate::units::Span;

/// One step: its kind is its one key beside `name` and `within`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Its name; default: number and kind, as `07-bake`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<StepId>,
    /// How long it may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// What it does.
    #[serde(flatten)]
    pub action: Action,
}

/// `live`, `next`, `previous`, or the name of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Role(pub String);

impl Role {
    fn next() -> Self {
        Self("next".to_owned())
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Starts an environment. Short: `provision: next`.
    Provision(OnEnvironment),
    /// Registers the targets and puts the group on the rule at weight 0, so that its health is checked.
    Attach(Attach),
    /// Proves that an environment serves the release, then asks the gates. Short: `check: next`.
    Check(Check),
    /// Shortens the TTL of a record, so that the switch is seen sooner.
    LowerTtl(LowerTtl),
    /// Puts the TTL back to what it was before `lower_ttl`. Short: `restore_ttl: record`.
    RestoreTtl(OnRouter),
    /// Sends all traffic to an environment at once.
    Swap(Swap),
    /// Watches until what clients see is what was switched.
    Verify(Verify),
    /// Watches for a while that everything holds.
    Bake(Bake),
    /// Waits until no client can come to an environment any more and nothing is in flight there. Short: `drain: previous`.
    Drain(Drain),
    /// Takes an environment off the routers and stops it. Short: `teardown: previous`.
    Teardown(OnEnvironment),
    /// Runs commands of yours.
    Run(Run),
    /// Waits for a person. Short: `approve: {}`.
    Approve(Approve),
    /// Waits. Short: `wait: 5m`.
    Wait(Wait),
    /// Branches at the same time; a branch is a step or a list of steps.
    Parallel(Vec<Branch>),
}

impl Action {
    /// The key that names its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Provision(_) => "provision",
            Self::Attach(_) => "attach",
            Self::Check(_) => "check",
            Self::LowerTtl(_) => "lower_ttl",
            Self::RestoreTtl(_) => "restore_ttl",
            Self::Swap(_) => "swap",
            Self::Verify(_) => "verify",
            Self::Bake(_) => "bake",
            Self::Drain(_) => "drain",
            Self::Teardown(_) => "teardown",
            Self::Run(_) => "run",
            Self::Approve(_) => "approve",
            Self::Wait(_) => "wait",
            Self::Parallel(_) => "parallel",
        }
    }
}

/// A step or a list of steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Branch(pub Vec<Step>);

/// An environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnEnvironment {
    /// Which.
    pub environment: Role,
}

/// A router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnRouter {
    /// Which.
    pub router: RouterName,
}

/// Settings of `attach`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// Which environment.
    pub environment: Role,
    /// To which router.
    pub router: RouterName,
}

/// Settings of `check`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Which environment.
    pub environment: Role,
    /// Gates that must pass as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateName>,
    /// How often in a row the proof must succeed on every endpoint. Default 3.
    #[serde(default = "default_times")]
    pub times: u32,
}

fn default_times() -> u32 {
    3
}

/// Settings of `lower_ttl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LowerTtl {
    /// Which router.
    pub router: RouterName,
    /// To what. Default 60s.
    #[serde(default = "default_minute")]
    pub to: Span,
}

/// Settings of `swap`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Swap {
    /// Which router.
    pub router: RouterName,
    /// To which environment. Default next.
    #[serde(default = "Role::next")]
    pub to: Role,
    /// `ready`: as soon as it is this step's turn; `settled`: once the old, longer TTL has run out everywhere.
    #[serde(default)]
    pub when: SwapWhen,
}

/// When a swap is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SwapWhen {
    /// At once.
    #[default]
    Ready,
    /// When no cache can hold the old TTL any more; shortens the time in which both serve.
    Settled,
}

/// Settings of `verify`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// Which router.
    pub router: RouterName,
    /// Which environment clients must see. Default next.
    #[serde(default = "Role::next")]
    pub sees: Role,
}

/// Settings of `bake`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bake {
    /// How long.
    #[serde(rename = "for")]
    pub length: Span,
    /// Gates that must hold all the while.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateName>,
}

/// Settings of `drain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// Which environment.
    pub environment: Role,
    /// How long after the last client may have been led there it may take. Default 30m. At its end the run holds.
    #[serde(default = "default_drain")]
    pub at_most: Span,
    /// How long nothing may arrive. Default 30s.
    #[serde(default = "default_quiet")]
    pub quiet: Span,
    /// How long to wait instead where the servers cannot say what is in flight. Without it they must say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmeasured: Option<Span>,
}

fn default_drain() -> Span {
    Span::from_secs(1800)
}

fn default_quiet() -> Span {
    Span::from_secs(30)
}

/// Settings of `run`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Program and arguments; never a shell.
    #[serde(rename = "do")]
    pub act: Vec<String>,
    /// Takes it back; run on rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Vec<String>>,
    /// Exits 0 when the effect is in place, 3 when it is not; needed after a crash unless `idempotent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Vec<String>>,
    /// Whether `do` may run again when it is not known whether it ran.
    #[serde(default)]
    pub idempotent: bool,
}

/// Settings of `approve`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// How long to wait. Default 4h.
    #[serde(default = "default_approval")]
    pub within: Span,
    /// What then. Default hold.
    #[serde(default = "OnFailure::hold", rename = "else")]
    pub otherwise: OnFailure,
}

fn default_approval() -> Span {
    Span::from_secs(4 * 3600)
}

/// Settings of `wait`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// How long.
    #[serde(rename = "for")]
    pub length: Span,
}
