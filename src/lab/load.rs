//! The client of the demo and the tests: a steady stream of short and long requests through a front door, which counts
//! what came back. It never retries: a lost request is lost.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::world::AddressMap;
use front::Front;
use tally::Tally;

mod front;
mod request;
mod tally;

/// What is sent, and through which door. All lengths and rates are of the clock that is handed to [`Load::start`].
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Name (or address) and port of the front door, as clients know it.
    pub host: String,
    pub port: u16,
    /// The caching resolver that the clients use.
    pub resolver: SocketAddr,
    /// Where the addresses that the resolver gives really are.
    pub addresses: AddressMap,
    /// Short completions begun per second.
    pub requests_per_s: f64,
    /// Streams that are kept open; one that ends is followed by the next.
    pub streams: u32,
    /// Tokens of a short completion, and of a stream: with the server's token gap, these make the length.
    pub request_tokens: u32,
    pub stream_tokens: u32,
    /// The `model` of every request.
    pub model: Option<String>,
    /// Keep connections open and use them again, as HTTP clients do by default; otherwise one connection per request.
    pub pooled: bool,
    /// Silence after which a request counts as lost.
    pub patience: Duration,
}

impl LoadOptions {
    /// 50 requests a second and 4 streams of 500 tokens (10 s at the lab model server's 20 ms), pooled.
    pub fn new(host: impl Into<String>, port: u16, resolver: SocketAddr, addresses: AddressMap) -> Self {
        Self {
            host: host.into(),
            port,
            resolver,
            addresses,
            requests_per_s: 50.0,
            streams: 4,
            request_tokens: 1,
            stream_tokens: 500,
            model: None,
            pooled: true,
            patience: Duration::from_mins(1),
        }
    }
}

/// What was sent and what came back. What is neither answered nor lost, finished nor cut, is still under way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LoadReport {
    pub sent: u64,
    /// With status 200 and a whole completion.
    pub answered: u64,
    pub lost: u64,
    pub streams_begun: u64,
    /// To the last event, `[DONE]`.
    pub streams_finished: u64,
    pub streams_cut: u64,
    /// Longest time without a single answer to a short request, in real milliseconds.
    pub gap_ms_max: u64,
    /// Answers to short requests by who signed them: `model`, or `model@revision`.
    pub by_model: BTreeMap<String, u64>,
    /// Finished streams by who signed them.
    pub streams_by_model: BTreeMap<String, u64>,
    /// Why requests were lost and streams cut, with how often.
    pub why_lost: BTreeMap<String, u64>,
}

/// A running client; it stops without an account when it is dropped.
#[derive(Debug)]
pub struct Load {
    tally: Arc<Tally>,
    stop: watch::Sender<bool>,
    running: JoinSet<()>,
}

impl Load {
    /// Begins to send.
    pub fn start(options: LoadOptions, clock: Arc<dyn Clock>) -> Self {
        let tally = Arc::new(Tally::default());
        let (stop, stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        let front = Arc::new(Front::new(options, clock));
        for _ in 0..front.options.streams {
            running.spawn(stream_again_and_again(Arc::clone(&front), Arc::clone(&tally), stopped.clone()));
        }
        running.spawn(send_steadily(front, Arc::clone(&tally), stopped));
        Self { tally, stop, running }
    }

    /// What has happened so far.
    pub fn report(&self) -> LoadReport {
        self.tally.report()
    }

    /// Sends no more, waits for what is under way (streams too), and reports.
    pub async fn stop(mut self) -> LoadReport {
        self.stop.send_replace(true);
        while self.running.join_next().await.is_some() {}
        self.tally.report()
    }
}

async fn send_steadily(front: Arc<Front>, tally: Arc<Tally>, mut stopped: watch::Receiver<bool>) {
    let mut under_way: JoinSet<()> = JoinSet::new();
    let rate = front.options.requests_per_s;
    if rate <= 0.0 {
        return;
    }
    let period = Duration::from_secs_f64(1.0 / rate);
    let began = front.clock.now();
    let mut n: u32 = 0;
    loop {
        // Against the start, not the last one, so that lateness does not add up.
        let due = period.saturating_mul(n);
        let wait = due.saturating_sub(front.clock.now().duration_since(began).unsigned_abs());
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            () = front.clock.sleep(wait) => {}
        }
        while under_way.try_join_next().is_some() {}
        let (front, tally) = (Arc::clone(&front), Arc::clone(&tally));
        under_way.spawn(async move {
            tally.sent();
            match request::short(&front).await {
                Ok(model) => tally.answered(model),
                Err(why) => tally.lost(why),
            }
        });
        n = n.saturating_add(1);
    }
    while under_way.join_next().await.is_some() {}
}

async fn stream_again_and_again(front: Arc<Front>, tally: Arc<Tally>, stopped: watch::Receiver<bool>) {
    const PAUSE: Duration = Duration::from_millis(100); // after a cut, so that a dead door is not hammered
    while !*stopped.borrow() {
        tally.begun();
        match request::stream(&front).await {
            Ok(model) => tally.finished(model),
            Err(why) => {
                tally.cut(why);
                front.clock.sleep(PAUSE).await;
            }
        }
    }
}
