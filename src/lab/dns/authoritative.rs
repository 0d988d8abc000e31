//! An authoritative name server on loopback: it answers what the zones of the cloud serve.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{Message, Query};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use super::answer::View;
use super::wire::{self, Answers};
use crate::clock::Clock;
use crate::ids::random_u64;
use crate::lab::state::{Action, Cloud, Health, RecordSet, Rule, SharedCloud, Zone};

/// How one instance of the name server behaves.
#[derive(Debug, Clone, Default)]
pub struct AuthoritativeOptions {
    /// World time that it is behind the others: a change is answered here so long after it is INSYNC.
    pub lag: Duration,
    /// Host names of the name servers with their addresses in the plan's world: the glue.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
}

/// A running name server; it stops when it is dropped.
#[derive(Debug)]
pub struct Authoritative {
    /// Its UDP and TCP socket, on loopback.
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Authoritative {
    /// Starts an instance on a free loopback port.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(cloud: SharedCloud, options: AuthoritativeOptions, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let sockets = wire::bind().await?;
        let address = sockets.address;
        let first = cloud.lock().zones.iter().map(|(id, zone)| (id.clone(), zone.served.clone())).collect();
        let tasks = wire::serve(sockets, Arc::new(Server { cloud, options, clock, first }));
        Ok(Self { address, _tasks: tasks })
    }
}

struct Server {
    cloud: SharedCloud,
    options: AuthoritativeOptions,
    clock: Arc<dyn Clock>,
    /// What was served when this instance started: what a lagging one still has before the first change reaches it.
    first: BTreeMap<String, Vec<RecordSet>>,
}

#[async_trait]
impl Answers for Server {
    async fn answer(&self, question: &Query, _asked: &Message) -> Message {
        let now = self.clock.now();
        let cloud = self.cloud.lock();
        let view = View {
            zones: cloud.zones.iter().map(|(id, zone)| (zone, self.records_of(&cloud, id, zone, now))).collect(),
            balancers: cloud.balancers.values().collect(),
            dark: dark(&cloud),
            hosts: self.options.hosts.iter().map(|(host, ips)| (host.as_str(), ips.as_slice())).collect(),
        };
        view.answer(question.name(), question.query_type(), &mut |n| random_u64() % n)
    }
}

/// "Every target group that contains targets must contain at least one healthy target", and one without targets is unhealthy
/// too (API reference, AliasTarget): the DNS names of balancers of which that is not so.
fn dark(cloud: &Cloud) -> Vec<&str> {
    let lit = |group: &String| {
        let targets = cloud.groups.get(group).map(|group| group.targets.as_slice()).unwrap_or_default();
        targets.iter().any(|target| target.health == Health::Healthy && target.draining_until.is_none())
    };
    let is_dark = |arn: &String| {
        let of_balancer = |rule: &&Rule| cloud.listeners.get(&rule.listener).is_some_and(|l| l.balancer == *arn);
        let actions = cloud.rules.values().filter(of_balancer).flat_map(|rule| &rule.actions);
        let groups = actions.filter_map(|action| match action {
            Action::Forward { groups, .. } => Some(groups),
            Action::FixedResponse { .. } | Action::Redirect { .. } | Action::Authenticate { .. } => None,
        });
        groups.flatten().any(|(group, _)| !lit(group))
    };
    cloud.balancers.iter().filter(|(arn, _)| is_dark(arn)).map(|(_, balancer)| balancer.dns_name.as_str()).collect()
}

impl Server {
    fn records_of<'a>(&'a self, cloud: &'a Cloud, id: &str, zone: &'a Zone, now: Timestamp) -> &'a [RecordSet] {
        if self.options.lag.is_zero() {
            return &zone.served;
        }
        let lag = SignedDuration::try_from(self.options.lag).unwrap_or(SignedDuration::MAX);
        let here = |at: Timestamp| now.duration_since(at) >= lag;
        let arrived = cloud.changes.values().filter(|c| c.zone_id == id && c.insync && here(c.insync_at));
        match arrived.max_by_key(|c| (c.insync_at, c.submitted_at)) {
            Some(change) => &change.records,
            None => self.first.get(id).unwrap_or(&zone.served),
        }
    }
}
