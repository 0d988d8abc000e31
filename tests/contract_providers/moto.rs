//! The same contract on another people's emulator, as far as it tells the truth (moto 5.2.5).

use modelswap::providers::dns::route53::{Form, Route53};
use modelswap::providers::traffic::alb::members::Members;
use modelswap::providers::traffic::alb::{Alb, Which};
use modelswap::providers::{ProviderError, Register, Router, Settled, Split};

use crate::subjects::{a, b, clients, each};
use crate::support::moto::{Moto, Names};
use crate::support::python::boto3;

async fn moto() -> (Moto, Names) {
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap();
    let names = moto.worlds(1).remove(0);
    (moto, names)
}

fn rule(moto: &Moto, names: &Names, which: Which) -> Alb {
    Alb::new(
        clients(&moto.url),
        names.listener.clone(),
        which,
        each("blue-0".to_owned(), "green-0".to_owned()),
        1,
        None,
    )
}

fn record(moto: &Moto, names: &Names, name: &str, private: bool) -> Route53 {
    let one = |value: &str| [("A".to_owned(), vec![value.to_owned()])].into();
    let form = Form::Values(each(one("203.0.113.10"), one("203.0.113.20")));
    Route53::new(clients(&moto.url), (&names.zone_name, private), &format!("{name}.{}", names.zone_name), form, None)
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_keep_the_contract_there_and_back() {
    let (moto, names) = moto().await;
    let host = Which::Matching { host: Some("chat.example.com".to_owned()), path: None };
    for which in [host, Which::Default] {
        let rule = rule(&moto, &names, which);
        let before = rule.read().await.unwrap();
        assert_eq!(rule.split(&before), Some(Split::all_to(&a())));
        let attached = rule.attach(&before, &b()).unwrap();
        rule.swap(&before, &attached).await.unwrap();
        assert_eq!(rule.split(&rule.read().await.unwrap()), Some(Split::all_to(&a())));
        let there = rule.aim(&attached, &Split::all_to(&b())).unwrap();
        for _ in 0..2 {
            rule.swap(&attached, &there).await.unwrap();
            assert!(matches!(rule.settled(&there, None).await.unwrap(), Settled::Yes(_)));
        }
        let stale = rule.swap(&attached, &before).await;
        assert!(matches!(stale, Err(ProviderError::Conflict { .. })), "{stale:?}");
        for _ in 0..2 {
            rule.swap(&there, &before).await.unwrap();
            assert_eq!(rule.read().await.unwrap(), before);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_come_and_go_and_others_stay() {
    let (moto, names) = moto().await;
    let members = Members::new(clients(&moto.url), names.groups["green"].clone());
    let nobody = members.read().await.unwrap();
    let ours = [("10.0.0.5".to_owned(), 8000)].into();
    let theirs = [("10.0.0.9".to_owned(), 8000)].into();
    members.swap(&nobody, &theirs).await.unwrap();
    members.swap(&nobody, &ours).await.unwrap();
    assert_eq!(members.read().await.unwrap().len(), 2);
    assert!(matches!(members.settled(&ours, None).await.unwrap(), Settled::Yes(_)));
    members.swap(&ours, &nobody).await.unwrap();
    assert_eq!(members.read().await.unwrap(), theirs);
}

const FILL: &str = r#"
import boto3, sys
r53 = boto3.client("route53")
zone, name = sys.argv[1:]
def change(*sets):
    r53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [
        {"Action": "UPSERT", "ResourceRecordSet": dict(s, TTL=300)} for s in sets]})
def a(label, value): return {"Name": f"{label}.{name}", "Type": "A", "ResourceRecords": [{"Value": value}]}
for batch in range(4):
    change(*[a(f"a{batch}-{n}", "192.0.2.1") for n in range(90)])
change(a("m", "203.0.113.10"), {"Name": f"m.{name}", "Type": "TXT", "ResourceRecords": [{"Value": '"kept"'}]}, a("z", "192.0.2.1"))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_found_in_a_long_zone_and_in_the_right_one_of_two() {
    let (moto, names) = moto().await;
    boto3(FILL, &moto.url, &[&names.zone, &names.zone_name]);
    let public = record(&moto, &names, "m", false);
    let before = public.read().await.unwrap();
    assert_eq!((public.split(&before), before.sets.len()), (Some(Split::all_to(&a())), 1));
    assert_eq!(record(&moto, &names, "a3-89", false).read().await.unwrap().sets.len(), 1);
    assert_eq!(record(&moto, &names, "m", true).read().await.unwrap().sets, []);
    // The first swap of a name is one that moto takes.
    let there = public.aim(&before, &Split::all_to(&b())).unwrap();
    let receipt = public.swap(&before, &there).await.unwrap();
    assert!(matches!(public.settled(&there, Some(&receipt)).await.unwrap(), Settled::Yes(_)));
    assert_eq!(public.read().await.unwrap(), there);
}

/// Its DELETE is checked against a journal of all changes ever made, not against the record, and so is its CREATE.
#[tokio::test(flavor = "multi_thread")]
async fn moto_refuses_a_legal_way_back_so_it_proves_nothing_about_undo_of_records() {
    let (moto, names) = moto().await;
    boto3(FILL, &moto.url, &[&names.zone, &names.zone_name]);
    let register = record(&moto, &names, "m", false);
    let before = register.read().await.unwrap();
    // Both values have been written by a batch before.
    let there = register.aim(&before, &Split::all_to(&b())).unwrap();
    let lowered = register.with_ttl(&before, 60).unwrap();
    register.swap(&before, &lowered).await.unwrap();
    register.swap(&lowered, &there).await.unwrap();
    match register.swap(&there, &lowered).await {
        Err(ProviderError::Rejected { why, .. }) => assert!(why.contains("already exists"), "{why}"),
        other => panic!("moto has learnt it: run the whole contract on it ({other:?})"),
    }
    assert_eq!(register.read().await.unwrap(), there, "what was refused changed nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_by_name() {
    let (moto, names) = moto().await;
    let nobody = Which::Matching { host: Some("nobody.example.com".to_owned()), path: None };
    match rule(&moto, &names, nobody).read().await {
        Err(ProviderError::Rejected { why, .. }) => {
            assert!(why.contains("no rule has exactly these conditions") && why.contains("chat.example.com"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    let groups = each("blue-0".to_owned(), "no-such-group".to_owned());
    let alb = Alb::new(clients(&moto.url), names.listener.clone(), Which::Default, groups, 1, None);
    let said = alb.read().await;
    assert!(matches!(&said, Err(ProviderError::Rejected { .. })), "{said:?}");
}
