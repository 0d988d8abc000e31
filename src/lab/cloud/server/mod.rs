//! The listening side: one port for the API, one for the oracle.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::super::caller::Caller;
use super::super::passage::{let_time_pass, next_event};
use super::call::Raw;
use super::{Api, Parts, s3};

mod answer;
mod desk;
mod faulty;

use answer::Body;

/// The largest request: a Route 53 batch is limited to 32,000 characters of values.
const BODY_MAX: usize = 4 * 1024 * 1024;

/// A running cloud; dropping it ends it.
#[derive(Debug)]
pub struct CloudServer {
    /// Where the API listens, for `AWS_ENDPOINT_URL`.
    pub addr: SocketAddr,
    /// Where faults are ordered and findings are read.
    pub oracle_addr: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl CloudServer {
    /// `http://127.0.0.1:PORT` of the API.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// `http://127.0.0.1:PORT` of the oracle.
    pub fn oracle_url(&self) -> String {
        format!("http://{}", self.oracle_addr)
    }

    /// Ends it: open connections are dropped, nothing is left running.
    pub async fn shutdown(mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            // An aborted task answers with an error that says just that.
            drop(task.await);
        }
    }
}

impl Drop for CloudServer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Serves the cloud on two free loopback ports.
///
/// # Errors
/// When no port can be had.
pub async fn serve(parts: Parts) -> io::Result<CloudServer> {
    let api_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let desk_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (addr, oracle_addr) = (api_listener.local_addr()?, desk_listener.local_addr()?);
    let api = Arc::new(Api::new(parts));
    let tasks = vec![
        tokio::spawn(accept(api_listener, Arc::clone(&api), Port::Api)),
        tokio::spawn(accept(desk_listener, Arc::clone(&api), Port::Desk)),
        tokio::spawn(keep_time(api)),
    ];
    Ok(CloudServer { addr, oracle_addr, tasks })
}

#[derive(Debug, Clone, Copy)]
enum Port {
    Api,
    Desk,
}

/// The connections live in this task's set, so they end with it.
async fn accept(listener: TcpListener, api: Arc<Api>, port: Port) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&api), port));
                }
                // Out of descriptors, or the peer is gone already: the next one may do better.
                Err(_) => api.parts.clock.sleep(Duration::from_millis(10)).await,
            },
            Some(ended) = connections.join_next() => drop(ended),
        }
    }
}

async fn converse(stream: TcpStream, api: Arc<Api>, port: Port) {
    // A peer that is gone already calls nothing.
    let (Ok(peer), Ok(here)) = (stream.peer_addr(), stream.local_addr()) else { return };
    let caller = Arc::new(Caller::at(peer, here));
    let service = service_fn(move |request| {
        let (api, caller) = (Arc::clone(&api), Arc::clone(&caller));
        Box::pin(async move {
            match port {
                Port::Api => answer_api(api, request, &caller).await,
                Port::Desk => Ok(answer_desk(&api, request).await),
            }
        })
    });
    let mut connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let ended = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    if ended.is_err_and(|e| e.is_user()) {
        // A fault ends the connection here: with a zero linger the peer sees a reset, not a clean end.
        drop(connection.into_parts().io.into_inner().set_zero_linger());
    }
}

async fn answer_api(
    api: Arc<Api>,
    request: Request<Incoming>,
    caller: &Caller,
) -> Result<Response<Body>, faulty::Reset> {
    match raw(request).await {
        Ok(raw) => faulty::answer(api, raw, caller).await,
        Err(why) => Ok(answer::json(400, &serde_json::json!({ "error": why }))),
    }
}

async fn answer_desk(api: &Arc<Api>, request: Request<Incoming>) -> Response<Body> {
    match raw(request).await {
        Ok(raw) if raw.path == desk::SERVING => desk::serving(api, &raw).await,
        Ok(raw) => desk::answer(api, &raw),
        Err(why) => answer::json(400, &serde_json::json!({ "error": why })),
    }
}

async fn raw(request: Request<Incoming>) -> Result<Raw, String> {
    let (head, body) = request.into_parts();
    let body =
        Limited::new(body, BODY_MAX).collect().await.map_err(|e| format!("the request could not be read: {e}"))?;
    let header = |name| head.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let conditions =
        s3::Conditions { none_match: header(hyper::header::IF_NONE_MATCH), matches: header(hyper::header::IF_MATCH) };
    Ok(Raw {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        authorization: header(hyper::header::AUTHORIZATION),
        conditions,
        body: body.to_bytes().to_vec(),
    })
}

/// Makes due what is due, also when nobody calls.
async fn keep_time(api: Arc<Api>) {
    loop {
        let now = api.parts.clock.now();
        let next = {
            let mut cloud = api.parts.cloud.lock();
            let_time_pass(&mut cloud, now);
            next_event(&cloud)
        };
        let until = next.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
        tokio::select! {
            () = api.due.notified() => {}
            () = api.parts.clock.sleep(until.unwrap_or_default()), if until.is_some() => {}
        }
    }
}

/// A body that is sent whole.
fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed()
}
