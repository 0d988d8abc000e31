//! One move of one holder, as `engine::perform` and `engine::back` make it: one message or one record at a time.

use futures_util::FutureExt;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::*;
use super::model::{Message, World};
use super::probe::{Asked, Kind, Probe, asked};
use crate::ids::RunId;
use crate::journal::fact::Prepared;
use crate::steps::{Cx, Stands, Step, StepError, Verdict};

/// Requests of one move before it gives up.
const TRIES: u32 = 2;

/// Where a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum At {
    Begin,
    /// The attempt is durable and nothing is sent.
    Announced,
    /// What was found when it was sent.
    Sent(i64),
    Answered,
    Refused(Option<FailureKind>),
    Failing(FailureKind),
    /// It was written, and is to be read back.
    ReadBack,
    /// It is told of the n-th step of the group.
    Told(usize),
    /// The register is watched, or was to the end.
    Watching,
    Watched,
    /// A late write was seen and is to be put right.
    Landed,
    Exact,
}

/// What a write on the way back is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum For {
    Undo,
    /// A late write is put right while watching, or after.
    Right(bool),
    /// The fence is taken away.
    Exact,
}

/// A move under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flight {
    pub(super) next: Move,
    pub(super) at: At,
    pub(super) purpose: For,
    pub(super) tries: u32,
    pub(super) n: u32,
}

impl std::hash::Hash for Flight {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        // What an end says follows from the log.
        (std::mem::discriminant(&self.next), self.steps(), self.at, self.purpose, self.tries, self.n).hash(hasher);
    }
}

impl Flight {
    pub(super) fn new(next: Move) -> Self {
        let at = if matches!(next, Move::Settle(_)) { At::Watching } else { At::Begin };
        Self { next, at, purpose: For::Undo, tries: 0, n: 0 }
    }

    fn to(&self, at: At) -> Self {
        Self { at, ..self.clone() }
    }

    fn again(&self, world: &World) -> Option<Self> {
        // Two steps on one register have so many states that by default each request is sent once.
        let tries = if world.whole || world.case.leads { TRIES } else { 1 };
        (self.tries + 1 < tries).then(|| Self { at: At::Begin, tries: self.tries + 1, ..self.clone() })
    }

    pub(super) fn steps(&self) -> Vec<StepId> {
        super::super::sim::steps_of(&self.next)
    }

    fn forward(&self) -> bool {
        matches!(self.next, Move::Apply(_))
    }
}

/// What a move does next: what it is called, and the fact to append or the world as it is then; and how it goes on.
pub(super) enum Tick {
    Append(Fact, Option<Flight>),
    Change(&'static str, Box<World>, Option<Flight>),
}

/// What a group goes back from and to, as `engine::back` sees it.
struct Group {
    prepared: Prepared,
    exact: Value,
    ours: Vec<Value>,
}

fn group(state: &RunState, ids: &[StepId], purpose: For) -> Group {
    let first = state.step(&ids[0]);
    let found = first.prepared.as_ref().unwrap().0.clone();
    let ours = state.steps.iter().filter(|(id, s)| {
        let same = s.prepared.as_ref().is_some_and(|(p, _)| p.key == found.key);
        ids.contains(id) || (same && s.undone.is_some())
    });
    let of = |s: &crate::journal::state::StepState| {
        let p = &s.prepared.as_ref().unwrap().0;
        [Some(p.want.clone()), Some(p.before.clone()), s.touched.clone()].into_iter().flatten().collect::<Vec<_>>()
    };
    let ours = ours.flat_map(|(_, s)| of(s)).collect();
    let want = state.step(ids.last().unwrap()).prepared.as_ref().unwrap().0.want.clone();
    let exact = found.before.clone();
    let stands = first.touched.clone().filter(|_| purpose != For::Exact).unwrap_or_else(|| exact.clone());
    Group { prepared: Prepared { before: stands, want, ..found }, exact, ours }
}

fn cx<'a>(id: &'a StepId, run: &'a RunId, state: &'a RunState, ours: &'a [Value]) -> Cx<'a> {
    let (now, since) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    Cx { step: id, run, now, since, ours, state, approved_by: None, unproven: false }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing of this waits")
}

/// Everything that a move can do next.
pub(super) fn ticks(world: &World, holder: usize, flight: &Flight) -> Vec<Tick> {
    let state = &world.holders[holder].state;
    let ids = flight.steps();
    let id = &ids[0];
    let small = world.small(id);
    let kind = world.case.registers[small.register];
    let live = world.values[small.register];
    let run = RunId::new("R1").unwrap();
    let probe = |reads: &[i64], answer| Probe::new(kind, small.register, reads, answer);
    // One write, forward or back, by the real step.
    let write = |reads: &[i64], answer| {
        let probe = probe(reads, answer);
        let set = probe.set(small.want);
        let answer = if flight.forward() {
            now(set.apply(&state.step(id).prepared.as_ref().unwrap().0, &cx(id, &run, state, &[])))
        } else {
            let group = group(state, &ids, flight.purpose);
            now(set.undo(&group.prepared, &cx(id, &run, state, &group.ours)))
        };
        asked(answer, &probe)
    };
    let stands = || {
        let group = group(state, &ids, flight.purpose);
        let look = |before: &Value| {
            let prepared = Prepared { before: before.clone(), ..group.prepared.clone() };
            now(probe(&[live], None).set(small.want).stands(&prepared, &cx(id, &run, state, &group.ours)))
        };
        let watches = matches!(flight.at, At::Watching | At::Watched);
        match look(&group.prepared.before) {
            Ok(Stands::No(_)) if watches && matches!(look(&group.exact), Ok(Stands::Yes)) => Ok(Stands::Yes),
            other => other,
        }
    };
    let after = |asked: Asked| match asked {
        Asked::Done => flight.to(At::Answered),
        Asked::Busy => flight.to(At::Refused(None)),
        Asked::Failed(kind) => flight.to(At::Refused(Some(kind))),
        Asked::Sent(..) => unreachable!("it has its answer"),
    };
    let append = |fact, then| vec![Tick::Append(fact, then)];
    let forward = flight.forward();
    let attempt = || {
        let step = state.step(id);
        let n = 1 + if forward { step.attempts } else { step.undo_attempts };
        let then = Flight { n, ..flight.to(At::Announced) };
        append(Fact::Attempt { step: id.clone(), n, undo: !forward }, Some(then))
    };
    let failed = |kind: FailureKind| Failure { kind, why: format!("{kind:?}") };
    match (&flight.next, flight.at) {
        (Move::Prepare(_), _) => {
            let prepared = now(probe(&[live], None).set(small.want).prepare(&cx(id, &run, state, &[]))).unwrap();
            append(Fact::Prepared { step: id.clone(), prepared }, None)
        }
        (Move::Verify(_), _) => {
            let step = state.step(id);
            let prepared = &step.prepared.as_ref().unwrap().0;
            let set = probe(&[live], None).set(small.want);
            match now(set.verify(prepared, step.applied.as_ref(), &cx(id, &run, state, &[]))) {
                Ok(Verdict::Yes { .. }) => {
                    append(Fact::Verified { step: id.clone(), evidence: String::new(), tails: Vec::new() }, None)
                }
                _ => append(Fact::Failed { step: id.clone(), failure: failed(FailureKind::Drift) }, None),
            }
        }
        (Move::Fence(_), At::Begin) if state.step(id).touched.is_none() && flight.purpose == For::Undo => {
            let value = probe(&[live], None)
                .set(small.want)
                .touch(&group(state, &ids, flight.purpose).exact, &json!(small.want));
            value.map_or_else(attempt, |value| append(Fact::Touched { step: id.clone(), value }, Some(flight.clone())))
        }
        (_, At::Begin) => attempt(),
        (_, At::Announced) => {
            let asked = write(&[live], None);
            let Asked::Sent(from, to) = asked else {
                return vec![Tick::Change("looks, and sends nothing", Box::new(world.clone()), Some(after(asked)))];
            };
            let mut then = world.clone();
            if kind == Kind::Local {
                then.values[small.register] = to;
                return vec![Tick::Change("changes it", Box::new(then), Some(flight.to(At::Answered)))];
            }
            let (step, n) = (id.clone(), flight.n);
            then.net.push(Message {
                holder,
                step,
                n,
                undo: !forward,
                register: small.register,
                from,
                to,
                watch: flight.purpose != For::Undo,
                copies: if world.whole || (world.case.leads && holder == 0 && flight.n == 1) { 2 } else { 1 },
                answer: None,
            });
            vec![Tick::Change("sends", Box::new(then), Some(flight.to(At::Sent(live))))]
        }
        (_, At::Sent(found)) => {
            let own = |m: &Message| m.holder == holder && m.step == *id && m.n == flight.n && m.undo != forward;
            let mut ticks = Vec::new();
            if let Some(took) = world.net.iter().find(|m| own(m)).and_then(|m| m.answer) {
                let mut then = world.clone();
                then.net.retain(|m| !own(m));
                // A compare is made where the value is: what was found before it was sent does not count.
                let reads = if kind == Kind::Compared && forward { vec![live] } else { vec![found, found, live] };
                let reads = if kind == Kind::Compared && !forward { vec![found, live] } else { reads };
                ticks.push(Tick::Change("hears the answer", Box::new(then), Some(after(write(&reads, Some(took))))));
            }
            let then = flight.again(world).unwrap_or_else(|| flight.to(At::Failing(FailureKind::Unknown)));
            ticks.push(Tick::Change("gives up waiting", Box::new(world.clone()), Some(then)));
            ticks
        }
        (_, At::Answered) => {
            let then = (!forward).then(|| flight.to(At::ReadBack));
            append(Fact::Applied { step: id.clone(), receipt: json!("changed") }, then)
        }
        (_, At::Refused(kind)) => {
            let fact = Fact::Refused { step: id.clone(), n: flight.n, undo: !forward };
            let unknown = || flight.to(At::Failing(FailureKind::Unknown));
            let then = match kind {
                None => flight.again(world).unwrap_or_else(unknown),
                Some(FailureKind::Drift) if !forward && matches!(stands(), Ok(Stands::No(_))) => {
                    flight.again(world).unwrap_or_else(unknown)
                }
                Some(kind) => flight.to(At::Failing(kind)),
            };
            append(fact, Some(then))
        }
        (_, At::Failing(kind)) if forward => append(Fact::Failed { step: id.clone(), failure: failed(kind) }, None),
        (_, At::Failing(kind)) => {
            let next = ids.iter().find(|id| state.step(id).undo_failed.is_none()).expect("not all are told");
            let last = ids.iter().filter(|id| state.step(id).undo_failed.is_none()).count() == 1;
            let fact = Fact::UndoFailed { step: next.clone(), failure: failed(kind) };
            append(fact, (!last).then(|| flight.clone()))
        }
        (_, At::ReadBack) => {
            let group = group(state, &ids, flight.purpose);
            let set = probe(&[live], None).set(small.want);
            let holds =
                now(set.undone(&group.prepared, Some(&json!("changed")), &cx(id, &run, state, &group.ours))).is_ok();
            let then = match (holds, flight.purpose) {
                (true, For::Undo) => flight.to(At::Told(0)),
                (true, For::Right(false)) => Flight { tries: 0, ..flight.to(At::Watching) },
                (true, For::Right(true)) => Flight { tries: 0, ..flight.to(At::Watched) },
                (true, For::Exact) => flight.to(At::Exact),
                (false, _) if matches!(stands(), Ok(Stands::No(_))) => {
                    flight.again(world).unwrap_or_else(|| flight.to(At::Failing(FailureKind::Unknown)))
                }
                (false, _) => flight.to(At::Failing(FailureKind::Drift)),
            };
            vec![Tick::Change("reads back", Box::new(world.clone()), Some(then))]
        }
        (_, At::Told(n)) => {
            let fact = Fact::Undone { step: ids[n].clone(), evidence: String::new(), tails: Vec::new() };
            append(fact, (n + 1 < ids.len()).then(|| flight.to(At::Told(n + 1))))
        }
        (_, At::Watching) => {
            let back = state.unwinding.is_some();
            let mut ticks = Vec::new();
            if back {
                ticks.extend(seen(world, flight, &stands(), false));
            }
            // Nothing that was sent before it began to watch can arrive any more.
            let mut then = world.clone();
            then.window_over(holder, &ids, small.register);
            let flight = if back { flight.to(At::Watched) } else { flight.to(At::Exact) };
            ticks.push(Tick::Change("has watched long enough", Box::new(then), Some(flight)));
            ticks
        }
        (_, At::Watched) => {
            if let Some(tick) = seen(world, flight, &stands(), true) {
                return vec![tick];
            }
            let exact = Flight { purpose: For::Exact, tries: 0, ..flight.to(At::Begin) };
            let then = if state.step(id).touched.is_some() { exact } else { flight.to(At::Exact) };
            vec![Tick::Change("looks once more", Box::new(world.clone()), Some(then))]
        }
        (_, At::Landed) => {
            let fact = Fact::Observed { what: "late write".to_owned(), detail: Value::Null };
            append(fact, Some(flight.to(At::Begin)))
        }
        (_, At::Exact) => append(Fact::Settled { step: id.clone(), evidence: String::new() }, None),
    }
}

/// What is done about a late write that has landed, or about somebody else's.
fn seen(world: &World, flight: &Flight, stands: &Result<Stands, StepError>, over: bool) -> Option<Tick> {
    let then = match stands {
        Ok(Stands::Yes) => return None,
        Ok(Stands::No(_)) => Flight { purpose: For::Right(over), tries: 0, ..flight.to(At::Landed) },
        Err(_) => flight.to(At::Failing(FailureKind::Drift)),
    };
    Some(Tick::Change("sees another value", Box::new(world.clone()), Some(then)))
}
