//! Server-sent events (WHATWG HTML, "Server-sent events"), as far as model servers use them: `data` fields.

/// Cuts a byte stream into the data of its events.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Bytes of a line that has not ended.
    line: Vec<u8>,
    /// Data lines of an event that has not ended.
    data: Vec<String>,
    /// The last byte was CR, so an LF that follows ends nothing.
    after_cr: bool,
}

impl Events {
    /// Takes the next bytes, gives the data of the events that they end.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut ended = Vec::new();
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => ended.extend(self.end_of_line()),
                other => self.line.push(other),
            }
        }
        ended
    }

    fn end_of_line(&mut self) -> Option<String> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return (!data.is_empty()).then(|| data.join("\n"));
        }
        if let Some(data) = line.strip_prefix("data:") {
            self.data.push(data.strip_prefix(' ').unwrap_or(data).to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let text =
            "data: {\"a\":1}\n\n: a comment\r\nevent: x\r\ndata:b\r\ndata: ü\r\n\r\n\n\ndata: [DONE]\r\rdata: torn";
        let want = ["{\"a\":1}", "b\nü", "[DONE]"];
        for size in 1..text.len() {
            let mut events = Events::default();
            let got: Vec<_> = text.as_bytes().chunks(size).flat_map(|c| events.push(c)).collect();
            assert_eq!(got, want, "in pieces of {size}");
        }
    }
}
