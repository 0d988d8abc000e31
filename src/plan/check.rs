//! What a plan means, and what is wrong with that. Pure: nothing is read but the plan.

use super::draft::Draft;
use super::finding::Note;
use super::tree::Node;

mod alb;
mod environments;
mod gates;
mod names;
mod order;
mod parallel;
mod route53;
mod secrets;
mod settings;
mod top;
mod values;
mod walk;

/// The code of a secret that stands in the plan; its place is blanked wherever the text is shown.
pub(crate) const SECRET: &str = secrets::CODE;

/// Everything that can be said about a plan from its text alone.
pub(crate) fn all(draft: &Draft, tree: &Node) -> Vec<Note> {
    let mut notes = Vec::new();
    top::check(draft, tree, &mut notes);
    environments::check(draft, &mut notes);
    alb::check(draft, &mut notes);
    route53::check(draft, &mut notes);
    gates::check(draft, &mut notes);
    secrets::check(tree, &mut notes);
    if !walk::check_size(draft, &mut notes) {
        return notes;
    }
    settings::check(draft, &mut notes);
    let mut unknown = Vec::new();
    names::check(draft, &mut unknown);
    // Nothing shall follow from a misspelt name but that name.
    let misspelt = |codes: &[&str]| unknown.iter().any(|note| codes.contains(&note.code));
    if !misspelt(&["unknown-gate"]) {
        gates::unused(draft, &mut notes);
    }
    if !misspelt(&["unknown-router", "unknown-environment"]) {
        parallel::check(draft, &mut notes);
        order::check(draft, &mut notes);
    }
    notes.append(&mut unknown);
    notes
}
