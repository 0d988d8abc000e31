//! A log that is kept in one place and written down in others as well, so that there is a way back when that place is down.
//!
//! The first place alone says what happened. A mirror gets what the first has acknowledged; it is never merged into it, and when
//! it fails this is said and nothing else.

use std::fmt;

use async_trait::async_trait;

use super::{Appended, Store, StoreError};
use crate::ids::ServiceName;
use crate::journal::actor::Actor;
use crate::journal::log::Log;
use crate::journal::record::{Record, blobs_of};

/// A log with mirrors.
#[derive(Debug)]
pub struct Mirrored {
    first: Box<dyn Store>,
    mirrors: Vec<Mirror>,
    service: ServiceName,
    /// Every payload that the first place is known to hold, oldest first.
    known: Vec<Vec<u8>>,
    warn: Warn,
}

#[derive(Debug)]
struct Mirror {
    store: Box<dyn Store>,
    /// How many records it holds; not known before it is first written.
    holds: Option<usize>,
    /// Whether nothing is written there any more.
    off: bool,
}

/// Whom to tell that a mirror is not written.
pub struct Warn(pub Box<dyn Fn(&str) + Send + Sync>);

impl fmt::Debug for Warn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Warn")
    }
}

impl Mirrored {
    /// The log of `service` in `first`, mirrored. The first mirror is on this host: what it holds need not be fetched again.
    pub fn new(first: Box<dyn Store>, mirrors: Vec<Box<dyn Store>>, service: &ServiceName, warn: Warn) -> Self {
        let mirrors = mirrors.into_iter().map(|store| Mirror { store, holds: None, off: false }).collect();
        Self { first, mirrors, service: service.clone(), known: Vec::new(), warn }
    }

    /// What the mirror of this host holds, for as long as the first place holds the same.
    async fn remembered(&mut self) -> Vec<Vec<u8>> {
        let Some(mirror) = self.mirrors.first_mut() else { return Vec::new() };
        match mirror.store.load().await {
            Ok((_, records)) => {
                mirror.holds = Some(records.len());
                records.into_iter().map(|(_, payload)| payload).collect()
            }
            Err(error) => {
                mirror.off = true;
                (self.warn.0)(&format!("the mirror of the journal is not used: {error}"));
                Vec::new()
            }
        }
    }

    /// Adds what the first place holds behind `after`.
    fn learn(&mut self, after: u64, payloads: &[Vec<u8>]) {
        if usize::try_from(after).is_ok_and(|after| after == self.known.len()) {
            self.known.extend_from_slice(payloads);
        }
    }

    /// Brings the first `most` mirrors up to what is known.
    async fn reflect(&mut self, most: usize) {
        for mirror in self.mirrors.iter_mut().take(most).filter(|mirror| !mirror.off) {
            if let Err(why) = mirror.follow(&self.known, self.first.as_ref()).await {
                mirror.off = true;
                (self.warn.0)(&format!("the journal is not mirrored to {} any more: {why}", mirror.store.place()));
            }
        }
    }
}

impl Mirror {
    async fn follow(&mut self, known: &[Vec<u8>], first: &dyn Store) -> Result<(), String> {
        const APART: &str = "it holds other records than the journal";
        let holds = match self.holds {
            Some(holds) => holds,
            None => {
                let found = self.store.newer(0).await.map_err(|e| e.to_string())?;
                if found.iter().zip(known).any(|(found, known)| found != known) {
                    return Err(APART.to_owned());
                }
                found.len()
            }
        };
        self.holds = Some(holds);
        for (after, payload) in (0u64..).zip(known).skip(holds) {
            for name in blobs_of(payload) {
                let bytes = first.fetch(&name).map_err(|e| e.to_string())?;
                self.store.keep(&name, &bytes).await.map_err(|e| e.to_string())?;
            }
            // Another process of this host may have been there first, with the same.
            match self.store.append(after, payload).await.map_err(|e| e.to_string())? {
                Appended::Behind(others) if others.first() != Some(payload) => return Err(APART.to_owned()),
                Appended::Yes | Appended::Behind(_) => {}
            }
            self.holds = self.holds.map(|holds| holds + 1);
        }
        Ok(())
    }
}

#[async_trait]
impl Store for Mirrored {
    async fn load(&mut self) -> Result<(Log, Vec<(Record, Vec<u8>)>), StoreError> {
        let mut payloads = self.remembered().await;
        let head = payloads.len() as u64;
        // The newest that is remembered is asked for again: it must be there, and the same.
        let newer = self.first.newer(head.saturating_sub(1)).await?;
        match (payloads.last(), newer.first()) {
            (None, _) => payloads = newer,
            (Some(ours), Some(theirs)) if ours == theirs => payloads.extend(newer.into_iter().skip(1)),
            (Some(_), found) => {
                let (place, mirror) = (self.first.place(), self.mirrors.first().map(|m| m.store.place()));
                let missing = found.is_none();
                return Err(StoreError::Apart { place, mirror: mirror.unwrap_or_default(), seq: head, missing });
            }
        }
        let read = {
            let fetch = |digest: &str| self.fetch(digest).map_err(|e| e.to_string());
            Log::read(&self.service, payloads.clone(), fetch)
        };
        let (mut log, records) = read.map_err(|bad| StoreError::Bad { place: self.place(), bad })?;
        self.known = payloads;
        // Who only looks writes on this host alone.
        self.reflect(1).await;
        log.elsewhere = self.first.elsewhere(&log).await?;
        Ok((log, records))
    }

    async fn append(&mut self, after: u64, payload: &[u8]) -> Result<Appended, StoreError> {
        let appended = self.first.append(after, payload).await?;
        match &appended {
            Appended::Yes => self.learn(after, &[payload.to_vec()]),
            Appended::Behind(others) => self.learn(after, others),
        }
        self.reflect(usize::MAX).await;
        Ok(appended)
    }

    async fn newer(&mut self, after: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let others = self.first.newer(after).await?;
        self.learn(after, &others);
        Ok(others)
    }

    async fn keep(&mut self, digest: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.first.keep(digest, bytes).await
    }

    fn fetch(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        let near = self.mirrors.first().and_then(|mirror| mirror.store.fetch(digest).ok());
        near.map_or_else(|| self.first.fetch(digest), Ok)
    }

    fn place(&self) -> String {
        self.first.place()
    }

    fn has_reserve(&mut self) -> Result<bool, StoreError> {
        self.first.has_reserve()
    }

    fn release_reserve(&mut self) -> bool {
        self.first.release_reserve()
    }

    fn hold(&mut self, epoch: u64, actor: &Actor) {
        self.first.hold(epoch, actor);
    }

    async fn elsewhere(&mut self, log: &Log) -> Result<super::super::actor::Alive, StoreError> {
        self.first.elsewhere(log).await
    }
}
