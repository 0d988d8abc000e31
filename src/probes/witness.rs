//! A client at the front door during the whole run: it asks as clients do, retries nothing, and counts what is lost.
//!
//! Each request opens its own connection and resolves the name anew, so it follows a switch as soon as DNS lets it.

mod ask;
mod count;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

pub use count::WitnessReport;

use self::ask::Client;
use self::count::Counts;
use super::http::Asker;
use super::propagation::Dns;
use crate::clock::Clock;
use crate::plan::model::Witness;
use crate::world::AddressMap;

/// However fast the loopback world runs, the witness is one client and no load test: the least real time between requests.
const LEAST_EVERY: Duration = Duration::from_millis(20);
/// A server that hangs must not make the witness grow without end; a request that is left out for it counts as lost.
const UNDER_WAY_MAX: usize = 512;

/// What the witness asks, and how.
#[derive(Debug, Clone)]
pub struct Order {
    /// From the plan.
    pub witness: Witness,
    /// The model that clients ask for; none: requests leave it out.
    pub model: Option<String>,
    /// The resolver that clients use: the first of the loopback world's; none: the system's.
    pub resolver: Option<SocketAddr>,
}

/// A running witness. Dropping it stops it.
#[derive(Debug)]
pub struct Handle {
    stop: watch::Sender<bool>,
    counts: Arc<Counts>,
    clock: Arc<dyn Clock>,
    running: JoinHandle<()>,
}

/// What a witness has counted so far, for whoever looks on.
#[derive(Debug, Clone)]
pub struct Onlooker {
    counts: Arc<Counts>,
    clock: Arc<dyn Clock>,
}

impl Onlooker {
    /// The count of now.
    pub fn report(&self) -> WitnessReport {
        self.counts.report(self.clock.now())
    }
}

impl Handle {
    /// Somebody who sees the count while the witness goes on, and after it.
    pub fn onlooker(&self) -> Onlooker {
        Onlooker { counts: Arc::clone(&self.counts), clock: Arc::clone(&self.clock) }
    }

    /// Begins no more requests, waits for the short ones under way, and tells what was counted. Long streams that still
    /// run are let go: they are neither ended nor cut.
    pub async fn finish(self) -> WitnessReport {
        self.stop.send_replace(true);
        // A panic inside would show as requests without an end; there is nothing better to do with it here.
        self.running.await.ok();
        self.counts.report(self.clock.now())
    }
}

/// Starts asking. The first request goes out at once.
pub fn start(addresses: &AddressMap, asker: Asker, order: Order, clock: Arc<dyn Clock>) -> Handle {
    let counts = Arc::new(Counts::new(clock.now()));
    let (stop, stopped) = watch::channel(false);
    let client = Client {
        url: order.witness.url.clone(),
        model: order.model,
        stream_tokens: order.witness.stream_tokens,
        resolver: order.resolver,
        dns: Dns::new(addresses),
        asker,
    };
    let line = Line {
        client: Arc::new(client),
        counts: Arc::clone(&counts),
        clock: Arc::clone(&clock),
        every: order.witness.every.std(),
        streams_every: order.witness.streams_every.map(crate::units::Span::std),
    };
    Handle { stop, counts, clock, running: tokio::spawn(line.run(stopped)) }
}

/// Whether a URL is asked for completions, or just fetched.
fn completes(url: &Url) -> bool {
    url.path().trim_end_matches('/').ends_with("/completions")
}

struct Line {
    client: Arc<Client>,
    counts: Arc<Counts>,
    clock: Arc<dyn Clock>,
    every: Duration,
    streams_every: Option<Duration>,
}

impl Line {
    async fn run(self, stopped: watch::Receiver<bool>) {
        let shorts = self.beat(Some(self.every), stopped.clone(), Self::begin_short);
        let streams = self.streams_every.filter(|_| completes(&self.client.url));
        let streams = self.beat(streams, stopped.clone(), Self::begin_long);
        let (mut shorts, streams) = tokio::join!(shorts, streams);
        drop(streams);
        // Nobody waits for what a dropped handle left behind.
        while *stopped.borrow() && shorts.join_next().await.is_some() {}
    }

    /// Begins one request after the other until it is told to stop; gives back what is under way.
    async fn beat(
        &self,
        every: Option<Duration>,
        mut stopped: watch::Receiver<bool>,
        begin: fn(&Self, &mut JoinSet<()>),
    ) -> JoinSet<()> {
        let mut under_way = JoinSet::new();
        let Some(every) = every else { return under_way };
        let stretch = LEAST_EVERY.as_secs_f64() / self.clock.real(every).as_secs_f64().max(1e-9);
        let every = every.mul_f64(stretch.max(1.0));
        loop {
            begin(self, &mut under_way);
            tokio::select! {
                // Told to stop, or the handle is gone.
                _ = stopped.changed() => return under_way,
                () = self.clock.sleep(every) => {}
            }
            while under_way.try_join_next().is_some() {}
        }
    }

    fn begin_short(&self, under_way: &mut JoinSet<()>) {
        self.counts.sent();
        if under_way.len() >= UNDER_WAY_MAX {
            self.counts.lost(self.clock.now(), &format!("{UNDER_WAY_MAX} requests have no answer yet"));
            return;
        }
        let (client, counts, clock) = (Arc::clone(&self.client), Arc::clone(&self.counts), Arc::clone(&self.clock));
        under_way.spawn(async move {
            match client.short().await {
                Ok(who) => counts.answered(clock.now(), who),
                Err(why) => counts.lost(clock.now(), &why),
            }
        });
    }

    fn begin_long(&self, under_way: &mut JoinSet<()>) {
        self.counts.stream_begun();
        if under_way.len() >= UNDER_WAY_MAX {
            self.counts.stream_cut(self.clock.now(), &format!("{UNDER_WAY_MAX} streams have not ended yet"));
            return;
        }
        let (client, counts, clock) = (Arc::clone(&self.client), Arc::clone(&self.counts), Arc::clone(&self.clock));
        under_way.spawn(async move {
            match client.long().await {
                Ok(()) => counts.stream_ended(),
                Err(why) => counts.stream_cut(clock.now(), &why),
            }
        });
    }
}

#[cfg(test)]
mod tests;
