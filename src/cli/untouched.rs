//! What stands beside the values that a plan moves and is left alone: people look for it before they say yes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Failure;
use super::situation::unreadable;
use crate::plan::compile::Backends;
use crate::providers::Place;

/// A place with what is left alone there, in the place's own order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Untouched {
    of: String,
    parts: Vec<String>,
}

/// Looks beside every router; several of them may stand in one place.
pub(super) async fn untouched(backends: &Backends) -> Result<Vec<Untouched>, Failure> {
    let mut places = Vec::new();
    for (name, router) in &backends.routers {
        places.extend(router.place().await.map_err(|error| unreadable(name, &error))?);
    }
    Ok(beside(places))
}

fn beside(places: Vec<Place>) -> Vec<Untouched> {
    let mut found: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for place in places {
        let (own, parts) = found.entry(place.of).or_default();
        own.push(place.own);
        *parts = place.parts;
    }
    let left = |(of, (own, parts)): (String, (Vec<String>, Vec<String>))| Untouched {
        of,
        parts: parts.into_iter().filter(|part| !own.contains(part)).collect(),
    };
    found.into_iter().map(left).collect()
}

impl Untouched {
    /// `untouched on listener app/edge/...: default action, rules 10 30 40`.
    pub(super) fn says(&self) -> String {
        let (rules, others): (Vec<_>, Vec<_>) = self.parts.iter().partition(|part| part.starts_with(RULE));
        let numbers: Vec<_> = rules.iter().map(|rule| rule.trim_start_matches(RULE)).collect();
        let rules = match numbers.as_slice() {
            [] => None,
            [one] => Some(format!("{RULE}{one}")),
            several => Some(format!("rules {}", several.join(" "))),
        };
        let all: Vec<_> = others.into_iter().cloned().chain(rules).collect();
        format!(
            "untouched on {}: {}",
            self.of,
            if all.is_empty() { "nothing else is there".to_owned() } else { all.join(", ") }
        )
    }

    pub(super) fn json(&self) -> Value {
        json!({ "of": self.of, "parts": self.parts })
    }
}

const RULE: &str = "rule ";

#[cfg(test)]
mod tests {
    use super::*;

    fn place(own: &str, parts: &[&str]) -> Place {
        Place {
            of: "listener l".to_owned(),
            own: own.to_owned(),
            parts: parts.iter().map(|p| (*p).to_owned()).collect(),
        }
    }

    #[test]
    fn what_several_routers_of_one_listener_move_is_not_among_the_untouched() {
        let all = ["rule 10", "rule 20", "rule 30", "rule 40", "default action"];
        let says = |own: &[&str], all: &[&str]| {
            beside(own.iter().map(|own| place(own, all)).collect()).iter().map(Untouched::says).collect::<Vec<_>>()
        };
        assert_eq!(says(&["rule 20"], &all), ["untouched on listener l: default action, rules 10 30 40"]);
        assert_eq!(says(&["rule 20", "default action"], &all), ["untouched on listener l: rules 10 30 40"]);
        assert_eq!(says(&["rule 20"], &["rule 10", "rule 20"]), ["untouched on listener l: rule 10"]);
        assert_eq!(says(&["rule 20"], &["rule 20"]), ["untouched on listener l: nothing else is there"]);
    }
}
