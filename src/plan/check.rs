//! What a plan means, and what is wrong with that. Pure: nothing is read but the plan.

use super::draft::Draft;
use super::finding::Note;
use super::tree::Node;

/// The code of a secret that stands in the plan; its place is blanked wherever the text is shown.
pub(crate) const SECRET: &str = "secret-in-plan";

/// Everything that can be said about a plan from its text alone.
pub(crate) fn all(_draft: &Draft, _tree: &Node) -> Vec<Note> {
    Vec::new()
}
