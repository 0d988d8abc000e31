//! The account of what was sent and what came back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::LoadReport;

/// The account, shared by everything that sends.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<(LoadReport, Option<Instant>)>);

impl Tally {
    pub(super) fn sent(&self) {
        self.lock().0.sent += 1;
    }

    pub(super) fn answered(&self, model: String) {
        let now = Instant::now();
        let mut guard = self.lock();
        let (report, last) = &mut *guard;
        if let Some(last) = last.replace(now) {
            let gap_ms = u64::try_from(now.duration_since(last).as_millis()).unwrap_or(u64::MAX);
            report.gap_ms_max = report.gap_ms_max.max(gap_ms);
        }
        report.answered += 1;
        *report.by_model.entry(model).or_default() += 1;
    }

    pub(super) fn lost(&self, why: String) {
        let report = &mut self.lock().0;
        report.lost += 1;
        *report.why_lost.entry(why).or_default() += 1;
    }

    pub(super) fn begun(&self) {
        self.lock().0.streams_begun += 1;
    }

    pub(super) fn finished(&self, model: String) {
        let report = &mut self.lock().0;
        report.streams_finished += 1;
        *report.streams_by_model.entry(model).or_default() += 1;
    }

    pub(super) fn cut(&self, why: String) {
        let report = &mut self.lock().0;
        report.streams_cut += 1;
        *report.why_lost.entry(why).or_default() += 1;
    }

    /// The account so far; an outage that has not ended counts as a gap until now.
    pub(super) fn report(&self) -> LoadReport {
        let guard = self.lock();
        let mut report = guard.0.clone();
        if let Some(last) = guard.1.filter(|_| report.sent > report.answered) {
            report.gap_ms_max = report.gap_ms_max.max(u64::try_from(last.elapsed().as_millis()).unwrap_or(u64::MAX));
        }
        report
    }

    fn lock(&self) -> MutexGuard<'_, (LoadReport, Option<Instant>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
