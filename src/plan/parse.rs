//! The text of a plan → the plan, or everything that is wrong with it, at once.

use super::check;
use super::draft;
use super::finding::{Finding, Note};
use super::model::Plan;
use super::path::Path;
use super::source::Source;
use super::text;
use super::tree::{self, BadYaml, Kind};
use super::vars::{self, Vars};

/// A plan without errors.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The plan, variables expanded.
    pub plan: Plan,
    /// Its text, to say where something stands.
    pub source: Source,
    /// What is known to hurt, and was not acknowledged.
    pub warnings: Vec<Finding>,
}

/// The version of the plan language that is read here.
pub const VERSION: u64 = 1;

/// More would help nobody, and each is shown with its source.
const FINDINGS_MAX: usize = 100;

/// Reads a plan. `name` is what the text is called in findings: the name of the file.
///
/// # Errors
/// The first error of shape of each section and every error of meaning, with the warnings among them, in the order of the text.
pub fn parse(name: &str, text: &str, vars: &Vars) -> Result<Parsed, Vec<Finding>> {
    let mut tree = readable(name, text).map_err(|finding| vec![*finding])?;
    let mut notes = vars::expand(&mut tree, vars);
    let source = Source::new(name, text.to_owned(), tree);
    if let Some(other) = another_version(&source) {
        return Err(vec![Finding::of(other, &source)]);
    }
    let (draft, misfits) = draft::read(&source);
    notes.extend(misfits);
    notes.extend(check::all(&draft, source.tree()));
    notes.retain(|note| note.is_error() || !draft.acknowledge.iter().any(|code| code == note.code));
    let source = {
        let secrets: Vec<_> = notes.iter().filter(|n| n.code == check::SECRET).collect();
        let secrets: Vec<_> = secrets.iter().filter_map(|n| source.locate(&n.path, false).1).collect();
        source.without(&secrets)
    };
    let findings = in_order(notes, &source);
    match draft.plan() {
        Some(plan) if !findings.iter().any(Finding::is_error) => Ok(Parsed { plan, source, warnings: findings }),
        _ => Err(findings),
    }
}

/// The tree of a text that can be a plan at all.
fn readable(name: &str, text: &str) -> Result<tree::Node, Box<Finding>> {
    let refused = |code, mark, says: &str, help| Box::new(Finding::of_text(code, (name, text), mark, says, help));
    if text.len() > text::BYTES_MAX {
        return Err(refused("too-large", None, "the plan is larger than 1 MiB", None));
    }
    if let Some((_, c)) = text::odd_character(text) {
        let says = format!("the plan is not a text: it has the character {}", c.escape_unicode());
        return Err(refused("not-text", None, &says, None));
    }
    let tree = tree::read(text).map_err(|BadYaml { why, mark, too_much }| {
        // The parser speaks of its own types here.
        let circle = "an alias `*name` stands inside the `&name` that it repeats: that has no end";
        let why = if why.contains("recursive references") { circle.to_owned() } else { why };
        let (code, says) = if too_much {
            ("too-large", format!("the plan is nested too deeply, or grows too large by its aliases: {why}"))
        } else {
            ("bad-yaml", why)
        };
        refused(code, mark, &says, yaml_help(&says))
    })?;
    match tree.kind {
        Kind::Map(_) => Ok(tree),
        Kind::Null => Err(refused("empty", None, "the plan is empty", None)),
        Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => {
            Err(refused("wrong-type", Some(tree.mark), "a plan is a map: `version: 1`, `service: ...`", None))
        }
    }
}

fn yaml_help(says: &str) -> Option<&'static str> {
    let says = says.to_lowercase();
    let hints = [
        ("tabs ", "YAML is indented with spaces only"),
        ("twice", "of two values for one key nobody can say which is meant"),
        ("mapping values", "a text with `: ` in it must be in quotes"),
        ("document", "one file is one plan: remove the `---` between them"),
        ("anchor", "an anchor `&name` must stand before its `*name`"),
        ("tag", "the plan language has no tags: remove the word after `!`"),
    ];
    hints.iter().find(|(word, _)| says.contains(word)).map(|(_, hint)| *hint)
}

/// A plan of another version may be all different, so nothing else is said about it.
fn another_version(source: &Source) -> Option<Note> {
    let Kind::Number(version) = &source.tree().get("version")?.kind else { return None };
    (version.as_u64() != Some(VERSION)).then(|| {
        let says = format!("this modelswap reads plans of version {VERSION}, not {version}");
        Note::error("unknown-version", Path::of("version"), says)
    })
}

fn in_order(notes: Vec<Note>, source: &Source) -> Vec<Finding> {
    let mut findings: Vec<_> = notes.into_iter().map(|note| Finding::of(note, source)).collect();
    findings.sort_by_key(|f| (f.mark.map_or(0, |m| m.offset), f.severity));
    findings.dedup_by(|a, b| a.code == b.code && a.message == b.message && a.mark == b.mark);
    if findings.len() > FINDINGS_MAX {
        // An error must not be pushed out by warnings.
        findings.sort_by_key(|f| f.severity);
        let more = format!("and {} findings more", findings.len() - FINDINGS_MAX);
        let worst = findings[FINDINGS_MAX].is_error();
        findings.truncate(FINDINGS_MAX);
        let make = if worst { Note::error } else { Note::warning };
        findings.push(Finding::of(make("too-many", Path::default(), more), source));
    }
    findings
}
