//! A world to state facts about: clients of the real SDKs, and the names of what is there.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_elasticloadbalancingv2 as elbv2;
use aws_sdk_route53 as route53;
use modelswap::lab::blueprint::{
    BalancerOrder, Blueprint, GroupOrder, ListenerOrder, RuleOrder, ServerOrder, ZoneOrder,
};
use modelswap::lab::build::{self, Built};
use modelswap::lab::cloud::{CloudServer, Parts, Settings, serve};
use modelswap::lab::faults::Faults;
use modelswap::lab::oracle::Oracle;
use modelswap::lab::stand_ins::StandIns;
use modelswap::lab::state::SharedCloud;

use super::desk::Desk;
use super::hand_clock::HandClock;
use super::moto::Names;

/// World time from a change to INSYNC.
pub(crate) const INSYNC_AFTER: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) route53: route53::Client,
    pub(crate) elb: elbv2::Client,
    pub(crate) url: String,
    pub(crate) names: Names,
}

/// A loopback world with what only it has.
pub(crate) struct Lab {
    pub(crate) world: World,
    pub(crate) cloud: SharedCloud,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) oracle: Oracle,
    pub(crate) stand_ins: StandIns,
    pub(crate) desk: Desk,
    pub(crate) server: CloudServer,
}

impl World {
    /// A world that is served at `url`.
    pub(crate) fn at(url: &str, names: Names) -> Self {
        Self { route53: route53_client(url, 1), elb: elb_client(url), url: url.to_owned(), names }
    }

    /// ARN of a target group.
    pub(crate) fn group(&self, name: &str) -> &str {
        &self.names.groups[name]
    }

    /// `label` in this world's zone, with the trailing dot.
    pub(crate) fn name(&self, label: &str) -> String {
        format!("{label}.{}", self.names.zone_name)
    }
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::with(Settings { insync_after: INSYNC_AFTER, throttle: false }).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let Built { cloud, stand_ins, .. } = build::build(&blueprint()).unwrap();
        let names = names(&cloud);
        let cloud = SharedCloud::new(cloud);
        let clock = Arc::new(HandClock::new());
        let oracle = Oracle::default();
        let server = serve(Parts {
            cloud: cloud.clone(),
            clock: clock.clone(),
            stand_ins: stand_ins.clone(),
            faults: Faults::default(),
            oracle: oracle.clone(),
            settings,
        })
        .await
        .unwrap();
        let desk = Desk { url: server.oracle_url() };
        Self { world: World::at(&server.url(), names), cloud, clock, oracle, stand_ins, desk, server }
    }

    /// The server of `address` served and has ended, and the oracle knows.
    pub(crate) async fn end_server(&self, address: &str) {
        let (host, port) = address.rsplit_once(':').unwrap();
        let socket = self.stand_ins.get(host, port.parse().unwrap()).unwrap();
        let mut line = tokio::net::TcpStream::connect(self.server.oracle_addr).await.unwrap();
        let body = serde_json::to_string(&[socket]).unwrap();
        let head = format!("POST /serving HTTP/1.1\r\nhost: lab\r\ncontent-length: {}\r\n\r\n", body.len());
        tokio::io::AsyncWriteExt::write_all(&mut line, format!("{head}{body}").as_bytes()).await.unwrap();
        assert!(!self.desk.ended().await.iter().any(|ended| ended == address));
        drop(line);
        while !self.desk.ended().await.iter().any(|ended| ended == address) {}
    }

    /// Says what the health check of blue's and green's target finds.
    pub(crate) async fn heal(&self, group: &str) {
        let id = if group == "blue" { "203.0.113.10" } else { "203.0.113.20" };
        let health =
            serde_json::json!({ "group": self.world.group(group), "id": id, "port": 8000, "health": "Healthy" });
        self.desk.edit(serde_json::json!({ "set_health": health })).await;
    }
}

fn blueprint() -> Blueprint {
    let zone = |private| ZoneOrder { name: "w.example.com".to_owned(), private, ..ZoneOrder::default() };
    let group = |name: &str, targets: &[&str]| GroupOrder {
        name: name.to_owned(),
        port: 8000,
        targets: targets.iter().map(|t| (*t).to_owned()).collect(),
        ..GroupOrder::default()
    };
    let blue = || vec![("blue".to_owned(), 1)];
    let rule =
        RuleOrder { priority: 10, hosts: vec!["chat.example.com".to_owned()], forward: blue(), ..RuleOrder::default() };
    let listener = ListenerOrder {
        protocol: "HTTP".to_owned(),
        port: 80,
        default: blue(),
        rules: vec![rule],
        ..ListenerOrder::default()
    };
    let other = ListenerOrder { protocol: "HTTP".to_owned(), port: 80, ..ListenerOrder::default() };
    let balancer = |name: &str, listener| BalancerOrder {
        name: name.to_owned(),
        listeners: vec![listener],
        ..BalancerOrder::default()
    };
    let server = |environment: &str, address: &str| ServerOrder {
        environment: modelswap::ids::EnvironmentName::new(environment).unwrap(),
        address: address.to_owned(),
        model: "chat".to_owned(),
        revision: None,
        load_s: 0.0,
        running: true,
    };
    Blueprint {
        servers: vec![server("blue", "203.0.113.10:8000"), server("green", "203.0.113.20:8000")],
        zones: vec![zone(false), zone(true)],
        balancers: vec![balancer("front", listener), balancer("other", other)],
        groups: vec![
            group("blue", &["203.0.113.10:8000"]),
            group("green", &["203.0.113.20:8000"]),
            group("three", &[]),
            group("four", &[]),
            group("five", &[]),
            group("six", &[]),
        ],
        ..Blueprint::default()
    }
}

fn names(cloud: &modelswap::lab::state::Cloud) -> Names {
    let zone = |private: bool| cloud.zones.iter().find(|(_, z)| z.private == private).unwrap().0.clone();
    let balancer = cloud.balancers.iter().find(|(_, b)| b.name == "front").unwrap().0.clone();
    let listener = cloud.listeners.iter().find(|(_, l)| l.balancer == balancer).unwrap().0.clone();
    let rule = cloud.rules.iter().find(|(_, r)| r.listener == listener && r.priority.is_some()).unwrap().0.clone();
    let groups = cloud.groups.iter().map(|(arn, group)| (group.name.clone(), arn.clone())).collect();
    let (zone, private_zone) = (zone(false), zone(true));
    Names { zone, private_zone, zone_name: "w.example.com.".to_owned(), balancer, listener, rule, groups }
}

/// A Route 53 client that tries so many times.
pub(crate) fn route53_client(url: &str, attempts: u32) -> route53::Client {
    let retry = route53::config::retry::RetryConfig::standard()
        .with_max_attempts(attempts)
        .with_initial_backoff(Duration::from_millis(1));
    let config = route53::Config::builder()
        .behavior_version(route53::config::BehaviorVersion::latest())
        .region(route53::config::Region::new("us-east-1"))
        .credentials_provider(credentials())
        .retry_config(retry)
        .endpoint_url(url)
        .build();
    route53::Client::from_conf(config)
}

fn elb_client(url: &str) -> elbv2::Client {
    let config = elbv2::Config::builder()
        .behavior_version(elbv2::config::BehaviorVersion::latest())
        .region(elbv2::config::Region::new("eu-west-1"))
        .credentials_provider(credentials())
        .retry_config(elbv2::config::retry::RetryConfig::disabled())
        .endpoint_url(url)
        .build();
    elbv2::Client::from_conf(config)
}

pub(crate) fn credentials() -> Credentials {
    Credentials::new("AKIDEXAMPLE", "secret", None, None, "tests")
}
