//! What one resolver's answers amount to over time. Pure: answers and times come in, a judgement comes out.

use jiff::{SignedDuration, Timestamp};

use super::resolvers::Chosen;
use super::watch::Pace;
use super::{Class, ServerLine};

/// How far a resolver may be off its own word: measured up to 1.2 s, and an answer takes a moment.
const SLACK: SignedDuration = SignedDuration::from_secs(2);
/// What a resolver that broke its word is granted at least.
const GRACE_S: u32 = 60;
/// A resolver that will answer the old records for long is looked at from time to time, which also makes it refresh.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// What caches that keep their promise may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Honest {
    /// From here on no name server gives the old records.
    pub(super) since: Timestamp,
    /// The last moment at which one of them may have the old records.
    pub(super) until: Timestamp,
}

/// One answer to all types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) at: Timestamp,
    pub(super) said: Said,
    /// In one line, for people.
    pub(super) shows: String,
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    New { ttl_s: Option<u32> },
    Old { ttl_s: u32 },
    Mixed { ttl_s: u32 },
    Other,
    Failed,
}

/// A resolver and what it is known for.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) chosen: Chosen,
    /// When it should be asked again; none: it was never asked.
    pub(super) due: Option<Timestamp>,
    pub(super) line: ServerLine,
    /// The longest TTL of the old records that it showed.
    pub(super) longest_ttl_s: Option<u32>,
    /// Until when it may answer the old records by its own word.
    foretold: Option<Timestamp>,
    /// Its word was given when no name server had the old records any more, by the one cache that is there.
    bound: bool,
    /// More time, given after it broke its word.
    granted: Option<Timestamp>,
    last_clean: Option<Timestamp>,
    /// It has answered the new records before.
    was_new: bool,
}

impl Resolver {
    pub(super) fn new(chosen: Chosen) -> Self {
        let line = ServerLine {
            server: chosen.label.clone(),
            answered: "not asked yet".to_owned(),
            ttl_s: None,
            class: Class::Error,
            clean_rounds: 0,
            flip_backs: 0,
            violations: 0,
            old_until: None,
        };
        Self {
            chosen,
            due: None,
            line,
            longest_ttl_s: None,
            foretold: None,
            bound: false,
            granted: None,
            last_clean: None,
            was_new: false,
        }
    }

    /// How many questions it gets: the first TTL may be understated, so two at first; many for many caches, most for the last round.
    pub(super) fn questions(&self, pace: &Pace, swapped: bool) -> u32 {
        let first = self.due.is_none();
        let last = self.line.clean_rounds + 1 >= pace.clean_rounds;
        match (self.chosen.is_anycast(), first, last && swapped) {
            (true, _, true) => pace.anycast_last,
            (true, _, false) => pace.anycast_first,
            (false, true, _) => 2,
            (false, false, _) => 1,
        }
    }

    /// It is not asked, and why.
    pub(super) fn leave_out(&mut self, why: &str) {
        self.line.class = Class::Unusable;
        why.clone_into(&mut self.line.answered);
    }

    /// The swap was made at `at`: it is asked again at once, and nothing that it answered before counts.
    pub(super) fn restart(&mut self, at: Timestamp) {
        self.due = self.due.map(|_| at);
        self.line.clean_rounds = 0;
        self.last_clean = None;
        self.was_new = false;
        // What ran out before the swap was fetched anew since.
        self.foretold = self.foretold.filter(|foretold| *foretold >= at);
    }

    /// Takes what one round brought.
    pub(super) fn take(&mut self, samples: &[Sample], honest: Option<Honest>, pace: &Pace) {
        let Some(last) = samples.last() else { return };
        let at = last.at;
        let first_time = self.due.is_none();
        let (mut any_old, mut any_new, mut any_other, mut any_failed, mut past) = (false, false, false, false, false);
        let mut telling = last;
        for sample in samples {
            match sample.said {
                Said::New { .. } => any_new = true,
                Said::Other => any_other = true,
                Said::Failed => any_failed = true,
                Said::Old { ttl_s } | Said::Mixed { ttl_s } => {
                    any_old = true;
                    any_new |= matches!(sample.said, Said::Mixed { .. });
                    past |= self.old(sample.at, ttl_s, first_time, honest);
                    telling = sample;
                }
            }
            let bad = matches!(sample.said, Said::Other | Said::Failed);
            if bad && !any_old {
                telling = sample;
            }
        }
        self.line.class = match (any_old, any_new) {
            (true, _) if past => Class::OldPast,
            (true, true) => Class::Mixed,
            (true, false) if self.was_new => Class::Mixed,
            (true, false) => Class::Old,
            (false, _) if any_other => Class::Other,
            (false, _) if any_failed => Class::Error,
            (false, _) => Class::New,
        };
        self.line.answered.clone_from(&telling.shows);
        self.line.ttl_s = match telling.said {
            Said::New { ttl_s } => ttl_s,
            Said::Old { ttl_s } | Said::Mixed { ttl_s } => Some(ttl_s),
            Said::Other | Said::Failed => None,
        };
        self.count(at, any_old, pace);
        self.was_new |= any_new;
        self.line.old_until =
            if self.line.class == Class::New { None } else { self.foretold.max(self.granted).filter(|t| *t > at) };
        self.due = Some(self.next(at, pace));
    }

    /// An old answer; whether it came too late.
    fn old(&mut self, at: Timestamp, ttl_s: u32, first_time: bool, honest: Option<Honest>) -> bool {
        let until = at + SignedDuration::from_secs(i64::from(ttl_s));
        self.longest_ttl_s = self.longest_ttl_s.max(Some(ttl_s));
        let Some(foretold) = self.foretold else {
            self.foretold = Some(until);
            self.bound = self.binds(at, honest);
            return false;
        };
        // As long as a name server has the old records, every cache may honestly fetch them anew.
        if at > foretold + SLACK && honest.is_some_and(|h| self.bound || at > h.until + SLACK) {
            self.line.violations += 1;
            let granted = at + SignedDuration::from_secs(i64::from(ttl_s.max(GRACE_S)));
            self.granted = self.granted.max(Some(granted));
            return true;
        }
        let word = match honest {
            // Some understate the TTL in their very first answer: the second one counts.
            _ if first_time => until,
            _ if self.bound => foretold,
            Some(honest) => until.min(honest.until),
            None => until,
        };
        self.foretold = Some(foretold.max(word));
        self.bound |= self.binds(at, honest);
        false
    }

    fn binds(&self, at: Timestamp, honest: Option<Honest>) -> bool {
        !self.chosen.is_anycast() && honest.is_some_and(|h| at >= h.since)
    }

    fn count(&mut self, at: Timestamp, any_old: bool, pace: &Pace) {
        match self.line.class {
            Class::New => {
                let gap = SignedDuration::from_millis(i64::try_from(pace.clean_gap.as_millis()).unwrap_or(i64::MAX));
                if self.last_clean.is_none_or(|last| at.duration_since(last) >= gap) {
                    self.line.clean_rounds += 1;
                    self.last_clean = Some(at);
                }
            }
            Class::Error | Class::Unusable => {} // says nothing, so it neither counts nor breaks the row
            Class::Old | Class::OldPast | Class::Mixed | Class::Other => {
                if any_old && self.was_new {
                    self.line.flip_backs += 1;
                }
                self.line.clean_rounds = 0;
                self.last_clean = None;
            }
        }
    }

    fn next(&self, at: Timestamp, pace: &Pace) -> Timestamp {
        let every = at + SignedDuration::try_from(pace.every).unwrap_or(SignedDuration::from_secs(5));
        match (self.line.class, self.foretold) {
            (Class::Old, Some(foretold)) => {
                let expired = foretold + SignedDuration::from_secs(1);
                expired.clamp(at + SignedDuration::from_secs(1), at + LOOK_AGAIN)
            }
            _ => every,
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        self.line.class != Class::Unusable
    }

    pub(super) fn is_done(&self, pace: &Pace) -> bool {
        self.line.class == Class::New && self.line.clean_rounds >= pace.clean_rounds
    }
}

#[cfg(test)]
mod tests;
