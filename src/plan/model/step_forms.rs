//! How steps are read: common keys beside one that names the kind, and short forms for kinds with one obvious setting.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::from_map;
use super::step::{Action, Branch, OnEnvironment, OnRouter, Role, Step};
use crate::ids::{RouterName, StepId};
use crate::units::Span;

/// The keys of a step: two for every kind, then the kinds.
const KEYS: &[&str] = &[
    "name",
    "within",
    "provision",
    "attach",
    "check",
    "lower_ttl",
    "restore_ttl",
    "swap",
    "verify",
    "bake",
    "drain",
    "teardown",
    "run",
    "approve",
    "wait",
    "parallel",
];

/// The kinds that may be written with a text instead of a map: the one setting that the text is, and its type.
fn short_form(kind: &str, generator: &mut SchemaGenerator) -> Option<(&'static str, Schema)> {
    match kind {
        "provision" | "check" | "drain" | "teardown" => Some(("environment", generator.subschema_for::<Role>())),
        "restore_ttl" => Some(("router", generator.subschema_for::<RouterName>())),
        "wait" => Some(("for", generator.subschema_for::<Span>())),
        _ => None,
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(StepVisitor)
    }
}

struct StepVisitor;

impl<'de> Visitor<'de> for StepVisitor {
    type Value = Step;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a step, as in `swap: {router: ...}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Step, A::Error> {
        let (mut name, mut within) = (None, None);
        let mut action: Option<(String, Action)> = None;
        while let Some(key) = map.next_key::<String>()? {
            match (key.as_str(), &action) {
                ("name", _) => name = map.next_value()?,
                ("within", _) => within = map.next_value()?,
                (kind, Some((other, _))) if KEYS.contains(&kind) => {
                    let both = format_args!("a step takes exactly one kind, and here are `{other}` and `{kind}`");
                    return Err(A::Error::custom(both));
                }
                (kind, _) => {
                    let read = action_of(kind, &mut map)?;
                    action = Some((key, read));
                }
            }
        }
        let kinds = || KEYS.iter().skip(2).map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
        let (_, action) = action.ok_or_else(|| A::Error::custom(format_args!("a step needs its kind: {}", kinds())))?;
        Ok(Step { name, within, action })
    }
}

fn action_of<'de, A: MapAccess<'de>>(kind: &str, map: &mut A) -> Result<Action, A::Error> {
    Ok(match kind {
        "provision" => Action::Provision(map.next_value_seed(ENVIRONMENT)?),
        "attach" => Action::Attach(map.next_value()?),
        "check" => Action::Check(map.next_value_seed(OrText(OF_ENVIRONMENT, |e| settings("environment", e)))?),
        "lower_ttl" => Action::LowerTtl(map.next_value()?),
        "restore_ttl" => Action::RestoreTtl(map.next_value_seed(OrText(OF_ROUTER, |text| {
            let router = RouterName::new(text).map_err(|e| e.to_string())?;
            Ok(OnRouter { router })
        }))?),
        "swap" => Action::Swap(map.next_value()?),
        "verify" => Action::Verify(map.next_value()?),
        "bake" => Action::Bake(map.next_value()?),
        "drain" => Action::Drain(map.next_value_seed(OrText(OF_ENVIRONMENT, |e| settings("environment", e)))?),
        "teardown" => Action::Teardown(map.next_value_seed(ENVIRONMENT)?),
        "run" => Action::Run(map.next_value()?),
        "approve" => Action::Approve(map.next_value()?),
        "wait" => Action::Wait(map.next_value_seed(OrText(OF_TIME, |text| settings("for", text)))?),
        "parallel" => Action::Parallel(map.next_value()?),
        unknown => return Err(A::Error::unknown_field(unknown, KEYS)),
    })
}

const OF_ENVIRONMENT: &str = "an environment, as in `next`, or a map of settings";
const OF_ROUTER: &str = "a router, or a map of settings";
const OF_TIME: &str = "a length of time with its unit, as in `90s` or `5m`, or a map of settings";
const ENVIRONMENT: OrText<OnEnvironment> =
    OrText(OF_ENVIRONMENT, |text| Ok(OnEnvironment { environment: Role(text.to_owned()) }));

/// The settings that a text is short for; the defaults of the others are written down once, in the type.
fn settings<T: for<'de> Deserialize<'de>>(key: &str, text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::json!({ key: text })).map_err(|e| e.to_string())
}

/// A map of settings, or a text that is short for one.
struct OrText<T>(&'static str, fn(&str) -> Result<T, String>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for OrText<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for OrText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.1(text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        from_map(map)
    }
}

impl<'de> Deserialize<'de> for Branch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StepOrList;

        impl<'de> Visitor<'de> for StepOrList {
            type Value = Branch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a step or a list of steps")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Branch, A::Error> {
                let mut steps = Vec::new();
                while let Some(step) = list.next_element()? {
                    steps.push(step);
                }
                Ok(Branch(steps))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Branch, A::Error> {
                Ok(Branch(vec![from_map(map)?]))
            }
        }

        deserializer.deserialize_any(StepOrList)
    }
}

/// One row of keys: `name`, `within`, and exactly one kind.
impl JsonSchema for Step {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let action = Action::json_schema(generator);
        let kinds: Vec<Value> = action.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut keys = Map::new();
        let mut name = generator.subschema_for::<StepId>();
        name.insert("description".to_owned(), "Its name; default: number and kind, as `07-bake`.".into());
        let mut within = generator.subschema_for::<Span>();
        within.insert("description".to_owned(), "How long it may take.".into());
        keys.insert("name".to_owned(), name.to_value());
        keys.insert("within".to_owned(), within.to_value());
        let mut required = Vec::new();
        for kind in kinds {
            let says = kind.get("description").cloned().unwrap_or_default();
            let Some(Value::Object(of)) = kind.get("properties").cloned() else { continue };
            for (key, settings) in of {
                required.push(serde_json::json!({ "required": [key] }));
                let settings = match short_form(&key, generator) {
                    Some((setting, mut short)) => {
                        short.insert("description".to_owned(), format!("Short for `{{{setting}: ...}}`.").into());
                        serde_json::json!({"anyOf": [short, settings]})
                    }
                    None => settings,
                };
                let mut settings = Schema::try_from(settings).unwrap_or_default();
                settings.insert("description".to_owned(), says.clone());
                keys.insert(key, settings.to_value());
            }
        }
        json_schema!({
            "description": "One step: its kind is its one key beside `name` and `within`.",
            "type": "object",
            "properties": keys,
            "additionalProperties": false,
            "oneOf": required,
        })
    }
}

impl JsonSchema for Branch {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Branch".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let step = generator.subschema_for::<Step>();
        json_schema!({
            "description": "A step or a list of steps.",
            "anyOf": [step, {"type": "array", "items": step}],
        })
    }
}
