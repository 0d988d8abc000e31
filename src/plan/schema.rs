//! The JSON Schema of a plan, for editors, made from the types; what serde reads by hand says its schema by hand.

use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::model::Plan;

/// The JSON Schema of a plan. Draft 7, which every editor's YAML support reads.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft07()
        .with(|s| s.meta_schema = Some("http://json-schema.org/draft-07/schema#".into()))
        .with_transform(InnerFirst(no_null))
        .with_transform(InnerFirst(plain_formats));
    let mut schema = settings.into_generator().into_root_schema_for::<Plan>();
    // A version that is not known is refused; an editor should say so.
    if let Some(version) = schema.pointer_mut("/properties/version").and_then(Value::as_object_mut) {
        version.insert("const".to_owned(), json!(super::parse::VERSION));
    }
    schema.to_value()
}

/// Changes every schema, the inner ones first, so that what is put in is not changed again.
#[derive(Debug, Clone)]
struct InnerFirst(fn(&mut Schema));

impl Transform for InnerFirst {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        self.0(schema);
    }
}

/// A key may be left out; with nothing behind it, it is a mistake.
fn no_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|t| t != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".to_owned(), one);
        }
    }
    let only = match schema.get_mut("anyOf") {
        Some(Value::Array(any)) => {
            let before = any.len();
            any.retain(|s| s.get("type") != Some(&json!("null")));
            (any.len() == 1 && before > 1).then(|| any.remove(0))
        }
        _ => None,
    };
    if let Some(Value::Object(only)) = only {
        schema.remove("anyOf");
        merge(schema, only);
    }
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
    // Beside `$ref`, draft 7 ignores everything; the description is kept by one step more.
    if schema.as_object().is_some_and(|o| o.len() > 1)
        && let Some(reference) = schema.remove("$ref")
    {
        schema.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
    }
}

fn merge(schema: &mut Schema, more: Map<String, Value>) {
    for (key, value) in more {
        if schema.get(&key).is_none() {
            schema.insert(key, value);
        }
    }
}

/// Formats of Rust's types mean nothing to an editor; their limits do.
fn plain_formats(schema: &mut Schema) {
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default().to_owned();
    match format.as_str() {
        "uint16" | "double" => drop(schema.remove("format")),
        "uint32" => {
            schema.remove("format");
            schema.insert("maximum".to_owned(), json!(u32::MAX));
        }
        "ip" => {
            schema.remove("format");
            schema.insert("anyOf".to_owned(), json!([{"format": "ipv4"}, {"format": "ipv6"}, {"pattern": VARIABLE}]));
        }
        "uri" => {
            schema.remove("format");
            schema.insert("anyOf".to_owned(), json!([{"format": "uri"}, {"pattern": VARIABLE}]));
        }
        _ => {}
    }
    // What a variable stands for is not known yet.
    if let Some(Value::String(pattern)) = schema.get_mut("pattern")
        && pattern != VARIABLE
    {
        *pattern = format!("{pattern}|{VARIABLE}");
    }
}

/// A text with a variable in it.
const VARIABLE: &str = r"\$\{";
