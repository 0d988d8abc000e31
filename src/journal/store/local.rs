//! A log in a directory of this host: `<state>/<service>/journal`, one framed line a record, never rewritten.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{Appended, Store, StoreError};
use crate::ids::ServiceName;
use crate::journal::log::Log;
use crate::journal::record::{Framed, Record, digest, frame, is_digest, unframe};

mod disk;
mod slot;

use disk::{create_durably, lock, open_own, read_own, sync_directory, trusted, write_new};

/// Enough for several hundred records: an outcome and an undo can be written on a full disk.
const RESERVE_BYTES: usize = 256 * 1024;

/// Says where the journal went; nothing is written to it here any more.
pub(super) const MOVED: &str = "moved";

/// A log in a directory.
#[derive(Debug)]
pub struct Local {
    service: ServiceName,
    directory: PathBuf,
    journal: PathBuf,
    /// How much of the file is known and whole.
    known: Known,
    /// Whether directory, journal and reserve were seen to be there.
    made: bool,
    /// The first error that left open what is on the disk. There is no retry after a failed sync:
    /// the kernel may have dropped the page and call the next sync a success.
    dead: Option<String>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    bytes: u64,
    records: u64,
}

impl Local {
    /// The log of `service` below `state`. Touches nothing.
    pub fn new(state: &Path, service: &ServiceName) -> Self {
        let directory = state.join(service.as_str());
        let (journal, known) = (directory.join("journal"), Known::default());
        Self { service: service.clone(), directory, journal, known, made: false, dead: None }
    }

    /// Whether it can be seen what is below `state`. One that is not there yet has nothing in it, which can be seen.
    ///
    /// # Errors
    /// What the system says, where it cannot.
    pub fn is_readable(state: &Path) -> Result<(), StoreError> {
        match std::fs::read_dir(state) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StoreError::Io {
                doing: "cannot read the state directory",
                place: state.display().to_string(),
                full: false,
                why: e.to_string(),
            }),
            Ok(_) | Err(_) => Ok(()),
        }
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

    fn refuse_moved(&self) -> Result<(), StoreError> {
        match Self::slot(&self.directory, "", MOVED)? {
            Some(to) => Err(StoreError::Moved { place: self.place(), to: String::from_utf8_lossy(&to).into_owned() }),
            None => Ok(()),
        }
    }

    fn reserve(&self) -> PathBuf {
        self.directory.join("reserve")
    }

    fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
        let place = path.display().to_string();
        move |error| StoreError::Io {
            doing,
            place,
            full: matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded),
            why: error.to_string(),
        }
    }

    /// Directory, journal and reserve, each durable: a file whose directory entry is lost is lost.
    fn create(&mut self) -> Result<(), StoreError> {
        if self.made {
            return Ok(());
        }
        create_durably(&self.directory).map_err(Self::io("cannot create", &self.directory))?;
        self.refuse_strangers()?;
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.journal)
            .and_then(|file| file.sync_all())
        {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Self::io("cannot create", &self.journal)(error));
            }
            Ok(()) | Err(_) => {}
        }
        // Without room for the reserve there is no room for a run either; the journal starts none.
        let reserve = self.reserve();
        match write_new(&reserve, &vec![0; RESERVE_BYTES]) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => drop(std::fs::remove_file(&reserve)),
            Ok(()) | Err(_) => {}
        }
        sync_directory(&self.directory).map_err(Self::io("cannot sync", &self.directory))?;
        self.made = true;
        Ok(())
    }

    fn refuse_strangers(&self) -> Result<(), StoreError> {
        match std::fs::symlink_metadata(&self.directory).and_then(|meta| trusted(&meta)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Self::io("will not use", &self.directory)(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The journal's bytes from `known` on; none when there is no journal.
    fn rest(&self) -> Result<Vec<u8>, StoreError> {
        self.refuse_strangers()?;
        match open_own(&self.journal, OpenOptions::new().read(true)) {
            Ok(mut file) => self.rest_of(&mut file),
            Err(error) if error.kind() == ErrorKind::NotFound && self.known.bytes == 0 => Ok(Vec::new()),
            Err(error) => Err(Self::io("cannot read", &self.journal)(error)),
        }
    }

    fn rest_of(&self, file: &mut File) -> Result<Vec<u8>, StoreError> {
        let unreadable = |error| Self::io("cannot read", &self.journal)(error);
        let length = file.metadata().map_err(unreadable)?.len();
        if length < self.known.bytes {
            let why = format!("it ends there, and {} bytes of it were acknowledged", self.known.bytes);
            let offset = usize::try_from(length).unwrap_or(usize::MAX);
            return Err(StoreError::Damaged { place: self.place(), offset, why });
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.known.bytes)).and_then(|_| file.read_to_end(&mut bytes)).map_err(unreadable)?;
        Ok(bytes)
    }

    /// The whole payloads in `bytes`, and what is known with them; a torn tail is left out.
    fn payloads<'a>(&self, bytes: &'a [u8]) -> Result<(Vec<&'a [u8]>, Known), StoreError> {
        let (mut payloads, mut offset) = (Vec::new(), 0);
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            match unframe(rest) {
                Framed::Whole(payload, taken) => {
                    payloads.push(payload);
                    offset += taken;
                }
                Framed::Torn => break,
                Framed::Damaged => {
                    let offset = usize::try_from(self.known.bytes).unwrap_or(usize::MAX).saturating_add(offset);
                    let why = "length or checksum does not match".to_owned();
                    return Err(StoreError::Damaged { place: self.place(), offset, why });
                }
            }
        }
        let known =
            Known { bytes: self.known.bytes + offset as u64, records: self.known.records + payloads.len() as u64 };
        Ok((payloads, known))
    }

    /// Forgets what is known when the caller does not build on it, so that nothing is ever appended to what it has not seen.
    fn build_on(&mut self, after: u64) -> usize {
        if after == self.known.records {
            return 0;
        }
        self.known = Known::default();
        usize::try_from(after).unwrap_or(usize::MAX)
    }

    /// A tail without a newline was never acknowledged. It is kept beside the journal, then cut off.
    fn set_torn_tail_aside(&self, file: &File, tail: &[u8], end: u64) -> Result<(), StoreError> {
        let name = |n: u32| self.directory.join(if n == 0 { format!("torn-{end}") } else { format!("torn-{end}.{n}") });
        for aside in (0..u32::MAX).map(name) {
            match write_new(&aside, tail) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    drop(std::fs::remove_file(&aside));
                    return Err(Self::io("cannot write", &aside)(error));
                }
                Ok(()) => break,
            }
        }
        let cut = sync_directory(&self.directory).and_then(|()| file.set_len(end)).and_then(|()| file.sync_data());
        cut.map_err(Self::io("cannot repair", &self.journal))
    }
}

#[async_trait]
impl Store for Local {
    async fn load(&mut self) -> Result<(Log, Vec<(Record, Vec<u8>)>), StoreError> {
        self.known = Known::default();
        let bytes = self.rest()?;
        let (payloads, known) = self.payloads(&bytes)?;
        let fetch = |digest: &str| self.fetch(digest).map_err(|e| e.to_string());
        let read = Log::read(&self.service, payloads.into_iter().map(<[u8]>::to_vec), fetch);
        let (log, records) = read.map_err(|bad| StoreError::Bad { place: self.journal.display().to_string(), bad })?;
        self.known = known;
        Ok((log, records))
    }

    async fn append(&mut self, after: u64, payload: &[u8]) -> Result<Appended, StoreError> {
        if let Some(why) = &self.dead {
            return Err(StoreError::Dead { place: self.place(), why: why.clone() });
        }
        self.refuse_moved()?;
        self.create()?;
        let mut file = open_own(&self.journal, OpenOptions::new().read(true).append(true))
            .map_err(Self::io("cannot open", &self.journal))?;
        // Held until `file` is dropped; another process waits here, then sees what we wrote.
        lock(&file).await.map_err(Self::io("cannot lock", &self.journal))?;
        let seen = self.build_on(after);
        let newer = self.rest_of(&mut file)?;
        let (others, known) = self.payloads(&newer)?;
        if others.len() > seen {
            let others = others.into_iter().skip(seen).map(<[u8]>::to_vec).collect();
            self.known = known;
            return Ok(Appended::Behind(others));
        }
        if others.len() < seen {
            let why = format!("it ends there with record {}, and {after} were acknowledged", known.records);
            return Err(StoreError::Damaged {
                place: self.place(),
                offset: usize::try_from(known.bytes).unwrap_or(usize::MAX),
                why,
            });
        }
        let whole = usize::try_from(known.bytes - self.known.bytes).unwrap_or(usize::MAX);
        if let Some(tail) = newer.get(whole..).filter(|tail| !tail.is_empty()) {
            self.set_torn_tail_aside(&file, tail, known.bytes)?;
        }
        self.known = known;
        let line = frame(payload);
        if let Err(error) = file.write_all(&line) {
            // A short write is a torn tail; cut it off so that what follows can be read.
            let cut = file.set_len(known.bytes).and_then(|()| file.sync_data());
            if let Err(e) = cut {
                self.dead = Some(e.to_string());
            }
            return Err(Self::io("cannot write", &self.journal)(error));
        }
        if let Err(error) = file.sync_data() {
            self.dead = Some(error.to_string());
            return Err(Self::io("cannot sync", &self.journal)(error));
        }
        self.known = Known { bytes: known.bytes + line.len() as u64, records: known.records + 1 };
        Ok(Appended::Yes)
    }

    async fn newer(&mut self, after: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let seen = self.build_on(after);
        let bytes = self.rest()?;
        let (others, known) = self.payloads(&bytes)?;
        let others = others.into_iter().skip(seen).map(<[u8]>::to_vec).collect();
        self.known = known;
        Ok(others)
    }

    async fn keep(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.create()?;
        let blobs = self.directory.join("blobs");
        create_durably(&blobs).map_err(Self::io("cannot create", &blobs))?;
        let path = blobs.join(name);
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&blobs)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        // What is there may be altered, or its entry not durable yet: a crash came between the two.
        if self.fetch(name).is_err() {
            write().map_err(Self::io("cannot write", &path))?;
        }
        sync_directory(&blobs).map_err(Self::io("cannot sync", &blobs))
    }

    fn fetch(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.directory.join("blobs").join(name);
        let damaged =
            |why: &str| StoreError::Damaged { place: path.display().to_string(), offset: 0, why: why.to_owned() };
        if !is_digest(name) {
            return Err(damaged("it is not named for its content"));
        }
        let bytes = read_own(&path).map_err(Self::io("cannot read", &path))?;
        if digest(&bytes) == name { Ok(bytes) } else { Err(damaged("its content does not match its name")) }
    }

    async fn moved_to(&mut self) -> Result<Option<String>, StoreError> {
        Ok(Self::slot(&self.directory, "", MOVED)?.map(|to| String::from_utf8_lossy(&to).into_owned()))
    }

    async fn leave_word(&mut self, to: &str) -> Result<(), StoreError> {
        let path = self.directory.join(MOVED);
        match write_new(&path, to.as_bytes()).and_then(|()| sync_directory(&self.directory)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(Self::io("cannot write", &path)(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn place(&self) -> String {
        self.journal.display().to_string()
    }

    fn has_reserve(&mut self) -> Result<bool, StoreError> {
        self.create()?;
        Ok(self.reserve().exists())
    }

    fn release_reserve(&mut self) -> bool {
        std::fs::remove_file(self.reserve()).is_ok()
    }
}
