//! What a loopback world is built from: the parts of a cloud that a plan names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::state::RecordSet;
use crate::ids::EnvironmentName;

/// The order for a world. `lab up --for PLAN` derives one from a plan; the demo and the tests write theirs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Blueprint {
    pub account: String,
    pub region: String,
    /// World seconds in a real second; 1 or more.
    pub scale: f64,
    pub zones: Vec<ZoneOrder>,
    pub balancers: Vec<BalancerOrder>,
    pub groups: Vec<GroupOrder>,
    pub resolvers: Vec<ResolverKind>,
    /// Plan addresses (`203.0.113.10:8000`) at which a lab model server will listen; each gets a loopback port.
    pub servers: Vec<ServerOrder>,
    /// World seconds from a Route 53 change to INSYNC.
    pub insync_after_s: f64,
    /// Names that a plan moves: where they lead only DNS says.
    pub moved: Vec<String>,
}

/// A hosted zone with its first records.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ZoneOrder {
    /// Made up when none.
    pub id: Option<String>,
    pub name: String,
    pub private: bool,
    pub records: Vec<RecordSet>,
}

/// A load balancer with listeners.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BalancerOrder {
    pub name: String,
    pub arn: Option<String>,
    /// Made up when none.
    pub dns_name: Option<String>,
    /// The hosted zone of its DNS name; the region's when none.
    pub dns_zone: Option<String>,
    pub attributes: BTreeMap<String, String>,
    pub listeners: Vec<ListenerOrder>,
}

/// A listener: its rules and its default action.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ListenerOrder {
    pub arn: Option<String>,
    pub protocol: String,
    pub port: u16,
    /// Group names with weights; empty: a fixed 404.
    pub default: Vec<(String, u16)>,
    pub rules: Vec<RuleOrder>,
}

/// A rule of a listener.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RuleOrder {
    pub priority: u32,
    pub hosts: Vec<String>,
    pub paths: Vec<String>,
    pub forward: Vec<(String, u16)>,
    pub sticky_s: Option<u32>,
}

/// A target group; its targets are plan addresses.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GroupOrder {
    pub name: String,
    pub arn: Option<String>,
    pub port: u16,
    pub health_path: String,
    pub attributes: BTreeMap<String, String>,
    /// `ip:port` of the plan, registered from the start.
    pub targets: Vec<String>,
}

/// How a caching resolver of the world behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolverKind {
    /// Obeys TTLs.
    Honest,
    /// Raises every TTL to at least so many seconds.
    ClampUp { ttl_s: u32 },
    /// Answers from an expired entry at once and refreshes behind the client's back.
    ServeStale,
}

/// A lab model server that an environment starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerOrder {
    pub environment: EnvironmentName,
    /// `ip:port` of the plan.
    pub address: String,
    pub model: String,
    pub revision: Option<String>,
    /// World seconds until it is loaded.
    pub load_s: f64,
    /// Whether it runs when the world begins (the live environment).
    pub running: bool,
}
