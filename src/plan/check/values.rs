//! Checks of single values that occur in several places.

use crate::plan::finding::Note;
use crate::plan::path::Path;
use crate::units::Span;

/// Longer is a typing error, and far from where adding to a date could overflow.
const LENGTH_MAX: Span = Span::from_secs(366 * 24 * 3600);

/// A length of time that is not zero, and shorter than a year.
pub(super) fn length(span: Span, path: &Path, notes: &mut Vec<Note>) {
    if span == Span::ZERO {
        let key = path.last_key().unwrap_or_default();
        notes.push(Note::error("zero-length", path.clone(), format!("`{key}` is no time at all")));
    }
    zero_or_length(span, path, notes);
}

/// A length of time that is shorter than a year.
pub(super) fn zero_or_length(span: Span, path: &Path, notes: &mut Vec<Note>) {
    if span > LENGTH_MAX {
        let key = path.last_key().unwrap_or_default();
        notes.push(Note::error("too-long", path.clone(), format!("`{key}` is longer than a year")));
    }
}

/// A program and its arguments.
pub(super) fn argv(argv: &[String], path: &Path, notes: &mut Vec<Note>) {
    let Some(program) = argv.first().filter(|p| !p.trim().is_empty()) else {
        let key = path.last_key().unwrap_or_default();
        notes.push(
            Note::error("no-program", path.clone(), format!("`{key}` names no program"))
                .help("write `[program, argument]`"),
        );
        return;
    };
    if argv.len() == 1 && program.contains(' ') {
        let words: Vec<_> = program.split_whitespace().collect();
        let says = format!("there is hardly a program called `{program}`; no shell takes it apart");
        let help = format!("write [{}], or [sh, -c, \"{program}\"]", words.join(", "));
        notes.push(Note::warning("shell-line", path.clone(), says).help(help));
    }
}

/// A text that must say something.
pub(super) fn not_empty(text: &str, path: &Path, notes: &mut Vec<Note>) {
    if text.trim().is_empty() {
        let key = path.last_key().unwrap_or_default();
        notes.push(Note::error("empty-text", path.clone(), format!("`{key}` is empty")));
    }
}

/// A number that must not be 0.
pub(super) fn not_zero(n: u32, path: &Path, notes: &mut Vec<Note>) {
    if n == 0 {
        let key = path.last_key().unwrap_or_default();
        notes.push(Note::error("zero", path.clone(), format!("`{key}` must be 1 or more")));
    }
}

/// `http://` or `https://`, without a password in it.
pub(super) fn http_url(url: &url::Url, path: &Path, notes: &mut Vec<Note>) {
    if !matches!(url.scheme(), "http" | "https") {
        let says = format!("a URL with `{}:` cannot be asked; it takes `http:` or `https:`", url.scheme());
        notes.push(Note::error("bad-url", path.clone(), says));
    }
    if url.password().is_some() {
        let says = "a password stands in this URL, and would be recorded";
        notes.push(Note::error(super::secrets::CODE, path.clone(), says).help(super::secrets::HELP));
    }
}
