//! A register in memory, a server that answers what it is told, and what the engine tells a step.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use modelswap::ids::{EnvironmentName, RunId, ServiceName, StepId};
use modelswap::journal::actor::Actor;
use modelswap::journal::fact::{Fact, Horizon, RunStarted};
use modelswap::journal::record::{Record, VERSION};
use modelswap::journal::state::RunState;
use modelswap::plan::model::{Endpoints, Release, Serves};
use modelswap::providers::{ProviderError, Ready, Refused, Register, Router, Settled, Split};
use modelswap::steps::Cx;
use modelswap::steps::servers::Servers;
use modelswap::world::AddressMap;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

pub(crate) fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::new(name).unwrap()
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::from_secs(second)
}

/// A step's situation: its run, the time, and what is known.
pub(crate) struct Scene {
    run: RunId,
    pub(crate) step: StepId,
    pub(crate) state: RunState,
    pub(crate) now: Timestamp,
    pub(crate) ours: Vec<Value>,
    pub(crate) unproven: bool,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let empty = String::new;
        let started =
            RunStarted { format: 1, plan_name: empty(), plan_text: empty(), digest: empty(), resolved: Value::Null };
        let run = RunId::new("R1").unwrap();
        let record = Record {
            v: VERSION,
            seq: 1,
            prev: empty(),
            service: ServiceName::new("chat").unwrap(),
            run: run.clone(),
            epoch: 1,
            id: empty(),
            actor: Actor::here("dana".to_owned(), None),
            at: at(0),
            fact: Fact::RunStarted(Box::new(started)),
        };
        let (step, state) = (StepId::new("swap").unwrap(), RunState::begin(&record).unwrap());
        Self { run, step, state, now: at(0), ours: Vec::new(), unproven: false }
    }

    pub(crate) fn fold(&mut self, fact: &Fact) {
        self.state.fold(self.now, fact);
    }

    /// Clients may still come to an environment until then.
    pub(crate) fn tail(&mut self, name: &str, until: Timestamp) {
        let tail = Horizon { environment: environment(name), until, why: "60 s TTL".to_owned() };
        let fact = Fact::Verified { step: self.step.clone(), evidence: String::new(), tails: vec![tail] };
        self.fold(&fact);
    }

    pub(crate) fn cx(&self) -> Cx<'_> {
        Cx {
            step: &self.step,
            run: &self.run,
            now: self.now,
            since: at(0),
            ours: &self.ours,
            state: &self.state,
            approved_by: None,
            unproven: self.unproven,
        }
    }
}

/// `{"live": "a"}`: all traffic to one environment; to `elsewhere`, which no plan names; or to nobody.
pub(crate) fn leads(to: &str) -> Value {
    json!({ "live": to })
}

/// A router in memory that writes whatever it is told to, without any compare of its own.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) value: Mutex<Value>,
    pub(crate) writes: AtomicUsize,
    /// Whether it can say that a value is in force everywhere.
    pub(crate) settles: bool,
    pub(crate) ready: Ready,
}

impl Memory {
    pub(crate) fn holding(value: Value) -> Self {
        let ready = Ready::Yes("1 healthy".to_owned());
        Self { value: Mutex::new(value), writes: AtomicUsize::new(0), settles: true, ready }
    }

    pub(crate) fn now(&self) -> Value {
        self.value.lock().unwrap().clone()
    }

    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Register for Memory {
    type Value = Value;

    fn key(&self) -> String {
        "memory".to_owned()
    }

    async fn read(&self) -> Result<Value, ProviderError> {
        Ok(self.now())
    }

    async fn swap(&self, _expected: &Value, new: &Value) -> Result<Value, ProviderError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.value.lock().unwrap().clone_from(new);
        Ok(Value::Null)
    }

    async fn settled(&self, _value: &Value, _receipt: Option<&Value>) -> Result<Settled, ProviderError> {
        Ok(if self.settles {
            Settled::Yes("read back".to_owned())
        } else {
            Settled::CannotTell("read back".to_owned())
        })
    }

    fn show(&self, value: &Value) -> String {
        value.to_string()
    }
}

#[async_trait]
impl Router for Memory {
    fn aim(&self, _live: &Value, want: &Split) -> Result<Value, Refused> {
        want.only().map(|only| leads(only.as_str())).ok_or_else(|| Refused("one at a time".to_owned()))
    }

    fn split(&self, value: &Value) -> Option<Split> {
        value["live"].as_str().filter(|live| *live != "elsewhere").map(|live| Split::all_to(&environment(live)))
    }

    async fn ready(&self, _environment: &EnvironmentName) -> Result<Ready, ProviderError> {
        Ok(self.ready.clone())
    }
}

/// What a server answers at its paths; none: the connection is closed without a word.
type Answers = BTreeMap<&'static str, String>;

/// A server on loopback whose answers can be changed.
pub(crate) struct Server {
    pub(crate) url: Url,
    pub(crate) answers: Arc<Mutex<Answers>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let answers = Arc::new(Mutex::new(Answers::new()));
        let told = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let told = Arc::clone(&told);
                tokio::spawn(async move {
                    let mut head = vec![0; 4096];
                    let length = stream.read(&mut head).await.unwrap_or(0);
                    let head = String::from_utf8_lossy(&head[..length]).into_owned();
                    let path = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
                    let body = told.lock().unwrap().get(path.as_str()).cloned();
                    let Some(body) = body else { return };
                    let length = body.len();
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                    stream.write_all(format!("{head}{body}").as_bytes()).await.ok();
                });
            }
        });
        Self { url, answers }
    }

    pub(crate) fn says(&self, path: &'static str, body: impl Into<String>) {
        self.answers.lock().unwrap().insert(path, body.into());
    }

    /// vLLM's metrics.
    pub(crate) fn load(&self, running: u32, finished: u32) {
        let text = format!(
            "vllm:num_requests_running {running}\nvllm:num_requests_waiting 0\nvllm:request_success_total {finished}\n"
        );
        self.says("/metrics", text);
    }
}

/// The servers of `b`, which serve as `serves` says.
pub(crate) fn servers(serves: Value, urls: Vec<Url>) -> Arc<Servers> {
    let serves: Serves = serde_json::from_value(serves).unwrap();
    Arc::new(Servers::new(environment("b"), serves, Endpoints::Urls(urls), None, AddressMap::default()))
}

/// Plain servers that say at `/model` what they serve.
pub(crate) fn plain(urls: Vec<Url>) -> Arc<Servers> {
    servers(json!({ "http": { "health": "/", "identity": { "path": "/model", "model": "/name" } } }), urls)
}

/// Servers with vLLM's metrics.
pub(crate) fn vllm(urls: Vec<Url>) -> Arc<Servers> {
    servers(json!({ "openai": { "server": "vllm" } }), urls)
}

pub(crate) fn release(model: &str) -> Release {
    Release { model: model.to_owned(), revision: None }
}
