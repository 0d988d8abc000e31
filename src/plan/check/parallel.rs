//! Branches that run at the same time must not get in each other's way.

use std::collections::BTreeMap;

use super::names::meaning;
use super::walk::{self, branch_path};
use crate::plan::draft::Draft;
use crate::plan::finding::Note;
use crate::plan::model::{Action, Branch};
use crate::plan::path::Path;

pub(super) fn check(draft: &Draft, notes: &mut Vec<Note>) {
    walk::each(draft, |path, step, _| {
        if let Action::Parallel(branches) = &step.action {
            apart(branches, path, notes);
        }
    });
}

/// What a branch touches. Looking beside looking is fine; changing beside anything is not.
#[derive(Default)]
struct Touched {
    things: BTreeMap<(&'static str, String), (bool, Path)>,
}

impl Touched {
    fn add(&mut self, kind: &'static str, name: &str, changes: bool, path: &Path) {
        let seen = self.things.entry((kind, name.to_owned())).or_insert_with(|| (changes, path.clone()));
        if changes && !seen.0 {
            *seen = (true, path.clone());
        }
    }

    fn branch(&mut self, branch: &Branch, path: &Path) {
        for (at, step) in branch.0.iter().enumerate() {
            let path = path.item(at);
            let here = path.key(step.action.kind());
            match &step.action {
                Action::Provision(on) | Action::Teardown(on) => {
                    self.add("environment", meaning(&on.environment), true, &here);
                }
                Action::Attach(a) => {
                    self.add("environment", meaning(&a.environment), false, &here);
                    self.add("router", a.router.as_str(), true, &here);
                }
                Action::Check(c) => self.add("environment", meaning(&c.environment), false, &here),
                Action::Drain(d) => self.add("environment", meaning(&d.environment), false, &here),
                Action::LowerTtl(l) => self.add("router", l.router.as_str(), true, &here),
                Action::RestoreTtl(r) => self.add("router", r.router.as_str(), true, &here),
                Action::Swap(s) => {
                    self.add("router", s.router.as_str(), true, &here);
                    self.add("environment", meaning(&s.to), false, &here);
                }
                Action::Verify(v) => self.add("router", v.router.as_str(), false, &here),
                Action::Parallel(inner) => {
                    for (at, branch) in inner.iter().enumerate() {
                        self.branch(branch, &branch_path(&path, at));
                    }
                }
                Action::Bake(_) | Action::Run(_) | Action::Approve(_) | Action::Wait(_) => {}
            }
        }
    }
}

fn apart(branches: &[Branch], path: &Path, notes: &mut Vec<Note>) {
    let mut before: BTreeMap<(&'static str, String), (bool, Path)> = BTreeMap::new();
    for (at, branch) in branches.iter().enumerate() {
        let mut touched = Touched::default();
        touched.branch(branch, &branch_path(path, at));
        for (thing, (changes, place)) in touched.things {
            match before.get(&thing) {
                Some((changed, other)) if changes || *changed => {
                    let (kind, name) = &thing;
                    let says = format!("two branches at the same time touch the {kind} `{name}`");
                    let note = Note::error("branches-collide", place.clone(), says).on_key();
                    notes.push(note.also(other.clone(), "the other").help("put one after the other"));
                }
                _ => drop(before.insert(thing, (changes, place))),
            }
        }
    }
}
