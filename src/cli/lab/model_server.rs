//! `modelswap lab model-server`: the model server of the loopback world, as its own process.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;

use super::super::{Exit, Failure};
use crate::clock::{Clock, ScaledClock, SystemClock};
use crate::lab::model_server::{Flavour, ModelServerOptions, run};
use crate::units::Span;

/// Options of `lab model-server`.
#[derive(Debug, Args)]
pub(super) struct ModelServer {
    /// Where it listens; once for each server of the environment
    #[arg(long, required = true)]
    listen: Vec<SocketAddr>,
    /// How long it loads, in the world's time
    #[arg(long, default_value = "0s")]
    load: Span,
    /// Between tokens, in real time
    #[arg(long, default_value = "20ms")]
    token_gap: Span,
    /// When the world began
    #[arg(long)]
    origin: Option<Timestamp>,
    /// How many times faster than real time it runs
    #[arg(long, default_value_t = 1.0)]
    time: f64,
    /// End when this process is gone: no server outlives its world
    #[arg(long, value_name = "PID")]
    ends_with: Option<i32>,
    /// The oracle of its world, which is told when it serves and when it does so no more
    #[arg(long, value_name = "URL")]
    oracle: Option<String>,
    /// Whose endpoints it has: vllm, llama_cpp, plain
    #[arg(long, default_value = "vllm")]
    flavour: String,
    /// Says that it is healthy while it cannot complete anything
    #[arg(long)]
    lying_health: bool,
    /// Serves this model, whatever it was told to serve
    #[arg(long)]
    wrong_model: Option<String>,
    /// Added before the first token, in real time
    #[arg(long, default_value = "0s")]
    slow_first_token: Span,
    /// Every so many completions one fails
    #[arg(long)]
    fail_every: Option<u32>,
}

impl ModelServer {
    pub(super) async fn run(&self) -> Result<Exit, Failure> {
        let said = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let flavour: Flavour = serde_json::from_value(serde_json::Value::String(self.flavour.clone()))
            .map_err(|e| Failure::new(Exit::Usage, format!("--flavour: {e}")))?;
        let origin = self.origin.unwrap_or_else(|| SystemClock.now());
        let clock: Arc<dyn Clock> = Arc::new(ScaledClock { origin, scale: self.time });
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let mut servers = tokio::task::JoinSet::new();
        for listen in &self.listen {
            let options = ModelServerOptions {
                revision: said("MODELSWAP_REVISION"),
                environment: said("MODELSWAP_ENVIRONMENT"),
                token: said("MODELSWAP_TOKEN"),
                load: self.load.std(),
                flavour,
                // Streams of a demo last as long for whoever watches, however fast its world runs.
                token_gap: self.token_gap.std().mul_f64(self.time),
                lying_health: self.lying_health,
                wrong_model: self.wrong_model.clone(),
                slow_first_token: self.slow_first_token.std().mul_f64(self.time),
                fail_every: self.fail_every,
                ..ModelServerOptions::new(*listen, said("MODELSWAP_MODEL").unwrap_or_else(|| "model".to_owned()))
            };
            let mut stopped = stopped.clone();
            let shutdown = async move { drop(stopped.wait_for(|stop| *stop).await) };
            servers.spawn(run(options, Arc::clone(&clock), shutdown));
        }
        let said_to_serve = self.oracle.as_deref().and_then(|oracle| say_that_it_serves(oracle, &self.listen));
        let terminated = async {
            let said_to_serve = said_to_serve;
            if let Ok(mut term) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                tokio::select! {
                    _ = term.recv() => {}
                    () = super::serve::gone(self.ends_with) => {}
                }
            }
            // First, so that no call that comes after this end is judged as if it served still.
            drop(said_to_serve);
            stop.send_replace(true);
        };
        let all = async {
            while let Some(ended) = servers.join_next().await {
                ended.map_err(std::io::Error::other)??;
            }
            Ok::<(), std::io::Error>(())
        };
        let (ended, ()) = tokio::join!(all, terminated);
        ended.map_err(|e| Failure::new(Exit::Usage, format!("the model server cannot run: {e}")))?;
        Ok(Exit::Done)
    }
}

/// Tells the oracle of its world that this process serves; it does so as long as the connection lasts. A world that is gone needs
/// no telling.
fn say_that_it_serves(oracle: &str, listen: &[SocketAddr]) -> Option<std::net::TcpStream> {
    let address = oracle.strip_prefix("http://")?;
    let sockets = serde_json::to_string(listen).ok()?;
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    let length = sockets.len();
    let head = format!("POST /serving HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{sockets}").as_bytes()).ok()?;
    Some(stream)
}
