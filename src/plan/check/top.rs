//! Settings of the whole: the account, the state, the goal.

use super::values;
use crate::plan::draft::Draft;
use crate::plan::finding::Note;
use crate::plan::model::Router;
use crate::plan::path::{Path, Turn};
use crate::plan::tree::{Kind, Node};
use crate::providers::buckets::BucketUrl;

pub(super) fn check(draft: &Draft, tree: &Node, notes: &mut Vec<Note>) {
    state(draft, notes);
    account(draft, tree, notes);
    if let Some(release) = &draft.release {
        let path = Path::of("release");
        values::not_empty(&release.model, &path.key("model"), notes);
        if let Some(revision) = &release.revision {
            values::not_empty(revision, &path.key("revision"), notes);
        }
    }
    if let Some(finalize) = &draft.finalize {
        values::zero_or_length(finalize.after, &Path::of("finalize").key("after"), notes);
    }
    for path in [Path::of("environments"), Path::of("routers"), Path::of("steps"), Path::of("finalize").key("steps")] {
        not_empty(tree, &path, notes);
    }
}

fn not_empty(tree: &Node, path: &Path, notes: &mut Vec<Note>) {
    let keys = path.turns().iter().filter_map(|turn| match turn {
        Turn::Key(key) => Some(key),
        Turn::Item(_) => None,
    });
    let node = keys.into_iter().try_fold(tree, |node, key| node.get(key));
    let empty = match node.map(|n| &n.kind) {
        Some(Kind::Map(entries)) => entries.is_empty(),
        Some(Kind::List(items)) => items.is_empty(),
        _ => false,
    };
    if empty {
        notes.push(Note::error("nothing-there", path.clone(), format!("`{path}` is empty")).on_key());
    }
}

fn state(draft: &Draft, notes: &mut Vec<Note>) {
    let Some(state) = &draft.state else { return };
    let whole = Path::of("state");
    let path = if state.mirror().is_some() { whole.key("url") } else { whole.clone() };
    place(state.at(), path, notes);
    if let Some(mirror) = state.mirror() {
        let path = whole.key("mirror");
        if mirror == state.at() {
            notes.push(Note::error("bad-state", path.clone(), "the mirror is the place itself"));
        }
        place(mirror, path, notes);
    }
}

/// A directory, or a place in a bucket.
fn place(text: &str, path: Path, notes: &mut Vec<Note>) {
    values::not_empty(text, &path, notes);
    if let Some(rest) = text.strip_prefix("file://") {
        let note = Note::error("bad-state", path, "a directory is no URL");
        notes.push(note.help(format!("write `{rest}`")));
    } else if text.contains("://")
        && let Err(why) = text.parse::<BucketUrl>()
    {
        let note = Note::error("bad-state", path, format!("`{text}` is no place for a journal: {why}"));
        notes.push(note.help("write a directory, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"));
    }
}

fn account(draft: &Draft, tree: &Node, notes: &mut Vec<Note>) {
    let path = Path::of("aws");
    let Some(aws) = &draft.aws else {
        let cloud = draft.routers.iter().find(|(_, r)| matches!(r, Some(Router::Alb(_) | Router::Route53(_))));
        if let (Some((name, _)), None) = (cloud, tree.get("aws")) {
            let says = "the plan does not say for which AWS account and region it is, so any credentials will do";
            let note = Note::warning("account-not-pinned", Path::of("routers").key(name), says).on_key();
            notes.push(note.help("add `aws: {account: \"111122223333\", region: eu-west-1}`"));
        }
        return;
    };
    if aws.account.len() != 12 || !aws.account.bytes().all(|b| b.is_ascii_digit()) {
        let says = format!("`{}` is no AWS account: that is 12 digits", aws.account);
        notes.push(Note::error("bad-account", path.key("account"), says));
    }
    let words: Vec<_> = aws.region.split('-').collect();
    if words.len() < 3 || !words.iter().all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric())) {
        let says = format!("`{}` is no AWS region: that is like eu-west-1", aws.region);
        notes.push(Note::error("bad-region", path.key("region"), says));
    }
}
