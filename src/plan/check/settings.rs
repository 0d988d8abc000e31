//! Settings of single steps.

use std::collections::BTreeMap;

use super::values;
use super::walk::{self, In};
use crate::ids::StepId;
use crate::plan::draft::Draft;
use crate::plan::finding::Note;
use crate::plan::model::{Action, Bake, Gate, Run, Step, Wait};
use crate::plan::path::Path;
use crate::units::Span;

pub(super) fn check(draft: &Draft, notes: &mut Vec<Note>) {
    let mut names: BTreeMap<&StepId, Path> = BTreeMap::new();
    walk::each(draft, |path, step, list| {
        if let Some(name) = &step.name
            && let Some(other) = names.insert(name, path.key("name"))
        {
            let says = format!("two steps are called `{name}`");
            notes.push(Note::error("same-step-name", path.key("name"), says).also(other, "the other"));
        }
        within(step, path, notes);
        one(step, draft, &path.key(step.action.kind()), notes);
        if list == In::Finalize && !may_finalize(&step.action) {
            let kind = step.action.kind();
            let says = format!("`{kind}` moves traffic or builds something up; `finalize` only clears away");
            notes.push(Note::error("not-in-finalize", path.key(kind), says).on_key().help("move it to `steps`"));
        }
    });
}

fn may_finalize(action: &Action) -> bool {
    match action {
        Action::Drain(_)
        | Action::Teardown(_)
        | Action::RestoreTtl(_)
        | Action::Run(_)
        | Action::Wait(_)
        | Action::Approve(_)
        | Action::Verify(_)
        | Action::Bake(_)
        | Action::Check(_)
        | Action::Parallel(_) => true,
        Action::Provision(_) | Action::Attach(_) | Action::LowerTtl(_) | Action::Swap(_) => false,
    }
}

fn within(step: &Step, path: &Path, notes: &mut Vec<Note>) {
    let Some(within) = step.within else { return };
    let path = path.key("within");
    values::length(within, &path, notes);
    let kind = step.action.kind();
    let own = if let Action::Wait(Wait { length }) | Action::Bake(Bake { length, .. }) = &step.action {
        Some(*length)
    } else {
        None
    };
    if own.is_some_and(|own| own > within) {
        notes.push(Note::error("never-done", path.clone(), format!("`{kind}` takes longer than it may")));
    }
    if matches!(step.action, Action::Approve(_)) {
        let says = "`approve` has a `within` of its own";
        notes.push(Note::error("two-limits", path, says).on_key().help("write `approve: {within: ...}`"));
    }
}

fn one(step: &Step, draft: &Draft, path: &Path, notes: &mut Vec<Note>) {
    match &step.action {
        Action::Check(check) => values::not_zero(check.times, &path.key("times"), notes),
        Action::LowerTtl(lower) => {
            let path = path.key("to");
            values::length(lower.to, &path, notes);
            if lower.to.std().subsec_nanos() > 0 {
                notes.push(Note::error("not-whole-seconds", path, "a TTL is whole seconds"));
            }
        }
        Action::Bake(bake) => bakes(bake, draft, path, notes),
        Action::Drain(drain) => {
            values::length(drain.at_most, &path.key("at_most"), notes);
            values::length(drain.quiet, &path.key("quiet"), notes);
        }
        Action::Run(run) => runs(run, path, notes),
        Action::Approve(approve) => values::length(approve.within, &path.key("within"), notes),
        Action::Wait(wait) => values::length(wait.length, &path.key("for"), notes),
        Action::Parallel(branches) => {
            if branches.is_empty() {
                notes.push(Note::error("nothing-there", path.clone(), "`parallel` has no branches"));
            }
            for (at, _) in branches.iter().enumerate().filter(|(_, branch)| branch.0.is_empty()) {
                notes.push(Note::error("nothing-there", path.item(at), "this branch has no steps"));
            }
        }
        Action::Provision(_)
        | Action::Attach(_)
        | Action::RestoreTtl(_)
        | Action::Swap(_)
        | Action::Verify(_)
        | Action::Teardown(_) => {}
    }
}

fn bakes(bake: &Bake, draft: &Draft, path: &Path, notes: &mut Vec<Note>) {
    values::length(bake.length, &path.key("for"), notes);
    // A gate that is unknown or not in shape may be one that reads.
    let reads = |gate: Option<&Option<Gate>>| match gate {
        Some(Some(Gate::Http(http))) => http.contains.is_some(),
        Some(Some(Gate::Command(_)) | None) | None => true,
    };
    if !bake.gates.iter().any(|name| reads(draft.gates.get(name))) {
        let says = "nothing in this `bake` reads an answer: a model that answers nonsense passes";
        let help = "add a gate that looks at the text: `http` with `contains`, or a `command`";
        notes.push(Note::warning("bake-reads-nothing", path.clone(), says).on_key().help(help));
    }
}

fn runs(run: &Run, path: &Path, notes: &mut Vec<Note>) {
    values::argv(&run.act, &path.key("do"), notes);
    for (key, argv) in [("undo", &run.undo), ("check", &run.check)] {
        if let Some(argv) = argv {
            values::argv(argv, &path.key(key), notes);
        }
    }
    if run.undo.is_none() {
        let note = Note::warning("no-undo", path.clone(), "this `run` cannot be undone").on_key();
        notes.push(note.help("add `undo: [program, argument]`; when there is nothing to undo, `undo: [\"true\"]`"));
    }
    if run.check.is_none() && !run.idempotent {
        let says = "after a crash nobody can tell whether this `run` ran";
        let note = Note::warning("no-check", path.clone(), says).on_key();
        notes.push(note.help("add `check: [...]`, or `idempotent: true` when it may run twice"));
    }
}

/// The longest TTL that may be in force when a name is switched without lowering it first.
pub(super) const OLD_TTL_MAX: Span = Span::from_secs(300);
