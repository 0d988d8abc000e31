//! Who does what in a schedule.

use std::sync::Arc;
use std::time::Duration;

use modelswap::engine::cancel::Cancel;
use modelswap::engine::drive::Drive;
use modelswap::ids::{RouterName, RunId, StepId};
use modelswap::journal::actor::Actor;
use modelswap::journal::fact::{Fact, OnDrift, Outcome, Purpose, RunStarted};
use modelswap::journal::record::Record;
use modelswap::journal::state::RunState;
use modelswap::journal::store::Store;
use modelswap::journal::writer::{Journal, Takeover};
use modelswap::plan::graph::{Graph, Node, Phase, Section, Shape};
use modelswap::plan::model::OnFailure;
use modelswap::report::Reporter;
use modelswap::steps::Step;
use modelswap::steps::set::Set;
use modelswap::units::Span;
use serde_json::{Value, json};

use crate::world::{Kind, Pen, Process, Seen, Way, World, service};

struct Nobody;

impl Reporter for Nobody {
    fn begin(&mut self, _: &modelswap::report::Around, _: &RunState) {}
    fn record(&mut self, _: &Record, _: &RunState) {}
    fn progress(&mut self, _: &StepId, _: &str, _: jiff::Timestamp) {}
}

fn node(
    process: &Arc<Process>,
    id: &str,
    after: &[&str],
    key: &'static str,
    phase: Phase,
    field: &'static str,
    to: Value,
) -> Node {
    let name = |id: &str| StepId::new(id).unwrap();
    let kind = match key {
        "env" => Kind::Local,
        "alb" => Kind::Blind,
        _ => Kind::Compared,
    };
    let way = Way { process: Arc::clone(process), key, kind };
    let want = move |live: &Value, _: &modelswap::steps::Cx<'_>| {
        let mut want = live.clone();
        want[field] = to.clone();
        Ok(want)
    };
    let step: Arc<dyn Step> = Arc::new(Set::new(Arc::new(way), Box::new(want)));
    let shape = Shape {
        id: name(id),
        title: id.to_owned(),
        section: Section::Deploy,
        after: after.iter().map(|id| name(id)).collect(),
        effect: true,
        phase,
        group: (key != "env").then(|| RouterName::new(key).unwrap()),
        holds: false,
        after_tail_of: None,
        undo_after_tail_of: None,
        late: step.late(),
    };
    Node { shape, step, within: Span::from_secs(600), poll: Span::from_secs(2) }
}

fn graph(process: &Arc<Process>) -> Graph {
    let node = |id, after: &[&str], key, phase, field, to| node(process, id, after, key, phase, field, to);
    let nodes = vec![
        node("lower", &[], "dns", Phase::Rest, "ttl", json!(60)),
        node("provision", &["lower"], "env", Phase::Stop, "runs", json!(true)),
        node("attach", &["provision"], "alb", Phase::Traffic, "ttl", json!(1)),
        node("swap-alb", &["attach"], "alb", Phase::Traffic, "leads", json!("b")),
        node("swap-dns", &["provision"], "dns", Phase::Traffic, "leads", json!("b")),
    ];
    Graph { on_failure: OnFailure::Rollback, nodes }
}

async fn drive(process: &Arc<Process>, journal: Journal) {
    let graph = graph(process);
    let drive = Drive::new(&graph, journal, Box::new(Nobody), Arc::clone(process) as _, Cancel::default());
    let end = drive.run().await;
    process.world.tell(format!("ends: {end:?}"));
}

fn actor() -> Actor {
    Actor::here("dana".to_owned(), None)
}

/// Begins a run, if the service is free and at rest.
async fn deploy(process: Arc<Process>, run: &'static str) {
    let mut pen = Pen(Arc::clone(&process));
    let (log, _) = pen.load().await.unwrap();
    if log.newest().is_some_and(RunState::is_unfinished) {
        return process.world.tell(format!("{run} is refused: another is unfinished"));
    }
    let text = String::new;
    let started = RunStarted { format: 1, plan_name: text(), plan_text: text(), digest: text(), resolved: Value::Null };
    let facts = (Fact::RunStarted(Box::new(started)), Purpose::Deploy);
    let at = modelswap::clock::Clock::now(process.as_ref());
    let run = RunId::new(run).unwrap();
    match Journal::begin(Box::new(pen), log, service(), run, actor(), facts, at).await {
        Ok(journal) => drive(&process, journal).await,
        Err(error) => process.world.tell(format!("not begun: {error}")),
    }
}

/// Takes the newest run over and goes back.
async fn roll_back(process: Arc<Process>) {
    let mut pen = Pen(Arc::clone(&process));
    let (log, _) = pen.load().await.unwrap();
    let Some(run) = log.newest().filter(|run| !matches!(run.outcome, Some(Outcome::RolledBack { .. }))) else {
        return process.world.tell("there is nothing to roll back");
    };
    let (run, at) = (run.run.clone(), modelswap::clock::Clock::now(process.as_ref()));
    process.world.happened("takeover");
    let purpose = (Purpose::Rollback, Takeover::Because("a test".to_owned()));
    let journal = Journal::open(Box::new(pen), log, service(), run, actor(), purpose, at).await;
    let Ok(mut journal) = journal else { return process.world.tell(format!("not opened: {journal:?}")) };
    let (why, on_drift) = ("asked".to_owned(), OnDrift::default());
    let turn = Fact::Unwinding { why, unproven: false, keep: false, asked: true, on_drift, to: None };
    if let Err(error) = journal.append(turn, at).await {
        return process.world.tell(format!("not turned: {error}"));
    }
    drive(&process, journal).await;
}

/// Lets a process live until its end, or until it is killed; stops it and moves its clock on the way.
async fn with_trouble(world: World, process: Arc<Process>, life: impl Future<Output = ()>) {
    let (kill, stop, jump) = (world.dice(3) == 0, world.dice(3) == 0, world.dice(3) == 0);
    let moment = |n: u64| Duration::from_millis(world.dice(n * 1000));
    let (kill_at, stop_at, jump_at) = (moment(300), moment(200), moment(300));
    let (length, by_s) = (moment(2000), world.dice(144_000) as i64 - 72_000);
    let other = async {
        let stop = async {
            tokio::time::sleep(stop_at).await;
            if stop {
                world.happened("pause");
                world.tell(format!("a process stops for {length:?}"));
                process.stop_for(length);
            }
        };
        let jump = async {
            tokio::time::sleep(jump_at).await;
            if jump {
                world.happened("jump");
                process.jump(by_s);
            }
        };
        let kill = async {
            tokio::time::sleep(kill_at).await;
            if !kill {
                std::future::pending::<()>().await;
            }
        };
        tokio::join!(stop, jump, kill);
    };
    tokio::select! {
        () = life => {}
        () = other => {
            world.happened("crash");
            world.tell("a process dies");
        }
    }
}

/// The whole of a schedule, until nothing is under way any more.
pub(crate) async fn live(seed: u64) -> Seen {
    let world = World::new(seed);
    let spawn = |after_s: u64, what: u8| {
        let world = world.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(after_s)).await;
            let process = Process::new(&world);
            let life = async {
                match what {
                    0 => deploy(Arc::clone(&process), "R1").await,
                    1 => deploy(Arc::clone(&process), "R2").await,
                    _ => roll_back(Arc::clone(&process)).await,
                }
            };
            with_trouble(world, Arc::clone(&process), life).await;
        })
    };
    let second = 1 + world.dice(3000);
    let mut processes = vec![spawn(0, 0), spawn(second, 1)];
    for _ in 0..1 + world.dice(2) {
        processes.push(spawn(1 + world.dice(400), 2));
    }
    let person = {
        let (world, edits, at) = (world.clone(), world.dice(4) == 0, world.dice(400));
        let (key, leads) = (["alb", "dns"][world.dice(2) as usize], ["a", "b"][world.dice(2) as usize]);
        let (cut, cut_at, cut_s) = (world.dice(4) == 0, world.dice(200), world.dice(600));
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(cut_at)).await;
            if cut {
                world.tell(format!("the journal is out of reach for {cut_s} s"));
                world.lock().cut_off = Some(tokio::time::Instant::now() + Duration::from_secs(cut_s));
            }
            tokio::time::sleep(Duration::from_secs(at)).await;
            if edits {
                world.happened("edit");
                world.edit(key, leads);
            }
        })
    };
    for process in processes {
        process.await.unwrap();
    }
    person.await.unwrap();
    // A last rollback in calm weather brings everything back, unless a person has changed something.
    world.lock().calm = true;
    world.tell("calm");
    roll_back(Process::new(&world)).await;
    tokio::time::sleep(Duration::from_secs(2000)).await;
    let mut state = world.lock();
    let ended = state.folded.newest().and_then(|run| run.outcome.clone());
    let back = matches!(ended, Some(Outcome::RolledBack { .. }));
    if !back && state.edited.is_none() {
        state.seen.wrong.push(format!("I12: the last rollback did not bring everything back: {ended:?}"));
    }
    std::mem::take(&mut state.seen)
}
