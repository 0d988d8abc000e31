//! Who changes which record, rule, group and environment: services share listeners and zones, and a load balancer has no
//! compare-and-swap, so two runs must not be at one of them at a time.
//!
//! A claim lies beside the journals. It is created when there is none, and replaced when it is free, of the same service, or of a
//! run that has ended; each time on the condition that it is still the one that was read. It is given back by being marked free.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::digest;
use super::store::StoreError;
use super::store::local::Local;
use super::store::object::{Bucket, Found};
use crate::ids::{RunId, ServiceName};

/// Below the place of the journals; no service has such a name.
pub const FOLDER: &str = ".claims";

/// A claim as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The register: what a provider calls it.
    pub key: String,
    /// Whose.
    pub service: ServiceName,
    /// Of which run.
    pub run: RunId,
    /// By whom.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// Whether it was given back.
    #[serde(default)]
    pub free: bool,
}

/// Why a run did not get what it will change.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The place cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An unfinished run of another service has it.
    #[error("`{}` is being changed by run {} of {}, begun by {} at {}", .0.key, .0.run, .0.service, .0.by, .0.since)]
    Taken(Box<Claim>),
}

/// Where claims lie.
#[derive(Debug)]
pub enum Claims {
    /// In a directory of this host.
    Directory(std::path::PathBuf),
    /// In a bucket.
    Bucket(Bucket),
}

/// What was read, to be replaced only while it is the same.
#[derive(Debug)]
enum Seen {
    Bytes(Vec<u8>),
    Object(Found),
}

/// Tells whether a run of another service has ended.
#[async_trait]
pub trait Ended: Send + Sync {
    /// Whether it has; also when there is no such run.
    async fn ended(&self, service: &ServiceName, run: &RunId) -> Result<bool, StoreError>;
}

impl Claims {
    /// What another service's unfinished run has of `keys`, if it has any.
    ///
    /// # Errors
    /// [`ClaimError::Taken`] when it has one.
    pub async fn check(&self, keys: &BTreeSet<String>, of: &ServiceName, runs: &dyn Ended) -> Result<(), ClaimError> {
        for key in keys {
            if let Some((claim, _)) = self.read(key).await?
                && !is_free(&claim, of, runs).await?
            {
                return Err(ClaimError::Taken(Box::new(claim)));
            }
        }
        Ok(())
    }

    /// Takes all of `keys` in their order, or none.
    ///
    /// # Errors
    /// [`ClaimError::Taken`] when another service's unfinished run has one.
    pub async fn take(
        &self,
        keys: &BTreeSet<String>,
        of: (&ServiceName, &RunId),
        by: (&str, Timestamp),
        runs: &dyn Ended,
    ) -> Result<(), ClaimError> {
        let claim = |key: &str| Claim {
            key: key.to_owned(),
            service: of.0.clone(),
            run: of.1.clone(),
            by: by.0.to_owned(),
            since: by.1,
            free: false,
        };
        for key in keys {
            loop {
                let seen = match self.read(key).await? {
                    None => None,
                    Some((found, seen)) if is_free(&found, of.0, runs).await? => Some(seen),
                    Some((found, _)) => {
                        self.release(keys, of).await;
                        return Err(ClaimError::Taken(Box::new(found)));
                    }
                };
                if self.write(&claim(key), seen).await? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Gives back what the run has of `keys`. What cannot be given back is free once its run has ended.
    pub async fn release(&self, keys: &BTreeSet<String>, of: (&ServiceName, &RunId)) {
        for key in keys {
            let Ok(Some((claim, seen))) = self.read(key).await else { continue };
            if claim.service == *of.0 && claim.run == *of.1 && !claim.free {
                drop(self.write(&Claim { free: true, ..claim }, Some(seen)).await);
            }
        }
    }

    async fn read(&self, key: &str) -> Result<Option<(Claim, Seen)>, StoreError> {
        let found = match self {
            Self::Directory(state) => {
                Local::slot(state, FOLDER, &name(key))?.map(|bytes| (bytes.clone(), Seen::Bytes(bytes)))
            }
            Self::Bucket(bucket) => {
                let found = bucket.get(&bucket.path(&format!("{FOLDER}/{}", name(key)))).await?;
                found.map(|found| (found.bytes.clone(), Seen::Object(found)))
            }
        };
        let Some((bytes, seen)) = found else { return Ok(None) };
        let claim = serde_json::from_slice(&bytes).map_err(|error| StoreError::Damaged {
            place: format!("{}/{}", self.place(), name(key)),
            offset: 0,
            why: format!("it is no claim: {error}"),
        })?;
        Ok(Some((claim, seen)))
    }

    async fn write(&self, claim: &Claim, seen: Option<Seen>) -> Result<bool, StoreError> {
        let bytes = serde_json::to_vec(claim).expect("BUG: a claim is JSON");
        let name = name(&claim.key);
        match (self, seen) {
            (Self::Directory(state), seen) => {
                let expected = match seen {
                    Some(Seen::Bytes(bytes)) => Some(bytes),
                    Some(Seen::Object(_)) | None => None,
                };
                Local::set_slot(state, FOLDER, &name, expected.as_deref(), &bytes).await
            }
            (Self::Bucket(bucket), Some(Seen::Object(found))) => {
                bucket.replace(&bucket.path(&format!("{FOLDER}/{name}")), &found, &bytes).await
            }
            (Self::Bucket(bucket), Some(Seen::Bytes(_)) | None) => {
                let created = bucket.create(&bucket.path(&format!("{FOLDER}/{name}")), &bytes).await?;
                Ok(created == super::store::object::Created::Yes)
            }
        }
    }

    fn place(&self) -> String {
        match self {
            Self::Directory(state) => state.join(FOLDER).display().to_string(),
            Self::Bucket(bucket) => bucket.show(&bucket.path(FOLDER)),
        }
    }
}

async fn is_free(claim: &Claim, of: &ServiceName, runs: &dyn Ended) -> Result<bool, StoreError> {
    // One service has one run at a time; that is its own journal's business.
    Ok(claim.free || claim.service == *of || runs.ended(&claim.service, &claim.run).await?)
}

/// Keys are words of providers; names of files are not.
fn name(key: &str) -> String {
    digest(key.as_bytes())
}
