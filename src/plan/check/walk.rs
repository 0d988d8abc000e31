//! Every step of a plan, with the way to it.

use crate::plan::draft::Draft;
use crate::plan::finding::Note;
use crate::plan::model::{Action, Step};
use crate::plan::path::Path;

/// Above what any deploy needs; the benchmark runs half as many.
const STEPS_MAX: usize = 20_000;

/// `parallel` in `parallel` in ... : nobody can follow more at night.
const NESTING_MAX: usize = 4;

/// Which list a step is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum In {
    Steps,
    Finalize,
}

/// Calls `visit` for every step that is in shape, outer before inner.
pub(super) fn each<'d>(draft: &'d Draft, mut visit: impl FnMut(&Path, &'d Step, In)) {
    for (at, step) in draft.steps.iter().enumerate() {
        if let Some(step) = step {
            inner(step, &Path::of("steps").item(at), In::Steps, &mut visit);
        }
    }
    for (at, step) in draft.finalize.iter().flat_map(|f| f.steps.iter().enumerate()) {
        if let Some(step) = step {
            inner(step, &Path::of("finalize").key("steps").item(at), In::Finalize, &mut visit);
        }
    }
}

fn inner<'d>(step: &'d Step, path: &Path, list: In, visit: &mut impl FnMut(&Path, &'d Step, In)) {
    visit(path, step, list);
    if let Action::Parallel(branches) = &step.action {
        for (at, branch) in branches.iter().enumerate() {
            for (nth, step) in branch.0.iter().enumerate() {
                inner(step, &branch_path(path, at).item(nth), list, visit);
            }
        }
    }
}

/// The way to a branch of a step.
pub(super) fn branch_path(step: &Path, branch: usize) -> Path {
    step.key("parallel").item(branch)
}

/// Whether the steps are few and flat enough to be looked at more closely.
pub(super) fn check_size(draft: &Draft, notes: &mut Vec<Note>) -> bool {
    let before = notes.len();
    let mut count = 0;
    each(draft, |path, step, _| {
        count += 1;
        let nesting =
            path.turns().iter().filter(|t| **t == crate::plan::path::Turn::Key("parallel".to_owned())).count();
        if nesting == NESTING_MAX && matches!(step.action, Action::Parallel(_)) {
            let says = format!("`parallel` is nested more than {NESTING_MAX} deep");
            notes.push(Note::error("too-deep", path.key("parallel"), says).on_key());
        }
    });
    if count > STEPS_MAX {
        let says = format!("the plan has {count} steps; {STEPS_MAX} are allowed");
        notes.push(Note::error("too-many-steps", Path::of("steps"), says).on_key());
    }
    notes.len() == before
}
