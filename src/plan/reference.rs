//! The page that lists every key of a plan, made from the schema, which is made from the types.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// The plan reference, in Markdown.
pub fn reference() -> String {
    let schema = super::schema::schema();
    let mut page = Page { schema: &schema, text: HEAD.to_owned(), told: BTreeSet::new(), next: Vec::new() };
    page.section("Plan", &schema);
    // Types in the order in which they are met, so that the page follows the file.
    while !page.next.is_empty() {
        for name in std::mem::take(&mut page.next) {
            if page.told.insert(name.clone())
                && let Some(of) = schema.pointer(&format!("/definitions/{name}"))
            {
                page.section(&name, of);
            }
        }
    }
    page.text
}

const HEAD: &str = "\
# Plan reference

Every key of a plan. This page is made from the program (`modelswap schema` prints the same as JSON Schema).

- One key names the kind, everywhere: `gates: {errors: {http: {...}}}`.
- A **time** is written with its unit: `200ms`, `90s`, `5m`, `1h30m`.
- A **name** has 1 to 100 of `a-z A-Z 0-9 . _ -` and begins with a letter or digit.
- A **role** is `live`, `next`, `previous`, or the name of an environment. Which one is live is read from the routers at the start.
- `${var.NAME}` stands for a variable in any text, `${env.NAME}` for a variable of the environment that `--env NAME` grants; `$${` is `${`.
- YAML merge keys and anchors work. A key written twice, a key that does not exist, and a key with nothing behind it are errors.
- Only `true` and `false` are switches; `yes`, `no`, `on` and `off` are words.
";

struct Page<'s> {
    schema: &'s Value,
    text: String,
    told: BTreeSet<String>,
    next: Vec<String>,
}

impl Page<'_> {
    fn section(&mut self, name: &str, of: &Value) {
        self.line(&format!("\n## {name}\n"));
        if let Some(says) = of.get("description").and_then(Value::as_str) {
            self.line(&format!("{}\n", flat(says)));
        }
        if let Some(keys) = of.get("properties").and_then(Value::as_object) {
            self.keys(keys, of.get("required"));
        } else if of.get("type").is_some_and(|t| t == "object") {
            self.line("It has no settings: `{}`.");
        } else if let Some(kinds) = of.get("oneOf").or_else(|| of.get("anyOf")).and_then(Value::as_array) {
            self.kinds(kinds);
        }
    }

    fn keys(&mut self, keys: &Map<String, Value>, required: Option<&Value>) {
        self.line("| key | type | default | meaning |\n| --- | --- | --- | --- |");
        let needed = |key: &str| required.and_then(Value::as_array).is_some_and(|r| r.iter().any(|k| k == key));
        // What must be there is read first.
        let (first, then): (Vec<_>, Vec<_>) = keys.iter().partition(|(key, _)| needed(key));
        for (key, of) in first.into_iter().chain(then) {
            let default = match of.get("default") {
                _ if needed(key) => "needed".to_owned(),
                Some(default) => format!("`{}`", plain(default)),
                None => String::new(),
            };
            let says = of.get("description").and_then(Value::as_str).map(flat).unwrap_or_default();
            let of = self.type_of(of);
            self.line(&format!("| `{key}` | {of} | {default} | {says} |"));
        }
    }

    fn kinds(&mut self, kinds: &[Value]) {
        self.line("One of:\n\n| written | meaning |\n| --- | --- |");
        for kind in kinds {
            let says = kind.get("description").and_then(Value::as_str).map(flat).unwrap_or_default();
            let written = match kind.get("properties").and_then(Value::as_object) {
                Some(keys) => {
                    let inner: Vec<_> = keys.iter().map(|(key, of)| format!("`{key}:` {}", self.type_of(of))).collect();
                    inner.join(", ")
                }
                None => self.type_of(kind),
            };
            self.line(&format!("| {written} | {says} |"));
        }
    }

    /// A type in a few words; a type with keys of its own gets a section.
    fn type_of(&mut self, of: &Value) -> String {
        if let Some(reference) = of.get("$ref").and_then(Value::as_str) {
            let name = reference.rsplit('/').next().unwrap_or_default().to_owned();
            return self.named(&name);
        }
        if let Some([only]) = of.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
            return self.type_of(only);
        }
        if let Some(word) = of.get("const") {
            return format!("`{}`", plain(word));
        }
        if let Some(words) = of.get("enum").and_then(Value::as_array) {
            return words.iter().map(|w| format!("`{}`", plain(w))).collect::<Vec<_>>().join(" or ");
        }
        if let Some(any) = of.get("anyOf").and_then(Value::as_array) {
            if any.iter().any(|a| a.get("format").is_some_and(|f| f == "uri")) {
                return "URL".to_owned();
            }
            if any.iter().any(|a| a.get("format").is_some_and(|f| f == "ipv4")) {
                return "IP address".to_owned();
            }
            let types: Vec<_> = any.iter().map(|a| self.type_of(a)).collect();
            return types.join(" or ");
        }
        match of.get("type").and_then(Value::as_str) {
            Some("string") => match of.get("pattern").and_then(Value::as_str) {
                Some(pattern) if pattern.contains("(h|m|s|ms)") => "time".to_owned(),
                Some(_) => "name".to_owned(),
                None => "text".to_owned(),
            },
            Some("integer") => "whole number".to_owned(),
            Some("number") => "number".to_owned(),
            Some("boolean") => "`true` or `false`".to_owned(),
            Some("array") => {
                let item = of.get("items").cloned().unwrap_or_default();
                format!("list of {}", self.type_of(&item))
            }
            Some("object") => self.map_of(of),
            _ => "anything".to_owned(),
        }
    }

    fn map_of(&mut self, of: &Value) -> String {
        let by_name = of.get("patternProperties").and_then(Value::as_object).and_then(|p| p.values().next().cloned());
        if let Some(inner) = by_name.or_else(|| of.get("additionalProperties").filter(|p| p.is_object()).cloned()) {
            return format!("map of {}", self.type_of(&inner));
        }
        match of.get("properties").and_then(Value::as_object) {
            Some(keys) => {
                let inner: Vec<_> = keys.iter().map(|(key, of)| format!("`{key}:` {}", self.type_of(of))).collect();
                inner.join(", ")
            }
            None => "map".to_owned(),
        }
    }

    fn named(&mut self, name: &str) -> String {
        if name == "Role" {
            return "role".to_owned();
        }
        let Some(of) = self.schema.pointer(&format!("/definitions/{name}")) else { return name.to_owned() };
        let (simple, of) = (of.get("type").is_some_and(|t| t == "string") && of.get("enum").is_none(), of.clone());
        if simple {
            return self.type_of(&of);
        }
        self.next.push(name.to_owned());
        format!("[{name}](#{})", name.to_lowercase())
    }

    fn line(&mut self, line: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

/// A paragraph in one line, fit for a cell.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
