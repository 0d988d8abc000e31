//! Writes XML answers.

use std::fmt::Display;

/// A document in the making.
#[derive(Debug, Default)]
pub(super) struct Xml(String);

impl Xml {
    /// A whole document with one root element.
    pub(super) fn document(root: &str, namespace: &str, content: impl FnOnce(&mut Self)) -> String {
        let mut xml = Self(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{namespace}\">"));
        content(&mut xml);
        xml.close(root);
        xml.0
    }

    /// What was written elsewhere.
    pub(super) fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// `<name>text</name>`, escaped.
    pub(super) fn leaf(&mut self, name: &str, text: impl Display) -> &mut Self {
        let text = text.to_string();
        self.open(name);
        self.0.push_str(&quick_xml::escape::escape(text.as_str()));
        self.close(name);
        self
    }

    /// As [`Xml::leaf`], for what may be missing.
    pub(super) fn some(&mut self, name: &str, text: Option<impl Display>) -> &mut Self {
        if let Some(text) = text {
            self.leaf(name, text);
        }
        self
    }

    /// `<name>…</name>`.
    pub(super) fn node(&mut self, name: &str, content: impl FnOnce(&mut Self)) -> &mut Self {
        self.open(name);
        content(self);
        self.close(name);
        self
    }

    /// `<name><member>…</member>…</name>`, as the Query services write lists.
    pub(super) fn members<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.node(name, |xml| {
            for item in items {
                xml.node("member", |xml| each(xml, item));
            }
        })
    }

    fn open(&mut self, name: &str) {
        self.0.extend(["<", name, ">"]);
    }

    fn close(&mut self, name: &str) {
        self.0.extend(["</", name, ">"]);
    }
}
