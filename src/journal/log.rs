//! A service's log: all its records, as the runs that they make up.

use std::sync::Arc;

use super::actor::{Actor, Alive};
use super::fact::Fact;
use super::record::{self, Record};
use super::state::RunState;
use crate::ids::{RunId, ServiceName};

/// All that is known of a service.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Oldest first. Shared, because every move looks at its run: a state that nobody looks at is folded in place.
    pub runs: Vec<Arc<RunState>>,
    /// Place and hash of the newest record; what the next one builds on.
    pub head: Head,
    service: Option<ServiceName>,
    /// The run that the newest holder has in hand.
    pub touched: Option<RunId>,
    /// Who wrote the newest record of the newest epoch.
    pub holder: Option<Actor>,
    /// Whether the holder still works, as far as the place of the log tells; its own host knows better.
    pub elsewhere: Alive,
}

/// The newest record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// Its place; 0 for an empty log.
    pub seq: u64,
    /// Hash of its payload.
    pub hash: String,
    /// Newest epoch.
    pub epoch: u64,
}

/// A log that cannot be what its writers left behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLog {
    /// The hash chain is broken.
    #[error("record {seq} does not follow from the one before it: the log was altered")]
    BrokenChain {
        /// Where.
        seq: u64,
    },
    /// A record of another service stands in it.
    #[error("record {seq} belongs to `{service}`: the log was put together from others")]
    Foreign {
        /// Where.
        seq: u64,
        /// Whose it is.
        service: ServiceName,
    },
    /// A payload is no record.
    #[error("record {seq} cannot be read: {why}")]
    Unreadable {
        /// Where.
        seq: u64,
        /// Why.
        why: String,
    },
}

impl Log {
    /// An empty log that takes only records of `service`.
    pub fn of(service: &ServiceName) -> Self {
        Self { service: Some(service.clone()), ..Self::default() }
    }

    /// The log of `service` from its payloads, oldest first, and the records themselves; `fetch` finds large values.
    ///
    /// # Errors
    /// [`BadLog`] at the first that does not follow from those before.
    pub fn read(
        service: &ServiceName,
        payloads: impl IntoIterator<Item = Vec<u8>>,
        fetch: impl Fn(&str) -> Result<Vec<u8>, String>,
    ) -> Result<(Self, Vec<(Record, Vec<u8>)>), BadLog> {
        let (mut log, mut records) = (Self::of(service), Vec::new());
        for payload in payloads {
            let seq = log.head.seq + 1;
            let record = record::read(&payload, &fetch).map_err(|why| BadLog::Unreadable { seq, why })?;
            log.push(&payload, &record)?;
            records.push((record, payload));
        }
        Ok((log, records))
    }

    /// Adds a payload: checks its place and its hash, and folds it.
    ///
    /// # Errors
    /// [`BadLog`] when it does not follow from what is there.
    pub fn push(&mut self, payload: &[u8], record: &Record) -> Result<(), BadLog> {
        let seq = self.head.seq + 1;
        if record.seq != seq || record.prev != self.head.hash || record.epoch < self.head.epoch {
            return Err(BadLog::BrokenChain { seq });
        }
        if self.service.as_ref().is_some_and(|own| *own != record.service) {
            return Err(BadLog::Foreign { seq, service: record.service.clone() });
        }
        // Nothing is taken in before all of it is known to be right: a refused record is not there.
        match self.runs.iter_mut().rev().find(|run| run.run == record.run) {
            Some(run) => Arc::make_mut(run).fold(record.at, &record.fact),
            None => self.runs.push(Arc::new(RunState::begin(record).map_err(|why| BadLog::Unreadable { seq, why })?)),
        }
        self.head = Head { seq, hash: record::digest(payload), epoch: record.epoch };
        if !matches!(record.fact, Fact::Asked { .. }) {
            self.holder = Some(record.actor.clone());
            self.touched = Some(record.run.clone());
            self.service = Some(record.service.clone());
        }
        Ok(())
    }

    /// Whether the newest holder is still at work on an open run.
    pub fn alive(&self) -> Alive {
        match (self.newest_open(), self.holder.as_ref().map(Actor::alive)) {
            (Some(_), Some(Alive::CannotTell)) => self.elsewhere,
            (Some(_), Some(known)) => known,
            (None, _) | (_, None) => Alive::No,
        }
    }

    /// The newest run.
    pub fn newest(&self) -> Option<&RunState> {
        self.runs.last().map(Arc::as_ref)
    }

    /// Whose log it is; none for an empty one that was not made for a service.
    pub fn service(&self) -> Option<&ServiceName> {
        self.service.as_ref()
    }

    /// The run that some process may be working on: opened and neither finished nor interrupted.
    pub fn newest_open(&self) -> Option<&RunState> {
        let open = |run: &&RunState| run.outcome.is_none() && run.interrupted.is_none();
        let touched = self.touched.as_ref().and_then(|id| self.runs.iter().find(|run| run.run == *id));
        touched.map(Arc::as_ref).filter(open)
    }

    /// The newest run that changed something which is still changed.
    pub fn newest_with_effects(&self) -> Option<&RunState> {
        self.runs.iter().rev().find(|run| run.has_effects()).map(Arc::as_ref)
    }
}
