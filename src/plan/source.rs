//! The text of a plan, and where each of its values stands in it.

use std::sync::Arc;

use miette::NamedSource;

use super::path::{Path, Turn};
use super::tree::{Entry, Kind, Mark, Node};

/// The text of a plan, and where each of its values stands in it.
#[derive(Debug, Clone)]
pub struct Source {
    text: Arc<NamedSource<String>>,
    tree: Arc<Node>,
}

impl Source {
    pub(crate) fn new(name: &str, text: String, tree: Node) -> Self {
        Self { text: Arc::new(NamedSource::new(name, text)), tree: Arc::new(tree) }
    }

    /// The name of the file.
    pub fn name(&self) -> &str {
        self.text.name()
    }

    /// The text. Secrets that were written into it are blanked.
    pub fn text(&self) -> &str {
        self.text.inner()
    }

    /// Where a value stands: `steps[3].swap.router`. For a path that goes further than the text (a default, a short form), the
    /// last value on the way; none when not even its first key was written.
    pub fn span(&self, path: &str) -> Option<Mark> {
        let mut here = Walk { node: &self.tree, entry: None };
        let mut rest = path;
        while !rest.is_empty() {
            let Some((next, left)) = here.named(rest) else { break };
            (here, rest) = (next, left);
        }
        here.entry.is_some().then(|| here.mark(false)).flatten()
    }

    pub(crate) fn tree(&self) -> &Node {
        &self.tree
    }

    pub(crate) fn named(&self) -> Arc<NamedSource<String>> {
        Arc::clone(&self.text)
    }

    /// As written at a mark.
    pub(crate) fn slice(&self, mark: Mark) -> &str {
        self.text().get(mark.offset..mark.offset + mark.len).unwrap_or_default()
    }

    /// The same text with other places blanked, so that what is quoted from it can be shown to anybody.
    pub(crate) fn without(self, secrets: &[Mark]) -> Self {
        if secrets.is_empty() {
            return self;
        }
        let blanked: String = self
            .text()
            .char_indices()
            .flat_map(|(at, c)| {
                let inside = secrets.iter().any(|m| (m.offset..m.offset + m.len).contains(&at)) && !c.is_whitespace();
                // One for each byte, so that every other place stays where it is.
                std::iter::repeat_n(if inside { '*' } else { c }, if inside { c.len_utf8() } else { 1 })
            })
            .collect();
        Self { text: Arc::new(NamedSource::new(self.name(), blanked)), tree: self.tree }
    }

    /// The part of a path that was written, and where it stands.
    pub(crate) fn locate(&self, path: &Path, on_key: bool) -> (Path, Option<Mark>) {
        let mut here = Walk { node: &self.tree, entry: None };
        let mut found = Path::default();
        for turn in path.turns() {
            match (turn, &here.node.kind) {
                (Turn::Key(key), Kind::Map(_)) => {
                    let Some(entry) = here.node.entry(key) else { break };
                    (here, found) = (Walk { node: &entry.value, entry: Some(entry) }, found.key(key));
                }
                (Turn::Item(index), Kind::List(items)) => {
                    let Some(item) = items.get(*index) else { break };
                    (here, found) = (Walk { node: item, entry: None }, found.item(*index));
                }
                // A branch of one step may be written without its list.
                (Turn::Item(0), Kind::Map(_)) => {}
                _ => break,
            }
        }
        (found, here.mark(on_key).map(|m| self.on_its_line(m)))
    }

    /// A text of many lines is marked by its first.
    fn on_its_line(&self, mark: Mark) -> Mark {
        let len = self.slice(mark).find('\n').unwrap_or(mark.len);
        Mark { len, ..mark }
    }
}

/// Where we are on the way.
#[derive(Clone, Copy)]
struct Walk<'t> {
    node: &'t Node,
    entry: Option<&'t Entry>,
}

impl Walk<'_> {
    /// Lists and maps have no end of their own in the text, so their key stands for them, or their first key.
    fn mark(self, on_key: bool) -> Option<Mark> {
        match (&self.node.kind, self.entry) {
            (Kind::List(_) | Kind::Map(_) | Kind::Null, Some(entry)) => Some(entry.mark),
            (_, Some(entry)) if on_key => Some(entry.mark),
            (Kind::Map(entries), None) => entries.first().map(|e| e.mark).or(Some(self.node.mark)),
            (Kind::List(items), None) => {
                let first = items.first().and_then(|node| Walk { node, entry: None }.mark(false));
                first.or(Some(self.node.mark))
            }
            _ => Some(self.node.mark),
        }
        .filter(|m| m.line > 0)
    }

    /// One turn along a written path. Names may have dots, so the longest key that fits is taken.
    fn named(self, rest: &str) -> Option<(Self, &str)> {
        if let Some(inner) = rest.strip_prefix('[') {
            let (index, left) = inner.split_once(']')?;
            let item = self.node.items().get(index.parse::<usize>().ok()?)?;
            return Some((Self { node: item, entry: self.entry }, left));
        }
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        let ends = |key: &str| rest.strip_prefix(key).filter(|left| left.is_empty() || left.starts_with(['.', '[']));
        let fits = self.node.entries().iter().filter_map(|e| Some((e, ends(&e.key)?)));
        let (entry, left) = fits.max_by_key(|(e, _)| e.key.len())?;
        Some((Self { node: &entry.value, entry: Some(entry) }, left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tree;

    const TEXT: &str = "steps:\n  - swap: {router: r}\n  - wait: 5m\nenvironments:\n  a.b: {runs: x}\n";

    fn source() -> Source {
        Source::new("plan.yaml", TEXT.to_owned(), tree::read(TEXT).unwrap())
    }

    #[test]
    fn a_written_path_leads_to_its_place() {
        let shown = |path: &str| source().span(path).map(|m| source().slice(m).to_owned());
        assert_eq!(shown("steps[0].swap.router").as_deref(), Some("r"));
        assert_eq!(shown("steps[1].wait.for").as_deref(), Some("5m"), "a short form stands for its settings");
        assert_eq!(shown("environments.a.b.runs").as_deref(), Some("x"));
        assert_eq!(shown("environments").as_deref(), Some("environments"));
        assert_eq!(shown("nowhere"), None);
    }

    #[test]
    fn blanking_keeps_every_other_place() {
        let text = "key: \"sécret\"\nnext: 1\n";
        let source = Source::new("x", text.to_owned(), tree::read(text).unwrap());
        let secret = source.span("key").unwrap();
        let blanked = source.without(&[secret]);
        assert!(!blanked.text().contains("cret"), "{}", blanked.text());
        assert_eq!(blanked.text().len(), text.len());
        assert_eq!(blanked.slice(blanked.span("next").unwrap()), "1");
    }
}
