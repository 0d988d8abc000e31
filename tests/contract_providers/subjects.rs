//! Who must keep the contract: each provider in each of its forms, in a world that holds other things beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use modelswap::ids::EnvironmentName;
use modelswap::lab::oracle::edit::Edit;
use modelswap::lab::state::{self, RecordSet};
use modelswap::providers::Split;
use modelswap::providers::aws::{AwsAccess, AwsClients};
use modelswap::providers::dns::route53::value::Alias;
use modelswap::providers::dns::route53::{Form, Route53};
use modelswap::providers::erased::{AnyRegister, AnyRouter};
use modelswap::providers::traffic::alb::members::Members;
use modelswap::providers::traffic::alb::{Alb, Which};
use serde_json::{Value, json};

use crate::support::world::Lab;

/// One register in one world.
pub(crate) struct Subject {
    pub(crate) register: Arc<dyn AnyRegister>,
    /// The same, where it moves traffic.
    pub(crate) router: Option<Arc<dyn AnyRouter>>,
    /// The value that B gets, from the live one.
    pub(crate) to_b: Box<dyn Fn(&Value) -> Value>,
    /// What somebody else may do to it, each in a way of its own.
    pub(crate) by_hand: Vec<Edit>,
    /// Values that would leave clients nowhere.
    pub(crate) nowhere: Vec<Value>,
    /// The operation that writes.
    pub(crate) writes: &'static str,
    /// The operation that reads.
    pub(crate) reads: &'static str,
}

/// Makes a subject of a world.
pub(crate) type Make = fn(&Lab) -> Subject;

pub(crate) fn a() -> EnvironmentName {
    EnvironmentName::new("a").unwrap()
}

pub(crate) fn b() -> EnvironmentName {
    EnvironmentName::new("b").unwrap()
}

/// Something for A and something for B.
pub(crate) fn each<T>(of_a: T, of_b: T) -> BTreeMap<EnvironmentName, T> {
    BTreeMap::from([(a(), of_a), (b(), of_b)])
}

pub(crate) fn clients(url: &str) -> Arc<AwsClients> {
    let (region, endpoint) = (Some("eu-west-1".to_owned()), Some(url.to_owned()));
    Arc::new(AwsClients::new(AwsAccess {
        account: Some("123456789012".to_owned()),
        region,
        profile: None,
        endpoint,
        scale: None,
    }))
}

fn of_router(
    router: Arc<dyn AnyRouter>,
    by_hand: Vec<Edit>,
    nowhere: Vec<Value>,
    calls: (&'static str, &'static str),
) -> Subject {
    let aimed = Arc::clone(&router);
    let register: Arc<dyn AnyRegister> = Arc::clone(&router) as _;
    Subject {
        register,
        router: Some(router),
        to_b: Box::new(move |live| aimed.aim(live, &Split::all_to(&b())).unwrap()),
        by_hand,
        nowhere,
        writes: calls.0,
        reads: calls.1,
    }
}

// --- record sets

/// A record set of `label`.
pub(crate) fn set(lab: &Lab, label: &str, kind: &str, values: &[&str]) -> RecordSet {
    let values = values.iter().map(|v| (*v).to_owned()).collect();
    RecordSet { name: lab.world.name(label), kind: kind.to_owned(), ttl_s: Some(300), values, ..RecordSet::default() }
}

pub(crate) fn put(lab: &Lab, set: RecordSet) {
    written(lab, set).make(&mut lab.cloud.lock()).unwrap();
}

fn written(lab: &Lab, set: RecordSet) -> Edit {
    Edit::SetRecord { zone: lab.world.names.zone.clone(), set }
}

fn removed(lab: &Lab, label: &str, kind: &str, id: Option<&str>) -> Edit {
    let (zone, set_identifier) = (lab.world.names.zone.clone(), id.map(str::to_owned));
    Edit::RemoveRecord { zone, name: lab.world.name(label), kind: kind.to_owned(), set_identifier }
}

/// The register of `label`, and around it what it must leave alone.
fn route53(lab: &Lab, label: &str, form: Form, by_hand: Vec<Edit>) -> Subject {
    for (near, kind, value) in [("l", "A", "192.0.2.1"), ("n", "A", "192.0.2.2"), ("x.m", "A", "192.0.2.3")] {
        put(lab, set(lab, near, kind, &[value]));
    }
    if !matches!(label, "c") {
        put(lab, set(lab, label, "TXT", &["\"kept\""]));
        put(lab, set(lab, label, "MX", &["10 mail.example.com."]));
    }
    let zone = lab.world.names.zone_name.trim_end_matches('.').to_owned();
    let router =
        Route53::new(clients(&lab.world.url), (&zone, false), lab.world.name(label).trim_end_matches('.'), form, None);
    of_router(
        Arc::new(router),
        by_hand,
        vec![json!({ "sets": [] })],
        ("ChangeResourceRecordSets", "ListResourceRecordSets"),
    )
}

fn values(of_a: &[(&str, &str)], of_b: &[(&str, &str)]) -> Form {
    let by_type =
        |of: &[(&str, &str)]| of.iter().map(|(kind, value)| ((*kind).to_owned(), vec![(*value).to_owned()])).collect();
    Form::Values(each(by_type(of_a), by_type(of_b)))
}

pub(crate) fn plain_a(lab: &Lab) -> Subject {
    put(lab, set(lab, "m", "A", &["203.0.113.10"]));
    let by_hand = vec![
        written(lab, set(lab, "m", "A", &["192.0.2.66"])),
        written(lab, RecordSet { ttl_s: Some(7), ..set(lab, "m", "A", &["203.0.113.10"]) }),
        removed(lab, "m", "A", None),
    ];
    route53(lab, "m", values(&[("A", "203.0.113.10")], &[("A", "203.0.113.20")]), by_hand)
}

/// Only the IPv4 side differs, so that half of the value stays as it is.
pub(crate) fn dual_stack(lab: &Lab) -> Subject {
    put(lab, set(lab, "m", "A", &["203.0.113.10"]));
    put(lab, set(lab, "m", "AAAA", &["2001:db8::10"]));
    let by_hand = vec![
        written(lab, set(lab, "m", "A", &["192.0.2.66"])),
        written(lab, set(lab, "m", "AAAA", &["2001:db8::66"])),
        removed(lab, "m", "AAAA", None),
    ];
    let both = |four| [("A", four), ("AAAA", "2001:db8::10")];
    route53(lab, "m", values(&both("203.0.113.10"), &both("203.0.113.20")), by_hand)
}

pub(crate) fn cname(lab: &Lab) -> Subject {
    put(lab, set(lab, "c", "CNAME", &["blue.example.net."]));
    let by_hand = vec![written(lab, set(lab, "c", "CNAME", &["other.example.net."]))];
    route53(lab, "c", values(&[("CNAME", "blue.example.net.")], &[("CNAME", "green.example.net.")]), by_hand)
}

pub(crate) fn alias(lab: &Lab) -> Subject {
    let found = |name: &str| {
        let cloud = lab.cloud.lock();
        let balancer = cloud.balancers.values().find(|b| b.name == name).unwrap();
        (format!("{}.", balancer.dns_name.to_lowercase()), balancer.canonical_zone_id.clone())
    };
    let set_to = |label: &str, kind: &str, (target, zone_id): (String, String), health: bool| {
        let alias = state::Alias { zone_id, dns_name: target, evaluate_target_health: health };
        RecordSet { ttl_s: None, alias: Some(alias), ..set(lab, label, kind, &[]) }
    };
    put(lab, set_to("m", "A", found("front"), false));
    put(lab, set_to("m", "AAAA", found("front"), false));
    let by_hand = vec![
        written(lab, set_to("m", "A", found("front"), true)),
        written(lab, set_to("m", "AAAA", found("other"), false)),
        removed(lab, "m", "AAAA", None),
    ];
    let alias = |(target, zone): (String, String)| Alias { target, zone, evaluate_target_health: false };
    route53(lab, "m", Form::Aliases(each(alias(found("front")), alias(found("other")))), by_hand)
}

pub(crate) fn weighted(lab: &Lab) -> Subject {
    let one = |id: &str, weight, value| RecordSet {
        set_identifier: Some(id.to_owned()),
        weight: Some(weight),
        ..set(lab, "m", "A", &[value])
    };
    put(lab, one("blue", 100, "203.0.113.10"));
    put(lab, one("green", 0, "203.0.113.20"));
    // Somebody's third: not in the plan, without weight; it stays as it is.
    put(lab, one("spare", 0, "203.0.113.30"));
    let by_hand = vec![
        written(lab, one("blue", 40, "203.0.113.10")),
        written(lab, one("green", 0, "192.0.2.66")),
        written(lab, one("spare", 9, "203.0.113.30")),
        removed(lab, "m", "A", Some("spare")),
    ];
    route53(lab, "m", Form::Weighted(each("blue".to_owned(), "green".to_owned())), by_hand)
}

/// The plan writes the name with capitals and a dot; Route 53 returns it without.
pub(crate) fn capitals(lab: &Lab) -> Subject {
    put(lab, set(lab, "Chat.Model", "A", &["203.0.113.10"]));
    let by_hand = vec![written(lab, set(lab, "chat.model", "A", &["192.0.2.66"]))];
    route53(lab, "Chat.MODEL", values(&[("A", "203.0.113.10")], &[("A", "203.0.113.20")]), by_hand)
}

/// Behind more records than a page holds, and with more of them after it.
pub(crate) fn far_down_the_zone(lab: &Lab) -> Subject {
    for n in 0..345 {
        put(lab, set(lab, &format!("a{n:03}"), "A", &["192.0.2.9"]));
        put(lab, set(lab, &format!("z{n:03}"), "A", &["192.0.2.9"]));
    }
    plain_a(lab)
}

// --- rules

fn group(lab: &Lab, name: &str) -> String {
    lab.world.group(name).to_owned()
}

fn forward(lab: &Lab, groups: &[(&str, u16)], sticky_s: Option<u32>) -> state::Action {
    state::Action::Forward {
        groups: groups.iter().map(|(name, weight)| (group(lab, name), *weight)).collect(),
        sticky_s,
    }
}

fn acting(rule: &str, actions: Vec<state::Action>) -> Edit {
    Edit::SetActions { rule: rule.to_owned(), actions }
}

fn alb(lab: &Lab, rule: &str, which: Which, by_hand: Vec<Edit>) -> Subject {
    let writes = if which == Which::Default { "ModifyListener" } else { "ModifyRule" };
    let reads = if which == Which::Default { "DescribeListeners" } else { "DescribeRules" };
    let mut by_hand = by_hand;
    by_hand.push(acting(rule, vec![forward(lab, &[("three", 1)], None)]));
    let listener = lab.world.names.listener.clone();
    let groups = each("blue".to_owned(), "green".to_owned());
    let router = Alb::new(clients(&lab.world.url), listener, which, groups, 1, None);
    let zero = json!({ "forward": { "groups": { (group(lab, "blue")): 0, (group(lab, "green")): 0 } } });
    let nowhere = vec![json!({ "forward": null }), json!({ "forward": { "groups": {} } }), zero];
    of_router(Arc::new(router), by_hand, nowhere, (writes, reads))
}

fn matching(host: &str, path: Option<&str>) -> Which {
    Which::Matching { host: Some(host.to_owned()), path: path.map(str::to_owned) }
}

pub(crate) fn host_rule(lab: &Lab) -> Subject {
    let rule = lab.world.names.rule.clone();
    // Another group with weight 0 stands in the same forward; it is somebody's and stays.
    acting(&rule, vec![forward(lab, &[("blue", 100), ("four", 0)], None)]).make(&mut lab.cloud.lock()).unwrap();
    let by_hand = vec![acting(&rule, vec![forward(lab, &[("blue", 99), ("four", 1)], None)])];
    alb(lab, &rule, matching("Chat.Example.com", None), by_hand)
}

pub(crate) fn host_and_path_rule(lab: &Lab) -> Subject {
    let rule = format!("{}/0123456789abcdef", lab.world.names.rule.rsplit_once('/').unwrap().0);
    let mut made = lab.cloud.lock().rules[&lab.world.names.rule].clone();
    (made.priority, made.paths) = (Some(5), vec!["/v1/*".to_owned()]);
    lab.cloud.lock().rules.insert(rule.clone(), made);
    alb(lab, &rule, matching("chat.example.com", Some("/v1/*")), Vec::new())
}

pub(crate) fn default_rule(lab: &Lab) -> Subject {
    let listener = &lab.world.names.listener;
    let rule =
        lab.cloud.lock().rules.iter().find(|(_, r)| r.listener == *listener && r.priority.is_none()).unwrap().0.clone();
    alb(lab, &rule, Which::Default, Vec::new())
}

/// Clients sign in before they are forwarded; the secret for that is in no read, and must survive every swap.
pub(crate) fn rule_behind_a_login(lab: &Lab) -> Subject {
    let rule = lab.world.names.rule.clone();
    let settings = [
        ("Issuer", "https://id.example.com"),
        ("AuthorizationEndpoint", "https://id.example.com/a"),
        ("TokenEndpoint", "https://id.example.com/t"),
        ("UserInfoEndpoint", "https://id.example.com/u"),
        ("ClientId", "chat"),
        ("ClientSecret", "only the balancer knows"),
        ("SessionCookieName", "AWSELBAuthSessionCookie"),
        ("SessionTimeout", "604800"),
        ("Scope", "openid"),
        ("OnUnauthenticatedRequest", "authenticate"),
    ];
    let login = |issuer: &str| {
        let mut settings: BTreeMap<_, _> = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        settings.insert("Issuer".to_owned(), issuer.to_owned());
        state::Action::Authenticate { kind: "authenticate-oidc".to_owned(), settings }
    };
    let to_blue = || forward(lab, &[("blue", 100)], None);
    acting(&rule, vec![login("https://id.example.com"), to_blue()]).make(&mut lab.cloud.lock()).unwrap();
    let by_hand =
        vec![acting(&rule, vec![login("https://other.example.com"), to_blue()]), acting(&rule, vec![to_blue()])];
    alb(lab, &rule, matching("chat.example.com", None), by_hand)
}

pub(crate) fn sticky_rule(lab: &Lab) -> Subject {
    let rule = lab.world.names.rule.clone();
    acting(&rule, vec![forward(lab, &[("blue", 100)], Some(600))]).make(&mut lab.cloud.lock()).unwrap();
    let by_hand = vec![acting(&rule, vec![forward(lab, &[("blue", 100)], None)])];
    alb(lab, &rule, matching("chat.example.com", None), by_hand)
}

// --- targets

pub(crate) fn members(lab: &Lab) -> Subject {
    // A group that no rule leads to: what traffic leads to is never deregistered.
    let members = Members::new(clients(&lab.world.url), group(lab, "green"));
    Subject {
        register: Arc::new(members),
        router: None,
        to_b: Box::new(|live| {
            let mut targets = live.as_array().unwrap().clone();
            targets.push(json!(["203.0.113.21", 8000]));
            json!(targets)
        }),
        by_hand: Vec::new(),
        nowhere: Vec::new(),
        writes: "RegisterTargets",
        reads: "DescribeTargetHealth",
    }
}
