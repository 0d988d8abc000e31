//! Tree → typed values, by serde. An error knows the way to the value that caused it, and what kind of mistake it is.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};

use super::path::{Path, Turn};
use super::tree::{Entry, Kind, Node};

/// A value of type `T` from a node.
pub(crate) fn read<T: DeserializeOwned>(node: &Node) -> Result<T, Misfit> {
    T::deserialize(Typed(node))
}

/// Why a node is not what is needed there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Misfit {
    /// The way to the value, from the node that was read.
    pub(crate) path: Path,
    pub(crate) what: What,
}

/// Kinds of mistakes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// Another type of value is needed.
    Type { found: String, expected: String },
    /// A key that does not exist. The path leads to its map.
    UnknownKey { key: String, valid: &'static [&'static str] },
    /// A word that is none of the choices.
    UnknownWord { word: String, valid: &'static [&'static str] },
    /// A key is needed. The path leads to the map.
    MissingKey(String),
    /// A key with nothing behind it.
    Nothing,
    /// One key must name the kind; these are there.
    Kinds { found: Vec<String>, valid: &'static [&'static str] },
    /// Anything else, in a fragment.
    Other(String),
}

impl Misfit {
    fn of(what: What) -> Self {
        Self { path: Path::default(), what }
    }

    fn under(mut self, turn: Turn) -> Self {
        self.path.put_before(turn);
        self
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.path, self.what)
    }
}

impl std::error::Error for Misfit {}

impl serde::de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::of(What::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::of(What::Type { found: found_in_words(found), expected: expected_in_words(&expected.to_string()) })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(word: &str, valid: &'static [&'static str]) -> Self {
        Self::of(What::UnknownWord { word: word.to_owned(), valid })
    }

    fn unknown_field(key: &str, valid: &'static [&'static str]) -> Self {
        Self::of(What::UnknownKey { key: key.to_owned(), valid })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::of(What::MissingKey(key.to_owned()))
    }
}

fn found_in_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(b) => format!("`{b}`"),
        Unexpected::Unsigned(n) => format!("the number {n}"),
        Unexpected::Signed(n) => format!("the number {n}"),
        Unexpected::Float(n) => format!("the number {n}"),
        Unexpected::Str(text) => format!("the text `{}`", shortened(text)),
        Unexpected::Map => "a map".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Char(_)
        | Unexpected::Bytes(_)
        | Unexpected::NewtypeStruct
        | Unexpected::Enum
        | Unexpected::UnitVariant
        | Unexpected::NewtypeVariant
        | Unexpected::TupleVariant
        | Unexpected::StructVariant
        | Unexpected::Other(_) => found.to_string(),
    }
}

fn shortened(text: &str) -> String {
    const SHOWN: usize = 60; // enough to recognise it
    let short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() { format!("{short}...") } else { short }
}

/// serde names Rust's types; people write YAML.
fn expected_in_words(expected: &str) -> String {
    let words = match expected {
        "a string" | "string" => "text",
        "a sequence" => "a list",
        "a boolean" => "`true` or `false`",
        "f32" | "f64" => "a number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of 0 or more",
        "i32" | "i64" => "a whole number",
        "a map" => "a map of names",
        _ if expected.starts_with("struct ") => "a map of settings",
        _ if expected.starts_with("enum ") => "one of its kinds",
        other => other,
    };
    words.to_owned()
}

/// A node as serde wants to see it.
#[derive(Clone, Copy)]
struct Typed<'t>(&'t Node);

impl<'de> Deserializer<'de> for Typed<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.0.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(b) => visitor.visit_bool(*b),
            Kind::Number(n) => match (n.as_u64(), n.as_i64(), n.as_f64()) {
                (Some(n), ..) => visitor.visit_u64(n),
                (_, Some(n), _) => visitor.visit_i64(n),
                (.., n) => visitor.visit_f64(n.unwrap_or(f64::NAN)),
            },
            Kind::Text(text) => visitor.visit_str(text),
            Kind::List(items) => visitor.visit_seq(Items { rest: items.iter().enumerate() }),
            Kind::Map(entries) => visitor.visit_map(Entries { rest: entries.iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.0.kind == Kind::Null { Err(Misfit::of(What::Nothing)) } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        valid: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match &self.0.kind {
            Kind::Text(word) => visitor.visit_enum(Choice { word, entry: None, valid }),
            Kind::Map(entries) => match entries.as_slice() {
                [entry] => visitor.visit_enum(Choice { word: &entry.key, entry: Some(entry), valid }),
                all => Err(one_kind(all, valid)),
            },
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::List(_) => {
                Err(Misfit::of(What::Type { found: in_words(self.0), expected: "one of its kinds".to_owned() }))
            }
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

fn in_words(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "nothing".to_owned(),
        Kind::Bool(b) => format!("`{b}`"),
        Kind::Number(n) => format!("the number {n}"),
        Kind::Text(text) => format!("the text `{}`", shortened(text)),
        Kind::List(_) => "a list".to_owned(),
        Kind::Map(_) => "a map".to_owned(),
    }
}

/// Exactly one key may name the kind. A key that is no kind at all is the likelier mistake.
fn one_kind(entries: &[Entry], valid: &'static [&'static str]) -> Misfit {
    match entries.iter().find(|e| !valid.contains(&e.key.as_str())) {
        Some(stranger) => Misfit::unknown_field(&stranger.key, valid),
        None => Misfit::of(What::Kinds { found: entries.iter().map(|e| e.key.clone()).collect(), valid }),
    }
}

struct Items<'t> {
    rest: std::iter::Enumerate<std::slice::Iter<'t, Node>>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some((index, node)) = self.rest.next() else { return Ok(None) };
        seed.deserialize(Typed(node)).map(Some).map_err(|e| e.under(Turn::Item(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Entries<'t> {
    rest: std::slice::Iter<'t, Entry>,
    value: Option<&'t Entry>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some(entry) = self.rest.next() else { return Ok(None) };
        self.value = Some(entry);
        let key: StrDeserializer<'_, Misfit> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|e| {
            if matches!(e.what, What::UnknownKey { .. }) { e } else { e.under(Turn::Key(entry.key.clone())) }
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let entry = self.value.take().ok_or_else(|| Misfit::custom("BUG: a value was asked for before its key"))?;
        let value = Typed(&entry.value);
        seed.deserialize(value).map_err(|e| e.under(Turn::Key(entry.key.clone())))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Choice<'t> {
    word: &'t str,
    entry: Option<&'t Entry>,
    valid: &'static [&'static str],
}

impl<'de, 't> EnumAccess<'de> for Choice<'t> {
    type Error = Misfit;
    type Variant = Chosen<'t>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Chosen<'t>), Misfit> {
        let word: StrDeserializer<'_, Misfit> = self.word.into_deserializer();
        let value = seed.deserialize(word).map_err(|e| match (e.what, self.entry) {
            (What::UnknownWord { word, .. }, Some(_)) => Misfit::unknown_field(&word, self.valid),
            (what, _) => Misfit { path: e.path, what },
        })?;
        Ok((value, Chosen { word: self.word, entry: self.entry }))
    }
}

struct Chosen<'t> {
    word: &'t str,
    entry: Option<&'t Entry>,
}

impl<'de> VariantAccess<'de> for Chosen<'_> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        match self.entry {
            None => Ok(()),
            Some(_) => Err(Misfit::custom(format_args!("`{}` takes no settings: write the word alone", self.word))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Misfit> {
        let Some(entry) = self.entry else {
            let word = self.word;
            return Err(Misfit::custom(format_args!("`{word}` needs its settings: `{word}: {{...}}`")));
        };
        seed.deserialize(Typed(&entry.value)).map_err(|e| e.under(Turn::Key(entry.key.clone())))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Misfit> {
        Err(Misfit::custom("BUG: the plan language has no such kind"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Misfit> {
        self.newtype_variant_seed(MapOf(visitor))
    }
}

struct MapOf<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for MapOf<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_map(self.0)
    }
}
