//! An OpenAI-compatible model server that stands in for a real one: it loads, says what it serves, completes, streams,
//! counts what is under way, and drains; each of the ways in which real ones mislead is a flag.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use server::Server;

mod completion;
mod metrics;
mod server;

/// How long an idle connection stays open after the shutdown, so that a request that is on its way to it is answered
/// (and told to close) instead of reset.
const LINGER: Duration = Duration::from_secs(1);

/// What a server is, and how it misbehaves. All lengths are of the clock that is handed to [`ModelServer::bind`].
#[derive(Debug, Clone)]
pub struct ModelServerOptions {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The name that `/v1/models` and every answer show.
    pub model: String,
    /// Shown as `revision`, `root` and `system_fingerprint`.
    pub revision: Option<String>,
    /// Which environment of the plan this is; shown by `/lab/status`.
    pub environment: Option<String>,
    /// What the deployer started it under; shown by `/lab/status`.
    pub token: Option<String>,
    /// From the start until it completes anything; 503 meanwhile.
    pub load: Duration,
    /// Whose endpoints it has.
    pub flavour: Flavour,
    /// Between tokens.
    pub token_gap: Duration,
    /// `/health` says 200 from the start, also while nothing can be completed.
    pub lying_health: bool,
    /// Serves this model, whatever was asked for.
    pub wrong_model: Option<String>,
    /// Added before the first token.
    pub slow_first_token: Duration,
    /// Every so many completions one is answered with 500.
    pub fail_every: Option<u32>,
}

impl ModelServerOptions {
    /// A well-behaved server that is loaded at once and makes 50 tokens a second.
    pub fn new(listen: SocketAddr, model: impl Into<String>) -> Self {
        Self {
            listen,
            model: model.into(),
            revision: None,
            environment: None,
            token: None,
            load: Duration::ZERO,
            flavour: Flavour::Vllm,
            token_gap: Duration::from_millis(20),
            lying_health: false,
            wrong_model: None,
            slow_first_token: Duration::ZERO,
            fail_every: None,
        }
    }
}

/// Whose health, identity and metrics endpoints a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flavour {
    /// `/health` with an empty body, `/version`, `vllm:...` metrics; 404 for a model that it does not serve.
    #[default]
    Vllm,
    /// `/health` in JSON, `/props`, `llamacpp:...` metrics; completes whatever model is named.
    LlamaCpp,
    /// `/health` and the OpenAI endpoints, no metrics.
    Plain,
}

/// A server that has its socket, and does not accept yet.
#[derive(Debug)]
pub struct ModelServer {
    /// Where it listens.
    pub address: SocketAddr,
    listener: TcpListener,
    server: Arc<Server>,
}

impl ModelServer {
    /// Takes the socket; loading begins now.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(options: ModelServerOptions, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, listener, server: Arc::new(Server::new(options, clock)) })
    }

    /// Serves until `shutdown` resolves; then accepts no more connections, answers 503 on `/health`, closes each
    /// connection with its answer, finishes what is under way however long it takes, and returns.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let (closing, closed) = watch::channel(false);
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            let stream = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = self.listener.accept() => accepted,
            };
            while connections.try_join_next().is_some() {}
            if let Ok((stream, _)) = stream {
                connections.spawn(connection(stream, Arc::clone(&self.server), closed.clone()));
            }
        }
        self.server.drain();
        // Who has connected already is in the backlog and would be reset when the socket closes.
        while let Some(Ok((stream, _))) = futures_util::FutureExt::now_or_never(self.listener.accept()) {
            connections.spawn(connection(stream, Arc::clone(&self.server), closed.clone()));
        }
        drop(self.listener);
        let linger = async {
            self.server.clock().sleep(LINGER).await;
            closing.send_replace(true);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = async { while connections.join_next().await.is_some() {} } => {}
            () = linger => {}
        }
    }
}

/// Takes the socket and serves until `shutdown`, see [`ModelServer::serve`].
///
/// # Errors
/// When the address cannot be bound.
pub async fn run(
    options: ModelServerOptions,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    ModelServer::bind(options, clock).await?.serve(shutdown).await;
    Ok(())
}

async fn connection(stream: TcpStream, server: Arc<Server>, mut closing: watch::Receiver<bool>) {
    stream.set_nodelay(true).ok(); // tokens must not wait for each other
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { Ok::<_, std::convert::Infallible>(server.handle(request).await) }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    // What ends a connection early is the client's doing.
    tokio::select! {
        ended = &mut serving => drop(ended.ok()),
        () = told(&mut closing) => {
            serving.as_mut().graceful_shutdown();
            serving.await.ok();
        }
    }
}

async fn told(closing: &mut watch::Receiver<bool>) {
    closing.wait_for(|closing| *closing).await.ok(); // an error: the server itself is gone
}
