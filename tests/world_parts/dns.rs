use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use modelswap::clock::Clock;
use modelswap::lab::blueprint::ResolverKind;
use modelswap::lab::dns::ask;
use modelswap::lab::dns::authoritative::{Authoritative, AuthoritativeOptions};
use modelswap::lab::dns::resolver::Resolver;
use modelswap::lab::state::{
    Action, Alias, Balancer, Change, Health, Listener, RecordSet, Rule, SharedCloud, Target, TargetGroup,
};

use crate::support::{ManualClock, cloud_with_zone, eventually, record, serve};

const A: &str = "203.0.113.10";
const B: &str = "203.0.113.20";

fn chat(ttl_s: u32, address: &str) -> Vec<RecordSet> {
    vec![record("chat.example.com.", "A", ttl_s, &[address])]
}

async fn question(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    ask(server, &Name::from_ascii(name).unwrap(), kind, true).await.unwrap()
}

/// Addresses and TTLs of `chat.example.com`.
async fn look(server: SocketAddr) -> (String, u32) {
    let answer = question(server, "chat.example.com.", RecordType::A).await;
    let record = answer.answers.first().expect("an answer");
    (record.data.to_string(), record.ttl)
}

async fn authoritative(cloud: &SharedCloud, clock: &Arc<ManualClock>) -> Authoritative {
    Authoritative::start(cloud.clone(), AuthoritativeOptions::default(), clock.clone()).await.unwrap()
}

/// A cloud that serves A for `ttl_s`, and a resolver in front of it; the name server lives as long as the tuple.
async fn behind(
    kind: ResolverKind,
    ttl_s: u32,
) -> (SharedCloud, Arc<ManualClock>, Authoritative, SocketAddr, Resolver) {
    let (cloud, clock) = (cloud_with_zone(chat(ttl_s, A)), ManualClock::new());
    let server = authoritative(&cloud, &clock).await;
    let resolver = Resolver::start(kind, vec![server.address], clock.clone()).await.unwrap();
    let address = resolver.address;
    (cloud, clock, server, address, resolver)
}

#[tokio::test]
async fn an_honest_resolver_counts_the_ttl_down_and_then_asks_again() {
    let (cloud, clock, _server, resolver, _running) = behind(ResolverKind::Honest, 60).await;
    assert_eq!(look(resolver).await, (A.into(), 60));
    serve(&cloud, chat(10, B));
    clock.advance(20);
    assert_eq!(look(resolver).await, (A.into(), 40));
    clock.advance(39);
    assert_eq!(look(resolver).await, (A.into(), 1));
    clock.advance(1);
    assert_eq!(look(resolver).await, (B.into(), 10));
}

#[tokio::test]
async fn a_clamping_resolver_keeps_a_short_ttl_for_as_long_as_it_pleases() {
    let (cloud, clock, _server, resolver, _running) = behind(ResolverKind::ClampUp { ttl_s: 30 }, 10).await;
    assert_eq!(look(resolver).await, (A.into(), 30));
    serve(&cloud, chat(600, B));
    clock.advance(29);
    assert_eq!(look(resolver).await, (A.into(), 1));
    clock.advance(1);
    assert_eq!(look(resolver).await, (B.into(), 600), "it raises, never lowers");
}

#[tokio::test]
async fn a_stale_serving_resolver_answers_an_expired_entry_once_and_refreshes_behind_it() {
    let (cloud, clock, _server, resolver, _running) = behind(ResolverKind::ServeStale, 20).await;
    assert_eq!(look(resolver).await, (A.into(), 20));
    serve(&cloud, chat(20, B));
    clock.advance(3600);
    assert_eq!(look(resolver).await, (A.into(), 30), "old, with the TTL of stale data");
    eventually("the entry is refreshed", async || look(resolver).await == (B.into(), 20)).await;
}

#[tokio::test]
async fn a_name_that_was_asked_for_too_early_stays_missing_for_the_soa_minimum() {
    let (cloud, clock, _server, resolver, _running) = behind(ResolverKind::Honest, 60).await;
    let early = question(resolver, "new.example.com.", RecordType::A).await;
    assert_eq!(early.metadata.response_code, ResponseCode::NXDomain);
    serve(&cloud, vec![record("new.example.com.", "A", 60, &[B])]);
    clock.advance(29);
    let later = question(resolver, "new.example.com.", RecordType::A).await;
    assert_eq!(later.metadata.response_code, ResponseCode::NXDomain, "cached");
    clock.advance(1);
    assert_eq!(question(resolver, "new.example.com.", RecordType::A).await.answers.len(), 1);
}

#[tokio::test]
async fn the_flags_tell_an_authoritative_server_from_a_resolver() {
    let (_cloud, _clock, server, resolver, _running) = behind(ResolverKind::Honest, 60).await;
    let (first, cached) = (
        question(server.address, "chat.example.com.", RecordType::A).await,
        question(resolver, "chat.example.com.", RecordType::A).await,
    );
    assert!(first.metadata.authoritative && !first.metadata.recursion_available);
    assert!(!cached.metadata.authoritative && cached.metadata.recursion_available);
    let foreign = question(server.address, "example.org.", RecordType::A).await;
    assert_eq!(foreign.metadata.response_code, ResponseCode::Refused);
}

#[tokio::test]
async fn a_missing_name_and_a_missing_type_are_told_apart_and_carry_the_soa() {
    let clock = ManualClock::new();
    let cloud = cloud_with_zone(vec![record("a.b.example.com.", "A", 60, &[A])]);
    let running = authoritative(&cloud, &clock).await;
    let server = running.address;
    for (name, kind, code) in [
        ("nothing.example.com.", RecordType::A, ResponseCode::NXDomain),
        ("A.b.Example.COM.", RecordType::AAAA, ResponseCode::NoError),
        ("b.example.com.", RecordType::A, ResponseCode::NoError), // exists, as something is below it
    ] {
        let answer = question(server, name, kind).await;
        assert_eq!((answer.metadata.response_code, answer.answers.len()), (code, 0), "{name}");
        let soa = answer.authorities.first().expect("the SOA");
        assert_eq!((soa.record_type(), soa.ttl), (RecordType::SOA, 30), "{name}");
    }
    let mixed = question(server, "a.B.example.com.", RecordType::A).await;
    assert_eq!(mixed.answers[0].name.to_ascii(), "a.B.example.com.", "the asker's spelling");
}

#[tokio::test]
async fn aliases_and_cnames_lead_to_the_balancers_addresses() {
    let alias = |name: &str, to: &str| RecordSet {
        name: name.into(),
        kind: "A".into(),
        alias: Some(Alias { zone_id: "Z0".into(), dns_name: to.into(), evaluate_target_health: true }),
        ..RecordSet::default()
    };
    let cloud = cloud_with_zone(vec![
        alias("chat.example.com.", "dualstack.ALB-1.eu-west-1.elb.amazonaws.com."),
        alias("also.example.com.", "plain.example.com."),
        record("plain.example.com.", "A", 17, &[A]),
        record("www.example.com.", "CNAME", 300, &["alb-1.eu-west-1.elb.amazonaws.com"]),
        record("\\052.wild.example.com.", "A", 5, &[B]),
    ]);
    let balancer = Balancer {
        dns_name: "alb-1.eu-west-1.elb.amazonaws.com".into(),
        addresses: vec!["192.0.2.10".into(), "192.0.2.11".into()],
        ..Balancer::default()
    };
    cloud.lock().balancers.insert("arn".into(), balancer);
    let server = authoritative(&cloud, &ManualClock::new()).await;
    let show = async |name: &str| {
        let answer = question(server.address, name, RecordType::A).await;
        answer.answers.iter().map(|r| format!("{} {} {}", r.name, r.ttl, r.data)).collect::<Vec<_>>()
    };
    assert_eq!(show("chat.example.com.").await, ["chat.example.com. 60 192.0.2.10", "chat.example.com. 60 192.0.2.11"]);
    assert_eq!(show("also.example.com.").await, [format!("also.example.com. 17 {A}")]);
    assert_eq!(show("x.wild.example.com.").await, [format!("x.wild.example.com. 5 {B}")]);
    let chain = show("www.example.com.").await;
    assert_eq!(chain[0], "www.example.com. 300 alb-1.eu-west-1.elb.amazonaws.com.");
    assert_eq!(chain[1], "alb-1.eu-west-1.elb.amazonaws.com. 60 192.0.2.10");
}

/// Only where a record asks for its target's health does Route 53 look at it, and it never answers nothing for it.
#[tokio::test]
async fn an_unhealthy_balancer_is_left_out_where_the_record_asks_and_another_can_be_answered() {
    let alias = |id: &str, asks: bool, weight: u16| RecordSet {
        name: "chat.example.com.".into(),
        kind: "A".into(),
        set_identifier: Some(id.into()),
        weight: Some(weight),
        alias: Some(Alias {
            zone_id: "Z0".into(),
            dns_name: format!("{id}.eu-west-1.elb.amazonaws.com."),
            evaluate_target_health: asks,
        }),
        ..RecordSet::default()
    };
    let cloud = cloud_with_zone(vec![]);
    for (id, address) in [("lit", "192.0.2.1"), ("dark", "192.0.2.2")] {
        let dns_name = format!("{id}.eu-west-1.elb.amazonaws.com");
        let balancer = Balancer { dns_name, addresses: vec![address.into()], ..Balancer::default() };
        let listener = Listener {
            balancer: id.into(),
            protocol: "HTTP".into(),
            port: 80,
            socket: "127.0.0.1:1".parse().unwrap(),
            certificates: Vec::new(),
        };
        let actions = vec![Action::Forward { groups: vec![(id.into(), 1)], sticky_s: None }];
        let mut cloud = cloud.lock();
        cloud.balancers.insert(id.into(), balancer);
        cloud.listeners.insert(id.into(), listener);
        cloud.rules.insert(id.into(), Rule { listener: id.into(), actions, ..Rule::default() });
        let health = if id == "lit" { Health::Healthy } else { Health::Unhealthy };
        let target = Target {
            id: address.into(),
            port: 80,
            socket: None,
            health,
            passes: 0,
            failures: 0,
            draining_until: None,
            in_flight: 0,
            requests: 0,
        };
        cloud.groups.insert(id.into(), TargetGroup { targets: vec![target], ..TargetGroup::default() });
    }
    let server = authoritative(&cloud, &ManualClock::new()).await;
    let answered = async |records: Vec<RecordSet>| {
        serve(&cloud, records);
        let mut seen = BTreeSet::new();
        for _ in 0..60 {
            seen.insert(look(server.address).await.0);
        }
        seen.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(answered(vec![alias("lit", true, 1), alias("dark", true, 1)]).await, ["192.0.2.1"]);
    assert_eq!(answered(vec![alias("lit", false, 1), alias("dark", false, 1)]).await, ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(
        answered(vec![alias("lit", true, 0), alias("dark", true, 1)]).await,
        ["192.0.2.1"],
        "weight 0 serves then"
    );
    assert_eq!(
        answered(vec![alias("dark", true, 1)]).await,
        ["192.0.2.2"],
        "when none is healthy, all count as healthy"
    );
}

#[tokio::test]
async fn weights_decide_how_often_and_zero_means_never_unless_all_are_zero() {
    let weighted = |id: &str, address: &str, weight: u16| RecordSet {
        set_identifier: Some(id.into()),
        weight: Some(weight),
        ..record("chat.example.com.", "A", 60, &[address])
    };
    let cloud = cloud_with_zone(vec![]);
    let server = authoritative(&cloud, &ManualClock::new()).await;
    let count_a = async |weights: (u16, u16)| {
        serve(&cloud, vec![weighted("a", A, weights.0), weighted("b", B, weights.1)]);
        let mut n = 0;
        for _ in 0..400 {
            n += u32::from(look(server.address).await.0 == A);
        }
        n
    };
    assert_eq!(count_a((0, 255)).await, 0);
    assert_eq!(count_a((1, 0)).await, 400);
    // 3:1 of 400 is 300 with a standard deviation of 8.7; the bounds are six of these away.
    let three_of_four = count_a((30, 10)).await;
    assert!((248..=352).contains(&three_of_four), "{three_of_four} of 400");
    let all_zero = count_a((0, 0)).await;
    assert!((140..=260).contains(&all_zero), "{all_zero} of 400");
}

#[tokio::test]
async fn what_does_not_fit_in_udp_comes_by_tcp() {
    let long: Vec<String> = (0..30).map(|i| format!("\"{i:0>60}\"")).collect();
    let values: Vec<&str> = long.iter().map(String::as_str).collect();
    let cloud = cloud_with_zone(vec![record("big.example.com.", "TXT", 60, &values)]);
    let clock = ManualClock::new();
    let server = authoritative(&cloud, &clock).await;
    let resolver = Resolver::start(ResolverKind::Honest, vec![server.address], clock).await.unwrap();
    for address in [server.address, resolver.address] {
        let answer = question(address, "big.example.com.", RecordType::TXT).await;
        assert_eq!(answer.answers.len(), 30);
        let RData::TXT(first) = &answer.answers[0].data else { panic!("no TXT") };
        assert_eq!(first.txt_data[0].len(), 60);
    }
}

#[tokio::test]
async fn name_servers_come_with_their_addresses_and_one_may_lag() {
    let (cloud, clock) = (cloud_with_zone(chat(60, A)), ManualClock::new());
    let hosts = BTreeMap::from([
        ("ns-1.lab".to_owned(), vec!["192.0.2.53".parse().unwrap()]),
        ("ns-2.lab".to_owned(), vec!["198.51.100.53".parse().unwrap()]),
    ]);
    let options = |lag| AuthoritativeOptions { lag, hosts: hosts.clone() };
    let prompt = Authoritative::start(cloud.clone(), options(Duration::ZERO), clock.clone()).await.unwrap();
    let late = Authoritative::start(cloud.clone(), options(Duration::from_secs(12)), clock.clone()).await.unwrap();

    let servers = question(prompt.address, "example.com.", RecordType::NS).await;
    let glue: BTreeSet<String> = servers.additionals.iter().map(|r| format!("{} {}", r.name, r.data)).collect();
    assert_eq!(servers.answers.len(), 2);
    assert_eq!(glue, BTreeSet::from(["ns-1.lab. 192.0.2.53".into(), "ns-2.lab. 198.51.100.53".into()]));

    // The cloud makes a change INSYNC now.
    serve(&cloud, chat(60, B));
    let records = cloud.lock().zones["Z1"].served.clone();
    let now = clock.now();
    let change = Change { zone_id: "Z1".into(), submitted_at: now, insync_at: now, records, insync: true };
    cloud.lock().changes.insert("C1".into(), change);
    assert_eq!(look(prompt.address).await.0, B);
    clock.advance(11);
    assert_eq!(look(late.address).await.0, A);
    clock.advance(1);
    assert_eq!(look(late.address).await.0, B);
}

#[tokio::test]
async fn a_resolver_asks_another_server_when_one_is_down() {
    let (cloud, clock) = (cloud_with_zone(chat(0, A)), ManualClock::new());
    let alive = authoritative(&cloud, &clock).await;
    let dead = crate::support::nobody();
    let resolver = Resolver::start(ResolverKind::Honest, vec![dead, alive.address], clock.clone()).await.unwrap();
    for _ in 0..8 {
        assert_eq!(look(resolver.address).await.0, A);
    }
    let alone = Resolver::start(ResolverKind::Honest, vec![dead], clock).await.unwrap();
    let answer = question(alone.address, "chat.example.com.", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
}
