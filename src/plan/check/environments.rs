//! Places where the model can run.

use std::collections::BTreeMap;

use super::values;
use crate::ids::{EnvironmentName, RouterName};
use crate::plan::draft::Draft;
use crate::plan::finding::Note;
use crate::plan::model::{Access, Auth, Endpoints, Environment, Router, Runs, Secret, Serves};
use crate::plan::nearest;
use crate::plan::path::Path;

/// Words that stand for an environment in a step.
pub(super) const ROLES: [&str; 3] = ["live", "next", "previous"];

pub(super) fn check(draft: &Draft, notes: &mut Vec<Note>) {
    for (name, environment) in &draft.environments {
        let path = Path::of("environments").key(name);
        if ROLES.contains(&name.as_str()) {
            let says = format!("no environment can be called `{name}`: in steps that word has its own meaning");
            notes.push(Note::error("reserved-name", path.clone(), says).on_key());
        }
        if let Some(environment) = environment {
            one(name, environment, draft, &path, notes);
        }
    }
    if draft.environments.len() == 1 {
        let says = "there is one environment; a swap needs two places where the model can run";
        notes.push(Note::error("one-environment", Path::of("environments"), says).on_key());
    }
    shared_endpoints(draft, notes);
}

fn one(name: &EnvironmentName, environment: &Environment, draft: &Draft, path: &Path, notes: &mut Vec<Note>) {
    match &environment.runs {
        Some(Runs::Process(p)) => {
            let path = path.key("runs").key("process");
            values::argv(&p.command, &path.key("command"), notes);
            values::length(p.grace, &path.key("grace"), notes);
            variables(&p.env, &path.key("env"), notes);
        }
        Some(Runs::Command(c)) => {
            let path = path.key("runs").key("command");
            for (key, argv) in [("start", &c.start), ("stop", &c.stop), ("status", &c.status)] {
                values::argv(argv, &path.key(key), notes);
            }
            values::length(c.within, &path.key("within"), notes);
            variables(&c.env, &path.key("env"), notes);
        }
        None => {}
    }
    serves(&environment.serves, &path.key("serves"), notes);
    endpoints(name, environment, draft, &path.key("endpoints"), notes);
    if environment.hourly_cost.is_some_and(|cost| cost < 0.0) {
        notes.push(Note::error("negative-cost", path.key("hourly_cost"), "`hourly_cost` is less than nothing"));
    }
}

fn variables(env: &BTreeMap<String, String>, path: &Path, notes: &mut Vec<Note>) {
    for name in env.keys().filter(|n| n.is_empty() || n.contains(['=', '\0'])) {
        notes.push(Note::error("bad-name", path.key(name), format!("`{name}` is no name of a variable")).on_key());
    }
}

fn serves(serves: &Serves, path: &Path, notes: &mut Vec<Note>) {
    match serves {
        Serves::Openai(s) => {
            values::not_zero(s.proof_tokens, &path.key("openai").key("proof_tokens"), notes);
            access(&s.access, &path.key("openai"), notes);
        }
        Serves::Kserve(s) => access(&s.access, &path.key("kserve"), notes),
        Serves::Http(s) => {
            let path = path.key("http");
            access(&s.access, &path, notes);
            absolute(&s.health, &path.key("health"), notes);
            if let Some(identity) = &s.identity {
                let path = path.key("identity");
                absolute(&identity.path, &path.key("path"), notes);
                let pointers = [("model", Some(&identity.model)), ("revision", identity.revision.as_ref())];
                for (key, pointer) in pointers.into_iter().filter_map(|(key, p)| Some((key, p?))) {
                    if !pointer.starts_with('/') {
                        let says = format!("`{pointer}` is no JSON pointer: those begin with `/`");
                        notes.push(Note::error("bad-pointer", path.key(key), says).help(format!("write `/{pointer}`")));
                    }
                }
            }
        }
        Serves::Tcp(_) => {}
    }
}

fn absolute(path_of_url: &str, path: &Path, notes: &mut Vec<Note>) {
    if !path_of_url.starts_with('/') {
        let says = format!("`{path_of_url}` is no path: those begin with `/`");
        notes.push(Note::error("bad-path", path.clone(), says));
    }
}

/// How requests are authenticated: a secret must be found somewhere.
pub(super) fn access(access: &Access, path: &Path, notes: &mut Vec<Note>) {
    if let Some(Auth::Bearer(holder)) = &access.auth {
        let path = path.key("auth").key("bearer").key("secret");
        match &holder.secret {
            Secret::Env(name) => values::not_empty(name, &path.key("env"), notes),
            Secret::File(file) => values::not_empty(&file.to_string_lossy(), &path.key("file"), notes),
            Secret::Command(argv) => values::argv(argv, &path.key("command"), notes),
        }
    }
}

fn endpoints(name: &EnvironmentName, environment: &Environment, draft: &Draft, path: &Path, notes: &mut Vec<Note>) {
    match &environment.endpoints {
        Endpoints::Urls(urls) if urls.is_empty() => {
            notes.push(Note::error("nothing-there", path.clone(), "`endpoints` is empty, so nothing can be proven"));
        }
        Endpoints::Urls(urls) => {
            for (at, url) in urls.iter().enumerate() {
                match (url.scheme(), &environment.serves) {
                    ("tcp", Serves::Tcp(_)) => {}
                    _ => values::http_url(url, &path.item(at), notes),
                }
                if url.host_str().is_none_or(str::is_empty) {
                    notes.push(Note::error("bad-url", path.item(at), "this URL has no host"));
                }
                if urls.iter().take(at).any(|other| other == url) {
                    notes.push(Note::error("twice", path.item(at), "this URL stands in the list twice"));
                }
            }
        }
        Endpoints::TargetGroup { target_group } => match draft.routers.get(target_group) {
            None => {
                let hint = nearest::hint(
                    target_group.as_str(),
                    draft.routers.keys().map(RouterName::as_str),
                    "the routers are",
                );
                let says = format!("there is no router `{target_group}`");
                notes.push(Note::error("unknown-router", path.key("target_group"), says).help(hint));
            }
            Some(Some(Router::Route53(_))) => {
                let says = format!("`{target_group}` is a record, and has no target groups");
                notes.push(
                    Note::error("no-target-group", path.key("target_group"), says).help("list the URLs of the servers"),
                );
            }
            Some(Some(Router::Alb(alb))) if !alb.target_groups.contains_key(name) => {
                let says = format!("`{target_group}` has no target group for `{name}`");
                let other = Path::of("routers").key(target_group).key("alb").key("target_groups");
                notes.push(Note::error("no-target-group", path.key("target_group"), says).also(other, "it has these"));
            }
            Some(_) => {}
        },
    }
}

/// Two environments that answer at one place cannot be told apart.
fn shared_endpoints(draft: &Draft, notes: &mut Vec<Note>) {
    let mut seen: BTreeMap<&url::Url, (&EnvironmentName, Path)> = BTreeMap::new();
    for (name, environment) in draft.environments.iter().filter_map(|(n, e)| Some((n, e.as_ref()?))) {
        let Endpoints::Urls(urls) = &environment.endpoints else { continue };
        for (at, url) in urls.iter().enumerate() {
            let path = Path::of("environments").key(name).key("endpoints").item(at);
            match seen.get(url) {
                Some((other, place)) if *other != name => {
                    let says = format!("`{name}` answers where `{other}` does, so they cannot be told apart");
                    notes.push(
                        Note::error("same-endpoint", path, says).also(place.clone(), format!("here is `{other}`")),
                    );
                }
                _ => drop(seen.insert(url, (name, path))),
            }
        }
    }
}
