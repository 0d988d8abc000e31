//! Which DNS servers answer the old records, which the new, and until when the old ones may still be given.
//!
//! What resolvers answer is evidence, never proof: the sum in [`tail`] says when an old answer *may* be gone everywhere,
//! and a bad answer only ever makes a run wait longer. No answer here leads to an undo.
//!
//! Every question goes out from a fresh socket and no answer is kept: whoever sits behind one address is met by chance.

mod authoritative;
mod canary;
pub mod discover;
mod query;
mod records;
mod recursive;
pub mod resolvers;
pub mod tail;
#[cfg(test)]
pub(crate) mod testing;
mod watch;

use std::fmt;
use std::net::SocketAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[cfg(any(fuzzing, test))]
pub(super) use query::fitting;
pub use query::{Dns, Patience};
pub use records::Values;
pub use watch::{Order, Pace, Watch};

/// What one server's answers amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Only the new records.
    New,
    /// The old records, within the time that its own TTL foretold.
    Old,
    /// The old records, longer than its own TTL foretold.
    OldPast,
    /// Old and new in one round: several caches behind one address, or an answer went back from new to old.
    Mixed,
    /// Something that is neither.
    Other,
    /// No answer, or an error; never counts as new.
    Error,
    /// Not asked, because its answers would not be its own.
    Unusable,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::New => "new",
            Self::Old => "old",
            Self::OldPast => "old past its TTL",
            Self::Mixed => "mixed",
            Self::Other => "other",
            Self::Error => "error",
            Self::Unusable => "unusable",
        })
    }
}

/// One server in a report for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerLine {
    /// Its name, where it has one, and its address.
    pub server: String,
    /// What it answered, or why it did not.
    pub answered: String,
    /// The TTL that it showed, in seconds.
    pub ttl_s: Option<u32>,
    /// What that amounts to.
    pub class: Class,
    /// Rounds in a row in which it answered only the new records.
    pub clean_rounds: u32,
    /// How often it went back from new to old.
    pub flip_backs: u32,
    /// How often it answered the old records past its own TTL.
    pub violations: u32,
    /// Until when it foretells that it may answer the old records.
    pub old_until: Option<Timestamp>,
}

/// What a round of questions amounts to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "seen", rename_all = "snake_case")]
pub enum Seen {
    /// Every server that can be asked answers the new records, often enough in a row.
    AllNew {
        /// In one line, for people.
        evidence: String,
    },
    /// Not yet.
    NotYet {
        /// Who is missing.
        why: String,
    },
    /// Nobody can be asked: only the time bound is left.
    CannotTell {
        /// Why not.
        why: String,
    },
}

/// One round of questions and what is known after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// When it began.
    pub at: Timestamp,
    /// What it amounts to.
    pub seen: Seen,
    /// Every address of every authoritative name server.
    pub authoritative: Vec<ServerLine>,
    /// Every resolver.
    pub resolvers: Vec<ServerLine>,
    /// When all authoritative servers were first seen with the new records: the end of the lag after the swap.
    pub authoritative_since: Option<Timestamp>,
    /// The last moment until which some resolver foretells old answers, or is granted more time after breaking its word.
    pub old_until: Option<Timestamp>,
    /// The longest TTL of the old records that any server showed, in seconds, and who.
    pub longest_ttl: Option<(u32, String)>,
    /// How it is known that the network answers DNS itself; then public resolvers are not asked.
    pub intercepted: Option<String>,
    /// What could not be found out, for people.
    pub notes: Vec<String>,
    /// When the next round is due.
    pub next_due: Timestamp,
}

/// A name server and where it is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NameServer {
    /// Its host name; empty when only its address is known.
    pub name: String,
    /// Where it is asked.
    pub address: SocketAddr,
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.address.port()) {
            ("", 53) => write!(f, "{}", self.address.ip()),
            ("", _) => write!(f, "{}", self.address),
            (name, 53) => write!(f, "{name} {}", self.address.ip()),
            (name, _) => write!(f, "{name} {}", self.address),
        }
    }
}
