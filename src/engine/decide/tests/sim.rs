//! A world of registers with a time of its own, in which what is decided is done, one durable fact at a time.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::claims;
use super::worlds::Plan;
use crate::engine::decide::{Move, Situation, decide};
use crate::ids::{EnvironmentName, RunId, ServiceName, StepId};
use crate::journal::actor::Actor;
use crate::journal::fact::{Ask, Fact, Failure, FailureKind, Horizon, Outcome, Prepared, Purpose, RunStarted};
use crate::journal::record::Record;
use crate::journal::state::RunState;
use crate::plan::graph::Shape;
use crate::plan::model::OnFailure;

/// How a call goes wrong. It does so each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// `prepare` is refused.
    Look,
    /// Refused: nothing changed.
    Refused,
    /// Somebody else wrote first.
    Drift,
    /// No answer, and it took effect.
    LostAfter,
    /// No answer, and it did not.
    LostBefore,
    /// It took effect and does not hold.
    NotHolding,
}

pub(super) const FAULTS: [Fault; 6] =
    [Fault::Look, Fault::Refused, Fault::Drift, Fault::LostAfter, Fault::LostBefore, Fault::NotHolding];

/// Where the process dies: at which durable fact, counted from its start, and on which side of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crash {
    pub(super) at: usize,
    /// What was done is done, and the fact that says so was not written.
    pub(super) before_fact: bool,
}

/// What goes wrong, and in which order things happen at the same time.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble {
    pub(super) step: Option<(StepId, Fault)>,
    /// The undo of the group of this step fails.
    pub(super) undo: Option<(StepId, FailureKind)>,
    pub(super) crash: Option<Crash>,
    /// After how many facts somebody asks it to stop.
    pub(super) abort: Option<usize>,
    pub(super) until: Option<StepId>,
    /// Which of the moves under way goes on next: the n-th choice, modulo how many there are.
    pub(super) schedule: Vec<usize>,
}

/// What the process died of, or the end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    Crashed,
    Finished(Outcome),
}

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) policy: OnFailure,
    pub(super) registers: BTreeMap<&'static str, Value>,
    pub(super) now: Timestamp,
    pub(super) state: RunState,
    pub(super) facts: Vec<Fact>,
    /// Until when clients really come to an environment.
    clients: BTreeMap<String, Timestamp>,
    tried: usize,
}

struct Flying {
    next: Move,
    at: usize,
    failed: Option<Failure>,
}

const MARK: &str = "somebody else was here";

impl World {
    pub(super) fn new(plan: &Plan, policy: OnFailure) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let resolved = Value::Null;
        let (plan_name, plan_text, digest) = (String::new(), String::new(), String::new());
        let started = RunStarted { format: 1, plan_name, plan_text, digest, resolved };
        let record = Record {
            v: 1,
            seq: 1,
            prev: String::new(),
            service: ServiceName::new("chat").unwrap(),
            run: RunId::new("R1").unwrap(),
            epoch: 1,
            id: String::new(),
            actor: Actor::here("sim".to_owned(), None),
            at: now,
            fact: Fact::RunStarted(Box::new(started)),
        };
        let mut world = Self {
            plan: plan.clone(),
            policy,
            registers: plan.before.clone(),
            now,
            state: RunState::begin(&record).unwrap(),
            facts: Vec::new(),
            clients: BTreeMap::new(),
            tried: 0,
        };
        world.open(Purpose::Deploy);
        world
    }

    /// A new process takes the run in hand; all that it knows is what was written.
    pub(super) fn open(&mut self, purpose: Purpose) {
        self.write(Fact::Opened { purpose, reason: None });
    }

    /// The verb `rollback`.
    pub(super) fn roll_back(&mut self, keep: bool) {
        self.open(Purpose::Rollback);
        self.write(Fact::Unwinding { why: "asked".to_owned(), unproven: false, keep, asked: true, to: None });
    }

    /// The verb `rollback --to STEP`.
    pub(super) fn roll_back_to(&mut self, step: &StepId) {
        self.open(Purpose::Rollback);
        let (why, to) = ("asked".to_owned(), Some(step.clone()));
        self.write(Fact::Unwinding { why, unproven: false, keep: false, asked: true, to });
    }

    /// The steps that go back when this run goes back: all, or those after the one that stays.
    pub(super) fn going_back(&self) -> &[Shape] {
        let stays = self.state.unwinding.as_ref().and_then(|u| u.to.as_ref());
        let at = stays.and_then(|id| self.plan.shapes.iter().position(|s| s.id == *id));
        &self.plan.shapes[at.map_or(0, |at| at + 1)..]
    }

    fn write(&mut self, fact: Fact) {
        self.now += SignedDuration::from_secs(1);
        self.state.fold(self.now, &fact);
        self.facts.push(fact);
    }

    /// Until the end or the crash. Every claim about moves is checked on the way.
    pub(super) fn go(&mut self, trouble: &Trouble) -> End {
        let (begin, mut turn) = (self.facts.len(), 0);
        let mut flying: Vec<Flying> = Vec::new();
        for _ in 0..5_000 {
            let busy: Vec<StepId> = flying.iter().flat_map(|f| steps_of(&f.next)).collect();
            let situation = Situation { busy: &busy, until: trouble.until.as_ref() };
            let moves = decide(&self.plan.shapes, self.policy, &self.state, self.now, &situation);
            claims::of_moves(self, &moves, &busy);
            let mut told = false;
            for next in moves {
                let fact = match next {
                    Move::Finish(outcome) => {
                        let died = self.put(Fact::Finished { outcome: outcome.clone() }, trouble, begin);
                        return if died && self.state.outcome.is_none() {
                            End::Crashed
                        } else {
                            End::Finished(outcome)
                        };
                    }
                    Move::Unwind { why } => {
                        Fact::Unwinding { why, unproven: false, keep: false, asked: false, to: None }
                    }
                    Move::Observe { what, detail } => Fact::Observed { what, detail: json!(detail) },
                    next
                    @ (Move::Prepare(_) | Move::Apply(_) | Move::Verify(_) | Move::Undo(_) | Move::Wait { .. }) => {
                        flying.push(Flying { next, at: 0, failed: None });
                        continue;
                    }
                };
                told = true;
                if self.put(fact, trouble, begin) {
                    return End::Crashed;
                }
            }
            if flying.is_empty() {
                assert!(told, "nothing is under way and nothing is decided: {:#?}", self.facts);
                continue;
            }
            let chosen = trouble.schedule.get(turn).copied().unwrap_or(0) % flying.len();
            turn += 1;
            let mut one = flying.remove(chosen);
            let (fact, over) = self.tick(&mut one, trouble);
            if fact.is_some_and(|fact| self.put(fact, trouble, begin)) {
                return End::Crashed;
            }
            if !over {
                flying.insert(chosen, one);
            }
        }
        panic!("it does not end: {:#?}", self.facts);
    }

    /// Makes a fact durable, unless the process dies before; whether it has died.
    fn put(&mut self, fact: Fact, trouble: &Trouble, begin: usize) -> bool {
        let n = self.facts.len() - begin;
        let dies = trouble.crash.filter(|crash| crash.at == n);
        if dies.is_some_and(|crash| crash.before_fact) {
            return true;
        }
        self.write(fact);
        if trouble.abort == Some(n) {
            self.write(Fact::Asked { ask: Ask::Abort, by: "eve".to_owned() });
        }
        dies.is_some()
    }

    /// The next thing that a move does: at most one change of the world, then at most one fact; and whether it is over.
    fn tick(&mut self, one: &mut Flying, trouble: &Trouble) -> (Option<Fact>, bool) {
        let at = one.at;
        one.at += 1;
        match &one.next.clone() {
            Move::Prepare(id) => {
                if fault_at(trouble, id) == Some(Fault::Look) {
                    return (Some(failed(id, FailureKind::Failed)), true);
                }
                let prepared = self.plan.effects.get(id).map_or_else(Prepared::nothing, |effect| {
                    let before = self.registers[effect.register].clone();
                    let want = effect.on(&before);
                    Prepared { key: Some(effect.register.to_owned()), before, want, shows: String::new() }
                });
                (Some(Fact::Prepared { step: id.clone(), prepared }), true)
            }
            Move::Apply(id) if at == 0 => {
                if self.state.steps.values().any(|s| s.failed.is_some()) {
                    return (None, true);
                }
                let n = self.state.step(id).attempts + 1;
                (Some(Fact::Attempt { step: id.clone(), n, undo: false }), false)
            }
            Move::Apply(id) => (Some(self.apply(id, fault_at(trouble, id))), true),
            Move::Verify(id) => {
                if fault_at(trouble, id) == Some(Fault::NotHolding)
                    || (fault_at(trouble, id).is_some() && !self.plan.effects.contains_key(id))
                {
                    return (Some(failed(id, FailureKind::Failed)), true);
                }
                let (prepared, _) = self.state.step(id).prepared.as_ref().unwrap();
                let tails = self.tails(&prepared.before, &prepared.want);
                (Some(Fact::Verified { step: id.clone(), evidence: String::new(), tails }), true)
            }
            Move::Undo(ids) => self.undo(ids, at, one, trouble),
            Move::Wait { until, .. } => {
                assert!(*until > self.now, "it waits for what is past");
                // A crash may come while it waits; whoever comes then waits on.
                self.now = *until;
                (None, true)
            }
            Move::Unwind { .. } | Move::Finish(_) | Move::Observe { .. } => unreachable!("they do not fly"),
        }
    }

    fn apply(&mut self, id: &StepId, fault: Option<Fault>) -> Fact {
        self.tried += 1;
        let register = self.plan.effects[id].register;
        let (Prepared { before, want, .. }, _) = self.state.step(id).prepared.clone().unwrap();
        match fault {
            Some(Fault::Refused) => return failed(id, FailureKind::Failed),
            Some(Fault::LostBefore) => return failed(id, FailureKind::Unknown),
            Some(Fault::Drift) => self.registers.get_mut(register).unwrap()["foreign"] = json!(MARK),
            Some(Fault::Look | Fault::LostAfter | Fault::NotHolding) | None => {}
        }
        let live = self.registers[register].clone();
        if live != want && live != before {
            return failed(id, FailureKind::Drift);
        }
        self.change(register, &want);
        if fault == Some(Fault::LostAfter) {
            return failed(id, FailureKind::Unknown);
        }
        Fact::Applied { step: id.clone(), receipt: json!(self.tried) }
    }

    fn undo(&mut self, ids: &[StepId], at: usize, one: &mut Flying, trouble: &Trouble) -> (Option<Fact>, bool) {
        let first = &ids[0];
        if at == 0 {
            let n = self.state.step(first).undo_attempts + 1;
            return (Some(Fact::Attempt { step: first.clone(), n, undo: true }), false);
        }
        let found: Vec<Prepared> = ids.iter().map(|id| self.state.step(id).prepared.clone().unwrap().0).collect();
        let (before, want) = (found[0].before.clone(), found[found.len() - 1].want.clone());
        if at == 1 {
            let register = self.plan.effects[first].register;
            let live = self.registers[register].clone();
            let ours = found.iter().any(|p| p.want == live || p.before == live);
            one.failed = match &trouble.undo {
                Some((id, kind)) if ids.contains(id) => Some(Failure { kind: *kind, why: "no way back".to_owned() }),
                _ if !ours => Some(Failure { kind: FailureKind::Drift, why: MARK.to_owned() }),
                _ => None,
            };
            if one.failed.is_none() {
                self.change(register, &before);
                return (Some(Fact::Applied { step: first.clone(), receipt: Value::Null }), false);
            }
        }
        // The first of them is told in the place of `Applied` when there is none.
        let n = at - if one.failed.is_some() { 1 } else { 2 };
        let id = ids[n].clone();
        let fact = match &one.failed {
            Some(failure) => Fact::UndoFailed { step: id, failure: failure.clone() },
            None => Fact::Undone { step: id, evidence: String::new(), tails: self.tails(&want, &before) },
        };
        (Some(fact), n + 1 == ids.len())
    }

    /// The world changes; what must be true of it at every moment is checked here, whoever decided it.
    fn change(&mut self, register: &'static str, to: &Value) {
        let from = std::mem::replace(self.registers.get_mut(register).unwrap(), to.clone());
        if from == *to {
            return;
        }
        for tail in self.tails(&from, to) {
            self.clients.insert(tail.environment.to_string(), tail.until);
        }
        claims::of_world(self, register);
    }

    /// Whoever loses the traffic may be asked as long as the answer was to be kept.
    fn tails(&self, from: &Value, to: &Value) -> Vec<Horizon> {
        let mut tails = Vec::new();
        if let (Some(was), true) = (from["live"].as_str(), from["live"] != to["live"]) {
            tails.push((was, from["ttl"].as_i64().unwrap()));
        }
        if let (Some(ttl), Some(live), true) =
            (from["ttl"].as_i64(), from["live"].as_str(), from["ttl"].as_i64() > to["ttl"].as_i64())
        {
            tails.push((live, ttl));
        }
        let horizon = |(name, length): (&str, i64)| Horizon {
            environment: EnvironmentName::new(name).unwrap(),
            until: self.now + SignedDuration::from_secs(length + 10),
            why: "TTL".to_owned(),
        };
        tails.into_iter().map(horizon).collect()
    }

    /// Whether clients may really still come to an environment: by a router that names it, or by what they keep.
    pub(super) fn is_asked(&self, environment: &str) -> bool {
        let named = ["alb", "dns"].iter().any(|r| self.registers[r]["live"] == environment);
        named || self.clients.get(environment).is_some_and(|until| *until > self.now)
    }

    pub(super) fn is_foreign(&self, register: &str) -> bool {
        self.registers[register]["foreign"] == MARK
    }
}

fn fault_at(trouble: &Trouble, id: &StepId) -> Option<Fault> {
    trouble.step.as_ref().filter(|(at, _)| at == id).map(|(_, fault)| *fault)
}

fn failed(id: &StepId, kind: FailureKind) -> Fact {
    Fact::Failed { step: id.clone(), failure: Failure { kind, why: format!("{kind:?}") } }
}

pub(super) fn steps_of(next: &Move) -> Vec<StepId> {
    match next {
        Move::Prepare(id) | Move::Apply(id) | Move::Verify(id) | Move::Wait { step: id, .. } => vec![id.clone()],
        Move::Undo(ids) => ids.clone(),
        Move::Unwind { .. } | Move::Finish(_) | Move::Observe { .. } => Vec::new(),
    }
}
