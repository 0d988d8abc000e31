//! The order of steps: nothing is moved unproven, nothing is stopped while traffic may still come.

use std::collections::{BTreeMap, BTreeSet};

use super::environments::ROLES;
use super::names::meaning;
use super::settings::OLD_TTL_MAX;
use super::walk::branch_path;
use crate::ids::RouterName;
use crate::plan::draft::Draft;
use crate::plan::finding::Note;
use crate::plan::model::{Action, Role, Router, Step, Swap};
use crate::plan::path::Path;

/// Says nothing while a step is not in shape: it may be the one that is missed.
pub(super) fn check(draft: &Draft, notes: &mut Vec<Note>) {
    let steps: Option<Vec<&Step>> = draft.steps.iter().map(Option::as_ref).collect();
    let finalize: Option<Vec<&Step>> = draft.finalize.iter().flat_map(|f| &f.steps).map(Option::as_ref).collect();
    let (Some(steps), Some(finalize)) = (steps, finalize) else { return };
    let mut story = Story { draft, so_far: SoFar::default(), notes };
    story.list(&steps, &Path::of("steps"));
    story.list(&finalize, &Path::of("finalize").key("steps"));
    story.end(&steps);
}

/// What has happened by now.
#[derive(Debug, Clone, Default)]
struct SoFar {
    checked: BTreeSet<String>,
    drained: BTreeSet<String>,
    swapped: BTreeMap<RouterName, String>,
    lowered: BTreeMap<RouterName, Path>,
    restored: BTreeSet<RouterName>,
}

struct Story<'d, 'n> {
    draft: &'d Draft,
    so_far: SoFar,
    notes: &'n mut Vec<Note>,
}

impl Story<'_, '_> {
    fn list(&mut self, steps: &[&Step], path: &Path) {
        for (at, step) in steps.iter().enumerate() {
            self.step(step, &path.item(at));
        }
    }

    fn step(&mut self, step: &Step, path: &Path) {
        let here = path.key(step.action.kind());
        match &step.action {
            Action::Check(c) => drop(self.so_far.checked.insert(meaning(&c.environment).to_owned())),
            Action::LowerTtl(l) => {
                if self.so_far.swapped.contains_key(&l.router) {
                    let says = format!("the TTL of `{}` is lowered after the swap, when it is of no use", l.router);
                    self.notes.push(Note::warning("late-lower-ttl", here.clone(), says).on_key());
                }
                self.so_far.lowered.insert(l.router.clone(), here);
            }
            Action::RestoreTtl(r) => {
                if !self.so_far.lowered.contains_key(&r.router) {
                    let says = format!("no step before this one lowers the TTL of `{}`", r.router);
                    self.notes.push(Note::error("nothing-to-restore", here, says));
                }
                self.so_far.restored.insert(r.router.clone());
            }
            Action::Swap(s) => self.swap(s, &here),
            Action::Drain(d) => {
                self.stays_asked(&d.environment, "drain", &here);
                self.so_far.drained.insert(meaning(&d.environment).to_owned());
            }
            Action::Teardown(t) => {
                let asked = self.stays_asked(&t.environment, "teardown", &here);
                if !asked && !self.so_far.drained.contains(meaning(&t.environment)) && t.environment.0 != "next" {
                    let says = format!(
                        "nothing drains `{}` before it is stopped, so answers under way are cut off",
                        t.environment.0
                    );
                    let help = format!("add `drain: {}` before it", t.environment.0);
                    self.notes.push(Note::warning("teardown-without-drain", here, says).on_key().help(help));
                }
            }
            Action::Parallel(branches) => {
                let before = self.so_far.clone();
                let mut after = before.clone();
                for (at, branch) in branches.iter().enumerate() {
                    self.so_far = before.clone();
                    self.list(&branch.0.iter().collect::<Vec<_>>(), &branch_path(path, at));
                    after.checked.append(&mut self.so_far.checked);
                    after.drained.append(&mut self.so_far.drained);
                    after.swapped.append(&mut self.so_far.swapped);
                    after.lowered.append(&mut self.so_far.lowered);
                    after.restored.append(&mut self.so_far.restored);
                }
                self.so_far = after;
            }
            Action::Provision(_)
            | Action::Attach(_)
            | Action::Verify(_)
            | Action::Bake(_)
            | Action::Run(_)
            | Action::Approve(_)
            | Action::Wait(_) => {}
        }
    }

    fn swap(&mut self, swap: &Swap, here: &Path) {
        let to = meaning(&swap.to);
        if to == "previous" && !self.so_far.swapped.contains_key(&swap.router) {
            let says = format!("traffic is on `{}` already", swap.to.0);
            self.notes.push(Note::warning("swap-to-live", here.key("to"), says).help("leave `to` out: it is `next`"));
        } else if !self.so_far.checked.iter().any(|checked| may_be_one(checked, to)) {
            let says = format!(
                "no step before this one checks `{}`, so traffic goes to what nobody has seen answer",
                swap.to.0
            );
            let help = format!("add `check: {}` before it", swap.to.0);
            self.notes.push(Note::warning("unchecked-swap", here.clone(), says).on_key().help(help));
        }
        let record = match self.draft.routers.get(&swap.router) {
            Some(Some(Router::Route53(record))) if record.aliases.is_none() => Some(record),
            _ => None,
        };
        if let Some(old) = record.and_then(|r| r.propagation.assume_old_ttl)
            && old > OLD_TTL_MAX
            && !self.so_far.lowered.contains_key(&swap.router)
        {
            let says = format!("clients keep the old answer for up to {old}, and nothing lowers the TTL first");
            let help = format!("put `lower_ttl: {{router: {}}}` first of all", swap.router);
            self.notes.push(Note::warning("ttl-not-lowered", here.clone(), says).on_key().help(help));
        }
        self.so_far.swapped.insert(swap.router.clone(), to.to_owned());
    }

    /// Whether a router may still send traffic to what is about to be drained or stopped; says so.
    fn stays_asked(&mut self, environment: &Role, kind: &'static str, here: &Path) -> bool {
        let leaving = meaning(environment);
        let still: Vec<_> = self
            .draft
            .routers
            .iter()
            .filter(|(name, router)| self.still_leads(name, router.as_ref(), leaving))
            .collect();
        let Some((router, _)) = still.first() else { return false };
        let code = if kind == "drain" { "drain-before-swap" } else { "teardown-before-swap" };
        let says = format!("`{kind}` of `{}`, while the router `{router}` may still lead to it", environment.0);
        let help = match self.so_far.swapped.get(*router) {
            Some(to) => format!("the traffic of `{router}` was swapped to `{to}`"),
            None => format!("put it after `swap: {{router: {router}}}`"),
        };
        self.notes.push(Note::error(code, here.clone(), says).on_key().help(help));
        true
    }

    fn still_leads(&self, name: &RouterName, router: Option<&Router>, leaving: &str) -> bool {
        let Some(router) = router else { return false };
        let covered = match router {
            Router::Alb(alb) => alb.target_groups.keys().any(|e| e.as_str() == leaving),
            Router::Route53(r) => {
                if r.behind.is_some() {
                    return false; // traffic is decided at the router behind it
                }
                let mut names = r.values.iter().flatten().map(|(e, _)| e);
                let mut aliases = r.aliases.iter().flatten().map(|(e, _)| e);
                let mut weighted = r.weighted.iter().flatten().map(|(e, _)| e);
                let is = |e: &crate::ids::EnvironmentName| e.as_str() == leaving;
                names.any(is) || aliases.any(is) || weighted.any(is)
            }
        };
        match self.so_far.swapped.get(name) {
            Some(to) => to == leaving,
            // What is only being built up gets no traffic yet.
            None => leaving != "next" && (covered || ROLES.contains(&leaving)),
        }
    }

    fn end(&mut self, steps: &[&Step]) {
        if self.so_far.swapped.is_empty() && !steps.is_empty() {
            self.notes.push(Note::warning("moves-nothing", Path::of("steps"), "no step moves traffic").on_key());
        }
        for (router, place) in &self.so_far.lowered {
            if !self.so_far.restored.contains(router) {
                let says = format!("nothing puts the TTL of `{router}` back");
                let help = format!("add `restore_ttl: {router}` at the end, or under `finalize`");
                self.notes.push(Note::warning("ttl-not-restored", place.clone(), says).on_key().help(help));
            }
        }
    }
}

/// A name and a role may be one environment; that is known only when the routers are read.
fn may_be_one(a: &str, b: &str) -> bool {
    a == b || (ROLES.contains(&a) != ROLES.contains(&b))
}
