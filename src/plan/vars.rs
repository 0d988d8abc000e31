//! `${var.NAME}` and `${env.NAME}` in the strings of a plan.
//!
//! They are expanded in the tree, after parsing: whatever a value holds, it stays one string. Keys and numbers are left alone.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Note;
use super::nearest;
use super::path::Path;
use super::tree::{Entry, Kind, Mark, Node};

/// Values that are given from outside the plan.
#[derive(Debug, Clone, Default)]
pub struct Vars {
    given: BTreeMap<String, String>,
    environment: BTreeMap<String, Option<String>>,
}

impl Vars {
    /// Nothing is given.
    pub fn none() -> Self {
        Self::default()
    }

    /// `--var NAME=VALUE`: stands for `${var.NAME}`, whatever the plan says.
    #[must_use]
    pub fn var(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.given.insert(name.into(), value.into());
        self
    }

    /// `--env NAME`: the plan may read this variable of modelswap's environment; `value` is none when it is not set.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: Option<String>) -> Self {
        self.environment.insert(name.into(), value);
        self
    }
}

/// What all values may grow to: a plan is at most 1 MiB, and a journal keeps it.
const EXPANDED_BYTES_MAX: usize = 4 << 20;

/// Expands every string below `tree` and writes the values that are in force under `vars`.
pub(crate) fn expand(tree: &mut Node, vars: &Vars) -> Vec<Note> {
    let mut work = Work { vars, known: BTreeMap::new(), used: BTreeSet::new(), bytes: 0, notes: Vec::new() };
    work.declared(tree);
    let Kind::Map(entries) = &mut tree.kind else { return work.notes };
    for entry in entries.iter_mut().filter(|e| e.key != "vars") {
        work.walk(&mut entry.value, &Path::of(&entry.key));
    }
    work.unused(tree);
    work.record(tree);
    work.notes
}

struct Work<'v> {
    vars: &'v Vars,
    known: BTreeMap<String, String>,
    used: BTreeSet<String>,
    bytes: usize,
    notes: Vec<Note>,
}

impl Work<'_> {
    /// The plan's own values, with what is given from outside over them.
    fn declared(&mut self, tree: &mut Node) {
        let Kind::Map(top) = &mut tree.kind else { return };
        let entries = top.iter_mut().find(|e| e.key == "vars");
        if let Some(Entry { value: Node { kind: Kind::Map(entries), .. }, .. }) = entries {
            for entry in entries.iter_mut() {
                self.walk(&mut entry.value, &Path::of("vars").key(&entry.key));
            }
            for entry in entries {
                if let Kind::Text(text) = &entry.value.kind {
                    self.known.insert(entry.key.clone(), text.clone());
                }
            }
        }
        self.known.extend(self.vars.given.iter().map(|(k, v)| (k.clone(), v.clone())));
    }

    fn walk(&mut self, node: &mut Node, path: &Path) {
        match &mut node.kind {
            Kind::Text(text) if text.contains("${") => match self.expanded(text) {
                Ok(new) => *text = new,
                Err(bad) => self.notes.push(bad.note(path.clone())),
            },
            Kind::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.walk(item, &path.item(index));
                }
            }
            Kind::Map(entries) => {
                for entry in entries {
                    self.walk(&mut entry.value, &path.key(&entry.key));
                }
            }
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => {}
        }
    }

    fn expanded(&mut self, text: &str) -> Result<String, Bad> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                out.push_str(&rest[..at - 1]);
                out.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            out.push_str(&rest[..at]);
            let (name, left) = rest[at + 2..].split_once('}').ok_or(Bad::Open)?;
            out.push_str(&self.value(name)?);
            rest = left;
        }
        out.push_str(rest);
        self.bytes += out.len();
        if self.bytes > EXPANDED_BYTES_MAX { Err(Bad::TooMuch) } else { Ok(out) }
    }

    fn value(&mut self, name: &str) -> Result<String, Bad> {
        if let Some(name) = name.strip_prefix("var.") {
            self.used.insert(name.to_owned());
            let exist = || self.known.keys().cloned().collect();
            return self.known.get(name).cloned().ok_or_else(|| Bad::NoVar { name: name.to_owned(), exist: exist() });
        }
        if let Some(name) = name.strip_prefix("env.") {
            return match self.vars.environment.get(name) {
                Some(Some(value)) => Ok(value.clone()),
                Some(None) => Err(Bad::Unset(name.to_owned())),
                None => Err(Bad::NotGranted(name.to_owned())),
            };
        }
        Err(Bad::NoFamily(name.to_owned()))
    }

    /// A `--var` that nothing asks for is a slip of the pen.
    fn unused(&mut self, tree: &Node) {
        let declared: Vec<_> =
            tree.get("vars").map(Node::entries).unwrap_or_default().iter().map(|e| e.key.as_str()).collect();
        for name in self.vars.given.keys() {
            if !declared.contains(&name.as_str()) && !self.used.contains(name) {
                let exist =
                    declared.iter().copied().chain(self.used.iter().map(String::as_str)).collect::<BTreeSet<_>>();
                let hint = nearest::hint(name, exist.iter().copied(), "the plan has");
                let says = format!("the variable `{name}` was given, but the plan never asks for it");
                self.notes.push(Note::error("unknown-variable", Path::of("vars"), says).on_key().help(hint));
            }
        }
    }

    /// The journal shall say which values were in force.
    fn record(&mut self, tree: &mut Node) {
        let Kind::Map(top) = &mut tree.kind else { return };
        let given = &self.vars.given;
        if !given.is_empty() && !top.iter().any(|e| e.key == "vars") {
            let value = Node { kind: Kind::Map(Vec::new()), mark: Mark::default() };
            top.push(Entry { key: "vars".to_owned(), mark: Mark::default(), value });
        }
        let Some(Entry { value: Node { kind: Kind::Map(entries), .. }, .. }) = top.iter_mut().find(|e| e.key == "vars")
        else {
            return;
        };
        for (name, value) in given {
            let kind = Kind::Text(value.clone());
            if let Some(entry) = entries.iter_mut().find(|e| e.key == *name) {
                entry.value.kind = kind;
            } else {
                let value = Node { kind, mark: Mark::default() };
                entries.push(Entry { key: name.clone(), mark: Mark::default(), value });
            }
        }
    }
}

/// Why a string cannot be expanded.
enum Bad {
    Open,
    TooMuch,
    NoVar { name: String, exist: Vec<String> },
    NotGranted(String),
    Unset(String),
    NoFamily(String),
}

impl Bad {
    fn note(self, path: Path) -> Note {
        match self {
            Self::Open => Note::error("open-variable", path, "`${` without its `}`")
                .help("write `$${` when the text `${` itself is meant"),
            Self::TooMuch => Note::error("too-large", path, "the plan grows beyond 4 MiB by its variables"),
            Self::NoVar { name, .. } if path.turns().len() == 2 && path.to_string().starts_with("vars.") => {
                Note::error("unknown-variable", path, format!("a variable cannot be made of another one (`{name}`)"))
            }
            Self::NoVar { name, exist } => {
                let hint = nearest::hint(&name, exist.iter().map(String::as_str), "the plan has");
                Note::error("unknown-variable", path, format!("there is no variable `{name}`"))
                    .help(format!("{hint}; or give it with `--var {name}=...`"))
            }
            Self::NotGranted(name) => {
                Note::error("env-not-granted", path, format!("the plan may not read the environment variable `{name}`"))
                    .help(format!("grant it with `--env {name}`; for a secret write `{{secret: {{env: {name}}}}}`"))
            }
            Self::Unset(name) => {
                Note::error("env-not-set", path, format!("the environment variable `{name}` is granted but not set"))
            }
            Self::NoFamily(name) => {
                Note::error("unknown-variable", path, format!("`${{{name}}}` is no variable of a plan")).help(format!(
                    "write `${{var.NAME}}` or `${{env.NAME}}`; `$${{{name}}}` when the text itself is meant"
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tree;

    fn expanded(text: &str, vars: &Vars) -> Result<serde_json::Value, Vec<String>> {
        let mut tree = tree::read(text).unwrap();
        let notes = expand(&mut tree, vars);
        if notes.is_empty() { Ok(tree.to_json()) } else { Err(notes.into_iter().map(|n| n.message).collect()) }
    }

    #[test]
    fn strings_are_expanded_wherever_they_stand_and_however_they_are_quoted() {
        let text = "vars: {r: one}\na: ${var.r}\nb: \"x-${var.r}-${var.r}\"\nc: ['${var.r}', '$${var.r}', $5]\n";
        let value = expanded(text, &Vars::none()).unwrap();
        assert_eq!(value["a"], "one");
        assert_eq!(value["b"], "x-one-one");
        assert_eq!(value["c"], serde_json::json!(["one", "${var.r}", "$5"]));
    }

    #[test]
    fn a_value_never_becomes_yaml() {
        let vars = Vars::none().var("r", "x\nsteps: []").var("n", "5").var("self", "${var.r}");
        let value = expanded("a: ${var.r}\nb: ${var.n}\nc: ${var.self}\n", &vars).unwrap();
        assert_eq!(value["a"], "x\nsteps: []");
        assert_eq!(value["b"], "5");
        assert_eq!(value["c"], "${var.r}");
    }

    #[test]
    fn what_is_given_outranks_the_plan_and_is_recorded() {
        let vars = Vars::none().var("r", "two").var("extra", "e");
        let value = expanded("vars: {r: one}\na: ${var.r}${var.extra}\n", &vars).unwrap();
        assert_eq!(value["a"], "twoe");
        assert_eq!(value["vars"], serde_json::json!({"r": "two", "extra": "e"}));
    }

    #[test]
    fn the_environment_is_read_only_when_granted() {
        let vars = Vars::none().env("HOME", Some("/root".to_owned())).env("GONE", None);
        assert_eq!(expanded("a: ${env.HOME}\n", &vars).unwrap()["a"], "/root");
        for text in ["a: ${env.PATH}\n", "a: ${env.GONE}\n"] {
            assert!(expanded(text, &vars).is_err(), "{text}");
        }
    }

    #[test]
    fn every_slip_is_said() {
        let given = Vars::none().var("revison", "x");
        assert_eq!(expanded("vars: {revision: a}\nb: c\n", &given).unwrap_err().len(), 1);
        for text in ["a: ${var.x}\n", "a: ${HOME}\n", "a: '${var.x'\n", "vars: {x: a, y: '${var.z}'}\n", "a: '${}'\n"] {
            assert_eq!(expanded(text, &Vars::none()).unwrap_err().len(), 1, "{text}");
        }
    }

    #[test]
    fn growth_is_bounded() {
        let vars = Vars::none().var("big", "x".repeat(1 << 20));
        let text = format!("a: [{}]\n", ["'${var.big}'"; 10].join(", "));
        assert!(expanded(&text, &vars).unwrap_err()[0].contains("4 MiB"));
    }
}
