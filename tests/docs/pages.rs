//! The pages: README.md and docs/, taken apart into fenced blocks and links.

use std::path::{Path, PathBuf};

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    /// From the repository's root.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A fenced block of a page.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// `docs/guide.md:12`.
    pub(crate) at: String,
    /// What stands behind the fence: `yaml`.
    pub(crate) language: String,
    pub(crate) text: String,
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn pages() -> Vec<Page> {
    let mut paths = vec!["README.md".to_owned()];
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|e| e == "md") {
            paths.push(format!("docs/{name}"));
        }
    }
    paths.sort();
    assert!(paths.len() >= 8, "{paths:?}");
    paths.into_iter().map(page).collect()
}

pub(crate) fn page(path: impl Into<String>) -> Page {
    let path = path.into();
    let text = std::fs::read_to_string(root().join(&path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    Page { path, text }
}

impl Page {
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        // A block within a list is indented with it.
        let mut indent = 0;
        for (n, line) in self.text.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), open.take()) {
                (Some(language), None) => {
                    let at = format!("{}:{}", self.path, n + 1);
                    indent = line.len() - line.trim_start().len();
                    open = Some(Block { at, language: language.trim().to_owned(), text: String::new() });
                }
                (Some(_), Some(block)) => blocks.push(block),
                (None, Some(mut block)) => {
                    block.text.push_str(line.get(indent..).unwrap_or_default());
                    block.text.push('\n');
                    open = Some(block);
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", self.path);
        blocks
    }

    /// Targets of `[text](target)`, outside blocks.
    fn links(&self) -> Vec<String> {
        let mut fenced = false;
        let prose = self.text.lines().filter(|line| {
            fenced ^= line.trim_start().starts_with("```");
            !fenced
        });
        let of = |line: &str| {
            let parts = line.split("](").skip(1);
            parts.filter_map(|part| part.split_once(')').map(|(target, _)| target.to_owned())).collect::<Vec<_>>()
        };
        prose.flat_map(of).collect()
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut seen = 0;
    for page in pages() {
        let base = root().join(&page.path).parent().unwrap().to_owned();
        for link in page.links() {
            let (path, anchor) = link.split_once('#').map_or((link.as_str(), ""), |(path, anchor)| (path, anchor));
            if path.contains("://") {
                continue;
            }
            seen += 1;
            let target = if path.is_empty() { root().join(&page.path) } else { base.join(path) };
            assert!(target.exists(), "{}: {link} leads nowhere", page.path);
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                let has = text.lines().filter(|l| l.starts_with('#')).any(|l| slug(l) == anchor);
                assert!(has, "{}: {link} leads to no heading", page.path);
            }
        }
    }
    assert!(seen > 10, "{seen}");
}

/// As GitHub names a heading.
fn slug(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
