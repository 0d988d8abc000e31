//! A tree, read section by section: each section is there, or has said what is wrong with it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::finding::Note;
use super::misfit;
use super::model::{Aws, Environment, Finalize, Gate, OnFailure, Plan, Release, Router, State, Step, Witness};
use super::path::Path;
use super::source::Source;
use super::tree::{Kind, Node};
use super::typed::{self, Misfit, What};
use crate::ids::{EnvironmentName, GateName, RouterName, ServiceName};
use crate::units::Span;

/// What could be read of a plan. A named thing that is `None` was written, but is not in shape.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) version: Option<u32>,
    pub(crate) service: Option<ServiceName>,
    pub(crate) state: Option<State>,
    pub(crate) aws: Option<Aws>,
    pub(crate) vars: BTreeMap<String, String>,
    pub(crate) release: Option<Release>,
    pub(crate) environments: BTreeMap<EnvironmentName, Option<Environment>>,
    pub(crate) routers: BTreeMap<RouterName, Option<Router>>,
    pub(crate) gates: BTreeMap<GateName, Option<Gate>>,
    pub(crate) witness: Option<Witness>,
    pub(crate) on_failure: OnFailure,
    pub(crate) acknowledge: Vec<String>,
    pub(crate) steps: Vec<Option<Step>>,
    pub(crate) finalize: Option<DraftFinalize>,
}

/// `finalize`, as far as it could be read.
#[derive(Debug)]
pub(crate) struct DraftFinalize {
    pub(crate) after: Span,
    pub(crate) steps: Vec<Option<Step>>,
}

const KEYS: &[&str] = &[
    "version",
    "service",
    "state",
    "aws",
    "vars",
    "release",
    "environments",
    "routers",
    "gates",
    "witness",
    "on_failure",
    "acknowledge",
    "steps",
    "finalize",
];
const NEEDED: &[&str] = &["version", "service", "release", "environments", "routers", "steps"];

/// Reads every section and collects the first error of each.
pub(crate) fn read(source: &Source) -> (Draft, Vec<Note>) {
    let mut reader = Reader { source, notes: Vec::new() };
    let root = source.tree();
    for needed in NEEDED.iter().filter(|key| root.get(key).is_none()) {
        reader.misfit(Misfit { path: Path::default(), what: What::MissingKey((*needed).to_owned()) }, &Path::default());
    }
    let mut draft = Draft::default();
    for entry in root.entries() {
        let (path, node) = (Path::of(&entry.key), &entry.value);
        match entry.key.as_str() {
            "version" => draft.version = reader.section(node, &path),
            "service" => draft.service = reader.section(node, &path),
            "state" => draft.state = reader.section(node, &path),
            "aws" => draft.aws = reader.section(node, &path),
            "vars" => draft.vars = reader.section(node, &path).unwrap_or_default(),
            "release" => draft.release = reader.section(node, &path),
            "environments" => draft.environments = reader.named(node, &path),
            "routers" => draft.routers = reader.named(node, &path),
            "gates" => draft.gates = reader.named(node, &path),
            "witness" => draft.witness = reader.section(node, &path),
            "on_failure" => draft.on_failure = reader.section(node, &path).unwrap_or_default(),
            "acknowledge" => draft.acknowledge = reader.section(node, &path).unwrap_or_default(),
            "steps" => draft.steps = reader.steps(node, &path),
            "finalize" => draft.finalize = reader.finalize(node, &path),
            unknown => {
                let what = What::UnknownKey { key: unknown.to_owned(), valid: KEYS };
                reader.misfit(Misfit { path: Path::default(), what }, &Path::default());
            }
        }
    }
    (draft, reader.notes)
}

impl Draft {
    /// The plan, when every section is in shape.
    pub(crate) fn plan(self) -> Option<Plan> {
        Some(Plan {
            version: self.version?,
            service: self.service?,
            state: self.state,
            aws: self.aws,
            vars: self.vars,
            release: self.release?,
            environments: whole(self.environments)?,
            routers: whole(self.routers)?,
            gates: whole(self.gates)?,
            witness: self.witness,
            on_failure: self.on_failure,
            acknowledge: self.acknowledge,
            steps: self.steps.into_iter().collect::<Option<_>>()?,
            finalize: match self.finalize {
                Some(f) => Some(Finalize { after: f.after, steps: f.steps.into_iter().collect::<Option<_>>()? }),
                None => None,
            },
        })
    }
}

fn whole<K: Ord, V>(map: BTreeMap<K, Option<V>>) -> Option<BTreeMap<K, V>> {
    map.into_iter().map(|(k, v)| v.map(|v| (k, v))).collect()
}

struct Reader<'s> {
    source: &'s Source,
    notes: Vec<Note>,
}

impl Reader<'_> {
    fn misfit(&mut self, misfit: Misfit, base: &Path) {
        self.notes.push(misfit::note(misfit, base, self.source));
    }

    fn section<T: DeserializeOwned>(&mut self, node: &Node, path: &Path) -> Option<T> {
        typed::read(node).map_err(|misfit| self.misfit(misfit, path)).ok()
    }

    /// Every named thing is a section of its own.
    fn named<K, V>(&mut self, node: &Node, path: &Path) -> BTreeMap<K, Option<V>>
    where
        K: Ord + TryFrom<String, Error: std::fmt::Display>,
        V: DeserializeOwned,
    {
        let Kind::Map(entries) = &node.kind else {
            self.section::<serde_json::Map<String, serde_json::Value>>(node, path);
            return BTreeMap::new();
        };
        let mut things = BTreeMap::new();
        for entry in entries {
            let path = path.key(&entry.key);
            match K::try_from(entry.key.clone()) {
                Ok(name) => drop(things.insert(name, self.section(&entry.value, &path))),
                Err(bad) => self.notes.push(Note::error("bad-name", path, bad.to_string()).on_key()),
            }
        }
        things
    }

    fn steps(&mut self, node: &Node, path: &Path) -> Vec<Option<Step>> {
        let Kind::List(items) = &node.kind else {
            self.section::<Vec<serde::de::IgnoredAny>>(node, path);
            return vec![None];
        };
        items.iter().enumerate().map(|(at, item)| self.step(item, &path.item(at))).collect()
    }

    /// Every step inside a `parallel` is a section of its own as well.
    fn step(&mut self, node: &Node, path: &Path) -> Option<Step> {
        let before = self.notes.len();
        if let Some(Node { kind: Kind::List(branches), .. }) = node.get("parallel") {
            let path = path.key("parallel");
            for (at, branch) in branches.iter().enumerate() {
                if matches!(branch.kind, Kind::List(_)) {
                    self.steps(branch, &path.item(at));
                } else {
                    self.step(branch, &path.item(at));
                }
            }
        }
        if self.notes.len() > before { None } else { self.section(node, path) }
    }

    fn finalize(&mut self, node: &Node, path: &Path) -> Option<DraftFinalize> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Keys {
            #[serde(default = "super::model::default_day")]
            after: Span,
            #[serde(rename = "steps")]
            _steps: serde::de::IgnoredAny,
        }

        let keys: Option<Keys> = self.section(node, path);
        let steps = node.get("steps").map(|steps| self.steps(steps, &path.key("steps")));
        Some(DraftFinalize { after: keys?.after, steps: steps? })
    }
}
