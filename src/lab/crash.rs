//! `kill -9` at a chosen record: proof that the journal is true at every moment of a run.
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

/// Names the crash point: `after:7`, `before:7`, `torn:7`.
pub const VARIABLE: &str = "MODELSWAP_LAB_CRASH";

/// At which record, and on which side of it, the process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashPoint {
    /// On which side.
    pub moment: Moment,
    /// Place of the record in its log, counted from 1.
    pub seq: u64,
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
        let bad = || format!("`{text}` is no crash point: write it as after:7, before:7 or torn:7");
        let (moment, seq) = text.split_once(':').ok_or_else(bad)?;
        let moment = match moment {
            "before" => Moment::Before,
            "torn" => Moment::Torn,
            "after" => Moment::After,
            _ => return Err(bad()),
        };
        Ok(Self { moment, seq: seq.parse().map_err(|_| bad())? })
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
        if after + 1 != self.point.seq {
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
        assert_eq!("torn:12".parse(), Ok(CrashPoint { moment: Moment::Torn, seq: 12 }));
        for bad in ["", "torn", "torn:", "torn:x", "later:1", "after:-1"] {
            assert!(bad.parse::<CrashPoint>().is_err(), "{bad:?}");
        }
    }
}
