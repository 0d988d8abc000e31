//! Bytes → the text of a plan. What cannot be one is refused before anything tries to make sense of it.

use std::io::Read;
use std::path::Path;

use super::finding::Finding;

/// Two thousand steps are about a tenth of this.
pub const BYTES_MAX: usize = 1 << 20;

/// Reads the file of a plan.
///
/// # Errors
/// A finding, when there is no such file, it is a directory, or [`from_bytes`] refuses what is in it.
pub fn from_file(path: &Path) -> Result<String, Box<Finding>> {
    let name = path.display().to_string();
    let cannot = |why: &str| {
        Box::new(Finding::of_text("unreadable", (&name, ""), None, &format!("cannot read {name}: {why}"), None))
    };
    let file = std::fs::File::open(path).map_err(|e| cannot(&e.to_string()))?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        return Err(cannot("it is a directory; name a file in it"));
    }
    let mut bytes = Vec::new();
    // One byte more than is allowed tells a file that is too large, without reading all of it.
    file.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|e| cannot(&e.to_string()))?;
    from_bytes(&name, bytes)
}

/// The text in `bytes`, which came from `name`.
///
/// # Errors
/// A finding, when it is too large, no UTF-8, or has characters that no text has.
pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<String, Box<Finding>> {
    let refused =
        |code, says: &str| Box::new(Finding::of_text(code, (name, ""), None, &format!("{name} {says}"), None));
    if bytes.len() > BYTES_MAX {
        return Err(refused("too-large", "is larger than 1 MiB, which no plan is"));
    }
    let text = String::from_utf8(bytes).map_err(|_| refused("not-text", "is not text in UTF-8"))?;
    match odd_character(&text) {
        Some((at, c)) => {
            let line = 1 + text[..at].matches('\n').count();
            let says = format!("is not a text: line {line} has the character {}", c.escape_unicode());
            Err(refused("not-text", &says))
        }
        None => Ok(text),
    }
}

/// Control characters stand in no text, and a terminal would obey some; the others turn a line round, so that it reads as what it is not.
pub(crate) fn odd_character(text: &str) -> Option<(usize, char)> {
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}');
    text.char_indices().find(|(_, c)| control(*c) || turns_text_round(*c))
}

/// Unicode's embeddings, overrides and isolates (Unicode Annex 9).
pub(crate) fn turns_text_round(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_plan_gives_one_clear_finding() {
        let said = |result: Result<String, Box<Finding>>| result.unwrap_err().message;
        let directory = tempfile::tempdir().unwrap();
        assert!(said(from_file(directory.path())).contains("directory"));
        assert!(said(from_file(&directory.path().join("none.yaml"))).contains("cannot read"));
        assert!(said(from_bytes("x", vec![0xff, 0xfe, 0, 1])).contains("UTF-8"));
        assert!(said(from_bytes("x", b"a: \x1b[2J".to_vec())).contains("\\u{1b}"));
        assert!(said(from_bytes("x", "a: \u{202e}b".into())).contains("\\u{202e}"));
        assert!(said(from_bytes("x", vec![b'#'; BYTES_MAX + 1])).contains("1 MiB"));
        assert!(from_bytes("x", "größe: 1\r\n".into()).is_ok());
    }

    #[test]
    fn an_endless_file_is_not_read_to_its_end() {
        assert!(from_file(Path::new("/dev/zero")).unwrap_err().message.contains("1 MiB"));
    }
}
