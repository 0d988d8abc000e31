//! Whether a store keeps to conditions. One that takes `If-None-Match` and ignores it would let two runs write the same record,
//! and each would believe to be the only one.

use futures_util::future::try_join_all;

use super::bucket::Bucket;
use super::{Created, StoreError};
use crate::ids::random_u64;

/// Remembers that the check was passed here, so that it is made once for a place.
const MARKER: &str = ".modelswap/keeps-conditions";

/// As many as deploy at once on a bad day.
const RACERS: usize = 8;

/// Checks a place when it is first used: a second create must fail, of eight racers one must win, and what was replaced
/// meanwhile must not be replaced again.
///
/// # Errors
/// [`StoreError::Unfit`] for a store that ignores conditions.
pub async fn self_check(bucket: &Bucket) -> Result<(), StoreError> {
    let marker = bucket.path(MARKER);
    if bucket.get(&marker).await?.is_some() {
        return Ok(());
    }
    let place = format!(".modelswap/check-{:016x}", random_u64());
    let (twice, race) = (bucket.path(&format!("{place}-twice")), bucket.path(&format!("{place}-race")));
    let checked = async {
        twice_is_refused(bucket, &twice).await?;
        one_wins(bucket, &race).await
    };
    let outcome = checked.await;
    bucket.remove(&twice).await;
    bucket.remove(&race).await;
    outcome?;
    match bucket.create(&marker, b"{\"checked\":1}").await? {
        Created::Yes | Created::Exists(_) => Ok(()),
    }
}

async fn twice_is_refused(bucket: &Bucket, path: &object_store::path::Path) -> Result<(), StoreError> {
    let unfit = |why: &str| StoreError::Unfit { place: bucket.name().to_owned(), why: why.to_owned() };
    bucket.create_once(path, b"\"first\"").await?;
    if bucket.create_once(path, b"\"second\"").await? {
        return Err(unfit("two creates of one object both succeeded: it ignores `If-None-Match`"));
    }
    let first = bucket.get(path).await?.ok_or_else(|| unfit("what was just written is not there"))?;
    if !bucket.replace(path, &first, b"\"third\"").await? {
        return Err(unfit("an object could not be replaced on the condition that it is unchanged"));
    }
    if bucket.replace(path, &first, b"\"fourth\"").await? {
        return Err(unfit("an object was replaced that had changed meanwhile: it ignores `If-Match`"));
    }
    Ok(())
}

async fn one_wins(bucket: &Bucket, path: &object_store::path::Path) -> Result<(), StoreError> {
    let race = |n: usize| {
        let (bucket, path) = (bucket.clone(), path.clone());
        async move { bucket.create_once(&path, format!("\"racer {n}\"").as_bytes()).await }
    };
    let racers = (0..RACERS).map(race);
    let won = try_join_all(racers).await?.into_iter().filter(|won| *won).count();
    if won == 1 {
        return Ok(());
    }
    let why = format!("of {RACERS} creates of one object at once {won} succeeded: it ignores `If-None-Match`");
    Err(StoreError::Unfit { place: bucket.name().to_owned(), why })
}
