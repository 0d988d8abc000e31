//! One error: what was attempted, on what, what is true now, what to type next; and the exit code that says it to a program.

use serde_json::json;

use super::args::{Color, Common, Output};
use crate::report::tell;

/// What an exit code means. Where several hold: 5, then 9, 4, 74, 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The requested state was reached and verified, or already was.
    Done,
    /// A bug; nothing is claimed.
    Bug,
    /// Usage or plan invalid; nothing was done.
    Usage,
    /// Failed, then rolled back completely and verified.
    RolledBack,
    /// Failed, interrupted, held or awaiting approval, with effects in place.
    Held,
    /// Rollback incomplete; a person is needed.
    RollbackIncomplete,
    /// Drift, stale preview or unexplained world; nothing was done.
    Drift,
    /// Held by a live run elsewhere.
    Busy,
    /// Not permitted: approval, policy, ownership, or a question with nobody to ask.
    NotPermitted,
    /// An outcome could not be established.
    Unknown,
    /// There are changes, or drift, and a detailed exit code was asked for.
    Changes,
    /// `check` or `verify` on its own: did not hold.
    DidNotHold,
    /// The journal cannot be written; stopped before the next effect.
    Journal,
}

impl Exit {
    /// As the shell sees it.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Bug => 1,
            Self::Usage => 2,
            Self::RolledBack => 3,
            Self::Held => 4,
            Self::RollbackIncomplete => 5,
            Self::Drift => 6,
            Self::Busy => 7,
            Self::NotPermitted => 8,
            Self::Unknown => 9,
            Self::Changes => 10,
            Self::DidNotHold => 11,
            Self::Journal => 74,
        }
    }
}

/// Why a verb did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// One sentence fragment: what was attempted, on what, why not.
    pub message: String,
    /// What is true now, a line each.
    pub details: Vec<String>,
    /// What to type.
    pub hint: Option<String>,
    /// Findings of a plan: rendered for people, and for a program.
    pub findings: Vec<(String, serde_json::Value)>,
}

impl Failure {
    /// A failure with nothing but a message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), details: Vec::new(), hint: None, findings: Vec::new() }
    }

    /// One more line about what is true now.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// What to type next.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(super) fn print(&self, common: &Common) {
        if common.output == Output::Json {
            let findings: Vec<_> = self.findings.iter().map(|(_, finding)| finding).collect();
            let object = json!({
                "type": "error", "exit": self.exit.code(), "message": self.message,
                "details": self.details, "hint": self.hint, "findings": findings,
            });
            crate::report::jsonl::say(&object);
        }
        for (text, _) in &self.findings {
            tell(text);
        }
        let (red, plain) = if colour(common) { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
        tell(&format!("{red}error:{plain} {}", self.message));
        for line in &self.details {
            tell(&format!("  {line}"));
        }
        if let Some(hint) = &self.hint {
            tell(&format!("hint: {hint}"));
        }
    }
}

/// Whether stderr is coloured.
pub(super) fn colour(common: &Common) -> bool {
    use std::io::IsTerminal;
    match common.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    }
}
