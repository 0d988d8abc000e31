//! A whole world at work: cloud, name servers, resolvers and balancers over one state.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::balancer::Balancers;
use super::blueprint::{Blueprint, ResolverKind};
use super::build::{NAME_SERVERS, build};
use super::cloud::{CloudServer, Parts, Settings, serve};
use super::dns::authoritative::{Authoritative, AuthoritativeOptions};
use super::dns::resolver::Resolver;
use super::faults::Faults;
use super::oracle::Oracle;
use super::stand_ins::StandIns;
use super::state::SharedCloud;
use crate::clock::{Clock, ScaledClock};
use crate::world::WorldFile;

/// Version of the world file.
const VERSION: u32 = 1;

/// A running world; it ends when this is dropped.
#[derive(Debug)]
pub struct World {
    /// What it holds.
    pub cloud: SharedCloud,
    /// Who watches it.
    pub oracle: Oracle,
    /// Faults that were ordered.
    pub faults: Faults,
    server: CloudServer,
    stand_ins: StandIns,
    resolvers: Vec<Resolver>,
    clock: ScaledClock,
    _name_servers: Vec<Authoritative>,
    _balancers: Balancers,
}

impl World {
    /// Builds and starts what was ordered.
    ///
    /// # Errors
    /// When no port can be had, or the order names what it does not contain.
    pub async fn start(order: &Blueprint, clock: ScaledClock) -> io::Result<Self> {
        let built = build(order)?;
        let cloud = SharedCloud::new(built.cloud);
        let shared: Arc<dyn Clock> = Arc::new(clock);
        let mut balancers = Balancers::closed(cloud.clone(), Arc::clone(&shared));
        for (arn, socket) in built.sockets {
            balancers.open_on(&arn, tokio::net::TcpListener::from_std(socket)?)?;
        }
        let stand_ins = built.stand_ins;
        let hosts = NAME_SERVERS.iter().map(|(host, ip)| ((*host).to_owned(), vec![IpAddr::V4(*ip)]));
        let options = AuthoritativeOptions { lag: Duration::ZERO, hosts: hosts.collect() };
        let mut name_servers = Vec::new();
        for (_, ip) in NAME_SERVERS {
            let server = Authoritative::start(cloud.clone(), options.clone(), Arc::clone(&shared)).await?;
            stand_ins.insert(&ip.to_string(), 53, server.address);
            name_servers.push(server);
        }
        let upstreams: Vec<_> = name_servers.iter().map(|s| s.address).collect();
        let kinds = if order.resolvers.is_empty() { &[ResolverKind::Honest][..] } else { &order.resolvers };
        let mut resolvers = Vec::new();
        for kind in kinds {
            resolvers.push(Resolver::start(*kind, upstreams.clone(), Arc::clone(&shared)).await?);
        }
        let (oracle, faults) = (Oracle::default(), Faults::default());
        let insync_after = Duration::from_secs_f64(order.insync_after_s);
        let server = serve(Parts {
            cloud: cloud.clone(),
            clock: shared,
            stand_ins: stand_ins.clone(),
            faults: faults.clone(),
            oracle: oracle.clone(),
            settings: Settings { insync_after, throttle: false },
        })
        .await?;
        let world = Self {
            cloud,
            oracle,
            faults,
            server,
            stand_ins,
            resolvers,
            clock,
            _name_servers: name_servers,
            _balancers: balancers,
        };
        world.name_doors(&order.moved);
        Ok(world)
    }

    /// Names that a rule answers for lead to its listener, and so do names that are an alias of its balancer: the default rule
    /// answers for any. A name that is going to be moved has no door of its own.
    fn name_doors(&self, moved: &[String]) {
        let cloud = self.cloud.lock();
        for set in cloud.zones.values().flat_map(|zone| &zone.records) {
            let Some(alias) = &set.alias else { continue };
            let (name, target) = (set.name.trim_end_matches('.'), alias.dns_name.trim_end_matches('.'));
            if moved.iter().any(|moved| moved.eq_ignore_ascii_case(name)) {
                continue;
            }
            let behind =
                |arn: &str| cloud.balancers.get(arn).is_some_and(|b| b.dns_name.trim_end_matches('.') == target);
            for listener in cloud.listeners.values().filter(|l| behind(&l.balancer)) {
                self.stand_ins.insert(name, listener.port, listener.socket);
            }
        }
        for rule in cloud.rules.values() {
            let Some(listener) = cloud.listeners.get(&rule.listener) else { continue };
            for host in rule.hosts.iter().filter(|host| !host.contains(['*', '?'])) {
                self.stand_ins.insert(host, listener.port, listener.socket);
            }
        }
    }

    /// Where everything is, without what `runs` starts.
    pub fn file(&self) -> WorldFile {
        WorldFile {
            version: VERSION,
            origin: self.clock.origin,
            scale: self.clock.scale,
            cloud: self.server.url(),
            oracle: self.server.oracle_url(),
            resolvers: self.resolvers.iter().map(|r| r.address).collect(),
            addresses: self.stand_ins.all(),
            runs: std::collections::BTreeMap::new(),
            pid: std::process::id(),
        }
    }

    /// Ends it.
    pub async fn stop(self) {
        self.server.shutdown().await;
    }
}
