//! Rules of an Application Load Balancer.

use std::collections::BTreeMap;

use super::names;
use super::values;
use crate::plan::draft::Draft;
use crate::plan::finding::Note;
use crate::plan::model::{Alb, AlbRule, Aws, Router};
use crate::plan::path::Path;

pub(super) fn check(draft: &Draft, notes: &mut Vec<Note>) {
    let mut rules: BTreeMap<String, Path> = BTreeMap::new();
    for (name, router) in &draft.routers {
        let Some(Router::Alb(alb)) = router else { continue };
        let path = Path::of("routers").key(name).key("alb");
        one(alb, draft, &path, notes);
        let rule = format!("{:?} {:?}", alb.listener, alb.rule);
        if let Some(other) = rules.insert(rule, path.key("rule")) {
            let says = "two routers move the same rule";
            notes.push(Note::error("same-rule", path.key("rule"), says).on_key().also(other, "the other"));
        }
    }
}

fn one(alb: &Alb, draft: &Draft, path: &Path, notes: &mut Vec<Note>) {
    match (&alb.rule, &alb.listener) {
        (AlbRule::Default, None) => {
            let says = "`rule: default` does not say of which listener";
            notes.push(Note::error("no-listener", path.key("rule"), says).help("add `listener: ARN` beside `rule`"));
        }
        (AlbRule::Default, Some(arn)) => listener(arn, draft.aws.as_ref(), &path.key("listener"), notes),
        (AlbRule::Matching(rule), other) => {
            listener(&rule.listener, draft.aws.as_ref(), &path.key("rule").key("listener"), notes);
            if other.is_some() {
                let says = "the listener is said twice: beside the rule, and in it";
                let note = Note::error("two-listeners", path.key("listener"), says).on_key();
                notes.push(note.help("remove this one; it belongs to `rule: default` only"));
            }
            if rule.host.is_none() && rule.path.is_none() {
                let says = "the rule has neither `host` nor `path`";
                let note = Note::error("no-condition", path.key("rule"), says).on_key();
                notes.push(note.help("say which rule; for the listener's default action write `rule: default`"));
            }
        }
    }
    if let Some(floor) = (alb.floor == 0).then(|| path.key("floor")) {
        values::not_zero(alb.floor, &floor, notes);
    }
    let groups = path.key("target_groups");
    names::covers(alb.target_groups.keys(), draft, &groups, notes);
    let mut seen = BTreeMap::new();
    for (environment, group) in &alb.target_groups {
        let here = groups.key(environment);
        values::not_empty(group, &here, notes);
        if group.starts_with("arn:") {
            arn(group, "targetgroup/", draft.aws.as_ref(), &here, notes);
        }
        if let Some((other, place)) = seen.insert(group, (environment, here.clone())) {
            let says =
                format!("`{environment}` and `{other}` share a target group, so traffic cannot move between them");
            notes.push(Note::error("same-target", here, says).also(place, "the other"));
        }
    }
}

fn listener(arn_of_it: &str, aws: Option<&Aws>, path: &Path, notes: &mut Vec<Note>) {
    arn(arn_of_it, "listener/app/", aws, path, notes);
}

/// `arn:aws:elasticloadbalancing:REGION:ACCOUNT:KIND...`, of the account and region that the plan is for.
fn arn(arn: &str, kind: &str, aws: Option<&Aws>, path: &Path, notes: &mut Vec<Note>) {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let [scheme, partition, service, region, account, resource] = parts.as_slice() else {
        notes.push(bad_arn(arn, kind, path));
        return;
    };
    if *scheme != "arn"
        || !partition.starts_with("aws")
        || *service != "elasticloadbalancing"
        || !resource.starts_with(kind)
    {
        notes.push(bad_arn(arn, kind, path));
        return;
    }
    let Some(aws) = aws else { return };
    if *account != aws.account || *region != aws.region {
        let says = format!("this is in account {account}, {region}; the plan is for {}, {}", aws.account, aws.region);
        notes.push(Note::error("other-account", path.clone(), says).also(Path::of("aws"), "here"));
    }
}

fn bad_arn(arn: &str, kind: &str, path: &Path) -> Note {
    let says = format!(
        "`{arn}` is not the ARN of a {}",
        if kind.starts_with("listener") { "listener of an ALB" } else { "target group" }
    );
    Note::error("bad-arn", path.clone(), says)
        .help(format!("it looks like arn:aws:elasticloadbalancing:REGION:ACCOUNT:{kind}..."))
}
