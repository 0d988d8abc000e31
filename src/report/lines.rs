//! One line a fact, for logs and CI; a heartbeat while a step is at it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::words::{Line, Mark, line};
use super::{Around, Reporter};
use crate::ids::StepId;
use crate::journal::fact::Fact;
use crate::journal::record::Record;
use crate::journal::state::RunState;

/// CI systems kill jobs that say nothing for minutes; people like to know that it lives.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Lines on stderr.
#[derive(Debug)]
pub struct Lines {
    colour: bool,
    lab: bool,
    spoke: BTreeMap<StepId, (Instant, String)>,
}

impl Lines {
    /// `lab` marks every line as a rehearsal's.
    pub fn new(colour: bool, lab: bool) -> Self {
        Self { colour, lab, spoke: BTreeMap::new() }
    }

    fn say(&self, said: &Line) {
        let lab = if self.lab { "LAB " } else { "" };
        let colour = said.mark.colour(self.colour);
        let at = crate::units::clock_time(said.at);
        super::tell(&format!("{lab}{at} {}{}{} {}", colour.0, said.mark.sign(), colour.1, said.text));
    }
}

impl Reporter for Lines {
    fn begin(&mut self, around: &Around, state: &RunState) {
        self.say(&Line { at: state.last_at, mark: Mark::Plain, text: around.says(state) });
    }

    fn record(&mut self, record: &Record, state: &RunState) {
        // `begin` said how it began.
        if matches!(record.fact, Fact::RunStarted(_) | Fact::Opened { .. }) {
            return;
        }
        if let Some(said) = line(record, state) {
            self.say(&said);
        }
    }

    fn progress(&mut self, step: &StepId, note: &str, at: jiff::Timestamp) {
        let now = Instant::now();
        let due = self.spoke.get(step).is_none_or(|(last, _)| now.duration_since(*last) >= HEARTBEAT);
        if due {
            self.spoke.insert(step.clone(), (now, note.to_owned()));
            self.say(&Line { at, mark: Mark::Busy, text: format!("{step}  {note}") });
        }
    }
}
