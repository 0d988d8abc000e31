//! YAML text → a tree in which every value and every key knows where it stands.
//!
//! The text is parsed once, here and nowhere else. Merge keys and aliases are resolved by the parser; what they bring points at
//! where it was written, not at where it is used.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{Location, Spanned};

/// Where something stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// First byte.
    pub offset: usize,
    /// Length in bytes.
    pub len: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// For a list or map: where it begins.
    pub mark: Mark,
}

/// What a YAML value can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Nothing was written after the key.
    Null,
    /// `true` or `false`, and no other word.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text, quoted or not.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<Entry>),
}

/// One key of a map and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub mark: Mark,
    /// The value.
    pub value: Node,
}

/// Why a text is no tree.
#[derive(Debug, Clone, PartialEq)]
pub struct BadYaml {
    /// What is wrong, in a fragment.
    pub why: String,
    /// Where, if the parser can tell.
    pub mark: Option<Mark>,
    /// Whether the text is well-formed but larger or deeper than is allowed.
    pub too_much: bool,
}

/// Lists in maps in lists: more than any plan needs, less than a stack holds.
pub const DEPTH_MAX: usize = 64;

/// Values after aliases are followed. A step is about ten, so this is far above the largest plan.
const NODES_MAX: usize = 500_000;

/// For [`DEPTH_MAX`] levels of an unoptimised build, three times over.
const STACK_BYTES: usize = 16 << 20;

/// Reads a text as one YAML document.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read(text: &str) -> Result<Node, BadYaml> {
    // The parser takes tens of kilobytes of stack a level when it is not optimised: more than a test's thread has.
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().name("plan-reader".to_owned()).stack_size(STACK_BYTES);
        let read = move || serde_saphyr::from_str_with_options::<Node>(text, options()).map_err(|e| bad_yaml(&e, text));
        match reader.spawn_scoped(scope, read).map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(e) => {
                Err(BadYaml { why: format!("cannot start a thread to read it: {e}"), mark: None, too_much: false })
            }
        }
    })
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_events: 3 * NODES_MAX,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_merge_keys: 1_000,
            // A long comment before a key is good style, not an attack: the size of the text bounds it.
            max_buffered_comment_events: usize::MAX,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
            max_alias_expansions_per_anchor: 1_000,
        },
        // `no` is a word, not a switch.
        strict_booleans: true,
        // `0123` and `1_000` are names or ids somewhere, and never meant as 123 and 1000.
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        emit_comments: false,
        with_snippet: false,
    }
}

impl Node {
    /// The value under `key`, when this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|e| &e.value)
    }

    /// The entry of `key`, when this is a map that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|e| e.key == key)
    }

    /// The entries of a map; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        if let Kind::Map(entries) = &self.kind { entries } else { &[] }
    }

    /// The items of a list; none for anything else.
    pub fn items(&self) -> &[Node] {
        if let Kind::List(items) = &self.kind { items } else { &[] }
    }

    /// The same without places, as JSON. Every key of the tree is unique, so nothing is lost.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(b) => Value::Bool(*b),
            Kind::Number(n) => Value::Number(n.clone()),
            Kind::Text(t) => Value::String(t.clone()),
            Kind::List(items) => items.iter().map(Self::to_json).collect(),
            Kind::Map(entries) => Value::Object(entries.iter().map(|e| (e.key.clone(), e.value.to_json())).collect()),
        }
    }
}

fn mark_of(at: Location) -> Mark {
    let span = at.span();
    let size = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    Mark {
        offset: size(span.byte_offset()),
        len: size(span.byte_len()),
        line: usize::try_from(at.line()).unwrap_or(0),
        column: usize::try_from(at.column()).unwrap_or(0),
    }
}

fn bad_yaml(error: &serde_saphyr::Error, text: &str) -> BadYaml {
    let at = error.location().filter(|l| l.line() > 0);
    let plain = serde_saphyr::render_options! { snippets: serde_saphyr::SnippetMode::Off };
    let why = error.render_with_options(plain);
    let suffix = at.map(|l| format!(" at line {}, column {}", l.line(), l.column())).unwrap_or_default();
    let why = if let serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } = error.without_snippet() {
        format!("`{key}` is written twice in one map")
    } else {
        why.strip_suffix(&suffix).unwrap_or(&why).to_owned()
    };
    let too_much = why.contains("recursion limit") || is_limit(error);
    BadYaml { why, mark: at.map(|l| found_by_line(text, mark_of(l))), too_much }
}

fn is_limit(error: &serde_saphyr::Error) -> bool {
    use serde_saphyr::Error as E;
    let error = error.without_snippet();
    if let E::AliasError { error, .. } = error {
        return is_limit(error);
    }
    matches!(
        error,
        E::Budget { .. }
            | E::AliasReplayLimitExceeded { .. }
            | E::AliasExpansionLimitExceeded { .. }
            | E::AliasReplayStackDepthExceeded { .. }
    )
}

/// An error of the scanner knows its line and column only.
fn found_by_line(text: &str, mark: Mark) -> Mark {
    if mark.offset > 0 || (mark.line <= 1 && mark.column <= 1) {
        return Mark {
            offset: mark.offset.min(text.len()),
            len: mark.len.min(text.len() - mark.offset.min(text.len())),
            ..mark
        };
    }
    let before: usize = text.split_inclusive('\n').take(mark.line - 1).map(str::len).sum();
    let line = text[before..].lines().next().unwrap_or_default();
    let within = line.char_indices().nth(mark.column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
    Mark { offset: before + within, len: usize::from(within < line.len()), ..mark }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { kind: spanned.value, mark: mark_of(spanned.defined) })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Kind, E> {
        Ok(Kind::Number(n.into()))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Kind, E> {
        Ok(Kind::Number(n.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, n: f64) -> Result<Kind, E> {
        Number::from_f64(n).map(Kind::Number).ok_or_else(|| E::custom("a number without an end is of no use here"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Kind, E> {
        Ok(Kind::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element::<Node>()? {
            items.push(item);
        }
        Ok(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            // The parser tells `1` and `"1"` apart; a name does not.
            if !seen.insert(key.value.clone()) {
                return Err(A::Error::custom(format_args!("`{}` is written twice in one map", key.value)));
            }
            let value = map.next_value::<Node>()?;
            entries.push(Entry { key: key.value, mark: mark_of(key.defined), value });
        }
        Ok(Kind::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, mark: Mark) -> &str {
        &text[mark.offset..mark.offset + mark.len]
    }

    #[test]
    fn every_key_and_value_knows_where_it_stands() {
        let text = "größe: {a: 'x y', b: 12}\nliste:\n  - eins\n  - \"zw\\u00f6lf\"\n";
        let tree = read(text).unwrap();
        let size = tree.entry("größe").unwrap();
        assert_eq!(shown(text, size.mark), "größe");
        let a = size.value.entry("a").unwrap();
        assert_eq!((shown(text, a.mark), shown(text, a.value.mark)), ("a", "'x y'"));
        assert_eq!((a.value.mark.line, a.value.mark.column), (1, 12));
        assert_eq!(shown(text, size.value.get("b").unwrap().mark), "12");
        let items = tree.get("liste").unwrap().items();
        assert_eq!(shown(text, items[0].mark), "eins");
        assert_eq!(items[1].kind, Kind::Text("zwölf".to_owned()));
        assert_eq!(shown(text, items[1].mark), "\"zw\\u00f6lf\"");
        assert_eq!((items[1].mark.line, items[1].mark.column), (4, 5));
    }

    #[test]
    fn what_an_alias_or_a_merge_brings_points_at_where_it_was_written() {
        let text = "base: &b {x: 1, y: 2}\nall: {<<: *b, y: 3}\nsame: *b\n";
        let tree = read(text).unwrap();
        let all = tree.get("all").unwrap();
        assert_eq!(all.get("x").unwrap().mark.line, 1);
        assert_eq!(all.get("y").unwrap().kind, Kind::Number(3.into()));
        assert_eq!(all.get("y").unwrap().mark.line, 2);
        assert_eq!(tree.get("same").unwrap().get("x").unwrap().mark.line, 1);
    }

    #[test]
    fn words_stay_words_and_ids_stay_ids() {
        let tree = read("a: no\nb: on\nc: 0123\nd: 1_000\ne: true\nf:\ng: '5'\nh: !!str 5\n").unwrap();
        for (key, want) in [("a", "no"), ("b", "on"), ("c", "0123"), ("d", "1_000"), ("g", "5"), ("h", "5")] {
            assert_eq!(tree.get(key).unwrap().kind, Kind::Text(want.to_owned()), "{key}");
        }
        assert_eq!(tree.get("e").unwrap().kind, Kind::Bool(true));
        assert_eq!(tree.get("f").unwrap().kind, Kind::Null);
    }

    #[test]
    fn a_key_that_is_written_twice_is_an_error_with_its_place() {
        for text in ["a: 1\nb: 2\na: 3\n", "x: {1: a, '1': b}\n"] {
            let bad = read(text).unwrap_err();
            assert!(bad.why.contains("twice"), "{bad:?}");
            assert!(bad.mark.is_some(), "{bad:?}");
        }
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let started = std::time::Instant::now();
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..10 {
            let all = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb = format!("{bomb}a{n}: &a{n} [{all}]\n");
        }
        let nested = "[".repeat(20_000);
        let lists = "- ".repeat(20_000);
        let maps = (0..5_000).map(|n| " ".repeat(n) + "a:\n").collect::<String>();
        for text in [&bomb, &nested, &lists, &maps[..1_000_000], "a: &a [*a]"] {
            assert!(read(text).is_err());
        }
        assert!(read(&bomb).unwrap_err().too_much, "{:?}", read(&bomb));
        for deep in [&nested, &lists, &maps[..1_000_000]] {
            assert!(read(deep).unwrap_err().too_much, "{:?}", read(deep));
        }
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }

    #[test]
    fn the_deepest_allowed_nesting_fits_the_stack() {
        let (open, close) = ("[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        let lists = "- ".repeat(DEPTH_MAX);
        for text in [format!("{open}{close}"), lists] {
            assert_eq!(read(&text).map(|_| ()), Ok(()));
            assert!(read(&format!("[{text}]")).is_err());
        }
    }

    #[test]
    fn an_error_of_the_scanner_has_its_place_in_bytes() {
        let bad = read("ä: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert_eq!(bad.mark.map(|m| (m.line, m.offset)), Some((3, 16)), "{bad:?}");
    }

    #[test]
    fn a_long_comment_is_no_attack() {
        let text = format!("steps:\n{}  - a\n", "  # why\n".repeat(500));
        assert!(read(&text).is_ok(), "{:?}", read(&text));
    }
}
