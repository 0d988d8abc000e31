//! Keep-alive connections to targets.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What goes wrong with a body.
pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// A body in either direction.
pub(super) type Payload = UnsyncBoxBody<Bytes, BodyError>;

/// Idle connections that are kept for one target; more are closed.
const IDLE_MAX: usize = 64;

/// Idle connections by target.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<HashMap<SocketAddr, Vec<SendRequest<Payload>>>>);

impl Pool {
    /// An idle connection that, as far as is known, still works.
    pub(super) fn take(&self, target: SocketAddr) -> Option<SendRequest<Payload>> {
        let mut idle = self.idle();
        let there = idle.get_mut(&target)?;
        there.retain(|sender| !sender.is_closed());
        let at = there.iter().rposition(SendRequest::is_ready)?;
        Some(there.swap_remove(at))
    }

    /// Keeps a connection whose last answer has been read to its end.
    pub(super) fn give(&self, target: SocketAddr, sender: SendRequest<Payload>) {
        let mut idle = self.idle();
        let there = idle.entry(target).or_default();
        if !sender.is_closed() && there.len() < IDLE_MAX {
            there.push(sender);
        }
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<SocketAddr, Vec<SendRequest<Payload>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fresh connection.
pub(super) async fn dial(target: SocketAddr) -> io::Result<SendRequest<Payload>> {
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // It ends when the sender is dropped or the target hangs up; who waits for an answer is told by `sender`.
    tokio::spawn(async move { connection.with_upgrades().await.ok() });
    Ok(sender)
}
