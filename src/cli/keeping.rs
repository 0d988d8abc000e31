//! The journals of a desk: which there are, and how each is opened and mirrored.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::desk::Desk;
use super::place::Place;
use super::{Exit, Failure};
use crate::ids::ServiceName;
use crate::journal::log::Log;
use crate::journal::record::Record;
use crate::journal::store::local::Local;
use crate::journal::store::mirrored::{Mirrored, Warn};
use crate::journal::store::object::{Bucket, ObjectLog, RENEWED_EVERY};
use crate::journal::store::{Store, StoreError};
use crate::lab::crash::{self, CrashPoint, CrashingStore};
use crate::providers::buckets::{self, BucketUrl, Reach};

/// How long a request to a bucket may take: it answers in tens of milliseconds, and a run sends some hundred.
const REQUEST: Duration = Duration::from_secs(10);

/// The same in the loopback world, which is near.
const REQUEST_LAB: Duration = Duration::from_secs(2);

impl Desk {
    /// The log of a service and the place that keeps it.
    pub(super) async fn log(&self, service: &ServiceName) -> Result<(Box<dyn Store>, Log), Failure> {
        let mut store = self.store(service).await.map_err(|e| self.cannot_keep(&e))?;
        let (log, _) = store.load().await.map_err(|e| self.cannot_keep(&e))?;
        Ok((self.with_crash(store)?, log))
    }

    /// The same with every record and its payload, for those who only look.
    pub(super) async fn records(&self, service: &ServiceName) -> Result<(Log, Vec<(Record, Vec<u8>)>), StoreError> {
        self.store(service).await?.load().await
    }

    /// Every record as the place itself has it, and no mirror asked.
    pub(super) async fn records_there(
        &self,
        service: &ServiceName,
    ) -> Result<(Log, Vec<(Record, Vec<u8>)>), StoreError> {
        self.at(&self.place, service).await?.load().await
    }

    /// What keeps the log of a service here, with its mirrors.
    async fn store(&self, service: &ServiceName) -> Result<Box<dyn Store>, StoreError> {
        let first = self.at(&self.place, service).await?;
        let mut mirrors: Vec<Box<dyn Store>> = Vec::new();
        if matches!(self.place, Place::Bucket(_)) {
            mirrors.push(Box::new(Local::new(&self.mirror_of(&self.place), service)));
        }
        if let Some(mirror) = &self.mirror {
            mirrors.push(self.at(mirror, service).await?);
        }
        if mirrors.is_empty() {
            return Ok(first);
        }
        let warn = Warn(Box::new(|line| crate::report::tell(&format!("warning: {line}"))));
        Ok(Box::new(Mirrored::new(first, mirrors, service, warn)))
    }

    /// The log of a service in one place.
    pub(super) async fn at(&self, place: &Place, service: &ServiceName) -> Result<Box<dyn Store>, StoreError> {
        match place {
            Place::Directory(directory) => Ok(Box::new(Local::new(directory, service))),
            Place::Bucket(url) => {
                let scale = self.world.as_ref().map_or(1.0, |world| world.scale);
                let every = RENEWED_EVERY.div_f64(scale).max(Duration::from_millis(50));
                Ok(Box::new(ObjectLog::new(self.bucket(url).await?, service).renewed_every(every)))
            }
        }
    }

    /// A place in a bucket, opened.
    pub(super) async fn bucket(&self, url: &BucketUrl) -> Result<Bucket, StoreError> {
        let reach = match &self.world {
            Some(world) => Reach { endpoint: Some(world.cloud.clone()), lab: true, request: REQUEST_LAB },
            None => Reach { endpoint: std::env::var("AWS_ENDPOINT_URL_S3").ok(), lab: false, request: REQUEST },
        };
        let cannot = |e: crate::providers::ProviderError| StoreError::Io {
            doing: "cannot open",
            place: url.to_string(),
            why: e.to_string(),
            full: false,
        };
        let (store, prefix) = buckets::open(url, &reach).await.map_err(cannot)?;
        Ok(Bucket::new(store, prefix, url.to_string()))
    }

    /// Where this host keeps its own copy of what is kept elsewhere.
    pub(super) fn mirror_of(&self, place: &Place) -> PathBuf {
        self.local.join("mirror").join(place.slug())
    }

    /// The services that have a journal here.
    pub(super) async fn known(&self) -> Result<Vec<ServiceName>, Failure> {
        self.known_at(&self.place).await.map_err(|e| self.cannot_keep(&e))
    }

    /// The services that have a journal in a place.
    pub(super) async fn known_at(&self, place: &Place) -> Result<Vec<ServiceName>, StoreError> {
        match place {
            Place::Directory(directory) => {
                // A directory that may not be read is not an empty one.
                Local::is_readable(directory)?;
                Ok(Local::services(directory))
            }
            Place::Bucket(url) => ObjectLog::services(&self.bucket(url).await?).await,
        }
    }

    /// In the loopback world a crash can be ordered. Nowhere else: there the variable is not even read.
    fn with_crash(&self, store: Box<dyn Store>) -> Result<Box<dyn Store>, Failure> {
        let ordered = self.world.as_ref().and_then(|_| std::env::var(crash::VARIABLE).ok());
        let Some(ordered) = ordered else { return Ok(store) };
        let point: CrashPoint = ordered.parse().map_err(|why: String| Failure::new(Exit::Usage, why))?;
        Ok(Box::new(CrashingStore::new(store, point)))
    }

    /// The service that is meant: the one that is named, or the only one there is.
    pub(super) async fn service(&self, named: Option<&str>) -> Result<ServiceName, Failure> {
        self.meant(named, &self.known().await?)
    }

    /// The service that is named, or all there are; none at all is a mistake in `--state`.
    pub(super) async fn services(&self, named: Option<&str>) -> Result<Vec<ServiceName>, Failure> {
        let known = self.known().await?;
        if named.is_none() && known.len() > 1 { Ok(known) } else { Ok(vec![self.meant(named, &known)?]) }
    }

    fn meant(&self, named: Option<&str>, known: &[ServiceName]) -> Result<ServiceName, Failure> {
        let list = || known.iter().map(ServiceName::to_string).collect::<Vec<_>>().join(", ");
        let at = &self.place;
        if let Some(named) = named {
            let wanted = ServiceName::new(named).map_err(|e| Failure::new(Exit::Usage, e.to_string()))?;
            return if known.contains(&wanted) {
                Ok(wanted)
            } else {
                let failure = Failure::new(Exit::Usage, format!("there is no journal of `{wanted}` in {at}"));
                Err(failure
                    .detail(if known.is_empty() {
                        "it holds none at all".to_owned()
                    } else {
                        format!("it holds: {}", list())
                    })
                    .hint("name the right state directory with --state DIR or MODELSWAP_STATE"))
            };
        }
        match known {
            [one] => Ok(one.clone()),
            [] => Err(Failure::new(Exit::Usage, format!("there is no journal in {at}"))
                .hint("name the state directory with --state DIR or MODELSWAP_STATE")),
            _ => Err(Failure::new(Exit::Usage, format!("{at} holds the journals of several services: {}", list()))
                .hint("name the service that is meant")),
        }
    }

    /// Where a service's files on this host are kept: process records and logs stay here, wherever the journal is.
    pub(super) fn directory(&self, service: &ServiceName) -> PathBuf {
        self.local.join(service.as_str())
    }
}

/// Where a host keeps what is its own: in the directory of its journals, or beside where they would be.
pub(super) fn local_of(place: &Place, beside_world: Option<&Path>, otherwise: &str) -> PathBuf {
    match (place, beside_world) {
        (Place::Directory(directory), _) => directory.clone(),
        (Place::Bucket(_), Some(beside)) => beside.to_owned(),
        (Place::Bucket(_), None) => PathBuf::from(otherwise),
    }
}
