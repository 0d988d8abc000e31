//! Source files, and their code without comments and text.

use std::path::{Path, PathBuf};

/// One file of the repository.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// From the repository's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The module that this file is: `["engine", "decide"]`; nothing for files outside `src/` and the crate's roots.
    pub(crate) fn module(&self) -> Vec<&str> {
        let Some(inner) = self.path.strip_prefix("src/").and_then(|p| p.strip_suffix(".rs")) else { return Vec::new() };
        let mut names: Vec<_> = inner.split('/').collect();
        if matches!(names.last(), Some(&"mod" | &"main" | &"lib")) {
            names.pop();
        }
        names
    }

    /// The text with comments and literals blanked out, line for line.
    pub(crate) fn code(&self) -> String {
        code_of(&self.text)
    }

    /// `path:line` of each line of code that has `pattern`.
    pub(crate) fn lines_with(&self, pattern: &str) -> Vec<String> {
        let code = self.code();
        let hits = code.lines().enumerate().filter(|(_, line)| line.contains(pattern));
        hits.map(|(n, line)| format!("{}:{}: {}", self.path, n + 1, line.trim())).collect()
    }
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a directory of the repository.
pub(crate) fn rust_below(directory: &str) -> Vec<Source> {
    let files = files_below(&root().join(directory));
    let rust: Vec<_> = files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")).map(read).collect();
    assert!(rust.len() > 10, "{directory} has {} files: they were not found", rust.len());
    rust
}

pub(crate) fn read(path: PathBuf) -> Source {
    let text = std::fs::read(&path).unwrap();
    let from_root = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
    Source { path: from_root, text: String::from_utf8_lossy(&text).into_owned() }
}

/// Every file below a directory, in order, without what is built or kept by tools.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_symlink() || matches!(name.as_str(), "target" | ".git" | ".modelswap") {
            continue;
        }
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

/// Blanks comments, strings and characters out of Rust source.
fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let from = i;
        let in_word = from > 0 && (at(from - 1).is_alphanumeric() || at(from - 1) == '_');
        if at(i) == '/' && at(i + 1) == '/' {
            i = (i..chars.len()).find(|i| at(*i) == '\n').unwrap_or(chars.len());
        } else if at(i) == '/' && at(i + 1) == '*' {
            i = (i + 2..chars.len()).find(|i| at(*i) == '*' && at(i + 1) == '/').map_or(chars.len(), |i| i + 2);
        } else if at(i) == 'r' && !in_word && matches!(at(i + 1), '"' | '#') && raw_hashes(&at, i + 1).is_some() {
            let hashes = raw_hashes(&at, i + 1).unwrap_or(0);
            let closes = |i: &usize| at(*i) == '"' && (1..=hashes).all(|n| at(i + n) == '#');
            i = (i + hashes + 2..chars.len()).find(closes).map_or(chars.len(), |i| i + hashes + 1);
        } else if at(i) == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if at(i) == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            // A character; a lifetime has no second quote.
            i = (i + 2..chars.len()).find(|i| at(*i) == '\'').map_or(chars.len(), |i| i + 1);
            if at(from + 1) == '\\' && at(from + 2) == '\'' {
                i = from + 4;
            }
        } else {
            code.push(at(i));
            i += 1;
            continue;
        }
        let blanked = chars.get(from..i.min(chars.len())).unwrap_or_default();
        code.extend(blanked.iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
    }
    code
}

/// How many `#` stand before the quote of a raw string; none when it is none.
fn raw_hashes(at: &impl Fn(usize) -> char, from: usize) -> Option<usize> {
    let hashes = (from..).take_while(|i| at(*i) == '#').count();
    (at(from + hashes) == '"').then_some(hashes)
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = "a(); // b()\n/* c()\n */ d(\"e() \\\" e()\", 'f', '\\'', r#\"g() \" g()\"#); fn h<'i>(j: &'i str) {}\n/// k()\nl()";
    let code = Source::new("src/x.rs", text).code();
    for kept in ["a();", "d(", "fn h<'i>(j: &'i str) {}", "l()"] {
        assert!(code.contains(kept), "{kept} in {code}");
    }
    for gone in ["b()", "c()", "e()", "'f'", "g()", "k()"] {
        assert!(!code.contains(gone), "{gone} in {code}");
    }
    assert_eq!(code.lines().count(), text.lines().count());
}
