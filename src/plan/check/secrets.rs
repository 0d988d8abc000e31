//! Secrets that stand in the plan itself. They would be recorded, so they are looked for wherever they may be written, whether or not
//! the section around them is in shape.

use crate::plan::finding::Note;
use crate::plan::path::Path;
use crate::plan::tree::{Kind, Node};

pub(super) const CODE: &str = "secret-in-plan";
pub(super) const HELP: &str = "say where it is found: `auth: {bearer: {secret: {env: NAME}}}`";

/// Headers that carry nothing but credentials.
const AUTH_HEADERS: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// Headers and variables that are called like this usually are secrets.
const LIKE_SECRETS: [&str; 7] = ["api-key", "apikey", "token", "secret", "password", "passwd", "access-key"];

pub(super) fn check(tree: &Node, notes: &mut Vec<Note>) {
    below(tree, &Path::default(), notes);
}

fn below(node: &Node, path: &Path, notes: &mut Vec<Note>) {
    match &node.kind {
        Kind::Map(entries) => {
            for entry in entries {
                let path = path.key(&entry.key);
                match entry.key.as_str() {
                    "headers" => headers(&entry.value, &path, notes),
                    "env" => variables(&entry.value, &path, notes),
                    _ => below(&entry.value, &path, notes),
                }
            }
        }
        Kind::List(items) => items.iter().enumerate().for_each(|(at, item)| below(item, &path.item(at), notes)),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => {}
    }
}

fn headers(node: &Node, path: &Path, notes: &mut Vec<Note>) {
    for entry in node.entries() {
        let name = entry.key.to_ascii_lowercase();
        let path = path.key(&entry.key);
        if AUTH_HEADERS.contains(&name.as_str()) {
            let says = format!("the header `{}` carries a secret, and would be recorded", entry.key);
            notes.push(Note::error(CODE, path, says).help(HELP));
        } else if looks_secret(&name) {
            let says = format!("the header `{}` looks like a secret, and is recorded", entry.key);
            notes.push(Note::warning(CODE, path, says).help(HELP));
        }
    }
}

fn variables(node: &Node, path: &Path, notes: &mut Vec<Note>) {
    for entry in node.entries() {
        if looks_secret(&entry.key.to_ascii_lowercase().replace('_', "-")) {
            let says = format!("the variable `{}` looks like a secret, and its value is recorded", entry.key);
            let help = "the program inherits the environment of modelswap: set it there, and remove it here";
            notes.push(Note::warning(CODE, path.key(&entry.key), says).help(help));
        }
    }
}

fn looks_secret(name: &str) -> bool {
    LIKE_SECRETS.iter().any(|like| name.ends_with(like))
}
