//! What is true in a world, whatever modelswap says about it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::World;

/// What a deploy moves and a rollback brings back: every record set, every rule and every registered target, whole.
/// What a world makes up for itself (the ids of zones, rules and groups) is replaced by names, so that worlds can be compared.
pub(crate) async fn routers(world: &World) -> Value {
    let cloud = world.oracle("cloud").await;
    let zones = cloud["zones"].as_object().into_iter().flatten();
    let records: BTreeMap<_, _> = zones
        .map(|(_, zone)| (format!("{} private {}", text(&zone["name"]), zone["private"]), zone["records"].clone()))
        .collect();
    let rules = cloud["rules"].as_object().into_iter().flatten();
    let rules: BTreeMap<_, _> =
        rules.map(|(_, rule)| (format!("{} {}", text(&rule["listener"]), rule["priority"]), rule.clone())).collect();
    let mut whole = json!({ "records": records, "rules": rules, "targets": targets(&cloud) }).to_string();
    for (arn, group) in cloud["groups"].as_object().into_iter().flatten() {
        whole = whole.replace(arn, text(&group["name"]));
    }
    for (_, balancer) in cloud["balancers"].as_object().into_iter().flatten() {
        whole = whole.replace(text(&balancer["dns_name"]).trim_end_matches('.'), text(&balancer["name"]));
    }
    serde_json::from_str(&whole).expect("it was JSON")
}

/// Fails with the places in which two values differ, and nothing else of them.
pub(crate) fn must_equal(found: &Value, wanted: &Value, claim: &str, said: &str) {
    let mut differences = Vec::new();
    compare(found, wanted, "", &mut differences);
    assert!(differences.is_empty(), "not so: {claim}:\n  {}\nit said:\n{said}", differences.join("\n  "));
}

fn compare(found: &Value, wanted: &Value, at: &str, differences: &mut Vec<String>) {
    match (found, wanted) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            keys.into_iter().for_each(|key| compare(&found[key], &wanted[key], &format!("{at}/{key}"), differences));
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().for_each(|(n, (a, b))| compare(a, b, &format!("{at}/{n}"), differences));
        }
        (a, b) if a == b => {}
        (a, b) => differences.push(format!("{at}: {a}, wanted {b}")),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The registered targets of every group; those that are draining are on their way out.
fn targets(cloud: &Value) -> BTreeMap<String, Vec<String>> {
    let groups = cloud["groups"].as_object().into_iter().flatten();
    let of = |group: &Value| {
        let targets = group["targets"].as_array().into_iter().flatten();
        let there = targets.filter(|t| t["draining_until"].is_null());
        let mut names: Vec<_> = there.map(|t| format!("{}:{}", t["id"].as_str().unwrap_or("?"), t["port"])).collect();
        names.sort();
        names
    };
    groups.map(|(arn, group)| (arn.clone(), of(group))).collect()
}

/// The environment that every router of the plan leads to; what they hold, when they disagree.
pub(crate) async fn live(world: &World) -> Result<String, String> {
    let (plan, cloud) = (serde_json::to_value(world.read_plan()).expect("a plan is JSON"), world.oracle("cloud").await);
    let mut leads: BTreeMap<String, String> = BTreeMap::new();
    for (name, router) in plan["routers"].as_object().into_iter().flatten() {
        let to =
            if router["alb"].is_object() { alb(&router["alb"], &cloud) } else { route53(&router["route53"], &cloud) };
        leads.insert(name.clone(), to);
    }
    let first = leads.values().next().cloned().unwrap_or_default();
    if leads.values().all(|to| *to == first) { Ok(first) } else { Err(format!("{leads:?}")) }
}

/// Which environment a rule sends everything to: `a`, or `a 50, b 50`.
fn alb(router: &Value, cloud: &Value) -> String {
    let rule = &router["rule"];
    let listener = rule["listener"].as_str().or(router["listener"].as_str()).unwrap_or_default();
    let rules = cloud["rules"].as_object().into_iter().flatten().map(|(_, r)| r).filter(|r| r["listener"] == listener);
    let wanted = |r: &&Value| match rule["host"].as_str() {
        Some(host) => r["hosts"].as_array().is_some_and(|h| h.iter().any(|x| x == host)),
        None => r["priority"].is_null(),
    };
    let rule = rules.into_iter().find(wanted).unwrap_or_else(|| panic!("no rule of {listener}: {router}"));
    let groups = rule["actions"]
        .as_array()
        .into_iter()
        .flatten()
        .find_map(|a| a["Forward"]["groups"].as_array())
        .cloned()
        .unwrap_or_default();
    let environment = |arn: &str| {
        let group = cloud["groups"][arn]["name"].as_str().unwrap_or(arn).to_owned();
        let named = router["target_groups"].as_object().into_iter().flatten().find(|(_, g)| g.as_str() == Some(&group));
        named.map_or(group.clone(), |(environment, _)| environment.clone())
    };
    let shares =
        groups.iter().filter(|g| g[1].as_u64() > Some(0)).map(|g| environment(g[0].as_str().unwrap_or_default()));
    shares.collect::<Vec<_>>().join(" and ")
}

/// Which environment a name leads to.
fn route53(router: &Value, cloud: &Value) -> String {
    let name = format!("{}.", router["name"].as_str().unwrap_or_default());
    let private = router["private"].as_bool().unwrap_or(false);
    let zones =
        cloud["zones"].as_object().into_iter().flatten().map(|(_, zone)| zone).filter(|z| z["private"] == private);
    let sets: Vec<_> = zones
        .flat_map(|z| z["records"].as_array().into_iter().flatten())
        .filter(|r| r["name"] == name.as_str())
        .collect();
    let mut leads: Vec<String> = Vec::new();
    for (environment, wanted) in router["weighted"].as_object().into_iter().flatten() {
        let with_weight = sets.iter().any(|s| s["set_identifier"] == *wanted && s["weight"].as_u64() > Some(0));
        leads.extend(with_weight.then(|| environment.clone()));
    }
    for (environment, wanted) in router["aliases"].as_object().into_iter().flatten() {
        let target = format!("{}.", wanted["target"].as_str().unwrap_or_default());
        let held = sets.iter().any(|s| s["alias"]["dns_name"] == target.as_str());
        leads.extend(held.then(|| environment.clone()));
    }
    for (environment, wanted) in router["values"].as_object().into_iter().flatten() {
        let held = sets.iter().any(|s| s["kind"] == "A" && s["values"] == *wanted);
        leads.extend(held.then(|| environment.clone()));
    }
    leads.join(" and ")
}

/// The pids of the model servers of each environment in a world, found by what they carry, not by what was recorded.
pub(crate) fn servers(world: &World) -> BTreeMap<String, Vec<u32>> {
    let environments = world.read_plan().environments.keys().map(ToString::to_string).collect::<Vec<_>>();
    let carries = |environment: &str| {
        let mark = world.state().join(format!("{environment}.json"));
        processes()
            .filter(|p| p.environment.contains(&format!("={}\0", mark.display())) && p.leads)
            .map(|p| p.pid)
            .collect()
    };
    environments.into_iter().map(|environment| (environment.clone(), carries(&environment))).collect()
}

/// Everything that names a directory in its environment or its arguments and still runs.
pub(crate) fn processes_of(directory: &Path) -> Vec<String> {
    let directory = directory.display().to_string();
    let here = |p: &Process| {
        p.pid != std::process::id() && (p.environment.contains(&directory) || p.argv.contains(&directory))
    };
    processes().filter(here).map(|p| format!("{} {}", p.pid, p.argv.replace('\0', " "))).collect()
}

struct Process {
    pid: u32,
    argv: String,
    environment: String,
    /// Whether it leads its process group: the first process of a server.
    leads: bool,
}

fn processes() -> impl Iterator<Item = Process> {
    let entries = std::fs::read_dir("/proc").expect("this host has /proc").flatten();
    entries.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let read =
            |what: &str| std::fs::read(entry.path().join(what)).map(|b| String::from_utf8_lossy(&b).into_owned()).ok();
        let stat = read("stat")?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let alive = !matches!(fields.first(), Some(&("Z" | "X")));
        let group: u32 = fields.get(2)?.parse().ok()?;
        alive.then_some(())?;
        Some(Process { pid, argv: read("cmdline")?, environment: read("environ")?, leads: group == pid })
    })
}
