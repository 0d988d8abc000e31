//! A response on its way through: counted as in flight until it ends, is dropped, falls silent or is cut.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use tokio::sync::watch;

use super::pool::{BodyError, Payload, Pool};
use super::route::Chosen;
use crate::clock::Clock;
use crate::lab::state::SharedCloud;

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One request under way at a target; when it is dropped, the target has one less.
pub(super) struct InFlight {
    pub(super) cloud: SharedCloud,
    pub(super) at: Chosen,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut cloud = self.cloud.lock();
        let targets = cloud.groups.get_mut(&self.at.group).map(|g| &mut g.targets);
        let mut targets = targets.into_iter().flatten();
        if let Some(target) = targets.find(|t| t.id == self.at.id && t.port == self.at.port) {
            target.in_flight = target.in_flight.saturating_sub(1);
        }
    }
}

/// Resolves when the target is gone: its deregistration delay is over.
pub(super) async fn cut(mut registered: watch::Receiver<()>) {
    while registered.changed().await.is_ok() {}
}

/// The body of a target's answer.
pub(super) struct Passing {
    pub(super) inner: Incoming,
    pub(super) _in_flight: InFlight,
    pub(super) cut: Waiting,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) idle_max: Duration,
    pub(super) idle: Option<Waiting>,
    /// The connection, to be kept once the body was read to its end.
    pub(super) connection: Option<(Arc<Pool>, SocketAddr, SendRequest<Payload>)>,
}

impl Body for Passing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err("the target was deregistered and its delay is over".into())));
        }
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(frame)) => {
                self.idle = None;
                Poll::Ready(Some(frame.map_err(Into::into)))
            }
            Poll::Ready(None) => {
                self.keep_connection();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let (clock, idle_max) = (Arc::clone(&self.clock), self.idle_max);
                let idle = self.idle.get_or_insert_with(|| Box::pin(async move { clock.sleep(idle_max).await }));
                match idle.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Some(Err("the target was silent for the idle timeout".into()))),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Passing {
    fn keep_connection(&mut self) {
        if let Some((pool, target, sender)) = self.connection.take() {
            pool.give(target, sender);
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // A body of known length is dropped by its reader at the last byte, without a look at the end.
        if self.inner.is_end_stream() {
            self.keep_connection();
        }
    }
}
