//! A misfit in words: what is the matter, where it is marked, what to do about it.

use super::finding::Note;
use super::nearest;
use super::path::{Path, Turn};
use super::source::Source;
use super::tree::{Kind, Node};
use super::typed::{Misfit, What};

/// Most keys that are listed in a hint.
const LISTED_MAX: usize = 20;

pub(super) fn note(misfit: Misfit, base: &Path, source: &Source) -> Note {
    let path = base.join(&misfit.path);
    let name = called(&path);
    match misfit.what {
        What::Type { found, expected } => {
            let note = Note::error("wrong-type", path.clone(), format!("{name} takes {expected}, not {found}"));
            match hint_for_type(&expected, node_at(source.tree(), &path), source) {
                Some(hint) => note.help(hint),
                None => note,
            }
        }
        What::UnknownKey { key, valid } => {
            let says = format!("{name} has no key `{key}`");
            Note::error("unknown-key", path.key(&key), says).on_key().help(listed(&key, valid, "its keys are"))
        }
        What::UnknownWord { word, valid } => {
            let says = format!("{name} cannot be `{word}`");
            Note::error("unknown-word", path, says).help(listed(&word, valid, "it can be"))
        }
        What::MissingKey(key) => Note::error("missing-key", path, format!("{name} needs the key `{key}`")).on_key(),
        What::Nothing => Note::error("no-value", path, format!("{name} has no value"))
            .on_key()
            .help("give it one, or leave the key out"),
        What::Kinds { found, valid } if found.is_empty() => {
            Note::error("one-kind", path, format!("{name} needs its kind")).help(listed("", valid, "the kinds are"))
        }
        What::Kinds { found, valid } => {
            let found: Vec<_> = found.iter().map(|k| format!("`{k}`")).collect();
            let says = format!("{name} takes exactly one kind, and here are {}", found.join(" and "));
            Note::error("one-kind", path, says).on_key().help(listed("", valid, "the kinds are"))
        }
        What::Other(says) => Note::error("bad-value", path, says),
    }
}

/// What a value is called: by its key, or by its place in a list.
fn called(path: &Path) -> String {
    match (path.turns(), path.last_key()) {
        ([.., Turn::Item(_)], Some("steps" | "parallel")) => "a step".to_owned(),
        ([.., Turn::Item(at)], Some(list)) => format!("item {} of `{list}`", at + 1),
        (_, Some(key)) => format!("`{key}`"),
        (_, None) => "the plan".to_owned(),
    }
}

fn listed(written: &str, valid: &[&str], all_are: &str) -> String {
    match nearest::nearest(written, valid.iter().copied()) {
        Some(name) if valid.len() > LISTED_MAX => format!("did you mean `{name}`?"),
        _ => nearest::hint(written, valid.iter().copied(), all_are),
    }
}

/// A number or `true` where a text is needed only lacks its quotes.
fn hint_for_type(expected: &str, node: Option<&Node>, source: &Source) -> Option<String> {
    let node = node?;
    let written = source.slice(node.mark);
    match &node.kind {
        Kind::Number(_) | Kind::Bool(_) if expected == "text" => Some(format!("put it in quotes: \"{written}\"")),
        Kind::Number(_) if expected.starts_with("a length of time") => Some(format!("write `{written}s` for seconds")),
        Kind::Text(text) if expected.contains("number") && text.parse::<f64>().is_ok() => {
            Some(format!("without quotes: {text}; a number cannot come from a variable"))
        }
        Kind::Text(text) if expected.contains("`true`") && matches!(text.as_str(), "yes" | "no" | "on" | "off") => {
            Some(format!("`{text}` is only a word here"))
        }
        Kind::Text(_) | Kind::Null if expected == "a list" => Some("write a list: `[a, b]`".to_owned()),
        Kind::Null => Some("give it a value, or leave the key out".to_owned()),
        Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) => None,
    }
}

fn node_at<'t>(root: &'t Node, path: &Path) -> Option<&'t Node> {
    path.turns().iter().try_fold(root, |node, turn| match turn {
        Turn::Key(key) => node.get(key),
        Turn::Item(index) => node.items().get(*index),
    })
}
