//! Where a log is kept. Appending is compare-and-append at the head, so the log itself is the lock.

use async_trait::async_trait;

use super::log::{BadLog, Log};
use super::record::Record;

pub mod local;

/// A place that keeps one service's log.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Every record, checked and folded; and the records themselves with their payloads, oldest first.
    async fn load(&mut self) -> Result<(Log, Vec<(Record, Vec<u8>)>), StoreError>;

    /// Makes `payload` durable as the record after `seq`, or says what others have appended meanwhile.
    async fn append(&mut self, after: u64, payload: &[u8]) -> Result<Appended, StoreError>;

    /// What others have appended after `after`, oldest first.
    async fn newer(&mut self, after: u64) -> Result<Vec<Vec<u8>>, StoreError>;

    /// Keeps a large value under its digest, durable when this returns.
    async fn keep(&mut self, digest: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// A large value that was kept.
    fn fetch(&self, digest: &str) -> Result<Vec<u8>, StoreError>;

    /// Where it is, for people and for `--state`.
    fn place(&self) -> String;

    /// Whether something is held back for hard times, so that what is begun now can be brought to an end later.
    fn has_reserve(&mut self) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// Drops what is held back for hard times (a reserve on a full disk); whether there was anything.
    fn release_reserve(&mut self) -> bool {
        false
    }
}

/// What became of an append.
#[derive(Debug)]
pub enum Appended {
    /// It is durable.
    Yes,
    /// Others were there first: their records, oldest first. Nothing of ours was written.
    Behind(Vec<Vec<u8>>),
}

/// Why a log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system or the service said no.
    #[error("{doing} {place}: {why}")]
    Io {
        /// `cannot write`.
        doing: &'static str,
        /// What.
        place: String,
        /// The system's word.
        why: String,
        /// Whether there was no room left.
        full: bool,
    },
    /// The log was altered or damaged; nothing may be changed on its word.
    #[error("{place} is damaged at byte {offset}: {why}")]
    Damaged {
        /// Which log.
        place: String,
        /// Where.
        offset: usize,
        /// What is wrong.
        why: String,
    },
    /// The records do not follow from each other.
    #[error("{place}: {bad}")]
    Bad {
        /// Which log.
        place: String,
        /// What is wrong.
        bad: BadLog,
    },
    /// Nothing is written any more after an error that leaves open what is on the disk.
    #[error("{place} is not written any more: an earlier write failed ({why})")]
    Dead {
        /// Which log.
        place: String,
        /// The first error.
        why: String,
    },
}
