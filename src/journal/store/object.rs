//! A log in a bucket: one object a record, created only if it is absent, so the number of a record is won by one writer.
//!
//! `<prefix>/<service>/log/<20 digits>` and, for large values, `<prefix>/<service>/blobs/<digest>`.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;

use super::{Appended, Store, StoreError};
use crate::ids::ServiceName;
use crate::journal::actor::{Actor, Alive};
use crate::journal::log::{BadLog, Log};
use crate::journal::record::{Record, blobs_of, digest, is_digest};

pub use self::bucket::{Bucket, Created, Found};

mod bucket;
mod lease;
mod self_check;

pub use lease::RENEWED_EVERY;
pub use self_check::self_check;

/// Records that are fetched at a time: a bucket answers in tens of milliseconds, whatever it is asked meanwhile.
const AT_A_TIME: usize = 16;

/// A log in a bucket.
#[derive(Debug)]
pub struct ObjectLog {
    bucket: Bucket,
    service: ServiceName,
    /// Large values of the records that were read or written here, by digest.
    blobs: HashMap<String, Vec<u8>>,
    /// Whether the bucket is known to keep to conditions.
    checked: bool,
    renewed_every: Duration,
    lease: Option<lease::Held>,
}

impl ObjectLog {
    /// The log of `service` in `bucket`. Asks nothing.
    pub fn new(bucket: Bucket, service: &ServiceName) -> Self {
        Self {
            bucket,
            service: service.clone(),
            blobs: HashMap::new(),
            checked: false,
            renewed_every: RENEWED_EVERY,
            lease: None,
        }
    }

    /// The same, for a place whose clock does not go as ours does.
    #[must_use]
    pub fn renewed_every(self, renewed_every: Duration) -> Self {
        Self { renewed_every, ..self }
    }

    /// The services that have a log in `bucket`.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub async fn services(bucket: &Bucket) -> Result<Vec<ServiceName>, StoreError> {
        let names = bucket.folders().await?.into_iter().filter_map(|name| ServiceName::new(name).ok());
        let mut services = Vec::new();
        for service in names {
            if bucket.get(&Self::new(bucket.clone(), &service).key(1)).await?.is_some() {
                services.push(service);
            }
        }
        services.sort();
        Ok(services)
    }

    fn folder(&self, name: &str) -> Path {
        self.bucket.path(&format!("{}/{name}", self.service))
    }

    fn key(&self, seq: u64) -> Path {
        // 20 digits hold every number, so that the order of names is the order of records.
        self.folder("log").join(format!("{seq:020}"))
    }

    fn bad(&self, bad: BadLog) -> StoreError {
        StoreError::Bad { place: self.place(), bad }
    }

    /// The payloads after `after`, oldest first, each fetched with the large values that it names.
    async fn read(&mut self, after: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let (log, from) = (self.folder("log"), self.key(after));
        let names = self.bucket.list(&log, (after > 0).then_some(&from)).await?;
        for (at, seq) in names.iter().zip(after + 1..) {
            if at.filename() != Some(format!("{seq:020}").as_str()) {
                let why = format!("it is missing, and {} is there", at.filename().unwrap_or("something else"));
                return Err(self.bad(BadLog::Unreadable { seq, why }));
            }
        }
        let fetch = |path: Path| {
            let bucket = self.bucket.clone();
            async move { bucket.get(&path).await }
        };
        let found: Vec<_> =
            futures_util::stream::iter(names.into_iter().map(fetch)).buffered(AT_A_TIME).try_collect().await?;
        let gone = |seq| self.bad(BadLog::Unreadable { seq, why: "it was listed, and now it is not there".to_owned() });
        let payloads = (after + 1..).zip(found).map(|(seq, found)| Ok(found.ok_or_else(|| gone(seq))?.bytes));
        let payloads = payloads.collect::<Result<Vec<_>, StoreError>>()?;
        for payload in &payloads {
            for name in blobs_of(payload) {
                self.fetch_blob(&name).await?;
            }
        }
        Ok(payloads)
    }

    async fn fetch_blob(&mut self, name: &str) -> Result<(), StoreError> {
        if !is_digest(name) || self.blobs.contains_key(name) {
            return Ok(());
        }
        let path = self.folder("blobs").join(name);
        // What is missing or altered is said when it is read.
        if let Some(found) = self.bucket.get(&path).await?.filter(|found| digest(&found.bytes) == name) {
            self.blobs.insert(name.to_owned(), found.bytes);
        }
        Ok(())
    }

    async fn fit(&mut self) -> Result<(), StoreError> {
        if !self.checked {
            self_check(&self.bucket).await?;
            if let Some(to) = self.moved_to().await? {
                return Err(StoreError::Moved { place: self.place(), to });
            }
            self.checked = true;
        }
        Ok(())
    }
}

#[async_trait]
impl Store for ObjectLog {
    async fn load(&mut self) -> Result<(Log, Vec<(Record, Vec<u8>)>), StoreError> {
        let payloads = self.read(0).await?;
        let fetch = |digest: &str| self.fetch(digest).map_err(|e| e.to_string());
        let (mut log, records) = Log::read(&self.service, payloads, fetch).map_err(|bad| self.bad(bad))?;
        log.elsewhere = self.elsewhere(&log).await?;
        Ok((log, records))
    }

    async fn append(&mut self, after: u64, payload: &[u8]) -> Result<Appended, StoreError> {
        self.fit().await?;
        match self.bucket.create(&self.key(after + 1), payload).await? {
            Created::Yes => Ok(Appended::Yes),
            Created::Exists(_) => self.read(after).await.map(Appended::Behind),
        }
    }

    async fn newer(&mut self, after: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(after).await
    }

    async fn keep(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.fit().await?;
        let path = self.folder("blobs").join(name);
        match self.bucket.create(&path, bytes).await? {
            Created::Yes => {}
            // It is named for its content, so what is there and differs was altered.
            Created::Exists(_) => {
                let why = "its content does not match its name".to_owned();
                return Err(StoreError::Damaged { place: self.bucket.show(&path), offset: 0, why });
            }
        }
        self.blobs.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn fetch(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let missing = || StoreError::Damaged {
            place: self.bucket.show(&self.folder("blobs").join(name)),
            offset: 0,
            why: "it is not there, or its content does not match its name".to_owned(),
        };
        self.blobs.get(name).cloned().ok_or_else(missing)
    }

    async fn moved_to(&mut self) -> Result<Option<String>, StoreError> {
        let found = self.bucket.get(&self.folder("moved")).await?;
        Ok(found.map(|found| String::from_utf8_lossy(&found.bytes).into_owned()))
    }

    async fn leave_word(&mut self, to: &str) -> Result<(), StoreError> {
        self.bucket.create(&self.folder("moved"), to.as_bytes()).await.map(drop)
    }

    fn hold(&mut self, epoch: u64, actor: &Actor) {
        let (bucket, lease) = (self.bucket.clone(), self.folder("lease"));
        self.lease = Some(lease::Held::keep(bucket, lease, self.renewed_every, epoch, actor));
    }

    async fn elsewhere(&mut self, log: &Log) -> Result<Alive, StoreError> {
        let asked =
            log.newest_open().and(log.holder.as_ref()).is_some_and(|holder| holder.alive() == Alive::CannotTell);
        if !asked {
            return Ok(Alive::CannotTell);
        }
        let (lease, clock, head) = (self.folder("lease"), self.folder("clock"), self.key(log.head.seq));
        Ok(lease::alive(&self.bucket, &lease, &clock, &head, log.head.epoch).await)
    }

    fn place(&self) -> String {
        self.bucket.show(&self.folder("log"))
    }
}
