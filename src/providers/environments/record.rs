//! What was started under which token, on disk: one small file an environment, replaced as a whole, durable before it is relied on.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::os::Identity;
use crate::ids::EnvironmentName;

/// The format that is written; another one is refused, never guessed at.
const VERSION: u32 = 1;

/// What is remembered about the last start of an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u32,
    /// Which start it was.
    pub(super) token: String,
    /// Program and arguments, for whoever reads the file.
    pub(super) argv: Vec<String>,
    /// The machine it was started on, and that machine's boot: a pid means nothing elsewhere.
    pub(super) host: String,
    pub(super) boot: String,
    /// When this was written.
    pub(super) at: Timestamp,
    pub(super) phase: Phase,
    /// The server's first process, or the command that is being run.
    pub(super) process: Option<Identity>,
    /// What else belonged to it when it was told to stop.
    #[serde(default)]
    pub(super) others: Vec<Identity>,
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// It is about to be started; whether it was must be looked up.
    Intended,
    /// It was started.
    Started,
    /// It was told to stop, at `Record::at`.
    Stopping,
}

impl Record {
    pub(super) fn intended(token: &str, argv: &[String], host: String, boot: String, at: Timestamp) -> Self {
        let (token, argv) = (token.to_owned(), argv.to_vec());
        Self {
            version: VERSION,
            token,
            argv,
            host,
            boot,
            at,
            phase: Phase::Intended,
            process: None,
            others: Vec::new(),
        }
    }
}

/// The files of one environment: `NAME.json`, `NAME.lock` and logs.
#[derive(Debug, Clone)]
pub(super) struct Files {
    dir: PathBuf,
    environment: EnvironmentName,
}

impl Files {
    pub(super) fn new(dir: PathBuf, environment: EnvironmentName) -> Self {
        Self { dir, environment }
    }

    /// The record's path, the same however the directory was spelled, when the directory exists.
    pub(super) fn mark(&self) -> io::Result<PathBuf> {
        let dir = match fs::canonicalize(&self.dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => std::path::absolute(&self.dir)?,
            found => found?,
        };
        Ok(dir.join(format!("{}.json", self.environment)))
    }

    pub(super) fn path(&self, ending: &str) -> PathBuf {
        self.dir.join(format!("{}.{ending}", self.environment))
    }

    pub(super) fn create(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)
    }

    /// Held while something is changed; none when another process holds it. The kernel lets go of it when the holder dies,
    /// and not before a child of the holder has left it behind in `exec`: so who gets it sees every process that was started under it.
    pub(super) fn lock(&self) -> io::Result<Option<Held>> {
        self.create()?;
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(self.path("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Held(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    /// Whether somebody is between "intended" and "started" just now: then what is seen is not yet what will be.
    pub(super) fn is_being_started(&self, record: Option<&Record>) -> io::Result<bool> {
        Ok(record.is_some_and(|r| r.phase == Phase::Intended) && self.lock()?.is_none())
    }

    pub(super) fn load(&self) -> io::Result<Option<Record>> {
        let path = self.path("json");
        let text = match fs::read_to_string(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let bad =
            |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("{} is no record: {why}", path.display()));
        let record: Record = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
        if record.version == VERSION { Ok(Some(record)) } else { Err(bad(format!("version {}", record.version))) }
    }

    /// Replaces the record; on return it survives a power cut.
    pub(super) fn save(&self, record: &Record) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".record-").tempfile_in(&self.dir)?;
        serde_json::to_writer_pretty(&mut file, record)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(self.path("json")).map_err(|e| e.error)?;
        self.sync()
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        match fs::remove_file(self.path("json")) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
            Ok(()) => self.sync(),
        }
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

/// The lock of an environment, until it is dropped.
#[derive(Debug)]
pub(super) struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing would not do: a child that another thread is just about to start holds the same open file until its `exec`.
        let _ = self.0.unlock();
    }
}

/// Opens a log to append to; only its owner may read it.
pub(super) fn log(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path) -> Files {
        Files::new(dir.join("deep/er"), EnvironmentName::new("a").unwrap())
    }

    #[test]
    fn a_record_of_another_version_is_refused_and_not_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        files.create().unwrap();
        let mut record = Record::intended("t", &[], "h".into(), "b".into(), Timestamp::UNIX_EPOCH);
        files.save(&record).unwrap();
        assert_eq!(files.load().unwrap().as_ref(), Some(&record));
        record.version = 2;
        files.save(&record).unwrap();
        assert!(files.load().unwrap_err().to_string().contains("version 2"));
        fs::write(files.path("json"), "{").unwrap();
        assert!(files.load().is_err(), "a torn record is not the same as none");
    }

    #[test]
    fn only_one_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        let held = files.lock().unwrap().expect("free");
        assert!(files.lock().unwrap().is_none());
        drop(held);
        assert!(files.lock().unwrap().is_some());
    }
}
