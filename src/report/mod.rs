//! How it is told. A reporter's trouble never changes what happens.

pub mod bars;
pub mod jsonl;
pub mod lines;
pub mod words;

use jiff::Timestamp;

use crate::ids::StepId;
use crate::journal::record::Record;
use crate::journal::state::RunState;

/// Somebody who is told, once it is durable.
pub trait Reporter: Send {
    /// A fact was made durable; `state` is the run after it.
    fn record(&mut self, record: &Record, state: &RunState);

    /// A step is still at it. Not durable, and may be said often.
    fn progress(&mut self, step: &StepId, note: &str, at: Timestamp);
}

/// Two reporters, told one after the other.
pub struct Both(pub Box<dyn Reporter>, pub Box<dyn Reporter>);

impl Reporter for Both {
    fn record(&mut self, record: &Record, state: &RunState) {
        self.0.record(record, state);
        self.1.record(record, state);
    }

    fn progress(&mut self, step: &StepId, note: &str, at: Timestamp) {
        self.0.progress(step, note, at);
        self.1.progress(step, note, at);
    }
}

/// A line for people, on stderr. A closed pipe never ends a deploy.
pub fn tell(line: &str) {
    use std::io::Write;
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// A line of a result that people and pipes read, on stdout.
pub fn show(line: &str) {
    use std::io::Write;
    drop(writeln!(std::io::stdout(), "{line}"));
}
