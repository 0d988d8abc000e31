//! A record: a fact with who, when, and its place in the hash chain. And its frame: one line of the journal file.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::actor::Actor;
use super::fact::Fact;
use crate::ids::{RunId, ServiceName};

/// Version of the record format; a reader that meets a higher one changes nothing.
pub const VERSION: u32 = 1;

/// Longest payload of a record, in bytes: small enough to be written by one `write`, and to be one object of a store.
/// What makes it longer is kept beside the log, the largest field first.
pub const PAYLOAD_MAX: usize = 64 * 1024;

/// One entry of a service's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Format of the record.
    pub v: u32,
    /// 1 for the first of the service; without gaps.
    pub seq: u64,
    /// SHA-256 of the payload before, in hex; of nothing for the first.
    pub prev: String,
    /// Whose log this is.
    pub service: ServiceName,
    /// The run that the fact belongs to.
    pub run: RunId,
    /// Which holder wrote it; only ever grows.
    pub epoch: u64,
    /// Unique, so that a writer knows its own record again.
    pub id: String,
    /// Who wrote it.
    pub actor: Actor,
    /// When, by the writer's clock; decides nothing about safety.
    pub at: Timestamp,
    /// What happened.
    pub fact: Fact,
}

/// SHA-256 in hex.
pub fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("BUG: a string takes every write");
        hex
    })
}

/// `LLLLLLLL CCCCCCCC {payload}\n`: length and CRC32C of the payload in hex, so that a cut or a flipped bit shows.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut line = format!("{:08x} {:08x} ", payload.len(), crc32c::crc32c(payload)).into_bytes();
    line.extend_from_slice(payload);
    line.push(b'\n');
    line
}

const HEADER: usize = 18;

/// Marks a field whose value is kept beside the log because it is large: `{"$blob": DIGEST}`.
const BLOB: &str = "$blob";

/// What the fields of a fact may take together; the rest of a payload is for who, when and where.
const FACT_MAX: usize = PAYLOAD_MAX - 4 * 1024;

/// Values longer than this, in bytes of JSON, are kept beside the log.
const INLINE_MAX: usize = 32 * 1024;

/// The record as canonical JSON (keys sorted), and the large values that must be kept before it is appended.
pub fn payload(record: &Record) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let mut json = serde_json::to_value(record).expect("BUG: records are JSON");
    let mut large = Vec::new();
    let mut fields: Vec<_> =
        json["fact"].as_object_mut().into_iter().flatten().map(|(_, v)| (bytes_of(v), v)).collect();
    fields.sort_by_key(|(bytes, _)| std::cmp::Reverse(bytes.len()));
    let mut inline: usize = fields.iter().map(|(bytes, _)| bytes.len()).sum();
    for (bytes, field) in fields {
        // A value that looks like the mark itself must not be taken for one.
        let ambiguous = field.get(BLOB).is_some();
        if bytes.len() > INLINE_MAX || inline > FACT_MAX || ambiguous {
            inline -= bytes.len();
            let digest = digest(&bytes);
            *field = serde_json::json!({ BLOB: digest });
            large.push((digest, bytes));
        }
    }
    (bytes_of(&json), large)
}

fn bytes_of(json: &serde_json::Value) -> Vec<u8> {
    serde_json::to_vec(json).expect("BUG: values are JSON")
}

/// Whether `text` can be the name of a large value: what a log says is never taken for a path.
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}

/// The names of the large values that a payload leaves out.
pub fn blobs_of(payload: &[u8]) -> Vec<String> {
    let json: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
    let fields = json["fact"].as_object().into_iter().flat_map(|fields| fields.values());
    fields.filter_map(|field| field.get(BLOB)?.as_str().map(str::to_owned)).collect()
}

/// The record of a payload; `fetch` finds the large values by their digest.
///
/// # Errors
/// A fragment that says what is wrong with it.
pub fn read(payload: &[u8], fetch: impl Fn(&str) -> Result<Vec<u8>, String>) -> Result<Record, String> {
    let mut json: serde_json::Value = serde_json::from_slice(payload).map_err(|e| e.to_string())?;
    // A newer format is not guessed at; its version is all that is read.
    if let Some(v) = json["v"].as_u64().filter(|v| *v > u64::from(VERSION)) {
        return Err(format!("it has format {v}, this modelswap knows {VERSION} at most; use a newer modelswap"));
    }
    for field in json["fact"].as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
        if let Some(digest) = field.get(BLOB).and_then(serde_json::Value::as_str) {
            if !is_digest(digest) {
                return Err(format!("`{digest}` is no name of a large value"));
            }
            *field = serde_json::from_slice(&fetch(digest)?).map_err(|e| e.to_string())?;
        }
    }
    serde_json::from_value(json).map_err(|e| e.to_string())
}

/// What stands at the front of `bytes`.
#[derive(Debug, PartialEq, Eq)]
pub enum Framed<'a> {
    /// A whole record: its payload, and how many bytes its frame takes.
    Whole(&'a [u8], usize),
    /// The beginning of a record whose writing was cut off: no acknowledged record looks like this.
    Torn,
    /// Something that no writer of ours leaves behind.
    Damaged,
}

/// Reads one frame. A newline is written last and stands nowhere else, so bytes without one were cut off;
/// with one, and still not right, they were damaged.
pub fn unframe(bytes: &[u8]) -> Framed<'_> {
    let Some(end) = bytes.iter().position(|b| *b == b'\n') else {
        // As long as its header says and more: the newline was there once.
        let claimed = bytes.get(..8).and_then(|d| std::str::from_utf8(d).ok()).and_then(hex);
        let complete = claimed.is_some_and(|length| bytes.len() > HEADER + length as usize);
        return if complete { Framed::Damaged } else { Framed::Torn };
    };
    let parsed = bytes.get(..end).and_then(|line| {
        let header = std::str::from_utf8(line.get(..HEADER)?).ok()?;
        let (length, rest) = header.split_once(' ')?;
        let payload = line.get(HEADER..)?;
        let exact = hex(length)? == u32::try_from(payload.len()).ok()?
            && hex(rest.strip_suffix(' ')?)? == crc32c::crc32c(payload);
        exact.then_some(payload)
    });
    parsed.map_or(Framed::Damaged, |payload| Framed::Whole(payload, end + 1))
}

/// Eight lower-case hex digits, nothing else: one bit can turn `a` into `A`, and that must show too.
fn hex(digits: &str) -> Option<u32> {
    let strict = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
    if strict { u32::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_is_torn_and_every_flipped_bit_is_noticed() {
        let whole = frame(br#"{"fact":"one"}"#);
        assert_eq!(unframe(&whole), Framed::Whole(br#"{"fact":"one"}"#, whole.len()));
        for cut in 0..whole.len() {
            assert_eq!(unframe(&whole[..cut]), Framed::Torn, "cut at {cut}");
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unframe(&flipped), Framed::Damaged, "bit {bit}");
        }
    }
}
