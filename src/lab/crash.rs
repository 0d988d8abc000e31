//! `kill -9` at a chosen record: proof that the journal is true at every moment of a run. What dies while a call is in the air is
//! ordered at the cloud instead ([`FaultKind::KillBefore`](super::faults::FaultKind::KillBefore)).
//!
//! The process ends as by a power cut of its own, with nothing cleaned up: right before a record is written, in the middle
//! of writing it, or as soon as it is durable. Only the loopback world has this.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::str::FromStr;

use async_trait::async_trait;
use rustix::process::{Signal, getpid, kill_process};

use crate::journal::actor::{Actor, Alive};
use crate::journal::log::Log;
use crate::journal::record::{Record, frame};
use crate::journal::store::{Appended, Store, StoreError};

/// Names the crash point: `after:7`, `before:attempt`, `torn:applied@05-swap`.
pub const VARIABLE: &str = "MODELSWAP_LAB_CRASH";

/// At which record, and on which side of it, the process is killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrashPoint {
    /// On which side.
    pub moment: Moment,
    /// Of which record.
    pub record: Which,
}

/// A record that this process writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The one at this place in its log, counted from 1.
    Place(u64),
    /// The first of this kind, and of this step where one is named: the same record whatever else a run had to write.
    First {
        /// As the journal spells it: `attempt`.
        fact: String,
        /// Of any step, or of a fact that has none.
        step: Option<String>,
    },
}

impl Which {
    fn is(&self, seq: u64, payload: &[u8]) -> bool {
        match self {
            Self::Place(place) => *place == seq,
            Self::First { fact, step } => serde_json::from_slice::<serde_json::Value>(payload).is_ok_and(|record| {
                let written = &record["fact"];
                written["fact"] == fact.as_str() && step.as_ref().is_none_or(|step| written["step"] == step.as_str())
            }),
        }
    }
}

/// On which side of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing of it is written.
    Before,
    /// Half of it is written.
    Torn,
    /// It is durable, and nothing was done with that yet.
    After,
}

impl FromStr for CrashPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no crash point: write it as after:7, before:attempt or torn:applied@05-swap");
        let (moment, record) = text.split_once(':').ok_or_else(bad)?;
        let moment = match moment {
            "before" => Moment::Before,
            "torn" => Moment::Torn,
            "after" => Moment::After,
            _ => return Err(bad()),
        };
        let (fact, step) = record.split_once('@').map_or((record, None), |(fact, step)| (fact, Some(step)));
        let named = |word: &str| !word.is_empty() && !word.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        let record = match record.parse() {
            Ok(place) => Which::Place(place),
            Err(_) if named(fact) && step != Some("") => {
                Which::First { fact: fact.to_owned(), step: step.map(str::to_owned) }
            }
            Err(_) => return Err(bad()),
        };
        Ok(Self { moment, record })
    }
}

/// A store whose writer does not survive one of its records.
#[derive(Debug)]
pub struct CrashingStore {
    inner: Box<dyn Store>,
    point: CrashPoint,
}

impl CrashingStore {
    /// `inner`, which keeps its log in a file, until `point`.
    pub fn new(inner: Box<dyn Store>, point: CrashPoint) -> Self {
        Self { inner, point }
    }

    /// Half a frame where a whole one was meant to be, as a power cut leaves it.
    fn tear(&self, payload: &[u8]) {
        let place = self.inner.place();
        let whole = frame(payload);
        let half = whole.get(..whole.len() / 2).unwrap_or_default();
        let torn = || -> std::io::Result<()> {
            let directory = Path::new(&place).parent().unwrap_or(Path::new("."));
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&place)?;
            file.write_all(half)?;
            file.sync_all()
        };
        // Whoever ordered the crash looks at the journal; what could not be torn shows there.
        torn().ok();
    }
}

#[async_trait]
impl Store for CrashingStore {
    async fn load(&mut self) -> Result<(Log, Vec<(Record, Vec<u8>)>), StoreError> {
        self.inner.load().await
    }

    async fn append(&mut self, after: u64, payload: &[u8]) -> Result<Appended, StoreError> {
        if !self.point.record.is(after + 1, payload) {
            return self.inner.append(after, payload).await;
        }
        match self.point.moment {
            Moment::Before => die(),
            Moment::Torn => {
                self.tear(payload);
                die()
            }
            Moment::After => match self.inner.append(after, payload).await? {
                Appended::Yes => die(),
                // The record at this place is somebody else's.
                behind @ Appended::Behind(_) => Ok(behind),
            },
        }
    }

    async fn newer(&mut self, after: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.inner.newer(after).await
    }

    async fn keep(&mut self, digest: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.keep(digest, bytes).await
    }

    fn fetch(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        self.inner.fetch(digest)
    }

    fn place(&self) -> String {
        self.inner.place()
    }

    fn hold(&mut self, epoch: u64, actor: &Actor) {
        self.inner.hold(epoch, actor);
    }

    async fn elsewhere(&mut self, log: &Log) -> Result<Alive, StoreError> {
        self.inner.elsewhere(log).await
    }

    fn has_reserve(&mut self) -> Result<bool, StoreError> {
        self.inner.has_reserve()
    }

    fn release_reserve(&mut self) -> bool {
        self.inner.release_reserve()
    }
}

/// Ends this process as the kernel's out-of-memory killer would: nothing of it runs any further.
fn die() -> ! {
    loop {
        // It cannot fail for one's own process, and does not return.
        kill_process(getpid(), Signal::KILL).ok();
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_point_is_written_as_it_is_named() {
        assert_eq!("torn:12".parse(), Ok(CrashPoint { moment: Moment::Torn, record: Which::Place(12) }));
        let first =
            |fact: &str, step: Option<&str>| Which::First { fact: fact.to_owned(), step: step.map(str::to_owned) };
        for (text, moment, record) in [
            ("before:opened", Moment::Before, first("opened", None)),
            ("after:attempt@05-swap", Moment::After, first("attempt", Some("05-swap"))),
        ] {
            assert_eq!(text.parse(), Ok(CrashPoint { moment, record }));
        }
        for bad in ["", "torn", "torn:", "torn:@a", "torn:applied@", "later:1", "after:-1", "after:1x"] {
            assert!(bad.parse::<CrashPoint>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_record_is_told_by_its_place_or_by_what_it_says() {
        let payload = br#"{"fact":{"fact":"attempt","n":1,"step":"05-swap","undo":false}}"#;
        let which = |text: &str| text.parse::<CrashPoint>().unwrap().record;
        for yes in ["torn:7", "torn:attempt", "torn:attempt@05-swap"] {
            assert!(which(yes).is(7, payload), "{yes}");
        }
        for no in ["torn:8", "torn:applied", "torn:attempt@07-swap", "torn:applied@05-swap"] {
            assert!(!which(no).is(7, payload), "{no}");
        }
    }
}
