//! Bars on a terminal: finished steps above, what is under way below, moving.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::Reporter;
use super::words::{Mark, line};
use crate::ids::StepId;
use crate::journal::fact::Fact;
use crate::journal::record::Record;
use crate::journal::state::RunState;

/// Bars on stderr.
#[derive(Debug)]
pub struct Bars {
    all: MultiProgress,
    steps: BTreeMap<StepId, ProgressBar>,
    colour: bool,
}

impl Bars {
    /// Nothing is drawn before the first fact.
    pub fn new(colour: bool) -> Self {
        Self { all: MultiProgress::new(), steps: BTreeMap::new(), colour }
    }

    fn bar(&mut self, step: &StepId) -> &ProgressBar {
        let (all, colour) = (&self.all, self.colour);
        self.steps.entry(step.clone()).or_insert_with(|| {
            let template = if colour {
                "{spinner:.cyan} {prefix:<24} {elapsed:>5}  {wide_msg}"
            } else {
                "{spinner} {prefix:<24} {elapsed:>5}  {wide_msg}"
            };
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = all.add(ProgressBar::new_spinner().with_style(style).with_prefix(step.to_string()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        })
    }

    fn done(&mut self, step: &StepId) {
        if let Some(bar) = self.steps.remove(step) {
            bar.finish_and_clear();
        }
    }
}

impl Reporter for Bars {
    fn record(&mut self, record: &Record, state: &RunState) {
        match &record.fact {
            Fact::Prepared { step, prepared } => {
                let shows = prepared.shows.clone();
                self.bar(step).set_message(shows);
                return;
            }
            Fact::Verified { step, .. }
            | Fact::Failed { step, .. }
            | Fact::Undone { step, .. }
            | Fact::UndoFailed { step, .. } => {
                self.done(&step.clone());
            }
            Fact::Finished { .. } | Fact::Interrupted { .. } => {
                for (_, bar) in std::mem::take(&mut self.steps) {
                    bar.finish_and_clear();
                }
            }
            Fact::RunStarted(_)
            | Fact::Opened { .. }
            | Fact::Attempt { .. }
            | Fact::Applied { .. }
            | Fact::Unwinding { .. }
            | Fact::Observed { .. }
            | Fact::Asked { .. } => {}
        }
        let Some(said) = line(record, state) else { return };
        let (on, off) = match (self.colour, said.mark) {
            (true, Mark::Good) => ("\u{1b}[32m", "\u{1b}[0m"),
            (true, Mark::Bad) => ("\u{1b}[31m", "\u{1b}[0m"),
            (true, Mark::Busy | Mark::Plain) | (false, _) => ("", ""),
        };
        drop(self.all.println(format!("{on}{}{off} {}", said.mark.sign(), said.text)));
    }

    fn progress(&mut self, step: &StepId, note: &str, _at: jiff::Timestamp) {
        let note = note.to_owned();
        self.bar(step).set_message(note);
    }
}
