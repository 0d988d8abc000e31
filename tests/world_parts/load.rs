use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use modelswap::clock::{Clock, SystemClock};
use modelswap::lab::balancer::Balancers;
use modelswap::lab::blueprint::ResolverKind;
use modelswap::lab::dns::authoritative::{Authoritative, AuthoritativeOptions};
use modelswap::lab::dns::resolver::Resolver;
use modelswap::lab::load::{Load, LoadOptions, LoadReport};
use modelswap::lab::state::{Alias, Health, RecordSet, SharedCloud};
use modelswap::world::{AddressMap, WorldFile};

use crate::support::{
    client, cloud_with_listener, cloud_with_zone, eventually, fast, forward_to, model, real_time, record, register,
    serve, set_rule, target,
};

/// The map of a world in which `addresses` have these stand-ins.
fn map(addresses: &[(&str, SocketAddr)]) -> AddressMap {
    AddressMap::of(&WorldFile {
        version: 1,
        origin: SystemClock.now(),
        scale: 1.0,
        cloud: "http://127.0.0.1:1".into(),
        oracle: "http://127.0.0.1:1".into(),
        resolvers: vec![],
        addresses: addresses.iter().map(|(name, socket)| ((*name).to_owned(), *socket)).collect(),
        runs: BTreeMap::new(),
        pid: 0,
    })
}

/// Name servers and a resolver over `cloud`; they stop when this is dropped.
async fn dns(cloud: &SharedCloud, clock: &std::sync::Arc<dyn Clock>) -> (Authoritative, Resolver) {
    let server = Authoritative::start(cloud.clone(), AuthoritativeOptions::default(), clock.clone()).await.unwrap();
    let resolver = Resolver::start(ResolverKind::Honest, vec![server.address], clock.clone()).await.unwrap();
    (server, resolver)
}

fn nothing_lost(report: &LoadReport) {
    assert_eq!((report.lost, report.streams_cut), (0, 0), "{report:?}");
    assert_eq!((report.sent, report.streams_begun), (report.answered, report.streams_finished), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_change_under_load_loses_nothing_with_streams_in_flight() {
    let clock = real_time();
    let cloud = cloud_with_listener(&[("a", 100), ("b", 0)]);
    let zone = cloud_with_zone(vec![RecordSet {
        name: "chat.example.com.".into(),
        kind: "A".into(),
        alias: Some(Alias { dns_name: "alb-1.eu-west-1.elb.amazonaws.com".into(), ..Alias::default() }),
        ..RecordSet::default()
    }]);
    cloud.lock().zones = zone.lock().zones.clone();
    let slow = |o: &mut modelswap::lab::model_server::ModelServerOptions| o.token_gap = Duration::from_millis(20);
    let mut a = model("model", clock.clone(), |o| (slow(o), o.revision = Some("a".into())).0).await;
    let b = model("model", clock.clone(), |o| (slow(o), o.revision = Some("b".into())).0).await;
    register(&cloud, "a", target("10.0.0.1", a.address, Health::Initial));
    register(&cloud, "b", target("10.0.0.2", b.address, Health::Initial));
    let _balancers = Balancers::start(cloud.clone(), clock.clone()).await.unwrap();
    let healthy = |group: &str| cloud.lock().groups[group].targets[0].health == Health::Healthy;
    eventually("both are healthy", async || healthy("a") && healthy("b")).await;
    let (_server, resolver) = dns(&cloud, &clock).await;
    let front = cloud.lock().listeners["front"].socket;
    let options = LoadOptions {
        requests_per_s: 400.0,
        streams: 40,
        stream_tokens: 100,
        ..LoadOptions::new("chat.example.com", 80, resolver.address, map(&[("192.0.2.10:80", front)]))
    };
    let load = Load::start(options, clock.clone());
    let answered = |model: &str| load.report().by_model.get(model).copied().unwrap_or(0);
    eventually("A has answered a lot", async || answered("model@a") >= 300).await;
    let under_way = cloud.lock().groups["a"].targets[0].in_flight;
    assert!(under_way >= 30, "{under_way} under way at A when the rule changes");
    set_rule(&cloud, "default", forward_to(&[("a", 50), ("b", 50)], None));
    eventually("B has answered some", async || answered("model@b") >= 100).await;
    set_rule(&cloud, "default", forward_to(&[("a", 0), ("b", 100)], None));
    let last = cloud.lock().groups["a"].targets[0].requests;
    // A goes away as a deployer would have it: no more requests, nothing under way, TERM.
    eventually("A is drained", async || cloud.lock().groups["a"].targets[0].in_flight == 0).await;
    assert_eq!(cloud.lock().groups["a"].targets[0].requests, last, "A got requests at weight 0");
    a.term();
    a.running.await.unwrap();
    let answered_then = load.report().answered;
    eventually("B has gone on alone", async || load.report().answered >= answered_then + 300).await;
    let report = load.stop().await;
    nothing_lost(&report);
    assert!(report.streams_by_model.contains_key("model@a") && report.streams_by_model.contains_key("model@b"));
    println!("{}", serde_json::to_string(&report).unwrap());
}

/// A and B under one name with a TTL of ten seconds of a clock that runs ten times as fast.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dns_swap_loses_nothing_when_a_closes_its_connections_and_lives_until_it_is_idle() {
    let clock = fast(10.0);
    let cloud = cloud_with_zone(vec![record("chat.example.com.", "A", 10, &["203.0.113.1"])]);
    let slow = |o: &mut modelswap::lab::model_server::ModelServerOptions| o.token_gap = Duration::from_millis(200);
    let (mut a, b) = (model("model-a", clock.clone(), slow).await, model("model-b", clock.clone(), slow).await);
    let (_server, resolver) = dns(&cloud, &clock).await;
    let addresses = map(&[("203.0.113.1:80", a.address), ("203.0.113.2:80", b.address)]);
    let options = LoadOptions {
        requests_per_s: 10.0, // a hundred in a real second
        streams: 8,
        stream_tokens: 50,
        ..LoadOptions::new("chat.example.com", 80, resolver.address, addresses)
    };
    let load = Load::start(options, clock.clone());
    let answered = |model: &str| load.report().by_model.get(model).copied().unwrap_or(0);
    eventually("A answers", async || answered("model-a") >= 50).await;
    serve(&cloud, vec![record("chat.example.com.", "A", 10, &["203.0.113.2"])]);
    clock.sleep(Duration::from_secs(15)).await;
    assert!(answered("model-b") < 50, "a busy keep-alive pool does not look the name up again");
    client().post(format!("http://{}/lab/close?on=true", a.address)).send().await.unwrap();
    let idle = async || {
        let status: serde_json::Value =
            client().get(format!("http://{}/lab/status", a.address)).send().await.unwrap().json().await.unwrap();
        status["in_flight"] == 0
    };
    eventually("B answers", async || answered("model-b") >= 50).await;
    eventually("A is idle", idle).await;
    a.term();
    a.running.await.unwrap();
    let then = answered("model-b");
    eventually("B goes on alone", async || answered("model-b") >= then + 50).await;
    nothing_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_is_counted_with_its_reason() {
    let clock = real_time();
    let cloud = cloud_with_zone(vec![record("chat.example.com.", "A", 0, &["203.0.113.1"])]);
    let server = model("model-a", clock.clone(), |o| {
        o.fail_every = Some(4);
        o.token_gap = Duration::from_millis(5);
    })
    .await;
    let (_server, resolver) = dns(&cloud, &clock).await;
    let addresses = map(&[("203.0.113.1:80", server.address)]);
    let options = LoadOptions {
        requests_per_s: 100.0,
        streams: 2,
        stream_tokens: 100_000,
        pooled: false,
        ..LoadOptions::new("chat.example.com", 80, resolver.address, addresses)
    };
    let load = Load::start(options, clock);
    eventually("some failed", async || load.report().lost >= 5).await;
    server.running.abort(); // as a kill does: connections are reset
    eventually("streams were cut and nobody answers", async || {
        let report = load.report();
        report.streams_cut >= 2 && report.why_lost.keys().any(|why| why.contains("cannot connect to 203.0.113.1:80"))
    })
    .await;
    let report = load.stop().await;
    assert_eq!(report.sent, report.answered + report.lost, "{report:?}");
    assert_eq!(report.streams_begun, report.streams_finished + report.streams_cut, "{report:?}");
    assert!(report.why_lost.contains_key("status 500"), "{report:?}");
    assert!(report.answered > 0 && report.by_model["model-a"] == report.answered);
}
