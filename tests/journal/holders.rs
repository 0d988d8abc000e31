//! One holder at a time; what others ask reaches it; whoever was displaced writes nothing more.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use modelswap::ids::ServiceName;
use modelswap::journal::actor::Actor;
use modelswap::journal::fact::{Ask, Fact, Outcome, Purpose};
use modelswap::journal::log::Log;
use modelswap::journal::store::Store;
use modelswap::journal::store::local::Local;
use modelswap::journal::writer::{Journal, JournalError, Takeover, ask, free};

use super::support::{
    again, at, attempt, begin, begin_on, block_on, gone, journal_of, look, me, open, run, scratch, service, started,
    step,
};

const CONTENDERS: usize = 8;
const ROUNDS: usize = 20;
const KEY: &str = "MODELSWAP_TEST_CONTENDER";

/// Even rounds begin a run; odd ones open one whose holder is gone.
#[test]
fn of_eight_processes_that_want_a_service_exactly_one_gets_it() {
    if let Some(state) = std::env::var_os(KEY) {
        return contend(Path::new(&state));
    }
    let state = scratch();
    let mut contenders: Vec<Contender> = (0..CONTENDERS).map(|_| Contender::start(state.path())).collect();
    let mut displaced = 0;
    for round in 0..ROUNDS {
        if round % 2 == 1 {
            block_on(leave_open_run(state.path(), &of_round(round)));
        }
        for contender in &mut contenders {
            writeln!(contender.orders, "{round}").unwrap();
        }
        let said: Vec<String> = contenders.iter_mut().map(Contender::hear).collect();
        let of = |word: &str| said.iter().filter(|s| s.starts_with(word)).count();
        assert_eq!(of("holds"), 1, "round {round}: {said:?}");
        assert_eq!(of("held") + of("displaced"), CONTENDERS - 1, "round {round}: {said:?}");
        displaced += of("displaced");
        let (log, records) = block_on(async { Local::new(state.path(), &of_round(round)).load().await.unwrap() });
        let writers: std::collections::BTreeSet<u32> =
            records.iter().skip(usize::from(round % 2 == 1) * 2).map(|(r, _)| r.actor.pid).collect();
        assert_eq!(writers.len(), 1, "round {round}: several wrote");
        assert_eq!(log.runs.len(), 1, "round {round}: several runs began");
    }
    assert!(displaced > 0, "no two ever came at once: these rounds showed nothing");
    for mut contender in contenders {
        drop(contender.orders);
        assert!(contender.child.wait().unwrap().success());
    }
}

struct Contender {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Contender {
    fn start(state: &Path) -> Self {
        let mut command = again("holders::of_eight_processes_that_want_a_service_exactly_one_gets_it", KEY, state);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (orders, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, orders, answers }
    }

    /// What it says of the round; the test harness has a word or two of its own.
    fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "a contender died");
            if let Some((_, said)) = line.split_once("contender: ") {
                return said.trim_end().to_owned();
            }
        }
    }
}

fn of_round(round: usize) -> ServiceName {
    ServiceName::new(format!("race-{round}")).unwrap()
}

async fn leave_open_run(state: &Path, service: &ServiceName) {
    let store = Box::new(Local::new(state, service));
    let (log, facts) = (Log::of(service), (started(), Purpose::Deploy));
    drop(Journal::begin(store, log, service.clone(), run(1), gone(), facts, at(0)).await.unwrap());
}

/// One of the eight: for each round it is told of, tries once and keeps what it got until the end.
fn contend(state: &Path) {
    block_on(async {
        let mut held = Vec::new();
        for line in std::io::stdin().lines() {
            let round: usize = line.unwrap().parse().unwrap();
            let service = of_round(round);
            let mut store = Local::new(state, &service);
            let (log, _) = store.load().await.unwrap();
            let store: Box<dyn Store> = Box::new(store);
            let got = if round.is_multiple_of(2) {
                let id = run(std::process::id());
                Journal::begin(store, log, service, id, me(), (started(), Purpose::Deploy), at(0)).await
            } else {
                Journal::open(store, log, service, run(1), me(), (Purpose::Resume, Takeover::Never), at(0)).await
            };
            match got {
                Ok(mut journal) => {
                    for n in 0..3 {
                        journal.append(attempt(&format!("s{n}"), false), at(1)).await.unwrap();
                    }
                    held.push(journal);
                    println!("contender: holds");
                }
                Err(JournalError::Held { .. }) => println!("contender: held"),
                Err(JournalError::Displaced { .. }) => println!("contender: displaced"),
                Err(error) => println!("contender: {error}"),
            }
        }
    });
}

#[tokio::test]
async fn a_displaced_holder_writes_nothing_more_however_often_it_tries() {
    let state = scratch();
    let mut old = begin(state.path(), 1, me()).await.unwrap();
    let mut new = open(state.path(), me(), Purpose::Rollback, Takeover::Because("it hangs".to_owned())).await.unwrap();
    let bytes = std::fs::read(journal_of(state.path())).unwrap();
    for _ in 0..3 {
        let error = old.append(attempt("a", false), at(1)).await.unwrap_err();
        assert!(matches!(error, JournalError::Displaced { epoch: 2, .. }), "{error}");
    }
    assert_eq!(std::fs::read(journal_of(state.path())).unwrap(), bytes);
    new.append(attempt("a", true), at(2)).await.unwrap();
    assert!(matches!(old.append(attempt("a", false), at(3)).await, Err(JournalError::Displaced { .. })));
    assert_eq!(look(state.path()).await.1.newest().unwrap(), new.state());
}

#[tokio::test]
async fn a_displaced_holder_learns_of_it_by_looking() {
    let state = scratch();
    let mut old = begin(state.path(), 1, me()).await.unwrap();
    old.refresh().await.unwrap();
    drop(open(state.path(), me(), Purpose::Resume, Takeover::Because("it hangs".to_owned())).await.unwrap());
    assert!(matches!(old.refresh().await, Err(JournalError::Displaced { .. })));
    assert!(matches!(old.append(attempt("a", false), at(1)).await, Err(JournalError::Displaced { .. })));
}

/// The one that is taken over may be in the middle of its work, and writes between our reading and our opening.
#[tokio::test]
async fn a_takeover_succeeds_against_a_holder_that_keeps_writing() {
    let state = scratch();
    let mut old = begin(state.path(), 1, me()).await.unwrap();
    let (store, log) = look(state.path()).await;
    old.append(attempt("a", false), at(1)).await.unwrap();
    let taken = (Purpose::Rollback, Takeover::Because("it must stop".to_owned()));
    let mut new = Journal::open(store, log, service(), run(1), me(), taken, at(2)).await.unwrap();
    assert_eq!(new.state().step(&step("a")).attempts, 1, "what it did meanwhile is known");
    assert!(matches!(old.append(attempt("b", false), at(3)).await, Err(JournalError::Displaced { .. })));
    new.append(attempt("a", true), at(4)).await.unwrap();
}

#[tokio::test]
async fn of_two_that_open_at_once_the_second_is_displaced_even_in_one_process() {
    let state = scratch();
    drop(begin(state.path(), 1, gone()).await.unwrap());
    let (one, two) = (look(state.path()).await, look(state.path()).await);
    let purpose = || (Purpose::Resume, Takeover::Never);
    let mut first = Journal::open(one.0, one.1, service(), run(1), me(), purpose(), at(0)).await.unwrap();
    let second = Journal::open(two.0, two.1, service(), run(1), me(), purpose(), at(0)).await;
    assert!(matches!(second, Err(JournalError::Displaced { .. })));
    first.append(attempt("a", false), at(1)).await.unwrap();
    let (one, two) = (look(state.path()).await, look(state.path()).await);
    assert!(matches!(begin_on(one.0, one.1, 2, me()).await, Err(JournalError::Held { .. })));
    first.append(Fact::Finished { outcome: Outcome::Deployed }, at(2)).await.unwrap();
    // What the second read is older than the end of the run, so it must look again.
    assert!(matches!(begin_on(two.0, two.1, 2, me()).await, Err(JournalError::Held { .. })));
    let (one, two) = (look(state.path()).await, look(state.path()).await);
    drop(begin_on(one.0, one.1, 2, me()).await.unwrap());
    assert!(matches!(begin_on(two.0, two.1, 3, me()).await, Err(JournalError::Displaced { .. })));
}

#[tokio::test]
async fn what_another_asks_is_folded_by_the_holder_before_its_next_fact() {
    let state = scratch();
    let mut holder = begin(state.path(), 1, me()).await.unwrap();
    let (mut store, mut log) = look(state.path()).await;
    holder.append(attempt("a", false), at(1)).await.unwrap();
    // The log that it was asked by is behind: it is read again.
    let approve = Fact::Asked { ask: Ask::Approve { step: Some(step("go")) }, by: "eve@desk".to_owned() };
    ask(store.as_mut(), &mut log, &service(), &run(1), &gone(), approve, at(2)).await.unwrap();
    holder.append(attempt("b", false), at(3)).await.unwrap();
    let abort = Fact::Asked { ask: Ask::Abort, by: "eve@desk".to_owned() };
    let (mut store, mut log) = look(state.path()).await;
    ask(store.as_mut(), &mut log, &service(), &run(1), &gone(), abort, at(4)).await.unwrap();
    holder.refresh().await.unwrap();
    let asked: Vec<Ask> = holder.state().asked.iter().map(|(ask, _)| ask.clone()).collect();
    assert_eq!(asked, [Ask::Approve { step: Some(step("go")) }, Ask::Abort]);
    let log = look(state.path()).await.1;
    assert_eq!(log.newest().unwrap(), holder.state());
    assert_eq!(log.holder.as_ref().unwrap().user, "dana", "asking does not make a holder");
    assert!(matches!(free(&log), Err(JournalError::Held { .. })), "asking does not end a hold");
}

#[tokio::test]
async fn an_approval_outlives_its_process_and_a_request_to_stop_does_not() {
    let state = scratch();
    drop(begin(state.path(), 1, gone()).await.unwrap());
    for what in [Ask::Approve { step: None }, Ask::Abort, Ask::Yield] {
        let (mut store, mut log) = look(state.path()).await;
        let fact = Fact::Asked { ask: what, by: "eve@desk".to_owned() };
        ask(store.as_mut(), &mut log, &service(), &run(1), &me(), fact, at(1)).await.unwrap();
    }
    let opened = open(state.path(), me(), Purpose::Resume, Takeover::Never).await.unwrap();
    assert_eq!(opened.state().asked, [(Ask::Approve { step: None }, "eve@desk".to_owned())]);
}

#[tokio::test]
async fn a_service_is_free_when_its_holder_ended_was_interrupted_or_is_gone_and_not_else() {
    let ends = [
        (Fact::Finished { outcome: Outcome::Deployed }, true),
        (Fact::Interrupted { by: "SIGINT".to_owned() }, true),
        (attempt("a", false), false),
    ];
    for (last, is_free) in ends {
        let state = scratch();
        begin(state.path(), 1, me()).await.unwrap().append(last.clone(), at(1)).await.unwrap();
        assert_eq!(free(&look(state.path()).await.1).is_ok(), is_free, "{last:?}");
    }
    let on = |actor: Actor| async move {
        let state = scratch();
        drop(begin(state.path(), 1, actor).await.unwrap());
        free(&look(state.path()).await.1)
    };
    assert!(on(gone()).await.is_ok());
    assert!(on(Actor { boot_id: "before".to_owned(), ..me() }).await.is_ok());
    assert!(matches!(on(Actor { host: "elsewhere".to_owned(), ..gone() }).await, Err(JournalError::Held { .. })));
}

#[tokio::test]
async fn how_long_a_service_has_been_held_counts_from_its_opening() {
    let state = scratch();
    let mut holder = begin(state.path(), 1, me()).await.unwrap();
    holder.append(attempt("a", false), at(500)).await.unwrap();
    let Err(JournalError::Held { since, .. }) = free(&look(state.path()).await.1) else { panic!("it is free") };
    assert_eq!(since, at(0));
}

/// Stopped in the middle of a write, a process keeps the lock: nobody may hang on it.
#[tokio::test]
async fn a_lock_that_is_never_released_is_an_error_and_no_hang() {
    let state = scratch();
    drop(begin(state.path(), 1, gone()).await.unwrap());
    let stuck = std::fs::File::open(journal_of(state.path())).unwrap();
    stuck.lock().unwrap();
    let bytes = std::fs::read(journal_of(state.path())).unwrap();
    let error = open(state.path(), me(), Purpose::Rollback, Takeover::Never).await.unwrap_err().to_string();
    assert!(error.contains("cannot lock") && error.contains("another process"), "{error}");
    assert_eq!(std::fs::read(journal_of(state.path())).unwrap(), bytes);
    stuck.unlock().unwrap();
    drop(open(state.path(), me(), Purpose::Rollback, Takeover::Never).await.unwrap());
}
