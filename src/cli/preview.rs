//! What a deploy would do, step by step, from what is there now. Reads, changes nothing.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::desk::Desk;
use super::{Exit, Failure};
use crate::ids::{EnvironmentName, RouterName, RunId, StepId};
use crate::journal::fact::{Fact, Prepared, RunStarted};
use crate::journal::record::{self, Record};
use crate::journal::state::RunState;
use crate::plan::compile::Backends;
use crate::plan::graph::{Graph, Node, Phase, Section};
use crate::plan::resolve::Resolved;
use crate::providers::Split;
use crate::providers::environments::Running;
use crate::steps::{Cx, Foreseen};
use crate::units::{Span, clock_time, rounded};

/// A step of a preview.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: StepId,
    pub(super) title: String,
    pub(super) section: Section,
    /// What is there now; `-` for a step that only looks.
    pub(super) now: String,
    /// What will be, or what must hold.
    pub(super) will: String,
    pub(super) takes: Takes,
    /// The way back once this step is done, and what it costs.
    pub(super) back: String,
    /// Waits before it, with the terms of their sums.
    pub(super) waits: Vec<String>,
    /// Why it cannot be carried out.
    pub(super) refused: Option<String>,
    pub(super) changes: bool,
}

/// How long a step takes, and how that is known.
#[derive(Debug, Clone, Copy)]
pub(super) enum Takes {
    /// The plan says it.
    Fixed(Span),
    /// It took so long last time.
    LastTime(Span),
    /// Nobody knows; it is given up after this.
    AtMost(Span),
}

impl std::fmt::Display for Takes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(span) => write!(f, "{span}"),
            Self::LastTime(span) => write!(f, "~{span}"),
            // Such patience is the engine's own: it waits for what must hold, however long that is.
            Self::AtMost(span) if *span >= UNBOUNDED => write!(f, "open"),
            Self::AtMost(span) => write!(f, "<={span}"),
        }
    }
}

const UNBOUNDED: Span = Span::from_secs(7 * 24 * 3600);

/// All steps, and when the deploy would end.
#[derive(Debug)]
pub(super) struct Preview {
    pub(super) rows: Vec<Row>,
    pub(super) ends: Timestamp,
    /// Whether the length of every step is known.
    pub(super) ends_is_known: bool,
}

/// How long each step took in the newest run that did it.
pub(super) fn lengths(records: &[Record]) -> BTreeMap<StepId, Span> {
    let mut began: BTreeMap<(RunId, StepId), Timestamp> = BTreeMap::new();
    let mut lengths = BTreeMap::new();
    for record in records {
        match &record.fact {
            Fact::Prepared { step, .. } => {
                began.entry((record.run.clone(), step.clone())).or_insert(record.at);
            }
            Fact::Verified { step, .. } => {
                if let Some(at) = began.get(&(record.run.clone(), step.clone())) {
                    lengths.insert(step.clone(), rounded(record.at.duration_since(*at)));
                }
            }
            Fact::RunStarted(_)
            | Fact::Opened { .. }
            | Fact::Attempt { .. }
            | Fact::Applied { .. }
            | Fact::Refused { .. }
            | Fact::Touched { .. }
            | Fact::Merged { .. }
            | Fact::Settled { .. }
            | Fact::Failed { .. }
            | Fact::Unwinding { .. }
            | Fact::Undone { .. }
            | Fact::UndoFailed { .. }
            | Fact::Observed { .. }
            | Fact::Asked { .. }
            | Fact::Interrupted { .. }
            | Fact::Finished { .. } => {}
        }
    }
    lengths
}

/// What is previewed, and what is known of it.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) resolved: &'a Resolved,
    pub(super) backends: &'a Backends,
    pub(super) graph: &'a Graph,
    pub(super) lengths: &'a BTreeMap<StepId, Span>,
    /// Environments that are not asked whether they run, because asking runs a command of the operator's.
    pub(super) unasked: &'a [EnvironmentName],
}

/// Walks through the steps as a run would, with every register as the steps before will have left it.
pub(super) async fn preview(subject: &Subject<'_>, desk: &Desk) -> Result<Preview, Failure> {
    let now = desk.clock.now();
    let mut walk = Walk::begin(subject, desk, now)?;
    for node in &subject.graph.nodes {
        walk.step(node).await;
    }
    Ok(Preview { rows: walk.rows, ends: walk.deploy_ends, ends_is_known: walk.ends_is_known })
}

struct Walk<'a> {
    subject: &'a Subject<'a>,
    state: RunState,
    /// By key, what the steps so far will have put there.
    held: BTreeMap<String, Value>,
    unasked: Vec<String>,
    ends: BTreeMap<StepId, Timestamp>,
    deploy_ends: Timestamp,
    ends_is_known: bool,
    now: Timestamp,
    rows: Vec<Row>,
    /// What moved so far: by router, what was there first and what is there now.
    moved: BTreeMap<RouterName, (Value, Value)>,
    /// By router, how long clients follow after a change.
    follow: BTreeMap<RouterName, Span>,
    slow: Option<String>,
}

impl<'a> Walk<'a> {
    fn begin(subject: &'a Subject<'a>, desk: &Desk, now: Timestamp) -> Result<Self, Failure> {
        let bug = |why: String| Failure::new(Exit::Bug, why);
        let resolved = serde_json::to_value(subject.resolved).map_err(|e| bug(e.to_string()))?;
        let (plan_name, plan_text, digest) = (String::new(), String::new(), String::new());
        let started = RunStarted { format: crate::plan::resolve::FORMAT, plan_name, plan_text, digest, resolved };
        // Never written: the fold of a run that is only thought of.
        let record = Record {
            v: record::VERSION,
            seq: 1,
            prev: String::new(),
            service: subject.resolved.plan.service.clone(),
            run: RunId::generate(u64::try_from(now.as_millisecond()).unwrap_or(0)),
            epoch: 1,
            id: String::new(),
            actor: desk.actor.clone(),
            at: now,
            fact: Fact::RunStarted(Box::new(started)),
        };
        let state = RunState::begin(&record).map_err(bug)?;
        let (mut held, mut unasked) = (BTreeMap::new(), Vec::new());
        for name in subject.unasked {
            let Some(register) = subject.backends.environments.get(name) else { continue };
            let assumed = if *name == subject.resolved.live { Running::with("assumed") } else { Running::Stopped };
            held.insert(register.key(), json!(assumed));
            unasked.push(register.key());
        }
        Ok(Self {
            subject,
            state,
            held,
            unasked,
            ends: BTreeMap::new(),
            deploy_ends: now,
            ends_is_known: true,
            now,
            rows: Vec::new(),
            moved: BTreeMap::new(),
            follow: BTreeMap::new(),
            slow: None,
        })
    }

    async fn step(&mut self, node: &Node) {
        let shape = &node.shape;
        let mut start = shape.after.iter().filter_map(|id| self.ends.get(id)).copied().max().unwrap_or(self.now);
        if let (Section::Finalize, Some(finalize)) = (shape.section, &self.subject.resolved.plan.finalize) {
            start = start.max(self.deploy_ends + finalize.after.signed());
        }
        let mut waits = Vec::new();
        if let Some(environment) = &shape.after_tail_of
            && let Some(tail) = self
                .state
                .tails
                .iter()
                .filter(|t| t.environment == *environment && t.until > start)
                .max_by_key(|t| t.until)
        {
            waits.push(format!("waits until {}: {}", clock_time(tail.until), tail.why));
            start = tail.until;
        }
        let run = self.state.run.clone();
        let cx = Cx {
            step: &shape.id,
            run: &run,
            now: start,
            since: start,
            ours: &[],
            state: &self.state,
            approved_by: None,
            unproven: false,
        };
        let (foreseen, refused) = match node.step.foresee(&self.held, &cx).await {
            Ok(foreseen) => (foreseen, None),
            Err(error) => (Foreseen::default(), Some(error.to_string())),
        };
        let takes = match (foreseen.length, self.subject.lengths.get(&shape.id)) {
            (Some(length), _) => Takes::Fixed(length),
            (None, Some(length)) => Takes::LastTime(*length),
            (None, None) => Takes::AtMost(node.within),
        };
        let length = match takes {
            Takes::Fixed(length) | Takes::LastTime(length) => length.signed(),
            Takes::AtMost(_) => SignedDuration::ZERO,
        };
        let end = start + length;
        self.ends.insert(shape.id.clone(), end);
        if shape.section == Section::Deploy {
            self.deploy_ends = self.deploy_ends.max(end);
            self.ends_is_known &= !matches!(takes, Takes::AtMost(_));
        }
        for tail in &foreseen.tails {
            let left = rounded(tail.until.duration_since(start));
            let moves = foreseen
                .change
                .as_ref()
                .zip(shape.group.as_ref())
                .is_none_or(|(c, router)| self.leads(router, &c.before) != self.leads(router, &c.want));
            // A change of the TTL alone leads nobody away; it only takes that long to be known.
            let what = if moves {
                format!("clients may still come to {}", tail.environment)
            } else {
                "caches may keep the old TTL".to_owned()
            };
            waits.push(format!("then {what} for {left}: {}", tail.why));
        }
        let changes = foreseen.change.as_ref().is_none_or(|c| c.before != c.want) && shape.effect;
        self.remember(node, &foreseen, (start, end), changes);
        let (now, will) = self.shown(&foreseen, changes, node);
        self.rows.push(Row {
            id: shape.id.clone(),
            title: shape.title.clone(),
            section: shape.section,
            now,
            will,
            takes,
            back: self.way_back(),
            waits,
            refused,
            changes,
        });
    }

    /// Folds what the step will have done.
    fn remember(&mut self, node: &Node, foreseen: &Foreseen, (start, end): (Timestamp, Timestamp), changes: bool) {
        let shape = &node.shape;
        let prepared = foreseen.change.clone().unwrap_or_else(Prepared::nothing);
        if let Some(key) = &prepared.key {
            self.held.insert(key.clone(), prepared.want.clone());
        }
        let tails: Vec<_> = foreseen
            .tails
            .iter()
            .cloned()
            .map(|mut tail| {
                tail.until += end.duration_since(start);
                tail
            })
            .collect();
        if let Some(router) = &shape.group {
            let moved =
                self.moved.entry(router.clone()).or_insert_with(|| (prepared.before.clone(), prepared.want.clone()));
            moved.1 = prepared.want.clone();
            if let Some(last) = tails.iter().map(|t| t.until).max() {
                self.follow.insert(router.clone(), rounded(last.duration_since(end)));
            }
        }
        match shape.phase {
            Phase::Serve if changes => self.slow = Some(format!("SLOW: starts {} again", self.subject.resolved.live)),
            Phase::Serve | Phase::Stop | Phase::Traffic | Phase::Rest => {}
        }
        let id = shape.id.clone();
        self.state.fold(start, &Fact::Prepared { step: id.clone(), prepared });
        self.state.fold(start, &Fact::Attempt { step: id.clone(), n: 1, undo: false });
        self.state.fold(end, &Fact::Applied { step: id.clone(), receipt: serde_json::Value::Null });
        self.state.fold(end, &Fact::Verified { step: id, evidence: String::new(), tails });
    }

    fn shown(&self, foreseen: &Foreseen, changes: bool, node: &Node) -> (String, String) {
        let Some((now, will)) = &foreseen.shows else {
            let will = if foreseen.wants.is_empty() { node.shape.title.clone() } else { foreseen.wants.clone() };
            return ("-".to_owned(), will);
        };
        // Under which token something runs is for the journal, not for a preview.
        let plain = |text: &String| text.split(" (started as").next().unwrap_or(text).to_owned();
        let key = foreseen.change.as_ref().and_then(|c| c.key.as_ref());
        let now = if key.is_some_and(|key| self.unasked.contains(key)) { "not asked".to_owned() } else { plain(now) };
        let whose = key.map(|key| format!("{}: ", self.label(key))).unwrap_or_default();
        (now, if changes { format!("{whose}{}", plain(will)) } else { format!("{whose}unchanged") })
    }

    fn leads(&self, router: &RouterName, value: &Value) -> Option<Split> {
        self.subject.backends.routers.get(router).and_then(|r| r.split(value))
    }

    /// What a register is called on this screen.
    fn label(&self, key: &str) -> String {
        let environments =
            self.subject.backends.environments.iter().map(|(name, register)| (name.to_string(), register.key()));
        let routers = self.subject.backends.routers.iter().map(|(name, router)| (name.to_string(), router.key()));
        let named = environments.chain(routers).find(|(_, known)| known == key).map(|(name, _)| name);
        named.unwrap_or_else(|| key.rsplit(' ').next().unwrap_or(key).to_owned())
    }

    /// What it costs to go back from here: traffic first, and how long clients take to follow.
    fn way_back(&self) -> String {
        let moved = || {
            self.moved.iter().filter(|(router, (first, last))| self.leads(router, first) != self.leads(router, last))
        };
        if let Some(slow) = &self.slow {
            return slow.clone();
        }
        let calls = moved().count();
        if calls == 0 {
            return "nothing moved".to_owned();
        }
        let calls = if calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") };
        match moved().filter_map(|(router, _)| self.follow.get(router)).max() {
            Some(follow) => format!("{calls}, seen within {follow}"),
            None => calls,
        }
    }
}
