//! Facts about Route 53 that need nothing but the API.
//! Sources: ChangeResourceRecordSets, ListResourceRecordSets, GetHostedZone in the API reference; DNSLimitations.

use aws_sdk_route53::error::ProvideErrorMetadata;
use aws_sdk_route53::types::{
    AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
};

use crate::support::world::World;

pub(crate) use ChangeAction::{Create, Delete, Upsert};

pub(crate) fn set(name: &str, kind: &str, ttl: i64, values: &[&str]) -> ResourceRecordSet {
    let records = values.iter().map(|value| ResourceRecord::builder().value(*value).build().unwrap()).collect();
    let kind = RrType::from(kind);
    ResourceRecordSet::builder().name(name).r#type(kind).ttl(ttl).set_resource_records(Some(records)).build().unwrap()
}

pub(crate) fn weighted(name: &str, id: &str, weight: i64, ttl: i64, value: &str) -> ResourceRecordSet {
    let mut set = set(name, "A", ttl, &[value]);
    (set.set_identifier, set.weight) = (Some(id.to_owned()), Some(weight));
    set
}

pub(crate) fn alias(name: &str, zone: &str, target: &str) -> ResourceRecordSet {
    let target =
        AliasTarget::builder().hosted_zone_id(zone).dns_name(target).evaluate_target_health(false).build().unwrap();
    ResourceRecordSet::builder().name(name).r#type(RrType::A).alias_target(target).build().unwrap()
}

/// Sends a batch; the change's id, or code and message of the refusal.
pub(crate) async fn change(
    w: &World,
    changes: &[(ChangeAction, ResourceRecordSet)],
) -> Result<String, (String, String)> {
    let changes = changes.iter().map(|(action, set)| {
        Change::builder().action(action.clone()).resource_record_set(set.clone()).build().unwrap()
    });
    let batch = ChangeBatch::builder().set_changes(Some(changes.collect())).build().unwrap();
    let sent = w.route53.change_resource_record_sets().hosted_zone_id(&w.names.zone).change_batch(batch).send().await;
    match sent {
        Ok(answer) => Ok(answer.change_info.unwrap().id),
        Err(e) => {
            let e = e.into_service_error();
            Err((e.code().unwrap_or("none").to_owned(), e.message().unwrap_or_default().to_owned()))
        }
    }
}

/// All record sets of a name.
pub(crate) async fn live(w: &World, name: &str) -> Vec<ResourceRecordSet> {
    let all = w.route53.list_resource_record_sets().hosted_zone_id(&w.names.zone).send().await.unwrap();
    all.resource_record_sets.into_iter().filter(|set| set.name == name).collect()
}

fn values(set: &ResourceRecordSet) -> Vec<&str> {
    set.resource_records().iter().map(ResourceRecord::value).collect()
}

async fn refused(w: &World, changes: &[(ChangeAction, ResourceRecordSet)], code: &str, words: &str) {
    let (found, message) = change(w, changes).await.expect_err("the batch was accepted");
    assert_eq!(found, code, "{message}");
    assert!(message.contains(words), "{message:?} does not contain {words:?}");
}

pub(crate) async fn an_upsert_is_keyed_by_name_type_and_identifier(w: World) {
    let m = w.name("m");
    change(&w, &[(Upsert, set(&m, "A", 300, &["1.1.1.1"]))]).await.unwrap();
    change(&w, &[(Upsert, set(&m, "A", 60, &["2.2.2.2"]))]).await.unwrap();
    change(&w, &[(Upsert, set(&m, "TXT", 60, &["\"t\""]))]).await.unwrap();
    let found = live(&w, &m).await;
    assert_eq!(found.len(), 2);
    let a = found.iter().find(|s| s.r#type == RrType::A).unwrap();
    assert_eq!((values(a), a.ttl), (vec!["2.2.2.2"], Some(60)));

    let n = w.name("n");
    for (id, value) in [("blue", "1.1.1.1"), ("green", "2.2.2.2"), ("blue", "3.3.3.3")] {
        change(&w, &[(Upsert, weighted(&n, id, 10, 60, value))]).await.unwrap();
    }
    let found: Vec<_> = live(&w, &n).await;
    let shown: Vec<_> = found.iter().map(|s| (s.set_identifier().unwrap(), values(s)[0])).collect();
    assert_eq!(shown, [("blue", "3.3.3.3"), ("green", "2.2.2.2")]);
}

pub(crate) async fn all_upserts_of_a_batch_take_effect(w: World) {
    let (a, b) = (w.name("a"), w.name("b"));
    change(&w, &[(Upsert, set(&a, "A", 60, &["1.1.1.1"])), (Upsert, set(&b, "A", 60, &["2.2.2.2"]))]).await.unwrap();
    assert_eq!((live(&w, &a).await.len(), live(&w, &b).await.len()), (1, 1));
}

pub(crate) async fn a_listing_of_345_records_comes_in_two_pages(w: World) {
    for batch in 0..3 {
        let sets = (0..115).map(|n| (Create, set(&w.name(&format!("r{:03}", batch * 115 + n)), "A", 60, &["1.1.1.1"])));
        change(&w, &sets.collect::<Vec<_>>()).await.unwrap();
    }
    let list = || w.route53.list_resource_record_sets().hosted_zone_id(&w.names.zone).max_items(300);
    let first = list().send().await.unwrap();
    assert_eq!((first.resource_record_sets.len(), first.is_truncated), (300, true));
    let next = list()
        .set_start_record_name(first.next_record_name)
        .set_start_record_type(first.next_record_type)
        .send()
        .await
        .unwrap();
    assert!(!next.is_truncated);
    let all = first.resource_record_sets.iter().chain(&next.resource_record_sets);
    let names: std::collections::BTreeSet<_> = all.filter(|s| s.r#type == RrType::A).map(|s| &s.name).collect();
    assert_eq!(names.len(), 345);
}

pub(crate) async fn a_listing_starts_at_the_first_record_at_or_after_a_name(w: World) {
    for label in ["a", "c"] {
        change(&w, &[(Create, set(&w.name(label), "A", 60, &["1.1.1.1"]))]).await.unwrap();
    }
    let from = async |label: &str| {
        let list = w.route53.list_resource_record_sets().hosted_zone_id(&w.names.zone).max_items(1);
        let page = list.start_record_name(w.name(label)).start_record_type(RrType::A).send().await.unwrap();
        page.resource_record_sets[0].name.clone()
    };
    assert_eq!(from("a").await, w.name("a"));
    assert_eq!(
        from("b").await,
        w.name("c"),
        "the next one is returned where there is none: the client must look at the name"
    );
}

pub(crate) async fn more_than_1000_values_are_refused_and_upserts_count_twice(w: World) {
    let addresses: Vec<String> = (0..=250).map(|n| format!("10.0.0.{n}")).collect();
    let batch = |action: &ChangeAction, sizes: &[usize]| -> Vec<_> {
        let one = |(n, size): (usize, &usize)| {
            let values: Vec<&str> = addresses[..*size].iter().map(String::as_str).collect();
            (action.clone(), set(&w.name(&format!("{}{n}", action.as_str().to_lowercase())), "A", 60, &values))
        };
        sizes.iter().enumerate().map(one).collect()
    };
    refused(&w, &batch(&Create, &[250, 250, 250, 251]), "InvalidChangeBatch", "limit").await;
    refused(&w, &batch(&Upsert, &[250, 251]), "InvalidChangeBatch", "limit").await;
    change(&w, &batch(&Create, &[250, 250, 250, 250])).await.unwrap();
    change(&w, &batch(&Upsert, &[250, 250])).await.unwrap();
}

pub(crate) async fn zones_of_one_name_are_told_apart_by_being_private(w: World) {
    let listed = w.route53.list_hosted_zones_by_name().dns_name(&w.names.zone_name).send().await.unwrap();
    let zones = listed.hosted_zones.iter().filter(|zone| zone.name == w.names.zone_name);
    let mut found: Vec<_> = zones
        .map(|zone| (zone.id.rsplit('/').next().unwrap(), zone.config.as_ref().is_some_and(|c| c.private_zone)))
        .collect();
    found.sort_by_key(|(_, private)| *private);
    assert_eq!(found, [(w.names.zone.as_str(), false), (w.names.private_zone.as_str(), true)]);
}

pub(crate) async fn a_swap_can_be_swapped_back(w: World) {
    let m = w.name("m");
    let (a, b) = (set(&m, "A", 60, &["1.1.1.1"]), set(&m, "A", 60, &["2.2.2.2"]));
    change(&w, &[(Create, a.clone())]).await.unwrap();
    for _ in 0..2 {
        change(&w, &[(Delete, a.clone()), (Create, b.clone())]).await.unwrap();
        assert_eq!(values(&live(&w, &m).await[0]), ["2.2.2.2"]);
        change(&w, &[(Delete, b.clone()), (Create, a.clone())]).await.unwrap();
        assert_eq!(values(&live(&w, &m).await[0]), ["1.1.1.1"]);
    }
    // The same batch a second time: the compare fails, although its effect is there.
    let again = [(Delete, b), (Create, a)];
    refused(&w, &again, "InvalidChangeBatch", "but the values provided do not match the current values").await;
}

pub(crate) async fn a_stale_delete_is_refused_whatever_the_difference(w: World) {
    let (m, n, l) = (w.name("m"), w.name("n"), w.name("l"));
    let balancer = balancer(&w).await;
    let aliased = alias(&l, &balancer.1, &balancer.0);
    let live_sets =
        [set(&m, "A", 60, &["1.1.1.1", "2.2.2.2"]), weighted(&n, "blue", 10, 60, "1.1.1.1"), aliased.clone()];
    for set in &live_sets {
        change(&w, &[(Create, set.clone())]).await.unwrap();
    }
    let mut health = aliased.clone();
    health.alias_target.as_mut().unwrap().evaluate_target_health = true;
    let words = "but the values provided do not match the current values";
    for stale in [
        set(&m, "A", 60, &["1.1.1.1"]),
        set(&m, "A", 60, &["1.1.1.1", "3.3.3.3"]),
        set(&m, "A", 61, &["1.1.1.1", "2.2.2.2"]),
        weighted(&n, "blue", 11, 60, "1.1.1.1"),
        health,
        set(&l, "A", 60, &["1.1.1.1"]),
    ] {
        let fresh = set(&w.name("fresh"), "A", 60, &["9.9.9.9"]);
        refused(&w, &[(Delete, stale), (Create, fresh)], "InvalidChangeBatch", words).await;
        assert!(live(&w, &w.name("fresh")).await.is_empty());
    }
    // Without its identifier a weighted set is not found.
    refused(&w, &[(Delete, set(&n, "A", 60, &["1.1.1.1"]))], "InvalidChangeBatch", "but it was not found").await;
    // The order of the values is not part of them.
    change(&w, &[(Delete, set(&m, "A", 60, &["2.2.2.2", "1.1.1.1"]))]).await.unwrap();
}

pub(crate) async fn a_refused_batch_changes_nothing(w: World) {
    let inside = (Upsert, set(&w.name("a"), "A", 60, &["1.1.1.1"]));
    let outside = (Upsert, set("a.elsewhere.org.", "A", 60, &["1.1.1.1"]));
    refused(&w, &[inside, outside], "InvalidChangeBatch", "is not permitted in zone").await;
    assert!(live(&w, &w.name("a")).await.is_empty());
}

pub(crate) async fn a_create_over_an_existing_set_is_refused(w: World) {
    let m = w.name("m");
    change(&w, &[(Create, set(&m, "A", 60, &["1.1.1.1"]))]).await.unwrap();
    let words = format!("Tried to create resource record set [name='{m}', type='A'] but it already exists");
    refused(&w, &[(Create, set(&m, "A", 60, &["2.2.2.2"]))], "InvalidChangeBatch", &words).await;
    assert_eq!(values(&live(&w, &m).await[0]), ["1.1.1.1"]);
}

pub(crate) async fn a_delete_of_what_is_not_there_is_refused(w: World) {
    let m = w.name("m");
    let words = format!("Tried to delete resource record set [name='{m}', type='A'] but it was not found");
    refused(&w, &[(Delete, set(&m, "A", 60, &["1.1.1.1"]))], "InvalidChangeBatch", &words).await;
}

pub(crate) async fn a_delete_must_stand_before_the_create(w: World) {
    let m = w.name("m");
    let (a, b) = (set(&m, "A", 60, &["1.1.1.1"]), set(&m, "A", 60, &["2.2.2.2"]));
    change(&w, &[(Create, a.clone())]).await.unwrap();
    refused(&w, &[(Create, b), (Delete, a)], "InvalidChangeBatch", "already exists").await;
}

/// DELETE and UPSERT of one set: seen refused in the field, not tried on a real account.
pub(crate) async fn one_set_is_changed_once_in_a_batch_but_for_delete_then_create(w: World) {
    let a = set(&w.name("m"), "A", 60, &["1.1.1.1"]);
    let b = set(&w.name("m"), "A", 60, &["2.2.2.2"]);
    change(&w, &[(Create, a.clone())]).await.unwrap();
    let words = "invalid set of changes for a resource record set";
    for (first, second) in [(Delete, Delete), (Delete, Upsert), (Upsert, Upsert), (Upsert, Delete)] {
        refused(&w, &[(first, a.clone()), (second, a.clone())], "InvalidChangeBatch", words).await;
        assert_eq!(values(&live(&w, &a.name).await[0]), ["1.1.1.1"]);
    }
    change(&w, &[(Delete, a), (Create, b)]).await.unwrap();
}

pub(crate) async fn a_delete_by_identifier_leaves_other_names_alone(w: World) {
    let (a, b) = (weighted(&w.name("a"), "blue", 1, 60, "1.1.1.1"), weighted(&w.name("b"), "blue", 1, 60, "1.1.1.1"));
    change(&w, &[(Create, a.clone()), (Create, b.clone())]).await.unwrap();
    change(&w, &[(Delete, a.clone())]).await.unwrap();
    assert_eq!((live(&w, &a.name).await.len(), live(&w, &b.name).await.len()), (0, 1));
}

pub(crate) async fn an_upsert_cannot_change_the_routing_policy(w: World) {
    let (m, n) = (w.name("m"), w.name("n"));
    let simple = |name: &str| set(name, "A", 60, &["1.1.1.1"]);
    change(&w, &[(Create, simple(&m)), (Create, weighted(&n, "blue", 1, 60, "1.1.1.1"))]).await.unwrap();
    let words = "cannot be created as a non-weighted set exists with the same name and type";
    for action in [Create, Upsert] {
        refused(&w, &[(action.clone(), weighted(&m, "blue", 1, 60, "1.1.1.1"))], "InvalidChangeBatch", words).await;
        refused(&w, &[(action, simple(&n))], "InvalidChangeBatch", "other RRSets exist with the same name and type")
            .await;
    }
    // With the old one deleted first, it can.
    change(&w, &[(Delete, simple(&m)), (Create, weighted(&m, "blue", 1, 60, "1.1.1.1"))]).await.unwrap();
}

pub(crate) async fn a_cname_stands_alone_and_not_at_the_apex(w: World) {
    let (m, n) = (w.name("m"), w.name("n"));
    let cname = |name: &str| set(name, "CNAME", 60, &["lb.example.net"]);
    change(&w, &[(Create, set(&m, "A", 60, &["1.1.1.1"])), (Create, cname(&n))]).await.unwrap();
    refused(&w, &[(Create, cname(&m))], "InvalidChangeBatch", "conflicting RRSet").await;
    refused(&w, &[(Upsert, set(&n, "A", 60, &["1.1.1.1"]))], "InvalidChangeBatch", "conflicting RRSet").await;
    refused(&w, &[(Create, cname(&w.names.zone_name))], "InvalidChangeBatch", "is not permitted at apex").await;
    change(&w, &[(Delete, cname(&n)), (Create, set(&n, "A", 60, &["1.1.1.1"]))]).await.unwrap();
}

pub(crate) async fn weighted_sets_share_the_last_ttl(w: World) {
    let m = w.name("m");
    let blue = |ttl| weighted(&m, "blue", 100, ttl, "1.1.1.1");
    let green = |ttl| weighted(&m, "green", 0, ttl, "2.2.2.2");
    change(&w, &[(Create, blue(300)), (Create, green(300))]).await.unwrap();
    change(&w, &[(Delete, blue(300)), (Create, blue(60))]).await.unwrap();
    assert_eq!(live(&w, &m).await.iter().map(|s| s.ttl).collect::<Vec<_>>(), [Some(60), Some(60)]);
    // So what was recorded of the sibling is stale now.
    refused(&w, &[(Delete, green(300))], "InvalidChangeBatch", "do not match the current values").await;
    change(&w, &[(Delete, green(60))]).await.unwrap();
}

pub(crate) async fn a_listing_pages_inside_a_weighted_set(w: World) {
    let m = w.name("m");
    let ids = ["blue", "green", "red"];
    let sets: Vec<_> = ids.iter().map(|id| (Create, weighted(&m, id, 1, 60, "1.1.1.1"))).collect();
    change(&w, &sets).await.unwrap();
    let mut list = w.route53.list_resource_record_sets().hosted_zone_id(&w.names.zone).max_items(1);
    list = list.start_record_name(&m).start_record_type(RrType::A);
    let mut seen = Vec::new();
    for _ in 0..ids.len() {
        let page = list.clone().send().await.unwrap();
        seen.extend(page.resource_record_sets.into_iter().filter_map(|s| s.set_identifier));
        list = list.set_start_record_name(page.next_record_name).set_start_record_type(page.next_record_type);
        list = list.set_start_record_identifier(page.next_record_identifier);
    }
    assert_eq!(seen, ids);
}

pub(crate) async fn names_are_lower_case_and_a_star_is_octal(w: World) {
    let upper = format!("M.{}", w.names.zone_name.trim_end_matches('.').to_uppercase());
    change(&w, &[(Create, set(&upper, "A", 60, &["1.1.1.1"]))]).await.unwrap();
    assert_eq!(live(&w, &w.name("m")).await.len(), 1);
    change(&w, &[(Create, set(&w.name("*"), "A", 60, &["1.1.1.1"]))]).await.unwrap();
    assert_eq!(live(&w, &w.name("\\052")).await.len(), 1);
    change(&w, &[(Delete, set(&w.name("\\052"), "A", 60, &["1.1.1.1"]))]).await.unwrap();
}

pub(crate) async fn an_alias_has_no_ttl_and_must_lead_somewhere(w: World) {
    let m = w.name("m");
    let (host, zone) = balancer(&w).await;
    let mut wrong = alias(&m, &zone, &host);
    wrong.ttl = Some(60);
    refused(&w, &[(Create, wrong)], "InvalidInput", "Expected exactly one of").await;
    refused(&w, &[(Create, alias(&m, "Z0WRONGZONE", &host))], "InvalidChangeBatch", "does not lie within").await;
    refused(&w, &[(Create, alias(&m, &zone, &format!("no-{host}")))], "InvalidChangeBatch", "was not found").await;
    change(&w, &[(Create, alias(&m, &zone, &format!("dualstack.{}", host.to_uppercase())))]).await.unwrap();
    let found = &live(&w, &m).await[0];
    assert_eq!((found.ttl, found.resource_records.is_none()), (None, true));
    assert_eq!(found.alias_target().unwrap().dns_name, format!("dualstack.{}.", host.to_lowercase()));
    // An alias inside the zone needs its target there.
    let (a, b) = (alias(&w.name("a"), &w.names.zone, &w.name("b")), set(&w.name("b"), "A", 60, &["1.1.1.1"]));
    refused(&w, &[(Create, a.clone())], "InvalidChangeBatch", "was not found").await;
    change(&w, &[(Create, b), (Create, a)]).await.unwrap();
}

pub(crate) async fn weights_end_at_255(w: World) {
    refused(&w, &[(Create, weighted(&w.name("m"), "blue", 256, 60, "1.1.1.1"))], "InvalidInput", "255").await;
    change(&w, &[(Create, weighted(&w.name("m"), "blue", 255, 60, "1.1.1.1"))]).await.unwrap();
    let mut nameless = weighted(&w.name("n"), "x", 1, 60, "1.1.1.1");
    nameless.set_identifier = None;
    refused(&w, &[(Create, nameless)], "InvalidInput", "SetIdentifier").await;
}

pub(crate) async fn the_apex_keeps_its_ns_and_soa(w: World) {
    for kind in ["NS", "SOA"] {
        let found = live(&w, &w.names.zone_name).await;
        let set = found.into_iter().find(|set| set.r#type.as_str() == kind).unwrap();
        refused(&w, &[(Delete, set)], "InvalidChangeBatch", "A HostedZone must contain").await;
    }
}

pub(crate) async fn a_zone_names_its_servers(w: World) {
    let zone = w.route53.get_hosted_zone().id(&w.names.zone).send().await.unwrap();
    let servers = zone.delegation_set.unwrap().name_servers;
    let found = live(&w, &w.names.zone_name).await;
    let ns = found.iter().find(|set| set.r#type == RrType::Ns).unwrap();
    assert_eq!(servers.iter().map(|s| format!("{s}.")).collect::<Vec<_>>(), values(ns));
    let private = w.route53.get_hosted_zone().id(&w.names.private_zone).send().await.unwrap();
    assert!(private.delegation_set.is_none(), "nobody outside its networks can ask a private zone");
}

pub(crate) async fn what_does_not_exist_is_said_by_its_code(w: World) {
    let zone = w.route53.get_hosted_zone().id("Z0NOSUCHZONE").send().await.unwrap_err().into_service_error();
    assert!(zone.is_no_such_hosted_zone(), "{zone}");
    let list = w.route53.list_resource_record_sets().hosted_zone_id("Z0NOSUCHZONE").send().await;
    assert!(list.unwrap_err().into_service_error().is_no_such_hosted_zone());
    let change = w.route53.get_change().id("C0NOSUCHCHANGE").send().await.unwrap_err().into_service_error();
    assert!(change.is_no_such_change(), "{change}");
}

/// DNS name and zone of the front balancer.
pub(crate) async fn balancer(w: &World) -> (String, String) {
    let found = w.elb.describe_load_balancers().load_balancer_arns(&w.names.balancer).send().await.unwrap();
    let found = found.load_balancers()[0].clone();
    (found.dns_name.unwrap(), found.canonical_hosted_zone_id.unwrap())
}
