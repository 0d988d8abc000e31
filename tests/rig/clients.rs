//! Clients at every front door of a plan, while it is deployed.

use std::sync::Arc;

use modelswap::clock::{Clock, ScaledClock};
use modelswap::lab::load::{Load, LoadOptions, LoadReport};
use modelswap::plan::model::{Endpoints, Router};
use modelswap::world::AddressMap;

use super::World;

/// Requests a real second through each door, and streams that are open at any time.
const REQUESTS_PER_S: f64 = 25.0;
const STREAMS: u32 = 2;

/// Tokens of a stream: at 20 ms each, one real second.
const STREAM_TOKENS: u32 = 50;

/// Clients at work, by door.
pub(crate) struct Clients(Vec<(String, Load)>);

impl Clients {
    /// One set of clients at each name and port that leads to the service.
    pub(crate) fn start(world: &World) -> Self {
        let scale = world.file.scale;
        let clock: Arc<dyn Clock> = Arc::new(ScaledClock { origin: world.file.origin, scale });
        let start = |(host, port): (String, u16)| {
            let options = LoadOptions::new(host.clone(), port, world.file.resolvers[0], AddressMap::of(&world.file));
            // They keep answers as long as their TTL says, in the world's time; so all their times are the world's.
            let options = LoadOptions {
                requests_per_s: REQUESTS_PER_S / scale,
                streams: STREAMS,
                stream_tokens: STREAM_TOKENS,
                patience: options.patience.mul_f64(scale),
                pooled: false,
                ..options
            };
            (format!("{host}:{port}"), Load::start(options, Arc::clone(&clock)))
        };
        Self(doors(world).into_iter().map(start).collect())
    }

    /// Sends no more, and says of each door what came back.
    pub(crate) async fn stop(self) -> Vec<(String, LoadReport)> {
        let ends = self.0.into_iter().map(|(door, load)| async move { (door, load.stop().await) });
        futures_util::future::join_all(ends).await
    }

    /// The same, and nothing was lost at any door.
    pub(crate) async fn stop_and_count(self) {
        for (door, report) in self.stop().await {
            assert!(report.answered > 0 && report.streams_finished > 0, "nobody was served at {door}: {report:?}");
            assert_eq!((report.lost, report.streams_cut), (0, 0), "lost at {door}: {report:?}");
        }
    }
}

/// The name that the witness asks, and each name that a router moves, with the servers' port.
fn doors(world: &World) -> Vec<(String, u16)> {
    let plan = world.read_plan();
    let mut doors: Vec<(String, u16)> = Vec::new();
    let witness = plan.witness.as_ref().map(|w| &w.url);
    doors.extend(witness.and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?))));
    let port = plan.environments.values().find_map(|e| match &e.endpoints {
        Endpoints::Urls(urls) => urls.first().and_then(url::Url::port_or_known_default),
        Endpoints::TargetGroup { .. } => None,
    });
    for router in plan.routers.values() {
        let (Router::Route53(record), Some(port)) = (router, port) else { continue };
        if !doors.iter().any(|(host, _)| *host == record.name) {
            doors.push((record.name.clone(), port));
        }
    }
    assert!(!doors.is_empty(), "clients have no door into {}", world.plan.display());
    doors
}
