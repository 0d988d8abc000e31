//! Names in steps and routers: they must exist, and be of the right kind.

use super::environments::ROLES;
use super::walk;
use crate::ids::{EnvironmentName, GateName, RouterName};
use crate::plan::draft::Draft;
use crate::plan::finding::Note;
use crate::plan::model::{Action, Role, Router};
use crate::plan::nearest;
use crate::plan::path::Path;

pub(super) fn check(draft: &Draft, notes: &mut Vec<Note>) {
    walk::each(draft, |path, step, _| {
        let path = path.key(step.action.kind());
        match &step.action {
            Action::Provision(on) | Action::Teardown(on) => {
                role(&on.environment, draft, &path.key("environment"), notes);
                has_runs(&on.environment, step.action.kind(), draft, &path, notes);
            }
            Action::Attach(a) => {
                role(&a.environment, draft, &path.key("environment"), notes);
                if let Some(Router::Route53(_)) = router(&a.router, draft, &path.key("router"), notes) {
                    let says = format!("`{}` is a record: there is nothing to attach", a.router);
                    notes.push(Note::error("not-a-balancer", path.key("router"), says).help("remove this step"));
                }
            }
            Action::Check(c) => {
                role(&c.environment, draft, &path.key("environment"), notes);
                gates(&c.gates, draft, &path.key("gates"), notes);
            }
            Action::LowerTtl(l) => ttl(&l.router, draft, &path.key("router"), notes),
            Action::RestoreTtl(r) => ttl(&r.router, draft, &path.key("router"), notes),
            Action::Swap(s) => {
                router(&s.router, draft, &path.key("router"), notes);
                role(&s.to, draft, &path.key("to"), notes);
            }
            Action::Verify(v) => {
                router(&v.router, draft, &path.key("router"), notes);
                role(&v.sees, draft, &path.key("sees"), notes);
            }
            Action::Bake(b) => gates(&b.gates, draft, &path.key("gates"), notes),
            Action::Drain(d) => role(&d.environment, draft, &path.key("environment"), notes),
            Action::Run(_) | Action::Approve(_) | Action::Wait(_) | Action::Parallel(_) => {}
        }
    });
}

/// The environments of a router: all known, and at least two.
pub(super) fn covers<'a>(
    covered: impl ExactSizeIterator<Item = &'a EnvironmentName>,
    draft: &Draft,
    path: &Path,
    notes: &mut Vec<Note>,
) {
    if covered.len() < 2 {
        let says = format!(
            "`{}` names {} environments; traffic moves between at least two",
            path.last_key().unwrap_or_default(),
            covered.len()
        );
        notes.push(Note::error("too-few-environments", path.clone(), says).on_key());
    }
    for name in covered.filter(|name| !draft.environments.contains_key(*name)) {
        let hint = nearest::hint(
            name.as_str(),
            draft.environments.keys().map(EnvironmentName::as_str),
            "the environments are",
        );
        notes.push(
            Note::error("unknown-environment", path.key(name), format!("there is no environment `{name}`"))
                .on_key()
                .help(hint),
        );
    }
}

/// Roles are compared as what they mean before any step: `previous` is the environment that was live.
pub(super) fn meaning(role: &Role) -> &str {
    if role.0 == "live" { "previous" } else { &role.0 }
}

fn role(role: &Role, draft: &Draft, path: &Path, notes: &mut Vec<Note>) {
    let names = || ROLES.into_iter().chain(draft.environments.keys().map(EnvironmentName::as_str));
    if !names().any(|name| name == role.0) {
        let hint = nearest::hint(&role.0, names().collect::<Vec<_>>(), "there are");
        let says = format!("there is no environment `{}`", role.0);
        notes.push(Note::error("unknown-environment", path.clone(), says).help(hint));
    }
}

fn router<'d>(name: &RouterName, draft: &'d Draft, path: &Path, notes: &mut Vec<Note>) -> Option<&'d Router> {
    let found = draft.routers.get(name);
    if found.is_none() {
        let hint = nearest::hint(name.as_str(), draft.routers.keys().map(RouterName::as_str), "the routers are");
        notes.push(Note::error("unknown-router", path.clone(), format!("there is no router `{name}`")).help(hint));
    }
    found?.as_ref()
}

fn gates(names: &[GateName], draft: &Draft, path: &Path, notes: &mut Vec<Note>) {
    for (at, name) in names.iter().enumerate() {
        if !draft.gates.contains_key(name) {
            let hint = nearest::hint(name.as_str(), draft.gates.keys().map(GateName::as_str), "the gates are");
            notes.push(Note::error("unknown-gate", path.item(at), format!("there is no gate `{name}`")).help(hint));
        }
    }
}

/// Only plain records have a TTL of their own.
fn ttl(name: &RouterName, draft: &Draft, path: &Path, notes: &mut Vec<Note>) {
    let says = match router(name, draft, path, notes) {
        Some(Router::Alb(_)) => format!("`{name}` is a balancer: what leads to it has a TTL of 60 s, fixed"),
        Some(Router::Route53(r)) if r.aliases.is_some() => {
            format!("`{name}` is an alias: its TTL is its target's, 60 s, fixed")
        }
        Some(Router::Route53(_)) | None => return,
    };
    notes.push(Note::error("fixed-ttl", path.clone(), says).help("remove this step"));
}

/// What modelswap shall start or stop, it must know how to.
fn has_runs(role: &Role, kind: &str, draft: &Draft, path: &Path, notes: &mut Vec<Note>) {
    let meant = |name: &&EnvironmentName| ROLES.contains(&role.0.as_str()) || name.as_str() == role.0;
    let without = |name: &&EnvironmentName| matches!(draft.environments.get(*name), Some(Some(e)) if e.runs.is_none());
    if let Some(name) = draft.environments.keys().filter(meant).find(without) {
        let says = format!("`{kind}` may be asked of `{name}`, which does not say how it is started and stopped");
        let note = Note::error("no-runs", path.clone(), says).on_key();
        notes.push(
            note.also(Path::of("environments").key(name), "add `runs` here")
                .help("or remove the step, when others start and stop it"),
        );
    }
}
