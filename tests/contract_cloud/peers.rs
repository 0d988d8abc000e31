//! Others' software: moto agrees on the facts that it gets right, boto3 reads what was written here.

use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use crate::dns::{Create, alias, balancer, change, set, weighted};
use crate::elb::{forward, modify};
use crate::support::moto::Moto;
use crate::support::python::boto3;
use crate::support::world::{Lab, World};
use crate::{dns, elb};

type Fact = (&'static str, fn(World) -> Pin<Box<dyn Future<Output = ()> + Send>>);

macro_rules! trusted {
    ($($module:ident::$fact:ident),* $(,)?) => {
        [$((stringify!($fact), |world| Box::pin($module::$fact(world)))),*]
    };
}

/// What moto 5.2.5 gets right; the rest it accepts wrongly or answers differently, so it proves nothing there.
const TRUSTED: [Fact; 10] = trusted![
    dns::an_upsert_is_keyed_by_name_type_and_identifier,
    dns::all_upserts_of_a_batch_take_effect,
    dns::a_listing_of_345_records_comes_in_two_pages,
    dns::a_listing_starts_at_the_first_record_at_or_after_a_name,
    dns::more_than_1000_values_are_refused_and_upserts_count_twice,
    dns::zones_of_one_name_are_told_apart_by_being_private,
    elb::modify_rule_replaces_all_actions_and_keeps_the_conditions,
    elb::omitted_default_actions_stay,
    elb::a_group_that_a_rule_names_at_weight_0_cannot_be_deleted,
    elb::a_deregistration_delay_beyond_3600_seconds_is_refused,
];

#[tokio::test(flavor = "multi_thread")]
async fn moto_agrees_on_the_facts_that_it_gets_right() {
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap();
    let worlds = moto.worlds(TRUSTED.len());
    let mut disagreed = Vec::new();
    for ((name, fact), names) in TRUSTED.into_iter().zip(worlds) {
        // Each in a task of its own, so that one disagreement does not hide the others.
        if tokio::spawn(fact(World::at(&moto.url, names))).await.is_err() {
            disagreed.push(name);
        }
    }
    assert!(disagreed.is_empty(), "moto disagrees on {disagreed:?}");
}

const READ: &str = r#"
import boto3, json, sys
r53, elb, sts = (boto3.client(s) for s in ("route53", "elbv2", "sts"))
zone, rule, group = sys.argv[1:]
sets = [s for page in r53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone, PaginationConfig={"PageSize": 1})
        for s in page["ResourceRecordSets"]]
stale = {"Action": "DELETE", "ResourceRecordSet": dict(sets[-1], TTL=1)}
try:
    r53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [stale]})
    refused = None
except r53.exceptions.InvalidChangeBatch as e:
    refused = e.response["Error"]["Message"]
print(json.dumps({
    "account": sts.get_caller_identity()["Account"],
    "zones": [z["Name"] for z in r53.list_hosted_zones_by_name()["HostedZones"]],
    "sets": sets,
    "refused": refused,
    "rule": elb.describe_rules(RuleArns=[rule])["Rules"][0],
    "health": elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"][0]["TargetHealth"],
}))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn boto3_reads_what_was_written() {
    let lab = Lab::start().await;
    let w = &lab.world;
    let (host, zone) = balancer(w).await;
    let sets = [
        (Create, alias(&w.name("lb"), &zone, &host)),
        (Create, weighted(&w.name("m"), "blue", 90, 60, "1.1.1.1")),
        (Create, weighted(&w.name("m"), "green", 10, 60, "2.2.2.2")),
        (Create, set(&w.name("z"), "TXT", 300, &["\"a <b> & 'c'\""])),
    ];
    change(w, &sets).await.unwrap();
    modify(w, vec![forward(&[(w.group("blue"), 9), (w.group("green"), 1)])]).await.unwrap();
    let (url, args) = (w.url.clone(), [w.names.zone.clone(), w.names.rule.clone(), w.group("green").to_owned()]);
    let read = tokio::task::spawn_blocking(move || boto3(READ, &url, &args.each_ref().map(String::as_str)));
    let read: Value = serde_json::from_str(&read.await.unwrap()).unwrap();
    assert_eq!(read["account"], "123456789012");
    assert_eq!(read["zones"], serde_json::json!([w.names.zone_name, w.names.zone_name]));
    let names: Vec<_> = read["sets"].as_array().unwrap().iter().map(|s| s["Type"].as_str().unwrap()).collect();
    assert_eq!(names, ["NS", "SOA", "A", "A", "A", "TXT"]);
    assert_eq!(read["sets"][2]["AliasTarget"]["DNSName"], format!("{}.", host.to_lowercase()));
    assert_eq!((&read["sets"][3]["Weight"], &read["sets"][4]["SetIdentifier"]), (&90.into(), &"green".into()));
    assert_eq!(read["sets"][5]["ResourceRecords"][0]["Value"], "\"a <b> & 'c'\"");
    assert!(read["refused"].as_str().unwrap().contains("do not match the current values"), "{}", read["refused"]);
    let groups = &read["rule"]["Actions"][0]["ForwardConfig"]["TargetGroups"];
    assert_eq!((&groups[0]["Weight"], &groups[1]["Weight"]), (&9.into(), &1.into()));
    assert_eq!(read["health"]["State"], "initial");
}
