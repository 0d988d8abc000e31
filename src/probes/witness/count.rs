//! What the witness counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ask::Who;

/// Different reasons are told apart up to here; a report is for people.
const REASONS_MAX: usize = 20;
/// Where further ones are counted.
const OTHER: &str = "other";

/// What a client at the front door saw. `sent` = `answered` + `lost` + what is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessReport {
    /// When it began.
    pub since: Option<Timestamp>,
    /// When this was counted.
    pub until: Option<Timestamp>,
    /// Short requests begun.
    pub sent: u64,
    /// ... that got a whole, right answer.
    pub answered: u64,
    /// ... that did not. Nothing is retried.
    pub lost: u64,
    /// Long streams begun.
    pub streams_begun: u64,
    /// ... that came to their end.
    pub streams_ended: u64,
    /// ... that did not begin to be answered, or broke off.
    pub streams_cut: u64,
    /// The longest time without an answer to a short request, in milliseconds.
    pub longest_gap_ms: u64,
    /// Answers by the `model` that they name; `?` for none.
    pub by_model: BTreeMap<String, u64>,
    /// Answers by their `system_fingerprint`, which tells apart two environments that serve one name.
    pub by_fingerprint: BTreeMap<String, u64>,
    /// Why requests and streams were lost, and how often.
    pub reasons: BTreeMap<String, u64>,
    /// When the first was lost.
    pub first_lost_at: Option<Timestamp>,
    /// When the last was lost.
    pub last_lost_at: Option<Timestamp>,
}

impl WitnessReport {
    /// Whether anything was lost or cut.
    pub fn lost_anything(&self) -> bool {
        self.lost + self.streams_cut > 0
    }

    /// The share of the answers that name `model`, in thousandths; none without answers.
    pub fn share(&self, model: &str) -> Option<u64> {
        let answers = self.by_model.get(model).copied().unwrap_or(0);
        (answers * 1000).checked_div(self.answered)
    }
}

#[derive(Debug)]
pub(super) struct Counts(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    report: WitnessReport,
    last_answer: Timestamp,
}

impl Counts {
    pub(super) fn new(now: Timestamp) -> Self {
        let report = WitnessReport { since: Some(now), ..WitnessReport::default() };
        Self(Mutex::new(Inner { report, last_answer: now }))
    }

    pub(super) fn report(&self, now: Timestamp) -> WitnessReport {
        let mut inner = self.lock();
        // The gap that is still open counts too.
        inner.gap_until(now);
        WitnessReport { until: Some(now), ..inner.report.clone() }
    }

    pub(super) fn sent(&self) {
        self.lock().report.sent += 1;
    }

    pub(super) fn answered(&self, now: Timestamp, who: Who) {
        let mut inner = self.lock();
        inner.gap_until(now);
        inner.last_answer = inner.last_answer.max(now);
        let report = &mut inner.report;
        report.answered += 1;
        *report.by_model.entry(who.model.unwrap_or_else(|| "?".to_owned())).or_insert(0) += 1;
        if let Some(fingerprint) = who.fingerprint {
            *report.by_fingerprint.entry(fingerprint).or_insert(0) += 1;
        }
    }

    pub(super) fn lost(&self, now: Timestamp, why: &str) {
        let mut inner = self.lock();
        inner.report.lost += 1;
        inner.reason(now, why);
    }

    pub(super) fn stream_begun(&self) {
        self.lock().report.streams_begun += 1;
    }

    pub(super) fn stream_ended(&self) {
        self.lock().report.streams_ended += 1;
    }

    pub(super) fn stream_cut(&self, now: Timestamp, why: &str) {
        let mut inner = self.lock();
        inner.report.streams_cut += 1;
        inner.reason(now, &format!("stream: {why}"));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn gap_until(&mut self, now: Timestamp) {
        let gap = now.duration_since(self.last_answer).as_millis();
        self.report.longest_gap_ms = self.report.longest_gap_ms.max(u64::try_from(gap).unwrap_or(0));
    }

    fn reason(&mut self, now: Timestamp, why: &str) {
        let reasons = &mut self.report.reasons;
        let full = reasons.len() >= REASONS_MAX && !reasons.contains_key(why);
        *reasons.entry(if full { OTHER } else { why }.to_owned()).or_insert(0) += 1;
        self.report.first_lost_at = self.report.first_lost_at.or(Some(now));
        self.report.last_lost_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_millis(ms)
    }

    #[test]
    fn the_longest_gap_is_between_answers_the_open_one_included() {
        let counts = Counts::new(at(0));
        counts.answered(at(300), Who::default());
        counts.answered(at(400), Who::default());
        counts.answered(at(350), Who::default()); // overtaken
        assert_eq!(counts.report(at(500)).longest_gap_ms, 300);
        counts.lost(at(800), "reset");
        let report = counts.report(at(1000));
        assert_eq!((report.longest_gap_ms, report.by_model["?"], report.share("?")), (600, 3, Some(1000)));
    }

    #[test]
    fn reasons_do_not_grow_without_end() {
        let counts = Counts::new(at(0));
        for n in 0..100 {
            counts.lost(at(n), &format!("reason {n}"));
        }
        let report = counts.report(at(100));
        assert_eq!((report.reasons.len(), report.reasons[OTHER], report.lost), (21, 80, 100));
        assert_eq!((report.first_lost_at, report.last_lost_at), (Some(at(0)), Some(at(99))));
    }
}
