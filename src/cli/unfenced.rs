//! Working without the place of the journals: from this host's mirror of it, or from a journal that is named.
//!
//! Nobody else sees what is written then, and a run elsewhere is not stopped by it. So it is said loudly, and recorded.

use std::path::Path;

use serde_json::json;

use super::desk::Desk;
use super::ending;
use super::place::Place;
use super::{Exit, Failure};
use crate::ids::ServiceName;
use crate::journal::fact::Fact;
use crate::journal::store::StoreError;
use crate::journal::store::local::Local;
use crate::journal::writer::Journal;

impl Desk {
    /// This desk, or when the place of the journals is down, the same on this host's mirror of it.
    pub(super) async fn or_mirror(self) -> Result<Self, Failure> {
        let Place::Bucket(url) = &self.place else { return Ok(self) };
        let Err(error) = self.known_at(&self.place).await else { return Ok(self) };
        let copy = self.mirror_of(&self.place);
        let services = Local::services(&copy);
        if !matches!(error, StoreError::Io { .. }) || services.is_empty() {
            let failure = self.cannot_keep(&error);
            return Err(match error {
                StoreError::Io { .. } => failure
                    .detail(format!("this host has no mirror of it ({})", copy.display()))
                    .hint("with a journal from elsewhere: modelswap rollback --from STATE/SERVICE/journal"),
                _ => failure,
            });
        }
        let why = format!("{url} cannot be used ({error})");
        Ok(self.moved_to(Place::Directory(copy), why))
    }

    /// This desk on a journal that is named: the file, its directory, a state directory, or a mirror's URL.
    pub(super) fn from(self, from: &str) -> Result<(Self, Option<String>), Failure> {
        let bad = |why: String| Failure::new(Exit::Usage, format!("cannot work from {from}: {why}; nothing was done"));
        let place: Place = from.parse().map_err(bad)?;
        let Place::Directory(path) = &place else {
            let why = format!("it was told to work from {place}");
            return Ok((self.moved_to(place, why), None));
        };
        let path = std::path::absolute(path).map_err(|e| bad(e.to_string()))?;
        let directory = if path.is_file() { path.parent().unwrap_or(Path::new("/")).to_owned() } else { path.clone() };
        let why = format!("it was told to work from {}", path.display());
        if directory.join("journal").is_file() && (path == directory || path.ends_with("journal")) {
            let service = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let state = directory.parent().unwrap_or(Path::new("/")).to_owned();
            return Ok((self.moved_to(Place::Directory(state), why), Some(service)));
        }
        if Local::services(&directory).is_empty() || path.is_file() {
            return Err(bad("there is no journal: it is a file SERVICE/journal".to_owned()));
        }
        Ok((self.moved_to(Place::Directory(directory), why), None))
    }

    fn moved_to(self, place: Place, why: String) -> Self {
        let was_shared = self.shared;
        Self { place, mirror: None, unfenced: Some(why), shared: was_shared, ..self }
    }

    /// Says that nobody is kept out, before anything is done.
    pub(super) async fn say_unfenced(&self, service: &ServiceName) {
        let Some(why) = &self.unfenced else { return };
        self.tell(&format!("UNFENCED: {why}"));
        let known = match self.records(service).await {
            Ok((_, records)) => records.last().map(|(record, _)| format!("record {} of {}", record.seq, record.at)),
            Err(_) => None,
        };
        let known = known.unwrap_or_else(|| "nothing".to_owned());
        self.tell(&format!("  working from {}, which knows {known}; what others did since is not in it", self.place));
        self.tell("  a run that is under way elsewhere is not stopped by this: make sure that there is none");
    }

    /// Writes down that it was so.
    pub(super) async fn record_unfenced(&self, journal: &mut Journal) -> Result<(), Failure> {
        let Some(why) = &self.unfenced else { return Ok(()) };
        let detail = json!({ "why": why, "from": self.place.to_string(), "by": self.actor.to_string() });
        let fact = Fact::Observed { what: "unfenced".to_owned(), detail };
        journal.append(fact, self.clock.now()).await.map(drop).map_err(|e| ending::not_ours(&e, self))
    }
}
