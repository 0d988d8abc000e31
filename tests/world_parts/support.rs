//! A clock that a test moves by hand, a small cloud, and servers to put behind it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use modelswap::clock::{Clock, ScaledClock, SystemClock};
use modelswap::lab::model_server::{ModelServer, ModelServerOptions};
use modelswap::lab::state::{
    Action, Balancer, Cloud, Health, Listener, RecordSet, Rule, SharedCloud, Target, TargetGroup, Zone,
};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct ManualClock(watch::Sender<Timestamp>);

impl ManualClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(watch::channel(Timestamp::from_second(1_800_000_000).unwrap()).0))
    }

    pub(crate) fn advance(&self, s: i64) {
        self.0.send_modify(|now| *now += SignedDuration::from_secs(s));
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }
    async fn sleep(&self, length: Duration) {
        let until = self.now() + SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
        self.0.subscribe().wait_for(|now| *now >= until).await.unwrap();
    }
}

pub(crate) fn real_time() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

pub(crate) fn fast(scale: f64) -> Arc<dyn Clock> {
    Arc::new(ScaledClock { origin: SystemClock.now(), scale })
}

/// Asks again and again until it holds; gives up after ten real seconds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        SystemClock.sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came about that {what}");
}

/// A record set as a zone has it.
pub(crate) fn record(name: &str, kind: &str, ttl_s: u32, values: &[&str]) -> RecordSet {
    RecordSet {
        name: name.into(),
        kind: kind.into(),
        ttl_s: Some(ttl_s),
        values: values.iter().map(|v| (*v).to_owned()).collect(),
        ..RecordSet::default()
    }
}

/// A cloud with one zone, `example.com.`, whose negative answers live 30 s.
pub(crate) fn cloud_with_zone(records: Vec<RecordSet>) -> SharedCloud {
    let mut cloud = Cloud::default();
    let soa = record("example.com.", "SOA", 900, &["ns-1.lab. hostmaster.lab. 1 7200 900 1209600 30"]);
    let served = [vec![soa], records].concat();
    let zone = Zone {
        name: "example.com.".into(),
        name_servers: vec!["ns-1.lab".into(), "ns-2.lab".into()],
        records: served.clone(),
        served,
        ..Zone::default()
    };
    cloud.zones.insert("Z1".into(), zone);
    SharedCloud::new(cloud)
}

/// Replaces what the zone serves, the SOA aside.
pub(crate) fn serve(cloud: &SharedCloud, records: Vec<RecordSet>) {
    let mut cloud = cloud.lock();
    let zone = cloud.zones.get_mut("Z1").unwrap();
    zone.served.retain(|r| r.kind == "SOA");
    zone.served.extend(records);
}

/// A cloud with one listener, `front`, whose default rule forwards to groups by weight.
pub(crate) fn cloud_with_listener(forward: &[(&str, u16)]) -> SharedCloud {
    let mut cloud = Cloud::default();
    let balancer = Balancer {
        name: "alb".into(),
        dns_name: "alb-1.eu-west-1.elb.amazonaws.com".into(),
        addresses: vec!["192.0.2.10".into()],
        ..Balancer::default()
    };
    cloud.balancers.insert("alb".into(), balancer);
    let listener = Listener {
        balancer: "alb".into(),
        protocol: "HTTP".into(),
        port: 80,
        socket: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        certificates: Vec::new(),
    };
    cloud.listeners.insert("front".into(), listener);
    for (group, _) in forward {
        cloud.groups.insert((*group).into(), group_of(vec![]));
    }
    let rule = Rule { listener: "front".into(), actions: vec![forward_to(forward, None)], ..Rule::default() };
    cloud.rules.insert("default".into(), rule);
    SharedCloud::new(cloud)
}

pub(crate) fn forward_to(groups: &[(&str, u16)], sticky_s: Option<u32>) -> Action {
    Action::Forward { groups: groups.iter().map(|(g, w)| ((*g).to_owned(), *w)).collect(), sticky_s }
}

pub(crate) fn set_rule(cloud: &SharedCloud, rule: &str, action: Action) {
    cloud.lock().rules.get_mut(rule).unwrap().actions = vec![action];
}

pub(crate) fn group_of(targets: Vec<Target>) -> TargetGroup {
    TargetGroup {
        port: 8000,
        protocol: "HTTP".into(),
        target_type: "ip".into(),
        attributes: BTreeMap::new(),
        health_path: "/health".into(),
        health_interval_s: 5.0,
        healthy_threshold: 2,
        unhealthy_threshold: 2,
        health_codes: "200".into(),
        targets,
        ..TargetGroup::default()
    }
}

pub(crate) fn target(id: &str, socket: SocketAddr, health: Health) -> Target {
    Target {
        id: id.into(),
        port: 8000,
        socket: Some(socket),
        health,
        passes: 0,
        failures: 0,
        draining_until: None,
        in_flight: 0,
        requests: 0,
    }
}

pub(crate) fn register(cloud: &SharedCloud, group: &str, target: Target) {
    cloud.lock().groups.get_mut(group).unwrap().targets.push(target);
}

/// A loopback socket at which nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// A running lab model server that can be told to stop.
pub(crate) struct Model {
    pub(crate) address: SocketAddr,
    pub(crate) term: Option<oneshot::Sender<()>>,
    pub(crate) running: JoinHandle<()>,
}

pub(crate) async fn model(name: &str, clock: Arc<dyn Clock>, change: impl FnOnce(&mut ModelServerOptions)) -> Model {
    let mut options = ModelServerOptions::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), name);
    options.token_gap = Duration::from_millis(1);
    change(&mut options);
    let server = ModelServer::bind(options, clock).await.unwrap();
    let (term, told) = oneshot::channel();
    let address = server.address;
    let running = tokio::spawn(server.serve(async { told.await.unwrap_or(()) }));
    Model { address, term: Some(term), running }
}

impl Model {
    pub(crate) fn term(&mut self) {
        self.term.take().unwrap().send(()).unwrap();
    }
}

pub(crate) fn client() -> reqwest::Client {
    // The limit is there so that a request that hangs is a failure.
    let limit = Duration::from_secs(15);
    reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(limit).build().unwrap()
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> reqwest::Response {
    client().get(format!("http://{address}{path}")).send().await.unwrap()
}

pub(crate) async fn complete(
    client: &reqwest::Client,
    address: SocketAddr,
    more: serde_json::Value,
) -> reqwest::Response {
    let mut body = serde_json::json!({ "messages": [{ "role": "user", "content": "hello" }], "max_tokens": 2 });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post(format!("http://{address}/v1/chat/completions")).json(&body).send().await.unwrap()
}

/// The model that answers a completion at `address`.
pub(crate) async fn answering(address: SocketAddr) -> String {
    let response = complete(&client(), address, serde_json::json!({})).await;
    let status = response.status();
    let answer: serde_json::Value = response.json().await.unwrap_or_default();
    answer["model"].as_str().map_or_else(|| status.as_u16().to_string(), str::to_owned)
}
