//! What the schedules share: registers behind a bad network, one journal, and an oracle that sees every change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use modelswap::clock::Clock;
use modelswap::ids::ServiceName;
use modelswap::journal::fact::{Fact, Outcome};
use modelswap::journal::log::Log;
use modelswap::journal::record::{self, Record};
use modelswap::journal::store::{Appended, Store, StoreError};
use modelswap::providers::{LATE_AT_MOST, Late, ProviderError, Register, Settled};
use serde_json::{Value, json};
use tokio::time::Instant;

/// What came of a schedule.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) wrong: Vec<String>,
    pub(crate) story: Vec<String>,
    pub(crate) happened: BTreeSet<&'static str>,
}

/// A small generator; the same numbers from the same seed for ever.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// What a register does with a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Local,
    Blind,
    Compared,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) values: BTreeMap<&'static str, Value>,
    pub(crate) log: Vec<Vec<u8>>,
    pub(crate) folded: Log,
    pub(crate) seen: Seen,
    pub(crate) dice: Dice,
    /// Writes that arrived, by register.
    arrived: BTreeMap<&'static str, usize>,
    /// What a person last wrote, and when.
    pub(crate) edited: Option<(&'static str, Instant)>,
    /// When each register was last said to be back.
    undone: BTreeMap<String, Instant>,
    began: Instant,
    /// Until when the journal is out of reach.
    pub(crate) cut_off: Option<Instant>,
    /// Whether everything is calm: nothing is lost or late any more.
    pub(crate) calm: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct World(Arc<Mutex<State>>);

pub(crate) fn service() -> ServiceName {
    ServiceName::new("chat").unwrap()
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let router = |ttl: u64| json!({ "leads": "a", "ttl": ttl, "by": "" });
        let values = BTreeMap::from([("env", json!({ "runs": false })), ("alb", router(0)), ("dns", router(300))]);
        Self(Arc::new(Mutex::new(State {
            values,
            log: Vec::new(),
            folded: Log::of(&service()),
            seen: Seen::default(),
            dice: Dice(seed),
            arrived: BTreeMap::new(),
            edited: None,
            undone: BTreeMap::new(),
            began: Instant::now(),
            cut_off: None,
            calm: false,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn dice(&self, n: u64) -> u64 {
        self.lock().dice.below(n)
    }

    pub(crate) fn tell(&self, what: impl Into<String>) {
        let mut state = self.lock();
        let line = format!("{:>9.3} {}", state.began.elapsed().as_secs_f64(), what.into());
        state.seen.story.push(line);
    }

    pub(crate) fn happened(&self, what: &'static str) {
        self.lock().seen.happened.insert(what);
    }

    fn wrong(&self, what: String) {
        self.tell(format!("WRONG {what}"));
        self.lock().seen.wrong.push(what);
    }

    /// A write arrives: the oracle looks, and it takes effect or not.
    fn arrive(&self, key: &'static str, kind: Kind, from: &Value, to: &Value, late: bool) -> bool {
        let live = self.lock().values[key].clone();
        let takes = kind != Kind::Compared || live == *from;
        self.tell(format!(
            "{key}: {from} to {to} arrives{}{}",
            if late { " late" } else { "" },
            if takes { "" } else { ", refused" }
        ));
        self.write_ahead(key);
        if takes && live != *to {
            let ended = self.lock().folded.newest().and_then(|run| run.outcome.clone());
            // Where nothing compares, a late write that puts there what the run left there anyway can go over a person's edit of the
            // same quarter of an hour. No process could prevent that: docs/architecture.md says so.
            let over_a_person = live["by"] == "eve";
            if late && !over_a_person && matches!(ended, Some(Outcome::RolledBack { .. } | Outcome::Deployed)) {
                self.wrong(format!("I9: a late write of {key} won over an end ({ended:?}): {live} to {to}"));
            }
            self.lock().values.insert(key, to.clone());
            self.dark();
        }
        takes
    }

    /// I2: as many attempts are durable as writes have arrived.
    fn write_ahead(&self, key: &'static str) {
        let mut state = self.lock();
        *state.arrived.entry(key).or_default() += 1;
        let arrived = state.arrived[key];
        let announced: u32 = state
            .folded
            .runs
            .iter()
            .flat_map(|run| run.steps.values())
            .map(|s| {
                let on_it = s.prepared.as_ref().is_some_and(|(p, _)| p.key.as_deref() == Some(key));
                if on_it { s.attempts + s.undo_attempts } else { 0 }
            })
            .sum();
        drop(state);
        if arrived > announced as usize {
            self.wrong(format!("I2: {arrived} writes of {key} arrived, {announced} were announced"));
        }
    }

    /// I1: nobody is led to what does not run. What a person did by hand is that person's.
    fn dark(&self) {
        let state = self.lock();
        let led = ["alb", "dns"].iter().find(|r| state.values[*r]["leads"] == "b" && state.values[*r]["by"] == "");
        let dark = led
            .filter(|_| state.values["env"]["runs"] == false)
            .map(|r| format!("I1: {r} leads to b, which does not run"));
        drop(state);
        if let Some(why) = dark {
            self.wrong(why);
        }
    }

    /// A person writes by hand.
    pub(crate) fn edit(&self, key: &'static str, leads: &str) {
        let mut state = self.lock();
        state.edited = Some((key, Instant::now()));
        let value = state.values.get_mut(key).unwrap();
        (value["leads"], value["by"]) = (json!(leads), json!("eve"));
        drop(state);
        self.tell(format!("eve points {key} to {leads}"));
    }

    /// A record is durable: what it claims must be true.
    fn claim(&self, record: &Record) {
        self.tell(format!("epoch {} {:?}", record.epoch, record.fact));
        match &record.fact {
            Fact::Touched { .. } => self.happened("touched"),
            Fact::Undone { step, .. } => {
                let mut state = self.lock();
                let run = state.folded.runs.iter().find(|run| run.run == record.run).unwrap();
                let key = run.step(step).prepared.as_ref().and_then(|(p, _)| p.key.clone()).unwrap();
                state.undone.insert(key, Instant::now());
            }
            Fact::Observed { what, .. } if what == "late write" => self.happened("put right"),
            Fact::Finished { outcome: Outcome::RolledBack { .. } } => {
                self.happened("rolled back");
                self.is_back(record);
            }
            _ => {}
        }
    }

    /// I6, I15: "rolled back" is only said where every value is what it was before the run. What a person changed after it was
    /// seen to be back is that person's.
    fn is_back(&self, record: &Record) {
        let state = self.lock();
        let by_hand = |key: &str| {
            state.edited.is_some_and(|(of, at)| of == key && state.undone.get(key).is_none_or(|undone| at >= *undone))
        };
        let run = state.folded.runs.iter().find(|run| run.run == record.run).unwrap();
        let mut before: BTreeMap<&str, (Timestamp, &Value)> = BTreeMap::new();
        for step in run.steps.values().filter(|s| s.attempts > 0) {
            let (prepared, at) = step.prepared.as_ref().unwrap();
            let key = prepared.key.as_deref().unwrap();
            let first = before.entry(key).or_insert((*at, &prepared.before));
            if *at < first.0 {
                *first = (*at, &prepared.before);
            }
        }
        let not: Vec<String> = before
            .iter()
            .filter(|(key, (_, was))| state.values[**key] != **was && !by_hand(key))
            .map(|(key, (_, was))| format!("I6: it says rolled back, and {key} is {}, not {was}", state.values[*key]))
            .collect();
        drop(state);
        not.into_iter().for_each(|why| self.wrong(why));
    }
}

/// A process: it can be stopped for a while, its clock jumps, and it knows when it last announced something.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) world: World,
    stopped: Mutex<Option<Instant>>,
    offset_s: Mutex<i64>,
    announced: Mutex<Option<Instant>>,
    started: Instant,
}

impl Process {
    pub(crate) fn new(world: &World) -> Arc<Self> {
        let (stopped, offset_s, announced) = (Mutex::new(None), Mutex::new(0), Mutex::new(None));
        Arc::new(Self { world: world.clone(), stopped, offset_s, announced, started: world.lock().began })
    }

    pub(crate) fn stop_for(&self, length: Duration) {
        *self.stopped.lock().unwrap() = Some(Instant::now() + length);
    }

    pub(crate) fn jump(&self, by_s: i64) {
        *self.offset_s.lock().unwrap() += by_s;
    }

    /// Every call goes through here: a stopped process does nothing.
    async fn gate(&self) {
        loop {
            let until = *self.stopped.lock().unwrap();
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => return,
            }
        }
    }

    async fn takes(&self, up_to_ms: u64) {
        let ms = self.world.dice(up_to_ms);
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.gate().await;
    }
}

#[async_trait]
impl Clock for Process {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.started.elapsed()).unwrap();
        Timestamp::from_second(1_800_000_000 + *self.offset_s.lock().unwrap()).unwrap() + passed
    }

    async fn sleep(&self, length: Duration) {
        tokio::time::sleep(length).await;
        self.gate().await;
    }
}

/// A process's hand on the journal.
#[derive(Debug)]
pub(crate) struct Pen(pub(crate) Arc<Process>);

#[async_trait]
impl Store for Pen {
    async fn load(&mut self) -> Result<(Log, Vec<(Record, Vec<u8>)>), StoreError> {
        Ok((self.0.world.lock().folded.clone(), Vec::new()))
    }

    async fn append(&mut self, after: u64, payload: &[u8]) -> Result<Appended, StoreError> {
        self.0.takes(40).await;
        let cut_off = self.0.world.lock().cut_off;
        if let Some(until) = cut_off {
            tokio::time::sleep_until(until).await;
        }
        let record = record::read(payload, |_| Err("nothing is large".to_owned())).unwrap();
        {
            let mut state = self.0.world.lock();
            if state.log.len() as u64 != after {
                return Ok(Appended::Behind(state.log[after as usize..].to_vec()));
            }
            let newest = state.folded.head.epoch;
            if record.epoch < newest && !matches!(record.fact, Fact::Asked { .. }) {
                state.seen.wrong.push(format!("I4: epoch {} writes after {newest}", record.epoch));
            }
            state.log.push(payload.to_vec());
            state.folded.push(payload, &record).unwrap();
            if matches!(record.fact, Fact::Attempt { .. }) {
                *self.0.announced.lock().unwrap() = Some(Instant::now());
            }
        }
        self.0.world.claim(&record);
        self.0.takes(40).await;
        Ok(Appended::Yes)
    }

    async fn newer(&mut self, after: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.0.gate().await;
        Ok(self.0.world.lock().log[after as usize..].to_vec())
    }

    async fn keep(&mut self, _: &str, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn fetch(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        Err(StoreError::Dead { place: digest.to_owned(), why: "nothing is kept here".to_owned() })
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}

/// A process's way to a register.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) process: Arc<Process>,
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
}

impl Way {
    fn live(&self) -> Value {
        self.process.world.lock().values[self.key].clone()
    }

    fn conflict(&self, expected: &Value, found: &Value) -> ProviderError {
        ProviderError::Conflict { on: self.key.to_owned(), expected: expected.to_string(), found: found.to_string() }
    }

    fn unknown(&self) -> ProviderError {
        ProviderError::Unknown { call: self.key.to_owned(), why: "no answer".to_owned() }
    }

    fn busy(&self, why: &str) -> ProviderError {
        ProviderError::Busy { call: self.key.to_owned(), why: why.to_owned() }
    }

    fn answered(&self, took: bool, expected: &Value, new: &Value) -> Result<Value, ProviderError> {
        let live = self.live();
        if took || live == *new { Ok(json!(1)) } else { Err(self.conflict(expected, &live)) }
    }
}

#[async_trait]
impl Register for Way {
    type Value = Value;

    fn key(&self) -> String {
        self.key.to_owned()
    }

    async fn read(&self) -> Result<Value, ProviderError> {
        self.process.takes(200).await;
        if !self.process.world.lock().calm && self.process.world.dice(20) == 0 {
            return Err(self.busy("throttled"));
        }
        Ok(self.live())
    }

    async fn swap(&self, expected: &Value, new: &Value) -> Result<Value, ProviderError> {
        let world = &self.process.world;
        if self.kind != Kind::Compared {
            self.process.takes(200).await;
            match self.live() {
                live if live == *new => return Ok(Value::Null),
                live if live != *expected => return Err(self.conflict(expected, &live)),
                _ => {}
            }
        } else if expected == new {
            return Ok(Value::Null);
        }
        self.process.takes(50).await;
        // As the real ones do, see `clock::Announced`.
        if self.process.announced.lock().unwrap().is_none_or(|at| at.elapsed() > modelswap::clock::SENT_WITHIN) {
            return Err(self.busy("it was announced too long ago"));
        }
        let (key, kind, from, to) = (self.key, self.kind, expected.clone(), new.clone());
        let calm = world.lock().calm || kind == Kind::Local;
        let luck = if calm { 0 } else { world.dice(100) };
        match luck {
            0..55 => {
                let took = world.arrive(key, kind, &from, &to, false);
                self.process.takes(100).await;
                self.answered(took, expected, new)
            }
            55..60 => Err(self.busy("throttled")),
            60..68 => {
                world.happened("lost");
                world.tell(format!("{key}: {from} to {to} is lost"));
                tokio::time::sleep(Duration::from_secs(30)).await;
                Err(self.unknown())
            }
            68..76 => {
                world.arrive(key, kind, &from, &to, false);
                self.process.takes(100).await;
                Err(self.unknown())
            }
            76..80 => {
                world.happened("twice");
                let took = world.arrive(key, kind, &from, &to, false);
                if kind != Kind::Compared || world.lock().values[key] == from {
                    world.lock().values.insert(key, to.clone());
                }
                self.answered(took, expected, new)
            }
            _ => {
                world.happened("late");
                let after = Duration::from_secs(1 + world.dice(LATE_AT_MOST.as_secs_ceil() - 40));
                world.tell(format!("{key}: {from} to {to} is on its way for {after:?}"));
                let there = world.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    there.arrive(key, kind, &from, &to, true);
                });
                tokio::time::sleep(Duration::from_secs(30)).await;
                Err(self.unknown())
            }
        }
    }

    async fn settled(&self, value: &Value, _: Option<&Value>) -> Result<Settled, ProviderError> {
        let live = self.read().await?;
        if live == *value { Ok(Settled::Yes("read back".to_owned())) } else { Err(self.conflict(value, &live)) }
    }

    fn show(&self, value: &Value) -> String {
        value.to_string()
    }

    fn late(&self) -> Option<Late> {
        match self.kind {
            Kind::Local => Some(Late::BY_SENDER),
            kind => Some(Late { within: LATE_AT_MOST, compared: kind == Kind::Compared, outlives_sender: true }),
        }
    }

    fn touch(&self, value: &Value, _: &Value) -> Option<Value> {
        let mut touched = value.clone();
        touched["ttl"] = json!(value["ttl"].as_u64()?.checked_sub(1)?);
        (self.kind == Kind::Compared).then_some(touched)
    }
}
