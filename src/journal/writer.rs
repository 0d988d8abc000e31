//! The pen: appends the facts of one run to its service's log, as one holder.

use std::sync::Arc;

use jiff::Timestamp;

use super::actor::{Actor, Alive};
use super::fact::{Fact, Purpose};
use super::log::Log;
use super::record::{self, Record};
use super::state::RunState;
use super::store::{Appended, Store, StoreError};
use crate::ids::{RunId, ServiceName, random_u64};

/// One holder's hand on one run.
#[derive(Debug)]
pub struct Journal {
    store: Box<dyn Store>,
    log: Log,
    service: ServiceName,
    run: RunId,
    epoch: u64,
    actor: Actor,
    /// Whether older holders may still write until our `Opened` is durable: the run is being taken from them.
    takes_over: bool,
    /// Who displaced us, once somebody has. Nothing of ours is written after that.
    displaced: Option<(String, u64)>,
    /// What was folded and nobody was told of yet: ours, and what others wrote meanwhile.
    news: Vec<Record>,
}

/// Why a fact could not be written. Nothing may be changed in the world after any of these.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store cannot take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process has taken the run over.
    #[error("{by} took over this run (epoch {epoch})")]
    Displaced {
        /// Who.
        by: String,
        /// Its epoch.
        epoch: u64,
    },
    /// A live process holds the service.
    #[error("{by} (pid {pid}) has been working on this service since {since}")]
    Held {
        /// Who.
        by: String,
        /// Its process.
        pid: u32,
        /// Since when.
        since: Timestamp,
    },
}

/// Whether to take a service from a holder that is not known to be gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takeover {
    /// No.
    Never,
    /// Yes, and why.
    Because(String),
}

impl Journal {
    /// Begins a run: writes `RunStarted` and `Opened`, so that from here on it is ours.
    pub async fn begin(
        store: Box<dyn Store>,
        log: Log,
        service: ServiceName,
        run: RunId,
        actor: Actor,
        facts: (Fact, Purpose),
        at: Timestamp,
    ) -> Result<Self, JournalError> {
        free(&log)?;
        let epoch = log.head.epoch + 1;
        let mut journal =
            Self { store, log, service, run, epoch, actor, takes_over: false, displaced: None, news: Vec::new() };
        journal.append(facts.0, at).await?;
        journal.append(Fact::Opened { purpose: facts.1, reason: None }, at).await?;
        journal.store.hold(epoch, &journal.actor);
        Ok(journal)
    }

    /// Takes an existing run in hand.
    pub async fn open(
        store: Box<dyn Store>,
        log: Log,
        service: ServiceName,
        run: RunId,
        actor: Actor,
        purpose: (Purpose, Takeover),
        at: Timestamp,
    ) -> Result<Self, JournalError> {
        let reason = match purpose.1 {
            Takeover::Never => free(&log).map(|()| None)?,
            Takeover::Because(why) => Some(why),
        };
        let (epoch, takes_over) = (log.head.epoch + 1, reason.is_some());
        let mut journal =
            Self { store, log, service, run, epoch, actor, takes_over, displaced: None, news: Vec::new() };
        journal.append(Fact::Opened { purpose: purpose.0, reason }, at).await?;
        journal.store.hold(epoch, &journal.actor);
        Ok(journal)
    }

    /// Makes a fact durable, then folds it. What others asked meanwhile is folded first.
    ///
    /// # Errors
    /// [`JournalError::Displaced`] when a newer holder has written; a store error when it is not known to be durable.
    pub async fn append(&mut self, fact: Fact, at: Timestamp) -> Result<Record, JournalError> {
        if let Some((by, epoch)) = self.displaced.clone() {
            return Err(JournalError::Displaced { by, epoch });
        }
        if goes_further(&fact) && !self.store.has_reserve()? {
            let why = "no room is left for the end and the way back; nothing further is begun".to_owned();
            return Err(StoreError::Io { doing: "cannot write", place: self.store.place(), full: true, why }.into());
        }
        loop {
            let record = Record {
                v: record::VERSION,
                seq: self.log.head.seq + 1,
                prev: self.log.head.hash.clone(),
                service: self.service.clone(),
                run: self.run.clone(),
                epoch: self.epoch,
                id: format!("{:016x}", random_u64()),
                actor: self.actor.clone(),
                at,
                fact: fact.clone(),
            };
            let (payload, large) = record::payload(&record);
            // The reserve is for what must be written, not for what is about to be begun.
            let appended = match self.put(&payload, &large).await {
                Err(StoreError::Io { full: true, .. }) if !goes_further(&fact) && self.store.release_reserve() => {
                    self.put(&payload, &large).await?
                }
                other => other?,
            };
            match appended {
                Appended::Yes => {
                    self.push(&payload, &record)?;
                    return Ok(record);
                }
                Appended::Behind(others) => self.catch_up(&others)?,
            }
        }
    }

    async fn put(&mut self, payload: &[u8], large: &[(String, Vec<u8>)]) -> Result<Appended, StoreError> {
        for (digest, bytes) in large {
            self.store.keep(digest, bytes).await?;
        }
        self.store.append(self.log.head.seq, payload).await
    }

    /// Whether others have written since; folds what they asked.
    pub async fn refresh(&mut self) -> Result<(), JournalError> {
        let others = self.store.newer(self.log.head.seq).await?;
        self.catch_up(&others)
    }

    /// The records of this run since the last call, ours and others', in their order.
    pub fn news(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.news)
    }

    /// The run in hand.
    pub fn state(&self) -> &RunState {
        self.shared()
    }

    /// The run in hand, for whoever looks at it while the journal is not in hand.
    pub fn shared(&self) -> &Arc<RunState> {
        self.log.runs.iter().find(|run| run.run == self.run).expect("BUG: a journal is opened on a run of its log")
    }

    /// Which epoch is ours.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    fn catch_up(&mut self, others: &[Vec<u8>]) -> Result<(), JournalError> {
        for payload in others {
            let seq = self.log.head.seq + 1;
            let record = record::read(payload, |digest| self.store.fetch(digest).map_err(|e| e.to_string()))
                .map_err(|why| self.bad(super::log::BadLog::Unreadable { seq, why }))?;
            self.push(payload, &record)?;
            // The same epoch in another's hand: both opened at once, and theirs was first. An older one's is only to be
            // expected from whom we are taking the run.
            let expected = matches!(record.fact, Fact::Asked { .. }) || (self.takes_over && record.epoch < self.epoch);
            if record.epoch > self.epoch || !expected {
                let (by, epoch) = (record.actor.to_string(), record.epoch);
                self.displaced = Some((by.clone(), epoch));
                return Err(JournalError::Displaced { by, epoch });
            }
        }
        Ok(())
    }

    fn push(&mut self, payload: &[u8], record: &Record) -> Result<(), JournalError> {
        self.log.push(payload, record).map_err(|bad| self.bad(bad))?;
        if record.run == self.run {
            self.news.push(record.clone());
        }
        Ok(())
    }

    fn bad(&self, bad: super::log::BadLog) -> JournalError {
        StoreError::Bad { place: self.store.place(), bad }.into()
    }
}

/// Whether a fact announces something new, rather than what came of it or the way back.
fn goes_further(fact: &Fact) -> bool {
    match fact {
        Fact::RunStarted(_) | Fact::Prepared { .. } | Fact::Attempt { undo: false, .. } => true,
        Fact::Opened { .. }
        | Fact::Attempt { undo: true, .. }
        | Fact::Applied { .. }
        | Fact::Verified { .. }
        | Fact::Failed { .. }
        | Fact::Unwinding { .. }
        | Fact::Undone { .. }
        | Fact::UndoFailed { .. }
        | Fact::Observed { .. }
        | Fact::Asked { .. }
        | Fact::Interrupted { .. }
        | Fact::Finished { .. } => false,
    }
}

/// Appends what somebody asks of a run that another process holds.
pub async fn ask(
    store: &mut dyn Store,
    log: &mut Log,
    service: &ServiceName,
    run: &RunId,
    actor: &Actor,
    fact: Fact,
    at: Timestamp,
) -> Result<(), JournalError> {
    loop {
        let record = Record {
            v: record::VERSION,
            seq: log.head.seq + 1,
            prev: log.head.hash.clone(),
            service: service.clone(),
            run: run.clone(),
            epoch: log.head.epoch,
            id: format!("{:016x}", random_u64()),
            actor: actor.clone(),
            at,
            fact: fact.clone(),
        };
        let (payload, _) = record::payload(&record);
        match store.append(log.head.seq, &payload).await? {
            Appended::Yes => return Ok(()),
            Appended::Behind(_) => *log = store.load().await?.0,
        }
    }
}

/// Whether nobody is at work on the service.
///
/// # Errors
/// [`JournalError::Held`] when somebody is, or may be, on another host.
pub fn free(log: &Log) -> Result<(), JournalError> {
    let Some((run, holder)) = log.newest_open().zip(log.holder.as_ref()) else { return Ok(()) };
    match log.alive() {
        Alive::No => Ok(()),
        Alive::Yes | Alive::CannotTell => {
            Err(JournalError::Held { by: holder.to_string(), pid: holder.pid, since: run.opened_at })
        }
    }
}
