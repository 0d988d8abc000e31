//! Requests that were sent and not answered: which of them may still do harm, and until when that is believed.
//!
//! A request is *open* from its `Attempt` on, until it is answered (`Applied`, `Refused`) or its register is `Settled`. An open one
//! may have taken effect, may never, or may still: after a later write, and after another process has taken the run over.

use jiff::{SignedDuration, Timestamp};

use super::Group;
use crate::ids::StepId;
use crate::journal::state::{RunState, Sent};
use crate::plan::graph::{Late, Shape};

/// An open request older than this is forgotten. It cannot arrive after a quarter of an hour; the rest of two days is for
/// clocks that jump, or that differ between the hosts of two holders.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(48);

fn may_arrive(sent: &Sent, late: Late, now: Timestamp) -> bool {
    now.duration_since(sent.at) < FORGOTTEN && (late.outlives_sender || sent.taken)
}

fn key<'s>(state: &'s RunState, id: &StepId) -> Option<&'s str> {
    state.step(id).prepared.as_ref()?.0.key.as_deref()
}

/// Whether a request may still arrive that puts something else into the register of `group` than what going back puts there.
pub(super) fn threatens(shapes: &[Shape], state: &RunState, now: Timestamp, group: &Group<'_>) -> bool {
    let Some((first, late)) = group.shapes.first().and_then(|s| Some((s, s.late?))) else { return false };
    let Some(back) = state.step(&first.id).goes_back_to() else { return false };
    let of_group = |shape: &Shape| group.shapes.iter().any(|s| s.id == shape.id);
    // Whether a late write that is compared would still match is not asked here: what it compares is the back-end's affair, and
    // a fence too many costs a second of a TTL.
    let harms = |shape: &Shape, sent: &Sent| {
        let step = state.step(&shape.id);
        let puts = if sent.undo { step.goes_back_to() } else { step.prepared.as_ref().map(|(p, _)| &p.want) };
        !(sent.undo && of_group(shape)) && puts != Some(back)
    };
    on_same_register(shapes, state, &first.id)
        .any(|shape| state.step(&shape.id).open.iter().any(|sent| may_arrive(sent, late, now) && harms(shape, sent)))
}

/// Whether a late write to the register of `group` would be refused.
pub(super) fn is_fenced(shapes: &[Shape], state: &RunState, group: &Group<'_>) -> bool {
    let compared = |shape: &&Shape| shape.late.is_some_and(|late| late.compared);
    group.shapes.first().is_some_and(compared) && is_touched(shapes, state, group)
}

/// Whether something else than the value before stands in the register of `group` while a late write may come.
pub(super) fn is_touched(shapes: &[Shape], state: &RunState, group: &Group<'_>) -> bool {
    let first = group.shapes.first();
    first.is_some_and(|first| on_same_register(shapes, state, &first.id).any(|s| state.step(&s.id).touched.is_some()))
}

/// A step with an open request that would put something else into the register than `shape` is about to. On the way forward a
/// back-end that compares needs no more: what that request expects was replaced by what the retry wrote.
pub(super) fn in_the_way<'a>(
    shapes: &'a [Shape],
    state: &'a RunState,
    now: Timestamp,
    shape: &Shape,
) -> Option<&'a StepId> {
    let late = shape.late.filter(|late| !late.compared)?;
    let (prepared, _) = state.step(&shape.id).prepared.as_ref()?;
    let harms = |other: &&Shape| {
        let step = state.step(&other.id);
        other.id != shape.id
            && step.prepared.as_ref().is_some_and(|(p, _)| p.want != prepared.want)
            && step.open.iter().any(|sent| may_arrive(sent, late, now))
    };
    on_same_register(shapes, state, &shape.id).find(harms).map(|other| &other.id)
}

/// Steps that have the same register as `id`, itself included.
fn on_same_register<'a>(shapes: &'a [Shape], state: &'a RunState, id: &StepId) -> impl Iterator<Item = &'a Shape> {
    let of = key(state, id);
    let own = id.clone();
    shapes.iter().filter(move |s| s.id == own || (of.is_some() && key(state, &s.id) == of))
}

/// Whether two groups have the same register.
pub(super) fn share_register(state: &RunState, one: &Group<'_>, other: &Group<'_>) -> bool {
    let of = |group: &Group<'_>| group.shapes.first().and_then(|s| key(state, &s.id)).map(str::to_owned);
    of(one).is_some() && of(one) == of(other)
}
