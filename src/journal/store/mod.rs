//! Where a log is kept. Appending is compare-and-append at the head, so the log itself is the lock.

use async_trait::async_trait;

use super::actor::{Actor, Alive};
use super::log::{BadLog, Log};
use super::record::Record;

pub mod local;
pub mod mirrored;
pub mod object;

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

    /// From here on, until this is dropped, others can see that `actor` is at work.
    fn hold(&mut self, _epoch: u64, _actor: &Actor) {}

    /// Whether the newest holder of `log` still works, for those who cannot ask its host.
    async fn elsewhere(&mut self, _log: &Log) -> Result<Alive, StoreError> {
        Ok(Alive::CannotTell)
    }

    /// Where the journal went, if somebody moved it away from here.
    async fn moved_to(&mut self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    /// Leaves word where the journal went. From then on nothing is appended to it here.
    async fn leave_word(&mut self, to: &str) -> Result<(), StoreError> {
        Err(StoreError::Io { doing: "cannot leave word in", place: self.place(), why: to.to_owned(), full: false })
    }

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
    /// Somebody moved the journal; it is continued there, not here.
    #[error("{place} was moved to {to} and is not continued here")]
    Moved {
        /// Which log.
        place: String,
        /// Where it is now.
        to: String,
    },
    /// A mirror went its own way, or its journal lost what was acknowledged. They are never merged.
    #[error("{place} and its mirror {mirror} are not one journal: record {seq} of the mirror {}", if *missing { "is not in it" } else { "is another one there" })]
    Apart {
        /// Which log.
        place: String,
        /// Its mirror.
        mirror: String,
        /// The newest record of the mirror.
        seq: u64,
        /// Whether the log ends before it.
        missing: bool,
    },
    /// The place does not keep to what a journal relies on; nothing was written to the log.
    #[error("{place} cannot keep a journal: {why}; two runs could not be kept apart there")]
    Unfit {
        /// Which place.
        place: String,
        /// What it did.
        why: String,
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
