//! Caching resolvers as clients meet them: one that obeys TTLs, one that raises them, one that serves stale.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use jiff::Timestamp;
use tokio::task::JoinSet;

use super::wire::{self, Answers};
use crate::clock::Clock;
use crate::ids::random_u64;
use crate::lab::blueprint::ResolverKind;

/// Seconds; what an answer from an expired entry says (RFC 8767 section 4 recommends 30).
const STALE_TTL_S: u32 = 30;
/// Seconds that a failure is kept; RFC 2308 section 7.1 allows up to 300, this keeps failures from being hammered only.
const FAILURE_TTL_S: u32 = 1;

/// A running resolver; it stops when it is dropped.
#[derive(Debug)]
pub struct Resolver {
    /// Its UDP and TCP socket, on loopback.
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Resolver {
    /// Starts a resolver on a free loopback port; it asks `upstreams` (authoritative servers of one cloud) in random
    /// order and keeps answers on `clock`'s time.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(kind: ResolverKind, upstreams: Vec<SocketAddr>, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let sockets = wire::bind().await?;
        let address = sockets.address;
        let cache = Arc::new(Cache { kind, upstreams, clock, entries: Mutex::default() });
        Ok(Self { address, _tasks: wire::serve(sockets, Arc::new(Server(cache))) })
    }
}

type Key = (Name, RecordType);

/// An answer as it came, with its TTLs as this resolver counts them.
#[derive(Clone)]
struct Entry {
    message: Message,
    stored_at: Timestamp,
    ttl_s: u32,
}

struct Cache {
    kind: ResolverKind,
    upstreams: Vec<SocketAddr>,
    clock: Arc<dyn Clock>,
    entries: Mutex<HashMap<Key, Entry>>,
}

struct Server(Arc<Cache>);

#[async_trait]
impl Answers for Server {
    async fn answer(&self, question: &Query, _asked: &Message) -> Message {
        let key = (question.name().to_lowercase(), question.query_type());
        let kept = self.0.entries().get(&key).cloned();
        let now = self.0.clock.now();
        let mut answer = match kept {
            Some(entry) if !entry.is_expired(now) => entry.shown(now),
            Some(entry) if self.0.kind == ResolverKind::ServeStale && entry.is_usable_stale() => {
                let cache = Arc::clone(&self.0);
                tokio::spawn(async move { cache.fetch(key).await });
                entry.shown_stale()
            }
            Some(_) | None => self.0.fetch(key).await.message,
        };
        // A client that mixes case (0x20) wants its own spelling back.
        for record in answer.answers.iter_mut().filter(|r| r.name == *question.name()) {
            record.name = question.name().clone();
        }
        answer.metadata.recursion_available = true;
        answer.metadata.authoritative = false;
        answer
    }
}

impl Cache {
    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self, key: Key) -> Entry {
        let message = self.ask_upstream(&key).await;
        let entry = self.entry(message);
        // A server that cannot be reached does not replace an answer that may be served stale (RFC 8767 section 5).
        let failed = entry.message.metadata.response_code == ResponseCode::ServFail;
        if !(failed && self.kind == ResolverKind::ServeStale) {
            self.entries().insert(key, entry.clone());
        }
        entry
    }

    async fn ask_upstream(&self, (name, kind): &Key) -> Message {
        let n = self.upstreams.len();
        let first = usize::try_from(random_u64() >> 33).unwrap_or(0);
        for i in 0..n {
            let Ok(answer) = wire::ask(self.upstreams[(first + i) % n], name, *kind, false).await else { continue };
            if matches!(answer.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain) {
                return answer;
            }
        }
        Message::error_msg(0, OpCode::Query, ResponseCode::ServFail)
    }

    fn entry(&self, mut message: Message) -> Entry {
        if let ResolverKind::ClampUp { ttl_s } = self.kind {
            for record in message.answers.iter_mut().chain(&mut message.authorities) {
                record.ttl = record.ttl.max(ttl_s);
            }
        }
        message.metadata.message_type = MessageType::Response;
        let ttl_s = if message.metadata.response_code == ResponseCode::ServFail {
            FAILURE_TTL_S
        } else if is_negative(&message) {
            negative_ttl_s(&message, self.kind)
        } else {
            message.answers.iter().map(|r| r.ttl).min().unwrap_or(0)
        };
        message.additionals.clear();
        Entry { message, stored_at: self.clock.now(), ttl_s }
    }
}

/// NXDOMAIN, or an answer without the type that was asked for (its SOA says so, RFC 2308 section 2).
fn is_negative(message: &Message) -> bool {
    message.answers.is_empty() || message.authorities.iter().any(|r| r.record_type() == RecordType::SOA)
}

/// The lesser of the SOA's own TTL and its minimum field (RFC 2308 section 5), and of the links that lead there.
fn negative_ttl_s(message: &Message, kind: ResolverKind) -> u32 {
    let floor_s = if let ResolverKind::ClampUp { ttl_s } = kind { ttl_s } else { 0 };
    let soa = message
        .authorities
        .iter()
        .find_map(|r| if let RData::SOA(soa) = &r.data { Some(r.ttl.min(soa.minimum.max(floor_s))) } else { None });
    message.answers.iter().map(|r| r.ttl).chain(soa).min().unwrap_or(0)
}

impl Entry {
    fn age_s(&self, now: Timestamp) -> u32 {
        u32::try_from(now.duration_since(self.stored_at).as_secs()).unwrap_or(0)
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        self.age_s(now) >= self.ttl_s
    }

    /// An expired failure is asked again at once.
    fn is_usable_stale(&self) -> bool {
        self.message.metadata.response_code != ResponseCode::ServFail
    }

    /// The answer with what is left of each TTL.
    fn shown(&self, now: Timestamp) -> Message {
        let age_s = self.age_s(now);
        self.with_ttls(|record| record.ttl = record.ttl.saturating_sub(age_s))
    }

    fn shown_stale(&self) -> Message {
        self.with_ttls(|record| record.ttl = STALE_TTL_S)
    }

    fn with_ttls(&self, mut set: impl FnMut(&mut Record)) -> Message {
        let mut message = self.message.clone();
        message.answers.iter_mut().chain(&mut message.authorities).for_each(&mut set);
        message
    }
}
