//! Connections to the front door, as HTTP clients make them: the name is resolved for each new one and kept no longer
//! than its TTL; idle ones are used again, wherever they lead, until somebody closes them.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hickory_proto::rr::{Name, RData, RecordType};
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpStream;

use super::LoadOptions;
use crate::clock::Clock;
use crate::lab::dns::ask;

/// A connection on which a request can be sent.
pub(super) type Connection = SendRequest<Full<Bytes>>;

/// Questions before a name counts as unresolvable; glibc's default.
const RESOLVE_TRIES: u32 = 2;

/// The door and what a client keeps about it.
pub(super) struct Front {
    pub(super) options: LoadOptions,
    pub(super) clock: Arc<dyn Clock>,
    idle: Mutex<Vec<Connection>>,
    resolved: Mutex<Option<(Vec<IpAddr>, Timestamp)>>,
}

impl Front {
    pub(super) fn new(options: LoadOptions, clock: Arc<dyn Clock>) -> Self {
        Self { options, clock, idle: Mutex::default(), resolved: Mutex::default() }
    }

    /// An idle connection, or a new one.
    pub(super) async fn connection(&self) -> Result<Connection, String> {
        match self.idle_one() {
            Some(connection) => Ok(connection),
            None => self.dial().await,
        }
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn keep(&self, connection: Connection) {
        if self.options.pooled && !connection.is_closed() {
            lock(&self.idle).push(connection);
        }
    }

    fn idle_one(&self) -> Option<Connection> {
        let mut idle = lock(&self.idle);
        idle.retain(|connection| !connection.is_closed());
        let at = idle.iter().rposition(SendRequest::is_ready)?;
        Some(idle.swap_remove(at))
    }

    /// Tries the addresses in their order, as clients do; the first that accepts is the one.
    async fn dial(&self) -> Result<Connection, String> {
        let mut why = format!("{} has no address", self.options.host);
        for ip in self.resolve().await? {
            let port = self.options.port;
            let stand_in = self.options.addresses.to(&ip.to_string(), port)?;
            match connect(stand_in.unwrap_or_else(|| SocketAddr::new(ip, port))).await {
                Ok(connection) => return Ok(connection),
                Err(e) => why = format!("cannot connect to {ip}:{port}: {e}"),
            }
        }
        Err(why)
    }

    async fn resolve(&self) -> Result<Vec<IpAddr>, String> {
        if let Ok(ip) = self.options.host.parse() {
            return Ok(vec![ip]);
        }
        let now = self.clock.now();
        if let Some((addresses, _)) = lock(&self.resolved).as_ref().filter(|(_, until)| now < *until) {
            return Ok(addresses.clone());
        }
        let name = format!("{}.", self.options.host.trim_end_matches('.'));
        let name = Name::from_ascii(&name).map_err(|e| format!("{name} is no host name: {e}"))?;
        let mut why = String::new();
        for _ in 0..RESOLVE_TRIES {
            match ask(self.options.resolver, &name, RecordType::A, true).await {
                Ok(answer) => {
                    let addresses: Vec<IpAddr> = answer.answers.iter().filter_map(|r| address_of(&r.data)).collect();
                    if addresses.is_empty() {
                        return Err(format!("{name} does not resolve: {}", answer.metadata.response_code));
                    }
                    let ttl_s = answer.answers.iter().map(|r| r.ttl).min().unwrap_or(0);
                    let until = now + SignedDuration::from_secs(i64::from(ttl_s));
                    *lock(&self.resolved) = Some((addresses.clone(), until));
                    return Ok(addresses);
                }
                Err(e) => why = e,
            }
        }
        Err(why)
    }
}

fn address_of(data: &RData) -> Option<IpAddr> {
    if let RData::A(a) = data { Some(IpAddr::V4(a.0)) } else { None }
}

async fn connect(to: SocketAddr) -> Result<Connection, String> {
    let stream = TcpStream::connect(to).await.map_err(|e| e.to_string())?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    // It ends when the sender is dropped or the other side hangs up.
    tokio::spawn(async move { connection.await.ok() });
    Ok(sender)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
