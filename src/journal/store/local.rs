//! A log in a directory of this host: `<state>/<service>/journal`, one framed line a record, never rewritten.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{Appended, Store, StoreError};
use crate::ids::ServiceName;
use crate::journal::log::{BadLog, Log};
use crate::journal::record::{Framed, Record, frame, read, unframe};

/// Enough for several hundred records: an outcome and an undo can be written on a full disk.
const RESERVE_BYTES: usize = 256 * 1024;

/// A log in a directory.
#[derive(Debug)]
pub struct Local {
    directory: PathBuf,
    journal: PathBuf,
    /// How many bytes of the file are known and whole.
    known: u64,
    /// The first error that left open what is on the disk. There is no retry after a failed sync:
    /// the kernel may have dropped the page and call the next sync a success.
    dead: Option<String>,
}

impl Local {
    /// The log of `service` below `state`. Touches nothing.
    pub fn new(state: &Path, service: &ServiceName) -> Self {
        let directory = state.join(service.as_str());
        Self { journal: directory.join("journal"), directory, known: 0, dead: None }
    }

    /// The services that have a log below `state`.
    pub fn services(state: &Path) -> Vec<ServiceName> {
        let entries = std::fs::read_dir(state).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries
            .filter(|entry| entry.path().join("journal").is_file())
            .filter_map(|entry| ServiceName::new(entry.file_name().to_string_lossy()).ok())
            .collect();
        names.sort();
        names
    }

    /// Where other parts keep what belongs to this service on this host (process records, logs).
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn io(&self, doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
        let place = path.display().to_string();
        move |error| StoreError::Io {
            doing,
            place,
            full: error.kind() == std::io::ErrorKind::StorageFull || error.kind() == std::io::ErrorKind::QuotaExceeded,
            why: error.to_string(),
        }
    }

    /// Directory, journal and reserve, each durable: a file whose directory entry is lost is lost.
    fn create(&self) -> Result<(), StoreError> {
        create_durably(&self.directory).map_err(self.io("cannot create", &self.directory))?;
        self.refuse_strangers(&self.directory)?;
        if !self.journal.exists() {
            OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .custom_flags(no_follow())
                .open(&self.journal)
                .and_then(|file| file.sync_all())
                .map_err(self.io("cannot create", &self.journal))?;
        }
        let reserve = self.directory.join("reserve");
        if !reserve.exists() {
            // Without room for the reserve there is no room for a run either; that shows at the first append.
            let made = File::create(&reserve).and_then(|mut file| {
                file.write_all(&vec![0; RESERVE_BYTES])?;
                file.sync_all()
            });
            if made.is_err() {
                drop(std::fs::remove_file(&reserve));
            }
        }
        sync_directory(&self.directory).map_err(self.io("cannot sync", &self.directory))
    }

    /// A journal is executable input: nobody else may have written it.
    fn refuse_strangers(&self, path: &Path) -> Result<(), StoreError> {
        let meta = std::fs::symlink_metadata(path).map_err(self.io("cannot look at", path))?;
        let mine = meta.uid() == rustix::process::geteuid().as_raw() || meta.uid() == 0;
        let private = meta.permissions().mode() & 0o022 == 0;
        if meta.is_symlink() || !mine || !private {
            let why = "it is a link, belongs to another user, or others may write it; its content cannot be trusted";
            return Err(StoreError::Io {
                doing: "will not use",
                place: path.display().to_string(),
                why: why.to_owned(),
                full: false,
            });
        }
        Ok(())
    }

    fn read_from(&self, start: u64) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        match OpenOptions::new().read(true).custom_flags(no_follow()).open(&self.journal) {
            Ok(mut file) => {
                self.refuse_strangers(&self.journal)?;
                file.seek(SeekFrom::Start(start))
                    .and_then(|_| file.read_to_end(&mut bytes))
                    .map_err(self.io("cannot read", &self.journal))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(self.io("cannot read", &self.journal)(error)),
        }
        Ok(bytes)
    }

    /// The whole payloads in `bytes` and how many bytes they take; a torn tail is left out.
    fn payloads<'a>(&self, bytes: &'a [u8], from: usize) -> Result<(Vec<&'a [u8]>, usize), StoreError> {
        let (mut payloads, mut offset) = (Vec::new(), 0);
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            match unframe(rest) {
                Framed::Whole(payload, taken) => {
                    payloads.push(payload);
                    offset += taken;
                }
                Framed::Torn => break,
                Framed::Damaged => {
                    let why = "length or checksum does not match".to_owned();
                    return Err(StoreError::Damaged { place: self.place(), offset: from + offset, why });
                }
            }
        }
        Ok((payloads, offset))
    }
}

#[async_trait]
impl Store for Local {
    async fn load(&mut self) -> Result<(Log, Vec<(Record, Vec<u8>)>), StoreError> {
        let bytes = self.read_from(0)?;
        let (payloads, whole) = self.payloads(&bytes, 0)?;
        let (mut log, mut records) = (Log::default(), Vec::new());
        for payload in payloads {
            let bad = |bad| StoreError::Bad { place: self.journal.display().to_string(), bad };
            let seq = log.head.seq + 1;
            let record = read(payload, |digest| self.fetch(digest).map_err(|e| e.to_string()))
                .map_err(|why| bad(BadLog::Unreadable { seq, why }))?;
            log.push(payload, &record).map_err(bad)?;
            records.push((record, payload.to_vec()));
        }
        self.known = whole as u64;
        Ok((log, records))
    }

    async fn append(&mut self, _after: u64, payload: &[u8]) -> Result<Appended, StoreError> {
        if let Some(why) = &self.dead {
            return Err(StoreError::Dead { place: self.place(), why: why.clone() });
        }
        if self.known == 0 {
            self.create()?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .custom_flags(no_follow())
            .open(&self.journal)
            .map_err(self.io("cannot open", &self.journal))?;
        // Held until `file` is dropped; another process waits here, then sees what we wrote.
        file.lock().map_err(self.io("cannot lock", &self.journal))?;
        let mut newer = Vec::new();
        file.seek(SeekFrom::Start(self.known))
            .and_then(|_| file.read_to_end(&mut newer))
            .map_err(self.io("cannot read", &self.journal))?;
        let (others, whole) = self.payloads(&newer, usize::try_from(self.known).unwrap_or(usize::MAX))?;
        if !others.is_empty() {
            let others = others.into_iter().map(<[u8]>::to_vec).collect();
            self.known += whole as u64;
            return Ok(Appended::Behind(others));
        }
        if !newer.is_empty() {
            self.set_torn_tail_aside(&file, &newer)?;
        }
        let line = frame(payload);
        if let Err(error) = file.write_all(&line) {
            // A short write is a torn tail; cut it off so that what follows can be read.
            let cut = file.set_len(self.known).and_then(|()| file.sync_data());
            if let Err(e) = cut {
                self.dead = Some(e.to_string());
            }
            return Err(self.io("cannot write", &self.journal)(error));
        }
        if let Err(error) = file.sync_data() {
            self.dead = Some(error.to_string());
            return Err(self.io("cannot sync", &self.journal)(error));
        }
        self.known += line.len() as u64;
        Ok(Appended::Yes)
    }

    async fn newer(&mut self, _after: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let bytes = self.read_from(self.known)?;
        let (others, whole) = self.payloads(&bytes, usize::try_from(self.known).unwrap_or(usize::MAX))?;
        let others = others.into_iter().map(<[u8]>::to_vec).collect();
        self.known += whole as u64;
        Ok(others)
    }

    async fn keep(&mut self, digest: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.create()?;
        let blobs = self.directory.join("blobs");
        create_durably(&blobs).map_err(self.io("cannot create", &blobs))?;
        let path = blobs.join(digest);
        if path.exists() {
            return Ok(());
        }
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&blobs)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            sync_directory(&blobs)
        };
        write().map_err(self.io("cannot write", &path))
    }

    fn fetch(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.directory.join("blobs").join(digest);
        let bytes = std::fs::read(&path).map_err(self.io("cannot read", &path))?;
        if crate::journal::record::digest(&bytes) != digest {
            let why = "its content does not match its name".to_owned();
            return Err(StoreError::Damaged { place: path.display().to_string(), offset: 0, why });
        }
        Ok(bytes)
    }

    fn place(&self) -> String {
        self.journal.display().to_string()
    }

    fn release_reserve(&mut self) -> bool {
        std::fs::remove_file(self.directory.join("reserve")).is_ok()
    }
}

impl Local {
    /// A tail without a newline was never acknowledged. It is kept beside the journal, then cut off.
    fn set_torn_tail_aside(&self, file: &File, tail: &[u8]) -> Result<(), StoreError> {
        let aside = self.directory.join(format!("torn-{}", self.known));
        File::create(&aside)
            .and_then(|mut f| f.write_all(tail).and_then(|()| f.sync_all()))
            .map_err(self.io("cannot write", &aside))?;
        file.set_len(self.known).and_then(|()| file.sync_data()).map_err(self.io("cannot repair", &self.journal))
    }
}

/// `O_NOFOLLOW`: a link in the place of a journal is somebody's trick.
fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

/// Creates `path` and its missing parents, 0700, and syncs every directory that got a new entry.
fn create_durably(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_durably(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_directory(parent),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}
