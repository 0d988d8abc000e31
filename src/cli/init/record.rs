//! A first plan from a record that exists in Route 53.

use std::collections::BTreeMap;

use super::HEAD;
use crate::providers::dns::route53::survey::Survey;
use crate::providers::dns::route53::value::{Records, Set};

/// Longer than this is worth lowering before a swap, in seconds.
const TTL_LOW_S: u32 = 60;

/// The plan, with `TODO` where only a person knows.
pub(super) fn from_record(zone: &str, name: &str, found: &Survey) -> String {
    let service = name.split('.').next().unwrap_or("service");
    let region = found.region.clone().unwrap_or_else(|| "TODO-region".to_owned());
    let sets = &found.records.sets;
    let mut parts = vec![format!(
        "{HEAD}service: {service} # one journal, one run at a time\n\
         aws: {{account: \"{}\", region: {region}}} # credentials of any other account are refused\n\n\
         release: {{model: TODO-model}} # the name under which the server says that it serves it\n\n\
         environments: # two places where the model can run; they take turns\n",
        found.account
    )];
    for (environment, host) in [("a", answers_at(sets)), ("b", "203.0.113.20".to_owned())] {
        parts.push(format!(
            "  {environment}:\n    \
             # TODO how it is started and stopped; without `runs` others do that, and `provision` and `teardown` are refused:\n    \
             # runs: {{command: {{start: [./start, {environment}], stop: [./stop, {environment}], status: [./status, {environment}]}}}}\n    \
             serves: {{openai: {{server: vllm}}}} # TODO which server: health, identity and metrics are asked in its way\n    \
             endpoints: [\"http://{host}:8000\"] # TODO where {environment} answers directly, past the name\n"
        ));
    }
    parts.push(format!(
        "\nrouters: # what moves traffic\n  record:\n    route53:\n      zone: {zone}\n      name: {name}\n{}",
        leads(&found.records)
    ));
    for kind in found.others.iter().filter(|kind| matches!(kind.as_str(), "HTTPS" | "SVCB")) {
        parts.push(format!("      # TODO an {kind} record stands here too; its address hints would go on leading clients to the old place\n"));
    }
    let ttl_s = found.records.ttl_s();
    let long = ttl_s.filter(|ttl_s| *ttl_s > TTL_LOW_S);
    parts.push(format!(
        "\nwitness: {{url: \"https://{name}/v1/chat/completions\"}} # TODO scheme and port as clients use them; asks all the way\n\nsteps:\n"
    ));
    match (long, ttl_s) {
        (Some(ttl_s), _) => parts.push(format!(
            "  - lower_ttl: {{router: record, to: {TTL_LOW_S}s}} # {ttl_s} s now; first, so that it runs out while the model loads\n"
        )),
        (None, Some(ttl_s)) => parts.push(format!("  # the TTL is {ttl_s} s: nothing to lower\n")),
        (None, None) => parts.push("  # an alias has the TTL of its target, 60 s for a load balancer: nothing to lower\n".to_owned()),
    }
    parts.push(
        "  # - provision: next # once `runs` says how\n  \
         - check: next # a completion from the right model, three times in a row\n  \
         - swap: {router: record}\n  \
         - verify: {router: record}\n  \
         - bake: {for: 15m} # TODO name a gate that reads answers\n"
            .to_owned(),
    );
    if long.is_some() {
        parts.push("  - restore_ttl: record\n".to_owned());
    }
    parts.concat()
}

/// Where the name leads now, which is `a`; where it is to lead, as far as that can be known.
fn leads(records: &Records) -> String {
    let sets = &records.sets;
    if sets.iter().any(|set| set.weight.is_some()) {
        let mut ids: Vec<(&str, u8)> =
            sets.iter().filter_map(|s| Some((s.set_identifier.as_deref()?, s.weight?))).collect();
        ids.sort_by_key(|(id, weight)| (std::cmp::Reverse(*weight), *id));
        ids.dedup_by_key(|(id, _)| *id);
        let now: Vec<_> = ids.iter().map(|(id, weight)| format!("{id} {weight}")).collect();
        let id = |n: usize, missing: &str| quoted(ids.get(n).map_or(missing, |(id, _)| *id));
        let more = if ids.len() == 2 { String::new() } else { ", and a plan has two: TODO".to_owned() };
        return format!(
            "      weighted: {{a: {}, b: {}}} # set identifiers; weights now: {}{more}\n",
            id(0, "TODO-a"),
            id(1, "TODO-b"),
            now.join(", ")
        );
    }
    if let Some(alias) = sets.iter().find_map(|set| set.alias.as_ref()) {
        let (zone, asks) = (&alias.zone, alias.evaluate_target_health);
        return format!(
            "      # two groups of one load balancer need no second name: modelswap init --from-listener\n      aliases:\n        \
             a: {{target: {}, zone: {zone}, evaluate_target_health: {asks}}}\n        \
             b: {{target: TODO-b.elb.amazonaws.com, zone: {zone}, evaluate_target_health: {asks}}} # TODO DNS name and zone of b's balancer\n",
            alias.target.trim_end_matches('.')
        );
    }
    let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for set in sets {
        kinds.entry(&set.kind).or_default().extend(set.values.iter().map(|value| quoted(value)));
    }
    let of = |values: &dyn Fn(&str) -> String| {
        let all: Vec<_> = kinds.keys().map(|kind| format!("{kind}: [{}]", values(kind))).collect();
        all.join(", ")
    };
    let now = of(&|kind| kinds.get(kind).map(|values| values.join(", ")).unwrap_or_default());
    let then = of(&|kind| match kind {
        "AAAA" => quoted("2001:db8::20"),
        "CNAME" => quoted("TODO-b.example.com"),
        _ => "203.0.113.20".to_owned(),
    });
    format!("      values:\n        a: {{{now}}}\n        b: {{{then}}} # TODO what the name leads to when b is live\n")
}

/// A host of where the name leads now.
fn answers_at(sets: &[Set]) -> String {
    let first = sets.iter().find_map(|set| Some((set.kind.as_str(), set.values.first()?)));
    match first {
        Some(("AAAA", address)) => format!("[{address}]"),
        Some((_, value)) => value.trim_end_matches('.').to_owned(),
        None => "203.0.113.10".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Vars, parse};
    use crate::providers::dns::route53::value::Alias;

    fn set(kind: &str, values: &[&str]) -> Set {
        Set {
            kind: kind.to_owned(),
            set_identifier: None,
            weight: None,
            ttl_s: Some(300),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
            alias: None,
            health_check: None,
        }
    }

    fn weighted(id: &str, weight: u8) -> Set {
        Set { set_identifier: Some(id.to_owned()), weight: Some(weight), ..set("A", &["203.0.113.10"]) }
    }

    #[test]
    fn whatever_form_the_record_has_the_plan_is_valid_and_a_is_who_serves_now() {
        let alias = Alias {
            target: "edge-1.eu-west-1.elb.amazonaws.com.".to_owned(),
            zone: "Z1".to_owned(),
            evaluate_target_health: true,
        };
        let alias = Set { ttl_s: None, alias: Some(alias), ..set("A", &[]) };
        let cases = [
            (vec![set("A", &["203.0.113.10"]), set("AAAA", &["2001:db8::10"])], "a: {A: [\"203.0.113.10\"], AAAA: "),
            (vec![set("CNAME", &["a.example.net"])], "a: {CNAME: [\"a.example.net\"]}"),
            (vec![weighted("old", 0), weighted("new", 100)], "weighted: {a: \"new\", b: \"old\"}"),
            (vec![alias], "a: {target: edge-1.eu-west-1.elb.amazonaws.com, zone: Z1, evaluate_target_health: true}"),
        ];
        for (sets, leads) in cases {
            let (account, region) = ("111122223333".to_owned(), Some("eu-west-1".to_owned()));
            let found = Survey { account, region, records: Records { sets }, others: vec!["HTTPS".to_owned()] };
            let text = from_record("example.com", "chat.example.com", &found);
            assert!(text.contains(leads), "{leads}: {text}");
            assert!(text.contains("TODO an HTTPS record"), "{text}");
            if let Err(findings) = parse("x.yaml", &text, &Vars::none()) {
                panic!("{}{text}", findings.iter().map(|f| f.rendered(false, 100)).collect::<String>());
            }
        }
    }
}
