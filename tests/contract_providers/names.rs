//! What only names have: where they are found, what stands at them, and what Route 53 says about a change.

use modelswap::lab::oracle::edit::Edit;
use modelswap::lab::state::{self, RecordSet};
use modelswap::providers::dns::route53::value::Alias;
use modelswap::providers::dns::route53::{Form, Route53};
use modelswap::providers::{ProviderError, Ready, Register, Router, Settled, Split};
use serde_json::json;

use crate::register::writes;
use crate::subjects::{a, b, clients, each, plain_a, put, set};
use crate::support::world::Lab;

fn addresses() -> Form {
    let one = |value: &str| [("A".to_owned(), vec![value.to_owned()])].into();
    Form::Values(each(one("203.0.113.10"), one("203.0.113.20")))
}

fn at(lab: &Lab, zone: (&str, bool), label: &str) -> Route53 {
    Route53::new(clients(&lab.world.url), zone, lab.world.name(label).trim_end_matches('.'), addresses(), None)
}

fn why<T: std::fmt::Debug>(answer: Result<T, ProviderError>) -> String {
    match answer {
        Err(ProviderError::Rejected { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_private_zone_and_a_public_one_of_the_same_name_are_told_apart() {
    let lab = Lab::start().await;
    let zone = lab.world.names.zone_name.trim_end_matches('.').to_owned();
    put(&lab, set(&lab, "m", "A", &["203.0.113.10"]));
    let (public, private) = (at(&lab, (&zone, false), "m"), at(&lab, (&zone, true), "m"));
    assert_eq!(public.split(&public.read().await.unwrap()), Some(Split::all_to(&a())));
    assert_eq!(private.read().await.unwrap().sets, []);
    let by_id = at(&lab, (&lab.world.names.zone, false), "m");
    assert_eq!(by_id.read().await.unwrap(), public.read().await.unwrap());
}

#[tokio::test]
async fn a_zone_that_is_not_there_or_is_there_twice_is_said_by_name() {
    let lab = Lab::start().await;
    let said = why(at(&lab, ("elsewhere.example.org", false), "m").read().await);
    assert!(said.contains("no public zone of that name"), "{said}");
    let twin = lab.cloud.lock().zones[&lab.world.names.zone].clone();
    lab.cloud.lock().zones.insert("Z0TWIN".to_owned(), twin);
    let zone = lab.world.names.zone_name.clone();
    let said = why(at(&lab, (&zone, false), "m").read().await);
    assert!(said.contains("there are 2 public zones") && said.contains("Z0TWIN"), "{said}");
}

#[tokio::test]
async fn a_wildcard_is_one_name_like_any_other() {
    let lab = Lab::start().await;
    put(&lab, set(&lab, "*", "A", &["203.0.113.10"]));
    let register = at(&lab, (&lab.world.names.zone, false), "*");
    let before = register.read().await.unwrap();
    assert_eq!(register.split(&before), Some(Split::all_to(&a())));
    let there = register.aim(&before, &Split::all_to(&b())).unwrap();
    register.swap(&before, &there).await.unwrap();
    assert_eq!(register.read().await.unwrap(), there);
}

#[tokio::test]
async fn a_name_without_records_gets_its_first_ones() {
    let lab = Lab::start().await;
    let register = at(&lab, (&lab.world.names.zone, false), "new");
    let before = register.read().await.unwrap();
    assert_eq!(register.show(&before), "no record");
    let there = register.aim(&before, &Split::all_to(&b())).unwrap();
    register.swap(&before, &there).await.unwrap();
    assert_eq!((register.read().await.unwrap(), there.ttl_s()), (there, Some(60)));
}

#[tokio::test]
async fn a_protected_record_is_refused_and_not_called_a_conflict() {
    let lab = Lab::start().await;
    let subject = plain_a(&lab);
    let (zone, name) = (lab.world.names.zone.clone(), lab.world.name("m"));
    Edit::Protect { zone, name, kind: "A".to_owned() }.make(&mut lab.cloud.lock()).unwrap();
    let before = subject.register.read().await.unwrap();
    let said = why(subject.register.swap(&before, &(subject.to_b)(&before)).await);
    assert!(said.contains("InvalidChangeBatch"), "{said}");
    assert_eq!(subject.register.read().await.unwrap(), before);
}

#[tokio::test]
async fn a_change_that_route_53_has_forgotten_is_no_failure() {
    let lab = Lab::start().await;
    let subject = plain_a(&lab);
    let before = subject.register.read().await.unwrap();
    let settled = subject.register.settled(&before, Some(&json!({ "change": "C0LONGGONE" }))).await.unwrap();
    assert!(matches!(settled, Settled::CannotTell(_)), "{settled:?}");
}

#[tokio::test]
async fn a_name_with_more_records_than_a_page_is_read_whole() {
    let lab = Lab::start().await;
    for n in 0..230_u32 {
        let id = Some(format!("set-{n:03}"));
        let set = set(&lab, "m", "A", &[&format!("192.0.2.{}", n % 250 + 1)]);
        put(&lab, RecordSet { set_identifier: id, weight: Some(1), ..set });
    }
    let ids = each("set-000".to_owned(), "set-001".to_owned());
    let zone = (lab.world.names.zone.as_str(), false);
    let register = Route53::new(clients(&lab.world.url), zone, &lab.world.name("m"), Form::Weighted(ids), None);
    let live = register.read().await.unwrap();
    assert_eq!(live.sets.len(), 230);
    assert_eq!(register.split(&live), None, "sets that the plan does not name get traffic");
    let lists = lab.oracle.calls().iter().filter(|call| call.operation == "ListResourceRecordSets").count();
    assert_eq!(lists, 3);
}

#[tokio::test]
async fn what_stands_beside_a_name_is_found_by_the_read_that_was_made_anyway() {
    let lab = Lab::start().await;
    put(&lab, set(&lab, "m", "A", &["203.0.113.10"]));
    put(&lab, set(&lab, "m", "HTTPS", &["1 . ipv4hint=203.0.113.10"]));
    put(&lab, set(&lab, "a-m", "TXT", &["\"heritage=external-dns,external-dns/owner=k8s\""]));
    let register = at(&lab, (&lab.world.names.zone, false), "m");
    let live = register.read().await.unwrap();
    let codes: Vec<_> = register.traps(&live).await.unwrap().into_iter().map(|trap| trap.code).collect();
    assert_eq!(codes, ["https-record", "owner"]);
    let lists = lab.oracle.calls().iter().filter(|call| call.operation == "ListResourceRecordSets").count();
    assert_eq!((lists, writes(&lab).len()), (3, 0), "the name once, and the two places of external-dns");
}

/// A name that is led to a balancer without anything healthy is dark, and no answer of Route 53 would say so.
#[tokio::test]
async fn an_alias_is_ready_when_its_balancer_has_healthy_targets_where_that_is_asked_in_every_group() {
    let lab = Lab::start().await;
    let target = |name: &str| {
        let cloud = lab.cloud.lock();
        let balancer = cloud.balancers.values().find(|b| b.name == name).unwrap();
        (format!("{}.", balancer.dns_name.to_lowercase()), balancer.canonical_zone_id.clone())
    };
    let register = |asks: bool, elsewhere: &str| {
        let (front, zone) = target("front");
        let alias = |target: String| Alias { target, zone: zone.clone(), evaluate_target_health: asks };
        let form = Form::Aliases(each(alias(format!("dualstack.{front}")), alias(elsewhere.to_owned())));
        let zone = (lab.world.names.zone.as_str(), false);
        Route53::new(clients(&lab.world.url), zone, &lab.world.name("m"), form, None)
    };
    let (some, all) = (register(false, "d111111abcdef8.cloudfront.net."), register(true, &target("other").0));
    let dark = some.ready(&a()).await.unwrap();
    assert!(matches!(&dark, Ready::No(why) if why.contains("blue")), "{dark:?}");
    lab.heal("blue").await;
    assert!(matches!(some.ready(&a()).await, Ok(Ready::Yes(_))));
    assert!(matches!(all.ready(&a()).await, Ok(Ready::Yes(_))));
    // Another group comes onto the same balancer, with nothing healthy in it.
    let rule = lab.world.names.rule.clone();
    let groups = ["blue", "green"].map(|name| (lab.world.group(name).to_owned(), 1)).to_vec();
    let actions = vec![state::Action::Forward { groups, sticky_s: None }];
    Edit::SetActions { rule, actions }.make(&mut lab.cloud.lock()).unwrap();
    assert!(matches!(some.ready(&a()).await, Ok(Ready::Yes(_))));
    let dark = all.ready(&a()).await.unwrap();
    assert!(matches!(&dark, Ready::No(why) if why.contains("green")), "{dark:?}");
    lab.heal("green").await;
    assert!(matches!(all.ready(&a()).await, Ok(Ready::Yes(_))));
    // A balancer without any group is dark; what is no balancer of ours cannot be asked, and that is said.
    assert!(matches!(all.ready(&b()).await, Ok(Ready::No(_))));
    let said = some.ready(&b()).await.unwrap();
    assert!(matches!(&said, Ready::Yes(why) if why.contains("no load balancer of this account")), "{said:?}");
    assert_eq!(writes(&lab).len(), 0);
}
