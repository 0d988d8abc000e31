//! How it is told. A reporter's trouble never changes what happens.

pub mod bars;
pub mod jsonl;
pub mod lines;
pub mod table;
pub mod words;

use jiff::Timestamp;

use crate::ids::StepId;
use crate::journal::record::Record;
use crate::journal::state::RunState;

/// Somebody who is told, once it is durable.
pub trait Reporter: Send {
    /// This process begins to work on a run, of which `state` is known already.
    fn begin(&mut self, around: &Around, state: &RunState);

    /// A fact was made durable; `state` is the run after it.
    fn record(&mut self, record: &Record, state: &RunState);

    /// A step is still at it. Not durable, and may be said often.
    fn progress(&mut self, step: &StepId, note: &str, at: Timestamp);
}

/// What is around a run: who works on it, and what to type.
#[derive(Debug, Clone)]
pub struct Around {
    /// `dana@laptop`.
    pub by: String,
    /// Where the journal is.
    pub place: String,
    /// The command that brings traffic back, complete.
    pub back: String,
    /// Whether this is the loopback world.
    pub lab: bool,
}

impl Around {
    /// What begins, in one line.
    pub fn says(&self, state: &RunState) -> String {
        let resolved = &state.started.resolved;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
        let (service, from, to) =
            (text(&resolved["plan"]["service"]), text(&resolved["live"]), text(&resolved["next"]));
        let what = match (&state.unwinding, state.goal) {
            (Some(_), _) => "rollback of",
            (None, crate::journal::state::Goal::Finalized) => "finalize",
            (None, crate::journal::state::Goal::Deployed) => "deploy",
        };
        let plan = &state.started.plan_name;
        format!("{what} {plan}   run {}   {service} {from} -> {to}   {}   state {}", state.run, self.by, self.place)
    }
}

/// Two reporters, told one after the other.
pub struct Both(pub Box<dyn Reporter>, pub Box<dyn Reporter>);

impl Reporter for Both {
    fn begin(&mut self, around: &Around, state: &RunState) {
        self.0.begin(around, state);
        self.1.begin(around, state);
    }

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
