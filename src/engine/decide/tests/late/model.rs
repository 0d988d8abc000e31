//! The world of the model: registers, a network that is in no hurry, one log, and holders that may stop for ever at any moment.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;

use super::super::*;
use super::flight::{At, Flight, Tick, ticks};
use super::probe::{Kind, leads_to};
use super::{Case, Small};
use crate::journal::fact::OnDrift;
use crate::journal::writer::displaces;

/// A request on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Message {
    pub(super) holder: usize,
    pub(super) step: StepId,
    pub(super) n: u32,
    pub(super) undo: bool,
    pub(super) register: usize,
    pub(super) from: i64,
    pub(super) to: i64,
    /// Sent by who watched the register, while it did.
    pub(super) watch: bool,
    /// How often it may still arrive.
    pub(super) copies: u8,
    /// Whether it took effect, once it has arrived.
    pub(super) answer: Option<bool>,
}

/// A holder; the first deploys, the others roll back.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) state: Arc<RunState>,
    /// How much of the log it has seen.
    seen: usize,
    flights: Vec<Flight>,
    over: bool,
}

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) case: Case,
    /// Whether every request may arrive twice, not only the first.
    pub(super) whole: bool,
    pub(super) values: [i64; 2],
    pub(super) net: Vec<Message>,
    /// Who wrote what: facts by their number.
    log: Vec<(u64, Arc<Fact>, u64)>,
    pub(super) holders: Vec<Holder>,
    /// Who opened it last, and how the run ended since.
    epoch: u64,
    outcome: Option<Outcome>,
}

impl World {
    pub(super) fn small(&self, id: &StepId) -> Small {
        *self.case.steps.iter().find(|s| s.id == id.as_str()).expect("a step of the case")
    }

    /// What was sent to a register before `holder` began to watch it does not arrive any more, nor is it sent any more.
    pub(super) fn window_over(&mut self, holder: usize, ids: &[StepId], register: usize) {
        self.net.retain(|m| m.register != register || (m.holder == holder && m.watch && m.step == ids[0]));
        let case = self.case;
        let on_it = |f: &Flight| {
            f.at == At::Announced
                && f.steps().iter().any(|id| case.steps.iter().any(|s| s.id == id.as_str() && s.register == register))
        };
        for (at, other) in self.holders.iter_mut().enumerate() {
            if at != holder && other.flights.iter().any(on_it) {
                other.flights.clear();
                other.over = true;
            }
        }
    }

    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.values.hash(&mut hasher);
        let mut net = self.net.clone();
        net.sort();
        net.hash(&mut hasher);
        self.log.iter().for_each(|(epoch, _, fact)| (epoch, fact).hash(&mut hasher));
        self.holders.iter().for_each(|p| (p.seen, p.over, &p.flights).hash(&mut hasher));
        hasher.finish()
    }
}

/// What a whole search saw.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    pub(super) states: usize,
    pub(super) interleavings: f64,
    pub(super) ends: usize,
    pub(super) rolled_back: usize,
}

pub(super) struct Checker {
    shapes: Vec<Shape>,
    policy: OnFailure,
    begin: World,
    takeovers: usize,
    seen: HashMap<u64, f64>,
    path: Vec<String>,
    found: Found,
}

type Bad = (String, Vec<String>);

impl Checker {
    pub(super) fn new(case: Case, shapes: Vec<Shape>, policy: OnFailure, takeovers: usize) -> Self {
        let state = Arc::new(World0::state());
        let holder = Holder { state, seen: 0, flights: Vec::new(), over: false };
        let begin = World {
            case,
            whole: std::env::var("MODELSWAP_INTERLEAVE").is_ok_and(|v| v == "full"),
            values: [0, 0],
            net: Vec::new(),
            log: Vec::new(),
            holders: vec![holder],
            epoch: 1,
            outcome: None,
        };
        Self { shapes, policy, begin, takeovers, seen: HashMap::new(), path: Vec::new(), found: Found::default() }
    }

    pub(super) fn all(&mut self) -> Result<Found, Bad> {
        let mut begin = self.begin.clone();
        self.decide(&mut begin, 0);
        self.found.interleavings = self.visit(&begin)?;
        self.found.states = self.seen.len();
        Ok(self.found)
    }

    /// The shortest way to something that is not true, if there is one.
    pub(super) fn shortest(&mut self) -> Option<Bad> {
        let mut begin = self.begin.clone();
        self.decide(&mut begin, 0);
        let mut worlds = vec![(begin, 0, "begin".to_owned())];
        let mut at = 0;
        while at < worlds.len() {
            let world = worlds[at].0.clone();
            if let Err((why, _)) = self.must_be_true(&world) {
                let ways = std::iter::successors(Some(at), |at| Some(worlds[*at].1).filter(|_| *at > 0));
                let mut path: Vec<String> = ways.map(|at| worlds[at].2.clone()).collect();
                path.reverse();
                return Some((why, path));
            }
            for (label, then) in self.successors(&world) {
                if self.seen.insert(then.hash(), 0.0).is_none() {
                    worlds.push((then, at, label));
                }
            }
            at += 1;
        }
        None
    }

    /// How many ways lead on from here to an end.
    fn visit(&mut self, world: &World) -> Result<f64, Bad> {
        let hash = world.hash();
        if let Some(ways) = self.seen.get(&hash) {
            return Ok(*ways);
        }
        self.must_be_true(world)?;
        let mut ways = 0.0;
        let next = self.successors(world);
        if next.is_empty() {
            self.found.ends += 1;
            self.found.rolled_back += usize::from(matches!(world.outcome, Some(Outcome::RolledBack { .. })));
            ways = 1.0;
        }
        for (label, then) in next {
            self.path.push(label);
            ways += self.visit(&then)?;
            self.path.pop();
        }
        self.seen.insert(hash, ways);
        Ok(ways)
    }

    fn must_be_true(&self, world: &World) -> Result<(), Bad> {
        let bad = |why: &str| Err((format!("{why}: {:?}", world.values), self.path.clone()));
        if world.case.leads && leads_to(world.values[1]) == 1 && world.values[0] == 0 {
            return bad("dark: traffic goes to what does not run");
        }
        match world.outcome {
            Some(Outcome::RolledBack { .. }) if world.values != [0, 0] => bad("it says rolled back, and is not"),
            Some(Outcome::Deployed) if world.values[1] != world.case.steps[1].want => {
                bad("it says deployed, and is not")
            }
            _ => Ok(()),
        }
    }

    fn successors(&mut self, world: &World) -> Vec<(String, World)> {
        let mut next = Vec::new();
        for at in 0..world.net.len() {
            next.extend(arrives(world, at));
        }
        for holder in 0..world.holders.len() {
            for flight in 0..world.holders[holder].flights.len() {
                self.fly(world, holder, flight, &mut next);
            }
        }
        let done = matches!(world.outcome, Some(Outcome::RolledBack { .. }));
        if world.holders.len() <= self.takeovers && !done {
            let mut then = world.clone();
            then.epoch += 1;
            let (state, seen) = (Arc::new(World0::state()), then.log.len());
            let mut holder = Holder { state, seen, flights: Vec::new(), over: false };
            then.log.iter().for_each(|(_, fact, _)| fold(&mut holder.state, fact));
            then.holders.push(holder);
            let at = then.holders.len() - 1;
            let opened = Fact::Opened { purpose: Purpose::Rollback, reason: Some("a test".to_owned()) };
            let on_drift = OnDrift::default();
            let why = "asked".to_owned();
            let turn = Fact::Unwinding { why, unproven: false, keep: false, asked: true, on_drift, to: None };
            assert!(append(&mut then, at, opened) && append(&mut then, at, turn));
            self.decide(&mut then, at);
            next.push((format!("{} takes over", at + 1), then));
        }
        next
    }

    /// What the moves under way of a holder can do next.
    fn fly(&self, world: &World, holder: usize, at: usize, next: &mut Vec<(String, World)>) {
        let flight = &world.holders[holder].flights[at];
        let who = format!("{} {:?} {:?}", holder + 1, flight.next, flight.at);
        let ticks = match &flight.next {
            Move::Observe { what, detail } => {
                vec![Tick::Append(Fact::Observed { what: what.clone(), detail: detail.clone().into() }, None)]
            }
            Move::Unwind { why } => {
                let (why, on_drift) = (why.clone(), OnDrift::default());
                vec![Tick::Append(
                    Fact::Unwinding { why, unproven: false, keep: false, asked: false, on_drift, to: None },
                    None,
                )]
            }
            Move::Finish(outcome) => vec![Tick::Append(Fact::Finished { outcome: outcome.clone() }, None)],
            _ => ticks(world, holder, flight),
        };
        for tick in ticks {
            let (label, mut then, on, fact) = match tick {
                Tick::Append(fact, on) => (format!("{who}: appends {fact:?}"), world.clone(), on, Some(fact)),
                Tick::Change(what, then, on) => (format!("{who}: {what}"), *then, on, None),
            };
            let flights = &mut then.holders[holder].flights;
            flights.remove(at);
            flights.extend(on);
            flights.sort_by_key(Flight::steps);
            if fact.is_some_and(|fact| !append(&mut then, holder, fact)) {
                next.push((format!("{label}, and is displaced"), then));
                continue;
            }
            self.decide(&mut then, holder);
            next.push((label, then));
        }
    }

    /// A holder decides by what it has seen.
    fn decide(&self, world: &mut World, holder: usize) {
        let own = &mut world.holders[holder];
        if own.over {
            return;
        }
        let busy: Vec<StepId> = own.flights.iter().flat_map(Flight::steps).collect();
        // What only writes a fact down is done before anything else is decided.
        if own.flights.iter().any(|f| f.steps().is_empty()) {
            return;
        }
        let situation = Situation { busy: &busy, until: None };
        let moves = decide(&self.shapes, self.policy, &own.state, Timestamp::UNIX_EPOCH, &situation);
        own.flights.extend(moves.into_iter().map(Flight::new));
        own.flights.sort_by_key(Flight::steps);
    }
}

/// The request arrives: for the first time, or again before its answer is heard.
fn arrives(world: &World, at: usize) -> Option<(String, World)> {
    let message = world.net[at].clone();
    if message.copies == 0 {
        return None;
    }
    let mut then = world.clone();
    let live = then.values[message.register];
    let takes = world.case.registers[message.register] != Kind::Compared || live == message.from;
    if takes {
        then.values[message.register] = message.to;
    }
    let copy = &mut then.net[at];
    copy.copies -= 1;
    // The first to arrive is answered; whether the sender hears it is another matter.
    copy.answer = copy.answer.or(Some(takes));
    // It is gone when nobody waits for its answer any more.
    let waits = world.holders[message.holder]
        .flights
        .iter()
        .any(|f| f.n == message.n && matches!(f.at, At::Sent(_)) && f.steps().first() == Some(&message.step));
    if copy.copies == 0 && !waits {
        then.net.remove(at);
    }
    let Message { holder, step, n, from, to, .. } = message;
    Some((format!("request {n} of {} for {step} ({from} to {to}) arrives", holder + 1), then))
}

fn fold(state: &mut Arc<RunState>, fact: &Fact) {
    Arc::make_mut(state).fold(Timestamp::UNIX_EPOCH, fact);
}

/// Appends by the rules of the writer; whether the holder still has the run in hand.
fn append(world: &mut World, holder: usize, fact: Fact) -> bool {
    let own = holder as u64 + 1;
    let news: Vec<_> = world.log[world.holders[holder].seen..].to_vec();
    let taken = news.iter().any(|(epoch, other, _)| displaces(other, *epoch, own, own > 1));
    if taken {
        world.holders[holder].over = true;
        world.holders[holder].flights.clear();
        return false;
    }
    match &fact {
        Fact::Finished { outcome } => {
            world.outcome = Some(outcome.clone());
            world.holders[holder].over = true;
        }
        Fact::Opened { .. } => world.outcome = None,
        _ => {}
    }
    assert!(own == world.epoch, "an older holder appends after it was displaced: {fact:?}");
    let mut hasher = DefaultHasher::new();
    format!("{fact:?}").hash(&mut hasher);
    world.log.push((own, Arc::new(fact.clone()), hasher.finish()));
    let seen = world.log.len();
    let one = &mut world.holders[holder];
    news.iter().for_each(|(_, other, _)| fold(&mut one.state, other));
    fold(&mut one.state, &fact);
    one.seen = seen;
    true
}

/// The state of a run that has just begun.
struct World0;

impl World0 {
    fn state() -> RunState {
        super::super::sim::World::new(&whole(), OnFailure::Rollback).state
    }
}
