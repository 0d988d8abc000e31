//! Which loopback socket stands in for an address of the plan.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

/// The world's address map while it is being built and runs; a world file is written from it.
#[derive(Debug, Clone, Default)]
pub struct StandIns(Arc<Mutex<BTreeMap<String, SocketAddr>>>);

impl StandIns {
    /// From now on `socket` stands in for `host:port`.
    pub fn insert(&self, host: &str, port: u16, socket: SocketAddr) {
        self.lock().insert(format!("{host}:{port}"), socket);
    }

    /// The stand-in of `host:port`; none: nothing of this world is there.
    pub fn get(&self, host: &str, port: u16) -> Option<SocketAddr> {
        self.lock().get(&format!("{host}:{port}")).copied()
    }

    /// Whether anything of this world is at `host`, on whatever port.
    pub fn knows(&self, host: &str) -> bool {
        self.lock().keys().any(|key| key.rsplit_once(':').is_some_and(|(h, _)| h == host))
    }

    /// All of them, as a world file holds them.
    pub fn all(&self) -> BTreeMap<String, SocketAddr> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, SocketAddr>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
