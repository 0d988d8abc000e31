//! The journal of a world's service, read as a stranger would read it.

use modelswap::journal::log::Log;
use modelswap::journal::record::{Framed, Record, read, unframe};

use super::World;

/// What stands in a journal file.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) records: Vec<Record>,
    pub(crate) log: Log,
    /// Bytes behind the last whole record.
    pub(crate) torn: usize,
}

/// Reads it and checks frame, place and hash of every record.
pub(crate) fn of(world: &World) -> Written {
    let path = world.state().join("journal");
    let bytes = std::fs::read(&path).unwrap_or_default();
    let (mut written, mut rest) = (Written::default(), bytes.as_slice());
    while !rest.is_empty() {
        match unframe(rest) {
            Framed::Whole(payload, taken) => {
                let record = read(payload, |digest| {
                    std::fs::read(world.state().join("blobs").join(digest)).map_err(|e| e.to_string())
                });
                let record = record.unwrap_or_else(|why| panic!("{}: {why}", path.display()));
                written.log.push(payload, &record).unwrap_or_else(|bad| panic!("{}: {bad}", path.display()));
                written.records.push(record);
                rest = &rest[taken..];
            }
            Framed::Torn => {
                written.torn = rest.len();
                break;
            }
            Framed::Damaged => panic!("{} is damaged after record {}", path.display(), written.records.len()),
        }
    }
    written
}
