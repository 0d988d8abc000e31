use std::collections::BTreeMap;
use std::str::FromStr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::SOA;

use super::super::testing::{self, a, cname, is, ns};
use super::*;
use crate::world::{AddressMap, WorldFile};

fn soa(zone: &str) -> Record {
    let (m, r) = (testing::name("ns1.lab."), testing::name("root.lab."));
    Record::from_rdata(testing::name(zone), 60, RData::SOA(SOA::new(m, r, 1, 60, 60, 60, 60)))
}

/// A world in which `addresses` of DNS servers are stood in for.
fn dns(addresses: &[(&str, SocketAddr)]) -> Dns {
    let world = WorldFile {
        version: 1,
        origin: jiff::Timestamp::UNIX_EPOCH,
        scale: 1.0,
        cloud: "http://127.0.0.1:1".to_owned(),
        oracle: "http://127.0.0.1:1".to_owned(),
        resolvers: Vec::new(),
        addresses: addresses.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect(),
        runs: BTreeMap::new(),
        pid: 0,
    };
    Dns::new(&AddressMap::of(&world))
}

fn records() -> Vec<Record> {
    vec![
        cname("www.shop.lab.", 300, "chat.shop.lab."),
        a("chat.shop.lab.", 60, "192.0.2.1"),
        soa("shop.lab."),
        ns("shop.lab.", 60, "ns1.shop.lab."),
        ns("shop.lab.", 60, "ns2.shop.lab."),
        a("ns1.shop.lab.", 60, "198.51.100.1"),
        a("ns2.shop.lab.", 60, "198.51.100.2"),
        soa("lab."),
        ns("lab.", 60, "ns.lab."),
        a("ns.lab.", 60, "198.51.100.9"),
    ]
}

fn resolver(q: &Message) -> Message {
    let mut found = testing::zone(q, &records());
    if is(q, "www.shop.lab.", RecordType::A) {
        found.answers = records()[..2].to_vec();
    } else if found.answers.is_empty() {
        found.authorities = vec![soa("shop.lab.")];
    }
    found
}

#[tokio::test]
async fn the_chain_the_zone_and_all_name_servers_are_found_the_parents_included() {
    let resolver = testing::server(|q, _| Some(resolver(q))).await;
    // The parent delegates to a third server that the zone itself does not name.
    let parent = testing::server(|q, _| {
        let mut referral = testing::answer(q, &[]);
        referral.metadata.authoritative = false;
        referral.authorities =
            ["ns1.shop.lab.", "ns2.shop.lab.", "ns.lab."].map(|host| ns("shop.lab.", 60, host)).to_vec();
        Some(referral)
    })
    .await;
    let dns = dns(&[("198.51.100.9:53", parent)]);
    let found = discover(&dns, &[resolver], "www.shop.lab").await.unwrap();
    assert_eq!(found.chain, [Link { name: "www.shop.lab".to_owned(), to: "chat.shop.lab".to_owned(), ttl_s: 300 }]);
    assert_eq!(found.zone, "shop.lab");
    let servers: Vec<String> = found.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["ns.lab 198.51.100.9", "ns1.shop.lab 198.51.100.1", "ns2.shop.lab 198.51.100.2"]);
    assert_eq!(found.notes.len(), 1);
    assert!(
        found.notes[0].contains("the parent names ns.lab ns1.shop.lab ns2.shop.lab, the zone"),
        "{:?}",
        found.notes
    );
}

#[tokio::test]
async fn a_parent_that_is_silent_is_said_and_not_fatal() {
    let resolver = testing::server(|q, _| Some(resolver(q))).await;
    let found = discover(&dns(&[]), &[resolver], "chat.shop.lab").await.unwrap();
    assert_eq!((found.chain.len(), found.servers.len(), found.zone.as_str()), (0, 2, "shop.lab"));
    assert!(found.notes[0].contains("delegation was not seen"), "{:?}", found.notes);
}

#[tokio::test]
async fn a_loop_of_names_ends() {
    let looping = testing::server(|q, _| {
        Some(testing::answer(q, &[cname("a.lab.", 60, "b.lab."), cname("b.lab.", 60, "a.lab.")]))
    })
    .await;
    let error = discover(&Dns::default(), &[looping], "a.lab").await.unwrap_err();
    assert!(error.contains("more than 16 names"), "{error}");
}

#[tokio::test]
async fn the_first_resolver_that_answers_is_used() {
    let dead = testing::server(|q, _| {
        let mut answer = testing::answer(q, &[]);
        answer.metadata.response_code = ResponseCode::ServFail;
        Some(answer)
    })
    .await;
    let good = testing::server(|q, _| Some(resolver(q))).await;
    let found = discover(&dns(&[]), &[dead, good], "chat.shop.lab").await.unwrap();
    assert_eq!(found.zone, "shop.lab");
}

#[tokio::test]
async fn name_servers_that_are_given_by_name_are_found_by_name() {
    let resolver = testing::server(|q, _| Some(resolver(q))).await;
    let stand_in = SocketAddr::from_str("127.0.0.1:5300").unwrap();
    let dns = dns(&[("ns-1.awsdns-01.org:53", stand_in)]);
    let names = ["ns-1.awsdns-01.org.", "ns1.shop.lab", "nowhere.lab"].map(str::to_owned);
    let (servers, notes) = addresses(&dns, &[resolver], &names).await;
    let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["ns-1.awsdns-01.org 127.0.0.1:5300", "ns1.shop.lab 198.51.100.1"]);
    assert_eq!(notes, ["nowhere.lab: it has no address"]);
}
