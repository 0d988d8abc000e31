//! Small files that are replaced only while they are what was read; one lock for all of a folder.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::disk::{create_durably, lock, open_own, read_own, sync_directory};
use super::{Local, StoreError};

impl Local {
    /// A small file below the state directory; none if there is none.
    pub(in crate::journal) fn slot(state: &Path, folder: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = if folder.is_empty() { state.join(name) } else { state.join(folder).join(name) };
        match read_own(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Self::io("cannot read", &path)(error)),
        }
    }

    /// Writes it if it is still `expected`; whether it was. Durable when this returns.
    pub(in crate::journal) async fn set_slot(
        state: &Path,
        folder: &str,
        name: &str,
        expected: Option<&[u8]>,
        bytes: &[u8],
    ) -> Result<bool, StoreError> {
        let folder = state.join(folder);
        create_durably(&folder).map_err(Self::io("cannot create", &folder))?;
        let (path, guard) = (folder.join(name), folder.join("lock"));
        let options = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).to_owned();
        let held = open_own(&guard, &mut options()).map_err(Self::io("cannot open", &guard))?;
        lock(&held).await.map_err(Self::io("cannot lock", &guard))?;
        let found = match read_own(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Self::io("cannot read", &path)(error)),
        };
        if found.as_deref() != expected {
            return Ok(false);
        }
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&folder)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            sync_directory(&folder)
        };
        write().map_err(Self::io("cannot write", &path))?;
        Ok(true)
    }
}
