//! Whether somebody is at work, for those who cannot ask his host: an object that the holder writes again and again.
//!
//! It says nothing about safety: a holder whose lease is over and who wakes up fails at its next append.

use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::bucket::Bucket;
use crate::journal::actor::{Actor, Alive};

/// A holder that has not written for so long, by the clock of the store, is gone.
pub(super) const TTL: Duration = Duration::from_secs(60);

/// How often the holder writes.
pub const RENEWED_EVERY: Duration = Duration::from_secs(10);

/// The lease as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Lease {
    epoch: u64,
    actor: Actor,
    /// Counts the renewals: the same bytes twice would be the same object.
    beat: u64,
}

/// Renews a lease until it is dropped.
#[derive(Debug)]
pub(super) struct Held(JoinHandle<()>);

impl Held {
    pub(super) fn keep(bucket: Bucket, path: Path, every: Duration, epoch: u64, actor: &Actor) -> Self {
        let actor = Arc::new(actor.clone());
        Self(tokio::spawn(async move {
            let mut beats = tokio::time::interval(every);
            for beat in 1.. {
                beats.tick().await;
                let lease = Lease { epoch, actor: (*actor).clone(), beat };
                let bytes = serde_json::to_vec(&lease).expect("BUG: a lease is JSON");
                // When it cannot be written others may take over; the journal keeps that safe.
                drop(bucket.overwrite(&path, &bytes).await);
            }
        }))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Whether the holder of `epoch`, whose newest record is at `head`, still works. All times are the store's own.
pub(super) async fn alive(bucket: &Bucket, lease: &Path, clock: &Path, head: &Path, epoch: u64) -> Alive {
    let seen = async {
        let held = bucket.get(lease).await?;
        let held = held.filter(|found| serde_json::from_slice::<Lease>(&found.bytes).is_ok_and(|l| l.epoch == epoch));
        // A holder that died before its first renewal has written its opening.
        let last = match held {
            Some(found) => Some(found),
            None => bucket.get(head).await?,
        };
        // What is written now is dated now.
        bucket.overwrite(clock, format!("{:016x}", crate::ids::random_u64()).as_bytes()).await?;
        let now = bucket.get(clock).await?;
        Ok::<_, super::StoreError>(last.zip(now).map(|(last, now)| now.at.duration_since(last.at)))
    };
    match seen.await {
        Ok(Some(silence)) if silence.as_secs() > i64::try_from(TTL.as_secs()).unwrap_or(i64::MAX) => Alive::No,
        Ok(Some(_)) => Alive::Yes,
        // Who may not write here, or gets no answer, cannot tell.
        Ok(None) | Err(_) => Alive::CannotTell,
    }
}
