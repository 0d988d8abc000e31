//! What a person writes, as types. The same types are recorded in the journal once variables are expanded.
//!
//! One key names the kind everywhere, so every choice is an externally tagged enum and serde names the valid ones by itself.
//! Every `///` here becomes the plan reference.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{EnvironmentName, GateName, RouterName, ServiceName};
use crate::units::Span;

/// A plan: which release is wanted, where it can run, how traffic moves, what must hold, and in which order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of the plan language: 1.
    pub version: u32,
    /// What is served; it has one journal, and one run at a time.
    pub service: ServiceName,
    /// Where the journal lives: a directory. Default `.modelswap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
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
    /// What an hour of it costs, in any one currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly_cost: Option<f64>,
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

fn default_command_within() -> Span {
    Span::from_secs(600)
}

/// How to talk to a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Serves {
    /// An OpenAI-compatible model server.
    Openai(OpenAi),
    /// The open inference protocol, version 2: KServe, Triton, MLServer.
    Kserve(Kserve),
    /// Any HTTP server.
    Http(PlainHttp),
    /// Anything that accepts TCP connections.
    Tcp(Tcp),
}

/// An OpenAI-compatible model server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenAi {
    /// Which server: its health path, identity and metric names.
    #[serde(default)]
    pub server: OpenAiServer,
    /// Tokens that the proof of serving asks for. Default 8.
    #[serde(default = "default_proof_tokens")]
    pub proof_tokens: u32,
    /// How requests are authenticated and trusted.
    #[serde(default, flatten)]
    pub access: Access,
}

/// The OpenAI-compatible servers whose habits are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OpenAiServer {
    /// vLLM.
    Vllm,
    /// SGLang.
    Sglang,
    /// llama.cpp's server.
    LlamaCpp,
    /// Text Generation Inference.
    Tgi,
    /// Ollama.
    Ollama,
    /// Another: `/v1/models` and a completion; no metrics are known.
    #[default]
    Other,
}

/// The open inference protocol, version 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kserve {
    /// The request body that proves inference, as JSON; without it, readiness of the model is all that is proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infer: Option<serde_json::Value>,
    /// How requests are authenticated and trusted.
    #[serde(default, flatten)]
    pub access: Access,
}

/// Any HTTP server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlainHttp {
    /// Path that answers 2xx when it can serve. Default `/`.
    #[serde(default = "default_path")]
    pub health: String,
    /// Where the served release can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<HttpIdentity>,
    /// How requests are authenticated and trusted.
    #[serde(default, flatten)]
    pub access: Access,
}

/// Where a plain HTTP server says what it serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpIdentity {
    /// Path of a JSON answer.
    pub path: String,
    /// JSON pointer to the model's name.
    pub model: String,
    /// JSON pointer to its revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// A TCP server: nothing but a connection can be proven.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tcp {}

/// How requests are authenticated and trusted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Access {
    /// A bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Headers to send.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// PEM file of the authority that signed the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// How to authenticate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// `Authorization: Bearer ...`
    Bearer(SecretHolder),
}

/// `{secret: {...}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretHolder {
    /// Where the value is found when it is needed; it is never recorded.
    pub secret: Secret,
}

/// Where a secret's value is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// An environment variable of modelswap.
    Env(String),
    /// A file; one trailing newline is dropped.
    File(PathBuf),
    /// A command's output; one trailing newline is dropped.
    Command(Vec<String>),
}

fn default_proof_tokens() -> u32 {
    8
}

fn default_path() -> String {
    "/".to_owned()
}

/// Where an environment's servers answer directly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Endpoints {
    /// Their URLs.
    Urls(Vec<url::Url>),
    /// The targets that are registered in the environment's group of this router.
    TargetGroup {
        /// The router.
        target_group: RouterName,
    },
}

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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

fn default_minute() -> Span {
    Span::from_secs(60)
}

/// A condition that must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// An HTTP answer.
    Http(HttpGate),
    /// A command that exits 0.
    Command(CommandGate),
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpGate {
    /// What is asked; a path is asked of every endpoint of the environment.
    pub url: String,
    /// The status that passes. Default 200.
    #[serde(default = "default_status")]
    pub status: u16,
    /// What the body must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
}

fn default_status() -> u16 {
    200
}

/// A command that exits 0 when the gate passes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandGate {
    /// Program and arguments; never a shell.
    pub run: Vec<String>,
    /// How long it may take. Default 10m.
    #[serde(default = "default_command_within")]
    pub within: Span,
}

/// A client that asks through the front door.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// What it asks, as clients do.
    pub url: url::Url,
    /// How often. Default 200ms.
    #[serde(default = "default_every")]
    pub every: Span,
    /// How often it begins a long stream; never without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams_every: Option<Span>,
    /// How many tokens a long stream asks for. Default 200.
    #[serde(default = "default_stream_tokens")]
    pub stream_tokens: u32,
    /// How requests are authenticated and trusted.
    #[serde(default, flatten)]
    pub access: Access,
}

fn default_every() -> Span {
    Span::from_millis(200)
}

fn default_stream_tokens() -> u32 {
    200
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

fn default_day() -> Span {
    Span::from_secs(24 * 3600)
}

/// One step: its kind is its one key beside `name` and `within`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Its name; default: number and kind, as `07-bake`.
    pub name: Option<crate::ids::StepId>,
    /// How long it may take.
    pub within: Option<Span>,
    /// What it does.
    #[serde(flatten)]
    pub action: Action,
}

/// `live`, `next`, `previous`, or the name of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Role(pub String);

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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

/// A step or a list of steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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

/// `attach`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// Which environment.
    pub environment: Role,
    /// To which router.
    pub router: RouterName,
}

/// `check`.
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

/// `lower_ttl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LowerTtl {
    /// Which router.
    pub router: RouterName,
    /// To what. Default 60s.
    #[serde(default = "default_minute")]
    pub to: Span,
}

/// `swap`.
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

/// `verify`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// Which router.
    pub router: RouterName,
    /// Which environment clients must see. Default next.
    #[serde(default = "Role::next")]
    pub sees: Role,
}

/// `bake`.
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

/// `drain`.
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
}

fn default_drain() -> Span {
    Span::from_secs(1800)
}

fn default_quiet() -> Span {
    Span::from_secs(30)
}

/// `run`.
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

/// `approve`.
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

impl OnFailure {
    fn hold() -> Self {
        Self::Hold
    }
}

/// `wait`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// How long.
    #[serde(rename = "for")]
    pub length: Span,
}

impl Role {
    fn next() -> Self {
        Self("next".to_owned())
    }
}
