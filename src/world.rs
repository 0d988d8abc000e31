//! The world file: how the loopback world tells a deploy where its stand-ins listen.
//!
//! A plan names real addresses. With `--world FILE` the same plan runs unchanged: whoever is about to open a
//! connection looks the address up here and connects to its stand-in on loopback instead. Nothing else changes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::EnvironmentName;

/// What the loopback world says about itself; written by `modelswap lab`, read by `--world`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldFile {
    /// Format of this file.
    pub version: u32,
    /// When the world began; the origin of its clock.
    pub origin: Timestamp,
    /// How many times faster than real time it runs; 1 or more.
    pub scale: f64,
    /// Where the cloud's API listens (`http://127.0.0.1:PORT`), in place of `AWS_ENDPOINT_URL`.
    pub cloud: String,
    /// Where faults are ordered and the oracle's findings are read (`http://127.0.0.1:PORT`).
    pub oracle: String,
    /// Caching resolvers, in place of the plan's own; the first is the one that clients use.
    pub resolvers: Vec<SocketAddr>,
    /// `host:port` or `ip:port` of the plan, to the loopback socket that stands in for it. DNS servers are here too (`ip:53`).
    pub addresses: BTreeMap<String, SocketAddr>,
    /// What `runs` starts in this world, in place of the plan's own command: argv of a lab model server.
    pub runs: BTreeMap<EnvironmentName, Vec<String>>,
    /// The process that carries the world.
    pub pid: u32,
}

impl WorldFile {
    /// Reads and checks a world file.
    ///
    /// # Errors
    /// A sentence fragment when it cannot be read, is no world file, or names anything outside loopback.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let world: Self =
            serde_json::from_str(&text).map_err(|e| format!("{} is no world file: {e}", path.display()))?;
        world.only_loopback()?;
        Ok(world)
    }

    /// The promise of `--world`: nothing outside loopback is touched.
    fn only_loopback(&self) -> Result<(), String> {
        let stray = self.addresses.values().chain(&self.resolvers).find(|a| !a.ip().is_loopback());
        if let Some(address) = stray {
            return Err(format!("the world file names {address}, which is not on loopback"));
        }
        for url in [&self.cloud, &self.oracle] {
            let host = url::Url::parse(url).ok().and_then(|u| u.host_str().map(str::to_owned));
            let loopback =
                host.as_deref().and_then(|h| h.parse::<std::net::IpAddr>().ok()).is_some_and(|ip| ip.is_loopback());
            if !loopback {
                return Err(format!("the world file names {url}, which is not on loopback"));
            }
        }
        Ok(())
    }
}

/// Where to connect for an address of the plan. Outside the loopback world every address stands for itself.
#[derive(Debug, Clone, Default)]
pub struct AddressMap(Option<BTreeMap<String, SocketAddr>>);

impl AddressMap {
    /// The map of a world: addresses that it does not name are refused by [`AddressMap::to`].
    pub fn of(world: &WorldFile) -> Self {
        Self(Some(world.addresses.clone()))
    }

    /// Whether this is the loopback world's map, and not the identity.
    pub fn is_lab(&self) -> bool {
        self.0.is_some()
    }

    /// The stand-in of `host:port`; `None` outside the loopback world, where the address stands for itself.
    ///
    /// # Errors
    /// In the loopback world, for an address that it does not know and that is not on loopback.
    pub fn to(&self, host: &str, port: u16) -> Result<Option<SocketAddr>, String> {
        let Some(map) = &self.0 else { return Ok(None) };
        if let Some(found) = map.get(&format!("{host}:{port}")) {
            return Ok(Some(*found));
        }
        match host.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
            Ok(ip) if ip.is_loopback() => Ok(Some(SocketAddr::new(ip, port))),
            Ok(_) | Err(_) => Err(format!("{host}:{port} is not part of the loopback world")),
        }
    }
}
