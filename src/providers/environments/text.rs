//! What others wrote, made safe to show: it may hold anything, escape sequences too.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// How much of an output is kept for a message: a stack trace fits, a flood does not.
pub(super) const KEPT: u64 = 4096;

/// `text` with everything escaped that could move a cursor, forge a line or reverse the reading direction.
pub(super) fn escape(text: &str) -> String {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if harmful(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// The last `max` bytes of `file`, as they are.
pub(super) fn tail(file: &mut File, max: u64) -> io::Result<String> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(max)))?;
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_is_left() {
        assert_eq!(escape("a\u{1b}[2J\nb\u{202e}c é"), "a\\u{1b}[2J\\nb\\u{202e}c é");
    }

    #[test]
    fn only_the_end_of_a_flood_is_kept() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[b'x'; 10_000]).unwrap();
        file.write_all(b"the end").unwrap();
        let kept = tail(&mut file, 100).unwrap();
        assert_eq!(kept.len(), 100);
        assert!(kept.ends_with("xthe end"));
    }
}
