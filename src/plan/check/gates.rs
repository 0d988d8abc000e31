//! Gates and the witness.

use super::{environments, values, walk};
use crate::plan::draft::Draft;
use crate::plan::finding::Note;
use crate::plan::model::{Action, Bake, Check, Gate};
use crate::plan::path::Path;
use crate::units::Span;

/// A hundred questions a second through the front door are load, not a witness.
const EVERY_MIN: Span = Span::from_millis(10);

pub(super) fn check(draft: &Draft, notes: &mut Vec<Note>) {
    for (name, gate) in &draft.gates {
        let path = Path::of("gates").key(name);
        match gate {
            Some(Gate::Http(http)) => {
                let path = path.key("http");
                match url::Url::parse(&http.url) {
                    Ok(url) => values::http_url(&url, &path.key("url"), notes),
                    Err(_) if http.url.starts_with('/') => {}
                    Err(_) => {
                        let says = format!("`{}` is neither a URL nor a path that begins with `/`", http.url);
                        notes.push(Note::error("bad-url", path.key("url"), says));
                    }
                }
                if !(100..600).contains(&http.status) {
                    let says = format!("{} is no HTTP status: those are 100 to 599", http.status);
                    notes.push(Note::error("bad-status", path.key("status"), says));
                }
                if let Some(contains) = &http.contains {
                    values::not_empty(contains, &path.key("contains"), notes);
                }
            }
            Some(Gate::Command(command)) => {
                let path = path.key("command");
                values::argv(&command.run, &path.key("run"), notes);
                values::length(command.within, &path.key("within"), notes);
            }
            None => {}
        }
    }
    witness(draft, notes);
}

/// A gate that nobody asks holds nothing.
pub(super) fn unused(draft: &Draft, notes: &mut Vec<Note>) {
    if draft.steps.iter().any(Option::is_none) {
        return; // the one that is not in shape may ask it
    }
    let mut asked = std::collections::BTreeSet::new();
    walk::each(draft, |_, step, _| {
        if let Action::Check(Check { gates, .. }) | Action::Bake(Bake { gates, .. }) = &step.action {
            asked.extend(gates);
        }
    });
    for name in draft.gates.keys().filter(|name| !asked.contains(name)) {
        let says = format!("no step asks the gate `{name}`");
        let note = Note::warning("unused-gate", Path::of("gates").key(name), says).on_key();
        notes.push(note.help(format!("add it to `gates: [{name}]` of a `check` or `bake`, or remove it")));
    }
}

fn witness(draft: &Draft, notes: &mut Vec<Note>) {
    let Some(witness) = &draft.witness else { return };
    let path = Path::of("witness");
    values::http_url(&witness.url, &path.key("url"), notes);
    values::zero_or_length(witness.every, &path.key("every"), notes);
    if witness.every < EVERY_MIN {
        let says = format!("a witness that asks every {} is a load test; 10ms is the least", witness.every);
        notes.push(Note::error("too-often", path.key("every"), says));
    }
    if let Some(every) = witness.streams_every {
        values::length(every, &path.key("streams_every"), notes);
    }
    values::not_zero(witness.stream_tokens, &path.key("stream_tokens"), notes);
    environments::access(&witness.access, &path, notes);
}
