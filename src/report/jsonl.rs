//! One JSON object a line on stdout: the records themselves, as docs/events.md describes them.

use super::{Around, Reporter};
use crate::ids::StepId;
use crate::journal::record::Record;
use crate::journal::state::RunState;

/// Version of these lines.
pub const VERSION: u32 = 1;

/// JSON lines on stdout.
#[derive(Debug)]
pub struct JsonLines;

impl Reporter for JsonLines {
    fn begin(&mut self, around: &Around, state: &RunState) {
        let resolved = &state.started.resolved;
        say(&serde_json::json!({
            "type": "begun", "service": resolved["plan"]["service"], "run": state.run, "plan": state.started.plan_name,
            "digest": state.started.digest, "from": resolved["live"], "to": resolved["next"], "release": resolved["plan"]["release"],
            "by": around.by, "state": around.place, "back": around.back, "lab": around.lab, "at": state.last_at,
        }));
    }

    fn record(&mut self, record: &Record, _state: &RunState) {
        let mut object = serde_json::json!({
            "type": "fact", "service": record.service, "run": record.run, "seq": record.seq, "at": record.at,
        });
        let fact = serde_json::to_value(&record.fact).unwrap_or_default();
        if let (Some(object), serde_json::Value::Object(mut fields)) = (object.as_object_mut(), fact) {
            // The plan is in the journal; a pipe does not need it again.
            for large in ["plan_text", "resolved"] {
                fields.remove(large);
            }
            object.extend(fields);
        }
        say(&object);
    }

    fn progress(&mut self, step: &StepId, note: &str, at: jiff::Timestamp) {
        say(&serde_json::json!({ "type": "progress", "step": step, "note": note, "at": at }));
    }
}

/// One object, with the version of these lines. A closed pipe never ends a deploy.
pub fn say(object: &serde_json::Value) {
    use std::io::Write;
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.insert("version".to_owned(), VERSION.into());
    }
    drop(writeln!(std::io::stdout(), "{object}"));
}
