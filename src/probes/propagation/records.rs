//! Record values in one spelling, and which side of a swap an answer is on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use serde::{Deserialize, Serialize};

/// What a name holds on one side of a swap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// Exactly these values, by record type (`A`, `AAAA`, `CNAME`, ...), as a zone file writes them. No other type.
    Exact(BTreeMap<String, Vec<String>>),
    /// The addresses of another name: an alias. They are looked up again in each round.
    AliasOf(String),
}

impl Values {
    /// The record types to ask for.
    pub(super) fn kinds(&self) -> BTreeSet<String> {
        match self {
            Self::Exact(by_type) => by_type.keys().map(|k| k.to_ascii_uppercase()).collect(),
            Self::AliasOf(_) => BTreeSet::from(["A".to_owned(), "AAAA".to_owned()]),
        }
    }
}

/// One side of a swap in canonical spelling.
#[derive(Debug, Clone, Default)]
pub(super) struct Side {
    by_type: BTreeMap<String, BTreeSet<String>>,
    /// An alias answers some of its target's addresses; a record set answers all of its values.
    some_suffice: bool,
}

impl Side {
    pub(super) fn of(values: &Values) -> Self {
        match values {
            Values::AliasOf(_) => Self { some_suffice: true, ..Self::default() },
            Values::Exact(by_type) => {
                let spelled = |(kind, values): (&String, &Vec<String>)| {
                    let kind = kind.to_ascii_uppercase();
                    let values = values.iter().map(|v| canonical(&kind, v)).collect();
                    (kind, values)
                };
                Self { by_type: by_type.iter().map(spelled).collect(), some_suffice: false }
            }
        }
    }

    /// Adds what the target of an alias was seen with.
    pub(super) fn learn(&mut self, kind: &str, values: BTreeSet<String>) {
        self.by_type.entry(kind.to_owned()).or_default().extend(values);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_type.values().all(BTreeSet::is_empty)
    }

    fn fits(&self, kind: &str, seen: &BTreeSet<String>) -> bool {
        let empty = BTreeSet::new();
        let own = self.by_type.get(kind).unwrap_or(&empty);
        if self.some_suffice { seen.is_subset(own) && seen.is_empty() == own.is_empty() } else { seen == own }
    }
}

/// What one server said about one type at the name.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    /// Canonical values at the name itself, of the type that was asked for.
    pub(super) values: BTreeSet<String>,
    /// TTL of those, or of a CNAME in their place.
    pub(super) ttl_s: Option<u32>,
    /// The name leads elsewhere.
    pub(super) cname: Option<String>,
    pub(super) authoritative: bool,
    pub(super) recursive: bool,
    pub(super) no_such_name: bool,
}

/// Reads an answer; an error code is an error, but "no such name" is an answer.
pub(super) fn heard(answer: &Message, name: &Name, kind: RecordType) -> Result<Heard, String> {
    let about = &answer.metadata;
    let no_such_name = about.response_code == ResponseCode::NXDomain;
    if about.response_code != ResponseCode::NoError && !no_such_name {
        return Err(about.response_code.to_string());
    }
    let mut heard = Heard {
        authoritative: about.authoritative,
        recursive: about.recursion_available,
        no_such_name,
        ..Heard::default()
    };
    // Each link of a CNAME chain has its own TTL; only the link that is edited matters.
    for record in answer.answers.iter().filter(|r| r.name == *name) {
        let value = spelled(&record.data);
        if record.record_type() == kind {
            heard.values.insert(value);
        } else if record.record_type() == RecordType::CNAME {
            heard.cname = Some(value);
        } else {
            continue;
        }
        heard.ttl_s = heard.ttl_s.max(Some(record.ttl));
    }
    Ok(heard)
}

/// All addresses in an answer, at the end of a chain too.
pub(super) fn addresses(answer: &Message) -> Vec<IpAddr> {
    answer.answers.iter().filter_map(|r| r.data.ip_addr()).collect()
}

/// Which side an answer to all types is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    New,
    Old,
    /// Some types are old and some new.
    Mixed,
    Neither,
}

/// Compares what was heard for each type; types that did not change decide nothing.
pub(super) fn compare(heard: &BTreeMap<String, Heard>, old: &Side, new: &Side) -> Match {
    let (mut any_old, mut any_new, mut any_same) = (false, false, false);
    for (kind, heard) in heard {
        match (old.fits(kind, &heard.values), new.fits(kind, &heard.values)) {
            (true, true) => any_same = true,
            (true, false) => any_old = true,
            (false, true) => any_new = true,
            (false, false) => return Match::Neither,
        }
    }
    match (any_old, any_new, any_same) {
        (true, true, _) => Match::Mixed,
        (true, false, _) => Match::Old,
        // Where old and new are the same values (only the TTL differs), what is answered is what is wanted.
        (false, true, _) | (false, false, true) => Match::New,
        (false, false, false) => Match::Neither,
    }
}

/// What was heard in one line.
pub(super) fn show(heard: &BTreeMap<String, Heard>) -> String {
    let mut parts = Vec::new();
    for (kind, heard) in heard {
        if !heard.values.is_empty() {
            let values: Vec<&str> = heard.values.iter().map(String::as_str).collect();
            parts.push(format!("{kind} {}", values.join(" ")));
        } else if let Some(to) = &heard.cname {
            parts.push(format!("CNAME {to}"));
        }
    }
    parts.dedup();
    match (parts.is_empty(), heard.values().any(|h| h.no_such_name)) {
        (false, _) => parts.join(", "),
        (true, true) => "no such name".to_owned(),
        (true, false) => "no such records".to_owned(),
    }
}

fn spelled(data: &RData) -> String {
    // A text may be cut into pieces in any way; what counts is the whole.
    if let RData::TXT(txt) = data {
        return txt.to_string();
    }
    canonical(&data.record_type().to_string(), &data.to_string())
}

/// One spelling for values that mean the same.
fn canonical(kind: &str, text: &str) -> String {
    match kind {
        "A" | "AAAA" => text.trim().parse::<IpAddr>().map_or_else(|_| text.trim().to_owned(), |ip| ip.to_string()),
        "TXT" => unquoted(text),
        // Names are compared without case and without the final dot; numbers are not changed by either.
        _ => {
            let words = text.split_whitespace().map(|word| match word.strip_suffix('.') {
                Some("") | None => word.to_ascii_lowercase(),
                Some(bare) => bare.to_ascii_lowercase(),
            });
            words.collect::<Vec<_>>().join(" ")
        }
    }
}

/// `"a" "b"` as `ab`; text without quotes as it is.
fn unquoted(text: &str) -> String {
    if !text.trim_start().starts_with('"') {
        return text.to_owned();
    }
    let (mut out, mut inside, mut escaped) = (String::new(), false, false);
    for c in text.chars() {
        match c {
            _ if escaped => {
                out.push(c);
                escaped = false;
            }
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            _ if inside => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(kinds: &[(&str, &[&str])]) -> Side {
        let values = kinds.iter().map(|(k, v)| ((*k).to_owned(), v.iter().map(|&v| v.to_owned()).collect()));
        Side::of(&Values::Exact(values.collect()))
    }

    fn said(kinds: &[(&str, &[&str])]) -> BTreeMap<String, Heard> {
        let heard = |v: &[&str]| Heard { values: v.iter().map(|&v| v.to_owned()).collect(), ..Heard::default() };
        kinds.iter().map(|(k, v)| ((*k).to_owned(), heard(v))).collect()
    }

    #[test]
    fn values_that_mean_the_same_are_spelled_the_same() {
        assert_eq!(canonical("AAAA", "2001:DB8:0::1"), "2001:db8::1");
        assert_eq!(canonical("CNAME", "Blue.Example.COM."), "blue.example.com");
        assert_eq!(canonical("MX", "10  Mail.example.com."), "10 mail.example.com");
        assert_eq!(canonical("HTTPS", "1 ."), "1 .");
        assert_eq!(canonical("TXT", r#""a b" "c\"d""#), r#"a bc"d"#);
    }

    #[test]
    fn all_types_of_a_name_move_together() {
        let old = side(&[("A", &["192.0.2.1"]), ("AAAA", &["2001:db8::1"])]);
        let new = side(&[("A", &["192.0.2.2"])]);
        let is = |kinds: &[(&str, &[&str])]| compare(&said(kinds), &old, &new);
        assert_eq!(is(&[("A", &["192.0.2.2"]), ("AAAA", &[])]), Match::New);
        assert_eq!(is(&[("A", &["192.0.2.1"]), ("AAAA", &["2001:db8::1"])]), Match::Old);
        assert_eq!(is(&[("A", &["192.0.2.2"]), ("AAAA", &["2001:db8::1"])]), Match::Mixed);
        assert_eq!(is(&[("A", &["192.0.2.1", "192.0.2.2"]), ("AAAA", &[])]), Match::Neither);
        assert_eq!(is(&[("A", &["192.0.2.9"]), ("AAAA", &[])]), Match::Neither);
    }

    #[test]
    fn a_type_that_does_not_change_decides_nothing() {
        let old = side(&[("A", &["192.0.2.1"]), ("TXT", &["\"x\""])]);
        let new = side(&[("A", &["192.0.2.2"]), ("TXT", &["x"])]);
        assert_eq!(compare(&said(&[("A", &["192.0.2.1"]), ("TXT", &["x"])]), &old, &new), Match::Old);
        assert_eq!(compare(&said(&[("A", &["192.0.2.1"])]), &old, &old), Match::New);
    }

    #[test]
    fn an_alias_answers_some_of_its_targets_addresses() {
        let old = side(&[("A", &["192.0.2.1"])]);
        let mut new = Side::of(&Values::AliasOf("lb.example.com".to_owned()));
        assert_eq!(compare(&said(&[("A", &["192.0.2.7"])]), &old, &new), Match::Neither);
        new.learn("A", BTreeSet::from(["192.0.2.7".to_owned(), "192.0.2.8".to_owned()]));
        assert_eq!(compare(&said(&[("A", &["192.0.2.7"])]), &old, &new), Match::New);
        assert_eq!(compare(&said(&[("A", &[])]), &old, &new), Match::Neither);
        assert_eq!(compare(&said(&[("A", &["192.0.2.7", "192.0.2.1"])]), &old, &new), Match::Neither);
    }
}
