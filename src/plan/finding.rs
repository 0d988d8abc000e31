//! What is wrong with a plan, or worth knowing before it runs: said with its place in the text and what to do about it.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::path::Path;
use super::source::Source;
use super::tree::Mark;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The plan cannot be used.
    Error,
    /// The plan can be used; something about it is known to hurt.
    Warning,
}

/// One thing found in a plan.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Stable, to look up, or to list under `acknowledge`: `unknown-router`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is the matter, in a fragment.
    pub message: String,
    /// Which value of the plan: `steps[3].swap.router`; empty for the whole.
    pub path: String,
    /// Where it stands.
    pub mark: Option<Mark>,
    /// Another place that has to do with it, and how.
    pub also: Option<(Mark, String)>,
    /// What to do about it.
    pub help: Option<String>,
    /// The text, under its name.
    source: Arc<NamedSource<String>>,
}

/// What a check says, before it is known where that stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Note {
    pub(crate) code: &'static str,
    pub(crate) severity: Severity,
    pub(crate) path: Path,
    pub(crate) on_key: bool,
    pub(crate) message: String,
    pub(crate) also: Option<(Path, String)>,
    pub(crate) help: Option<String>,
}

impl Note {
    pub(crate) fn error(code: &'static str, path: Path, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, path, on_key: false, message: message.into(), also: None, help: None }
    }

    pub(crate) fn warning(code: &'static str, path: Path, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, path, message) }
    }

    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Marks the key instead of its value.
    pub(crate) fn on_key(self) -> Self {
        Self { on_key: true, ..self }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Another place that has to do with it.
    pub(crate) fn also(self, path: Path, label: impl Into<String>) -> Self {
        Self { also: Some((path, label.into())), ..self }
    }
}

impl Finding {
    pub(crate) fn of(note: Note, source: &Source) -> Self {
        let (path, mark) = source.locate(&note.path, note.on_key);
        Self {
            code: note.code,
            severity: note.severity,
            message: harmless(&note.message),
            path: path.to_string(),
            mark,
            also: note.also.and_then(|(path, label)| Some((source.locate(&path, false).1?, harmless(&label)))),
            help: note.help.as_deref().map(harmless),
            source: source.named(),
        }
    }

    /// About a text that is no tree.
    pub(crate) fn of_text(
        code: &'static str,
        (name, text): (&str, &str),
        mark: Option<Mark>,
        message: &str,
        help: Option<&str>,
    ) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: harmless(message),
            path: String::new(),
            mark,
            also: None,
            help: help.map(harmless),
            source: Arc::new(NamedSource::new(name, text.to_owned())),
        }
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        self.source.name()
    }

    /// Whether the plan cannot be used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// As people see it: the message, the source marked, the hint. Ends with a newline.
    pub fn rendered(&self, colour: bool, width: usize) -> String {
        let theme = if colour { miette::GraphicalTheme::unicode() } else { miette::GraphicalTheme::unicode_nocolor() };
        let handler = miette::GraphicalReportHandler::new_themed(theme).with_width(width).with_links(false);
        let mut text = String::new();
        match (handler.render_report(&mut text, self), self.mark) {
            (Ok(()), Some(Mark { line, column, .. })) if self.source_code().is_none() => {
                format!("{text}  at {}:{line}:{column}\n", self.file())
            }
            (Ok(()), _) => text,
            (Err(fmt::Error), _) => format!("{self}\n"),
        }
    }

    /// Whether the line that is marked, and those beside it, can be shown to anybody: a bomb of brackets fills the screen.
    fn is_showable(&self, mark: Mark) -> bool {
        let around = self.source.inner().lines().skip(mark.line.saturating_sub(2)).take(3);
        around.into_iter().all(|line| line.len() <= LINE_SHOWN_MAX)
    }
}

/// People write lines of a hundred characters; ARNs make some longer.
const LINE_SHOWN_MAX: usize = 1_000;

/// A plan can hold any character by an escape; a terminal must not be steered by one.
fn harmless(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let unsafe_here = c.is_control() && c != '\n' || super::text::turns_text_round(c);
            let escaped = unsafe_here.then(|| c.escape_default());
            let plain = (!unsafe_here).then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// The message alone.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Finding {}

impl Diagnostic for Finding {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.mark.filter(|mark| self.is_showable(*mark)).map(|_| &*self.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let main = self.mark.map(|m| LabeledSpan::new_primary_with_span(None, (m.offset, m.len)))?;
        let also =
            self.also.iter().map(|(m, label)| LabeledSpan::new_with_span(Some(label.clone()), (m.offset, m.len)));
        Some(Box::new(std::iter::once(main).chain(also)))
    }
}

/// For machines: file, line, column, code, severity, path, message, hint.
impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Finding", 8)?;
        out.serialize_field("file", self.file())?;
        out.serialize_field("line", &self.mark.map(|m| m.line))?;
        out.serialize_field("column", &self.mark.map(|m| m.column))?;
        out.serialize_field("code", self.code)?;
        out.serialize_field("severity", &self.severity)?;
        out.serialize_field("path", &self.path)?;
        out.serialize_field("message", &self.message)?;
        out.serialize_field("hint", &self.help)?;
        out.end()
    }
}
