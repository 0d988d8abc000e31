//! What a file system must be told so that a file is there after a power cut, is ours alone, and is written by one at a time.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

/// How long another process may hold the lock of a journal, in real time. It holds it for one write and one sync, so one
/// that is longer at it is stopped or its disk hangs; waiting on would stop us as well.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Between two tries for the lock.
const LOCK_POLL: Duration = Duration::from_millis(2);

/// Locks `file` for as long as it is open, without holding up the other tasks of this process.
pub(super) async fn lock(file: &File) -> Result<()> {
    let mut tries = tokio::time::interval(LOCK_POLL);
    let all = async {
        loop {
            tries.tick().await;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
    };
    let late =
        |_| Error::new(ErrorKind::TimedOut, format!("another process has held it for {} s", LOCK_PATIENCE.as_secs()));
    tokio::time::timeout(LOCK_PATIENCE, all).await.map_err(late)?
}

/// Opens a file of ours for reading.
pub(super) fn open_own(path: &Path, options: &mut OpenOptions) -> Result<File> {
    let file = options.custom_flags(no_follow()).open(path).map_err(|error| {
        // ELOOP is what `O_NOFOLLOW` says of a link; its usual text speaks of too many levels.
        if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            Error::other(DISTRUST)
        } else {
            error
        }
    })?;
    // Of what is open, not of what now has its name.
    trusted(&file.metadata()?)?;
    Ok(file)
}

/// Reads a whole file of ours.
pub(super) fn read_own(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_own(path, OpenOptions::new().read(true))?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A new file that only we can read, durable when this returns but for its directory.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

const DISTRUST: &str = "it is a link, belongs to another user, or others may write it; its content cannot be trusted";

/// A journal is executable input: nobody else may have written it.
pub(super) fn trusted(meta: &Metadata) -> Result<()> {
    let euid = rustix::process::geteuid().as_raw();
    let plain = meta.is_file() || meta.is_dir();
    if plain && is_private(meta.uid(), euid, meta.permissions().mode()) { Ok(()) } else { Err(Error::other(DISTRUST)) }
}

fn is_private(owner: u32, euid: u32, mode: u32) -> bool {
    (owner == euid || owner == 0) && mode & 0o022 == 0
}

/// `O_NOFOLLOW`: a link in the place of a journal is somebody's trick.
fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

/// Creates `path` and its missing parents, 0700, and syncs every directory that got a new entry.
pub(super) fn create_durably(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_durably(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_directory(parent),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn sync_directory(path: &Path) -> Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_or_root_own_and_nobody_else_may_write_is_private() {
        assert!(is_private(1000, 1000, 0o100_600));
        assert!(is_private(0, 1000, 0o100_644));
        assert!(!is_private(1001, 1000, 0o100_600), "another user's");
        assert!(!is_private(1000, 1000, 0o100_620), "its group may write it");
        assert!(!is_private(1000, 1000, 0o100_602), "everybody may write it");
    }
}
