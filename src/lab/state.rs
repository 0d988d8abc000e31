//! What the loopback cloud holds: plain data, changed only by the cloud API, read by the DNS servers, the balancer and the oracle.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The whole cloud, shared by all parts of the world. Hold the lock for a look or a change, never across an `await`.
#[derive(Debug, Clone, Default)]
pub struct SharedCloud(Arc<Mutex<Cloud>>);

impl SharedCloud {
    /// A world that begins as `cloud`.
    pub fn new(cloud: Cloud) -> Self {
        Self(Arc::new(Mutex::new(cloud)))
    }

    /// The cloud, for a look or a change.
    pub fn lock(&self) -> MutexGuard<'_, Cloud> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Everything that an account holds here.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Cloud {
    /// 12 digits.
    pub account: String,
    /// For instance `eu-west-1`.
    pub region: String,
    /// By zone id (`Z...`).
    pub zones: BTreeMap<String, Zone>,
    /// Changes by id (`C...`).
    pub changes: BTreeMap<String, Change>,
    /// By ARN.
    pub balancers: BTreeMap<String, Balancer>,
    /// By ARN.
    pub listeners: BTreeMap<String, Listener>,
    /// By ARN; the default rule of each listener is among them.
    pub rules: BTreeMap<String, Rule>,
    /// By ARN.
    pub groups: BTreeMap<String, TargetGroup>,
    /// Tags by ARN.
    pub tags: BTreeMap<String, BTreeMap<String, String>>,
    /// Objects by bucket and key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub buckets: BTreeMap<String, BTreeMap<String, Arc<StoredObject>>>,
}

/// An object of a bucket. Shared, because the whole cloud is copied before each change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredObject {
    pub body: String,
    /// In quotes.
    pub etag: String,
    pub at: Timestamp,
}

/// A hosted zone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Zone {
    /// With the trailing dot.
    pub name: String,
    pub private: bool,
    /// Host names of the servers, without trailing dot.
    pub name_servers: Vec<String>,
    /// What the API shows: PENDING changes included.
    pub records: Vec<RecordSet>,
    /// What the name servers answer: changes that are INSYNC.
    pub served: Vec<RecordSet>,
    /// Names and types that refuse every change (`CreateResourceRecordSetProtection`).
    pub protected: Vec<(String, String)>,
    /// What was served before, and resolvers and clients that obey TTLs may still go by.
    #[serde(default)]
    pub lingering: Vec<Lingering>,
}

/// A record set that is served no more, in the caches of those who asked for it in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lingering {
    pub set: RecordSet,
    /// When the last of them forgets it.
    pub until: Timestamp,
}

/// A resource record set as Route 53 keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecordSet {
    /// Lower case, with the trailing dot.
    pub name: String,
    /// `A`, `AAAA`, `CNAME`, ...
    pub kind: String,
    pub set_identifier: Option<String>,
    pub weight: Option<u16>,
    /// Seconds; none for an alias.
    pub ttl_s: Option<u32>,
    pub values: Vec<String>,
    pub alias: Option<Alias>,
    pub health_check: Option<String>,
}

/// Where an alias leads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Alias {
    pub zone_id: String,
    pub dns_name: String,
    pub evaluate_target_health: bool,
}

/// A batch that was accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Change {
    pub zone_id: String,
    pub submitted_at: Timestamp,
    /// When the name servers serve it; PENDING before.
    pub insync_at: Timestamp,
    /// The zone's records once it is INSYNC.
    pub records: Vec<RecordSet>,
    pub insync: bool,
}

/// A load balancer and where it really listens.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Balancer {
    pub name: String,
    pub dns_name: String,
    pub canonical_zone_id: String,
    pub attributes: BTreeMap<String, String>,
    /// Addresses of the plan's world that the DNS name leads to (`192.0.2.10`).
    pub addresses: Vec<String>,
}

/// A listener and the loopback socket that stands in for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listener {
    pub balancer: String,
    pub protocol: String,
    pub port: u16,
    /// Where the reverse proxy of this world accepts connections for it.
    pub socket: SocketAddr,
    pub certificates: Vec<String>,
}

/// A rule; the listener's default actions are its rule with `priority: None`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Rule {
    pub listener: String,
    /// None for the default rule.
    pub priority: Option<u32>,
    /// Host patterns (`*` and `?` allowed); empty: any.
    pub hosts: Vec<String>,
    /// Path patterns; empty: any.
    pub paths: Vec<String>,
    /// Header conditions: name and patterns.
    pub headers: Vec<(String, Vec<String>)>,
    pub actions: Vec<Action>,
}

/// What a rule does, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    Forward {
        groups: Vec<(String, u16)>,
        sticky_s: Option<u32>,
    },
    FixedResponse {
        status: u16,
        content_type: String,
        body: String,
    },
    Redirect {
        status: u16,
        location: BTreeMap<String, String>,
    },
    /// OIDC or Cognito; the secret is kept here and never read out, as AWS does.
    Authenticate {
        kind: String,
        settings: BTreeMap<String, String>,
    },
}

/// A target group.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TargetGroup {
    pub name: String,
    pub port: u16,
    pub protocol: String,
    pub target_type: String,
    pub attributes: BTreeMap<String, String>,
    pub health_path: String,
    /// Seconds.
    pub health_interval_s: f64,
    pub healthy_threshold: u32,
    pub unhealthy_threshold: u32,
    pub health_codes: String,
    pub targets: Vec<Target>,
}

/// A registered target and what the health checker last found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// IP or instance id as it was registered.
    pub id: String,
    pub port: u16,
    /// Where it really listens on loopback; none: nothing there.
    pub socket: Option<SocketAddr>,
    pub health: Health,
    pub passes: u32,
    pub failures: u32,
    /// Set by deregistration: draining until then.
    pub draining_until: Option<Timestamp>,
    /// Requests that the balancer has under way there.
    pub in_flight: u32,
    /// Requests that the balancer has sent there in all.
    pub requests: u64,
}

/// The states of DescribeTargetHealth that this world knows; `unused` is worked out from the rules when read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Health {
    #[default]
    Initial,
    Healthy,
    Unhealthy,
}
