//! Eight processes want a service whose journal is in a bucket: each round exactly one gets it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use modelswap::ids::{RunId, ServiceName};
use modelswap::journal::fact::{Fact, Purpose};
use modelswap::journal::store::Store;
use modelswap::journal::store::object::ObjectLog;
use modelswap::journal::writer::{Journal, JournalError};
use serde_json::json;

use super::places::{self, Place, at_second, me, started};

/// Where a contender finds the bucket; set, this test is one.
const KEY: &str = "MODELSWAP_TEST_RACE_ON";
const CONTENDERS: usize = 8;
const ROUNDS: usize = 12;

#[test]
fn of_eight_processes_that_want_a_service_in_a_bucket_exactly_one_gets_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Ok(url) = std::env::var(KEY) {
        return runtime.block_on(contend(&url));
    }
    let place = runtime.block_on(Place::lab());
    let Place::Lab(lab) = &place else { unreachable!() };
    let mut contenders: Vec<_> = (0..CONTENDERS).map(|_| Contender::start(&lab.world.url)).collect();
    for round in 0..ROUNDS {
        if round % 3 == 2 {
            // One of them does not hear what became of its record.
            runtime.block_on(lab.desk.fault("PutObject", json!("reset_after")));
        }
        for contender in &mut contenders {
            writeln!(contender.orders, "{round}").unwrap();
        }
        let said: Vec<_> = contenders.iter_mut().map(Contender::hear).collect();
        let holds = said.iter().filter(|s| *s == "holds").count();
        let refused = said.iter().filter(|s| ["held", "displaced"].contains(&s.as_str())).count();
        assert_eq!((holds, refused), (1, CONTENDERS - 1), "round {round}: {said:?}");
        let (log, _) = runtime.block_on(async { hand(&lab.world.url, round).await.load().await.unwrap() });
        assert_eq!((log.runs.len(), log.head.seq), (1, 5), "round {round}: one run, written by one");
    }
    assert!(runtime.block_on(lab.desk.faults()).iter().all(|fault| !fault.fired.is_empty()));
}

fn of_round(round: usize) -> ServiceName {
    ServiceName::new(format!("race-{round}")).unwrap()
}

async fn hand(url: &str, round: usize) -> ObjectLog {
    ObjectLog::new(places::at(url).await, &of_round(round))
}

async fn contend(url: &str) {
    let mut held = Vec::new();
    for line in std::io::stdin().lines() {
        let round: usize = line.unwrap().parse().unwrap();
        let mut store = hand(url, round).await;
        let (log, _) = store.load().await.unwrap();
        let run = RunId::new(format!("R{}", std::process::id())).unwrap();
        let facts = (started(json!({ "live": "blue" })), Purpose::Deploy);
        match Journal::begin(Box::new(store), log, of_round(round), run, me(), facts, at_second(0)).await {
            Ok(mut journal) => {
                for n in 0..3 {
                    let fact = Fact::Observed { what: "note".to_owned(), detail: json!(n) };
                    journal.append(fact, at_second(1)).await.unwrap();
                }
                held.push(journal);
                println!("contender: holds");
            }
            Err(JournalError::Held { .. }) => println!("contender: held"),
            Err(JournalError::Displaced { .. }) => println!("contender: displaced"),
            Err(error) => println!("contender: {error}"),
        }
    }
}

struct Contender {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Contender {
    fn start(url: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let test = "race::of_eight_processes_that_want_a_service_in_a_bucket_exactly_one_gets_it";
        command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(KEY, url);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (orders, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, orders, answers }
    }

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

impl Drop for Contender {
    fn drop(&mut self) {
        // It has ended already when its orders did.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
