//! A place in a bucket, with what a journal needs of it: to create what is absent, to replace what was read, to read and to list.
//!
//! The client never retries by itself: what became of a create that was not answered is found out by reading.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use tokio::time::{MissedTickBehavior, interval};

use super::StoreError;

/// How often a request is sent that fails and may well work the next time.
const TRIES: u32 = 4;

/// Between two of them.
const PAUSE: Duration = Duration::from_millis(150);

/// After so long nothing is tried again: who waits may have a way around the bucket.
const PATIENCE: Duration = Duration::from_secs(3);

/// A place in a bucket; cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// As it is written: `s3://bucket/prefix`.
    name: String,
}

/// What became of a create.
#[derive(Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there, by us.
    Yes,
    /// Another's was there first, and this is it.
    Exists(Vec<u8>),
}

/// An object that was read.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its content.
    pub bytes: Vec<u8>,
    /// When it was written, by the clock of the service.
    pub at: Timestamp,
    version: UpdateVersion,
}

impl Bucket {
    /// What lies below `prefix` in `store`; `name` is how people write it.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path, name: String) -> Self {
        Self { store, prefix, name }
    }

    /// `below` as a path of the bucket.
    pub fn path(&self, below: &str) -> Path {
        self.prefix.parts().chain(Path::from(below).parts()).collect()
    }

    /// A path as people write it.
    pub fn show(&self, path: &Path) -> String {
        let below = path.as_ref().strip_prefix(self.prefix.as_ref()).unwrap_or(path.as_ref());
        let name = self.name.split('?').next().unwrap_or_default().trim_end_matches('/');
        format!("{name}/{}", below.trim_start_matches('/'))
    }

    /// As it is written: `s3://bucket/prefix`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An object; none if there is none.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub async fn get(&self, path: &Path) -> Result<Option<Found>, StoreError> {
        let read = || {
            let (store, path) = (Arc::clone(&self.store), path.clone());
            async move {
                let got = match store.get(&path).await {
                    Err(Error::NotFound { .. }) => return Ok(None),
                    other => other?,
                };
                let (at, meta) = (got.meta.last_modified, got.meta.clone());
                let version = UpdateVersion { e_tag: meta.e_tag, version: meta.version };
                let bytes = got.bytes().await?.to_vec();
                let at = Timestamp::from_millisecond(at.timestamp_millis()).unwrap_or(Timestamp::UNIX_EPOCH);
                Ok(Some(Found { bytes, at, version }))
            }
        };
        self.again("cannot read", path, read).await
    }

    /// The paths below `folder`, behind `after`, in order.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub async fn list(&self, folder: &Path, after: Option<&Path>) -> Result<Vec<Path>, StoreError> {
        let list = || {
            let all = match after {
                Some(after) => self.store.list_with_offset(Some(folder), after),
                None => self.store.list(Some(folder)),
            };
            async move {
                let mut paths: Vec<Path> = all.map_ok(|meta| meta.location).try_collect().await?;
                paths.sort();
                Ok(paths)
            }
        };
        self.again("cannot list", folder, list).await
    }

    /// The names right below the prefix that have something below them.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub async fn folders(&self) -> Result<Vec<String>, StoreError> {
        let list = || {
            let (store, prefix) = (Arc::clone(&self.store), self.prefix.clone());
            async move {
                let found = store.list_with_delimiter(Some(&prefix)).await?;
                Ok(found.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect())
            }
        };
        self.again("cannot list", &self.prefix, list).await
    }

    /// Creates an object that must not be there yet. When the answer is a conflict, is lost, or says nothing about the
    /// effect, what is there says it: our bytes, another's, or none, and then it is tried again.
    ///
    /// # Errors
    /// When it is not known to be there.
    pub async fn create(&self, path: &Path, bytes: &[u8]) -> Result<Created, StoreError> {
        let (mut beat, began) = (beat(), Instant::now());
        for n in 1.. {
            beat.tick().await;
            let Err(error) = self.put(path, bytes, PutMode::Create).await else { return Ok(Created::Yes) };
            match self.get(path).await? {
                Some(found) if found.bytes == bytes => return Ok(Created::Yes),
                Some(found) => return Ok(Created::Exists(found.bytes)),
                None if hopeless(&error) || n >= TRIES || began.elapsed() > PATIENCE => {
                    return Err(self.io("cannot write", path, &error));
                }
                None => {}
            }
        }
        unreachable!("BUG: the tries are bounded")
    }

    /// Creates an object, and takes a success for what it says: what the self-check is about.
    pub(super) async fn create_once(&self, path: &Path, bytes: &[u8]) -> Result<bool, StoreError> {
        match self.put(path, bytes, PutMode::Create).await {
            Ok(()) => Ok(true),
            Err(_) => Ok(self.create(path, bytes).await? == Created::Yes),
        }
    }

    /// Replaces `found` by `bytes` if it is still what is there; whether it was.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub async fn replace(&self, path: &Path, found: &Found, bytes: &[u8]) -> Result<bool, StoreError> {
        let (mut beat, began) = (beat(), Instant::now());
        for n in 1.. {
            beat.tick().await;
            let Err(error) = self.put(path, bytes, PutMode::Update(found.version.clone())).await else {
                return Ok(true);
            };
            match self.get(path).await? {
                Some(now) if now.bytes == bytes => return Ok(true),
                // Ours may still be on its way only as long as what it is to replace is there.
                Some(now) if now.version == found.version => {}
                Some(_) | None => return Ok(false),
            }
            if hopeless(&error) || n >= TRIES || began.elapsed() > PATIENCE {
                return Err(self.io("cannot write", path, &error));
            }
        }
        unreachable!("BUG: the tries are bounded")
    }

    /// Writes an object whatever is there; for what decides nothing.
    ///
    /// # Errors
    /// When it is not known to be there.
    pub async fn overwrite(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        self.again("cannot write", path, || self.put(path, bytes, PutMode::Overwrite)).await
    }

    /// Removes an object; for what is of no use any more. A store that forbids it keeps it.
    pub async fn remove(&self, path: &Path) {
        drop(self.store.delete(path).await);
    }

    fn put(&self, path: &Path, bytes: &[u8], mode: PutMode) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (store, path, bytes) = (Arc::clone(&self.store), path.clone(), bytes.to_vec());
        async move { store.put_opts(&path, bytes.into(), PutOptions::from(mode)).await.map(drop) }
    }

    async fn again<T, F: Future<Output = Result<T, Error>> + Send>(
        &self,
        doing: &'static str,
        path: &Path,
        ask: impl Fn() -> F + Send + Sync,
    ) -> Result<T, StoreError> {
        let (mut beat, began) = (beat(), Instant::now());
        for n in 1.. {
            beat.tick().await;
            match ask().await {
                Ok(value) => return Ok(value),
                Err(error) if hopeless(&error) || n >= TRIES || began.elapsed() > PATIENCE => {
                    return Err(self.io(doing, path, &error));
                }
                Err(_) => {}
            }
        }
        unreachable!("BUG: the tries are bounded")
    }

    fn io(&self, doing: &'static str, path: &Path, error: &Error) -> StoreError {
        StoreError::Io { doing, place: self.show(path), why: explain(error), full: false }
    }
}

/// At once, then with pauses.
fn beat() -> tokio::time::Interval {
    let mut beat = interval(PAUSE);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}

/// Whether the same request will be refused again.
fn hopeless(error: &Error) -> bool {
    matches!(
        error,
        Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::NotFound { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. }
            | Error::InvalidPath { .. }
    )
}

/// The crate's errors are nested; the innermost says what happened.
fn explain(error: &Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let said = innermost.to_string();
    match error {
        Error::PermissionDenied { .. } => format!("not permitted: {said}"),
        Error::Unauthenticated { .. } => format!("these credentials are not accepted: {said}"),
        Error::NotFound { .. } => format!("there is no such bucket: {said}"),
        _ => said,
    }
}
