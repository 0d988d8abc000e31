//! The journals of a world as they stand on the disk, or in its own buckets, at this moment, read as a stranger would read them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Call;
use crate::journal::record::{Framed, unframe};
use crate::lab::state::{Cloud, SharedCloud};

/// The journals of a world: in its state directory, and in its own buckets.
#[derive(Debug, Clone)]
pub struct Journals {
    state: PathBuf,
    buckets: Option<SharedCloud>,
}

impl Journals {
    /// Those at `state/*/journal`.
    pub fn below(state: PathBuf) -> Self {
        Self { state, buckets: None }
    }

    /// Those in the world's buckets as well.
    #[must_use]
    pub fn and_buckets_of(self, cloud: SharedCloud) -> Self {
        Self { buckets: Some(cloud), ..self }
    }

    /// The records of each journal that has any, oldest first; those that are whole.
    pub(super) fn read(&self) -> Vec<Vec<Value>> {
        let services = std::fs::read_dir(&self.state).into_iter().flatten().flatten();
        let local = services.map(|service| records(&service.path().join("journal")));
        let kept = self.buckets.as_ref().map(|cloud| kept(&cloud.lock())).unwrap_or_default();
        local.chain(kept).filter(|records| !records.is_empty()).collect()
    }
}

impl From<PathBuf> for Journals {
    fn from(state: PathBuf) -> Self {
        Self::below(state)
    }
}

/// The journals in buckets: the objects below each `…/log/`, in the order of their names.
fn kept(cloud: &Cloud) -> Vec<Vec<Value>> {
    let mut journals: BTreeMap<(&str, &str), Vec<Value>> = BTreeMap::new();
    for (bucket, objects) in &cloud.buckets {
        for (key, object) in objects {
            let Some((log, _)) = key.rsplit_once('/').filter(|(folder, _)| folder.ends_with("/log")) else { continue };
            let records = journals.entry((bucket, log)).or_default();
            records.extend(serde_json::from_str::<Value>(&object.body));
        }
    }
    journals.into_values().collect()
}

fn records(journal: &Path) -> Vec<Value> {
    let bytes = std::fs::read(journal).unwrap_or_default();
    let (mut records, mut rest) = (Vec::new(), bytes.as_slice());
    while let Framed::Whole(payload, taken) = unframe(rest) {
        records.extend(serde_json::from_slice::<Value>(payload));
        rest = rest.get(taken..).unwrap_or_default();
    }
    records
}

/// Those of the newest run.
pub(super) fn newest_run(records: &[Value]) -> impl Iterator<Item = &Value> + Clone {
    let run = records.last().map(|newest| &newest["run"]);
    records.iter().filter(move |record| Some(&record["run"]) == run)
}

/// The epoch in which a process has the newest run in hand: its own newest one. The newest of all, of a process that wrote none.
pub(super) fn epoch_of(records: &[Value], caller: Option<u32>) -> Option<u64> {
    let written_by = |record: &&Value| caller.is_some() && record["actor"]["pid"].as_u64() == caller.map(u64::from);
    // What others ask of a run they write under the epoch of its holder.
    let acts = |record: &&Value| record["fact"]["fact"] != "asked";
    let own = newest_run(records).filter(acts).filter(written_by).last();
    own.or(records.last()).and_then(|record| record["epoch"].as_u64())
}

/// Steps with an attempt of the caller's epoch and no outcome yet, and the register that each named when it was prepared.
/// What a holder before announced, another may not rely on: it announces its own.
pub(super) fn open_attempts(records: &[Value], caller: Option<u32>) -> Vec<(String, Option<String>)> {
    let epoch = epoch_of(records, caller);
    let mut keys: BTreeMap<&str, &str> = BTreeMap::new();
    let mut open: Vec<&str> = Vec::new();
    for record in newest_run(records) {
        let fact = &record["fact"];
        let Some(step) = fact["step"].as_str() else { continue };
        let own = record["epoch"].as_u64() == epoch;
        match fact["fact"].as_str() {
            Some("prepared") => {
                keys.extend(fact["key"].as_str().map(|key| (step, key)));
            }
            Some("attempt") if own => open.push(step),
            Some("applied" | "failed" | "undo_failed" | "verified" | "undone") if own => open.retain(|s| *s != step),
            Some(_) | None => {}
        }
    }
    open.into_iter().map(|step| (step.to_owned(), keys.get(step).map(|key| (*key).to_owned()))).collect()
}

/// Whether `key` names what `call` changes. Keys are made by the providers: `route53 ZONE NAME`, `alb LISTENER rule HOST`,
/// `alb target group NAME`.
pub(super) fn announces(key: &str, call: &Call) -> bool {
    let words: Vec<&str> = key.split(' ').collect();
    let given = |name: &str| call.params.get(name).map(String::as_str).unwrap_or_default();
    match (call.service.as_str(), words.as_slice()) {
        ("route53", ["route53", _, name]) => {
            let changes = call.params.iter().filter(|(param, _)| param.starts_with("change."));
            let mut names = changes.filter_map(|(_, change)| change.split(' ').nth(1));
            names.all(|found| found.trim_end_matches('.') == *name)
        }
        ("elbv2", ["alb", "target", "group", name]) => {
            given("TargetGroupArn").contains(&format!(":targetgroup/{name}/"))
        }
        ("elbv2", ["alb", listener, ..]) => {
            given("RuleArn").contains(&format!(":listener-rule/{listener}/"))
                || given("ListenerArn").ends_with(&format!(":listener/{listener}"))
        }
        (_, _) => false,
    }
}
