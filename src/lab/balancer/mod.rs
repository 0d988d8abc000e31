//! An HTTP/1.1 load balancer on loopback that obeys the listeners, rules, weights, stickiness, health and draining of the cloud.
//!
//! ```text
//!  client ── Listener.socket ── proxy ── route (looks at the rules, on every request) ── pool ── Target.socket
//!                                 └── passing (counts in-flight until the body ends, is dropped, or is cut)
//!                                health ── checks the targets of every group that some rule names
//! ```

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::state::SharedCloud;
use crate::clock::Clock;
use proxy::Proxy;

mod health;
mod passing;
mod patterns;
mod pool;
mod proxy;
mod route;

/// All balancers of a cloud, with their health checker; everything stops when it is dropped.
#[derive(Debug)]
pub struct Balancers {
    cloud: SharedCloud,
    proxy: Arc<Proxy>,
    tasks: JoinSet<()>,
}

impl Balancers {
    /// Starts the health checker and opens every listener that the cloud has on a free loopback port,
    /// which it writes to [`Listener::socket`](super::state::Listener).
    ///
    /// # Errors
    /// When a port cannot be bound.
    pub async fn start(cloud: SharedCloud, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let mut balancers = Self::closed(cloud, clock);
        let arns: Vec<String> = balancers.cloud.lock().listeners.keys().cloned().collect();
        for arn in arns {
            balancers.open(&arn).await?;
        }
        Ok(balancers)
    }

    /// Starts the health checker and opens no listener yet.
    pub fn closed(cloud: SharedCloud, clock: Arc<dyn Clock>) -> Self {
        let proxy = Arc::new(Proxy::new(cloud.clone(), Arc::clone(&clock)));
        let mut tasks = JoinSet::new();
        tasks.spawn(health::check(Arc::clone(&proxy), cloud.clone(), clock));
        Self { cloud, proxy, tasks }
    }

    /// Opens one listener on a free loopback port and writes that to the cloud.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn open(&mut self, listener_arn: &str) -> io::Result<SocketAddr> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        self.open_on(listener_arn, socket)
    }

    /// Opens one listener on a socket that is bound already and writes its address to the cloud.
    ///
    /// # Errors
    /// When the socket has no address.
    pub fn open_on(&mut self, listener_arn: &str, socket: TcpListener) -> io::Result<SocketAddr> {
        let address = socket.local_addr()?;
        if let Some(listener) = self.cloud.lock().listeners.get_mut(listener_arn) {
            listener.socket = address;
        }
        self.tasks.spawn(accept(Arc::clone(&self.proxy), listener_arn.into(), socket));
        Ok(address)
    }
}

async fn accept(proxy: Arc<Proxy>, listener_arn: Arc<str>, socket: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        // A client that went away while it was accepted is no reason to stop.
        let Ok((stream, client)) = socket.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        stream.set_nodelay(true).ok(); // tokens must not wait for each other
        let (proxy, listener_arn) = (Arc::clone(&proxy), Arc::clone(&listener_arn));
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let (proxy, listener_arn) = (Arc::clone(&proxy), Arc::clone(&listener_arn));
                async move { Ok::<_, std::convert::Infallible>(proxy.handle(&listener_arn, client, request).await) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            connection.with_upgrades().await.ok(); // ends when the client hangs up
        });
    }
}
