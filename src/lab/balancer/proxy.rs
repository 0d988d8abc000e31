//! One request through the balancer: routed, sent on, answered.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

use super::passing::{InFlight, Passing, cut};
use super::pool::{self, Payload, Pool};
use super::route::{Asked, Chosen, Routed, STICKY_COOKIE, route};
use crate::clock::Clock;
use crate::ids::random_u64;
use crate::lab::state::{Cloud, SharedCloud};

/// Bodies up to this size are held, so that a request that met a dying idle connection can be sent again; longer ones
/// stream through a fresh connection, which cannot be stale.
const HELD_BYTES_MAX: u64 = 64 * 1024;
/// Headers that concern one connection only (RFC 9110 section 7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
];

type TargetKey = (String, String, u16);

/// What all listeners share.
#[derive(Debug)]
pub(super) struct Proxy {
    cloud: SharedCloud,
    clock: Arc<dyn Clock>,
    pool: Arc<Pool>,
    /// Whose turn it is, by group.
    turns: Mutex<HashMap<String, usize>>,
    /// One for each target that has had requests; dropping it cuts what is still under way there.
    registered: Mutex<HashMap<TargetKey, watch::Sender<()>>>,
}

impl Proxy {
    pub(super) fn new(cloud: SharedCloud, clock: Arc<dyn Clock>) -> Self {
        Self { cloud, clock, pool: Arc::default(), turns: Mutex::default(), registered: Mutex::default() }
    }

    /// Answers one request of a client.
    pub(super) async fn handle(
        &self,
        listener_arn: &str,
        client: SocketAddr,
        request: Request<Incoming>,
    ) -> Response<Payload> {
        match self.route(listener_arn, &request) {
            Routed::Target(chosen) => {
                let in_flight = InFlight { cloud: self.cloud.clone(), at: chosen };
                self.forward(in_flight, client, request).await
            }
            Routed::Fixed { status, content_type, body } => page(status, &content_type, body),
            Routed::Redirect { status, location } => redirect(status, &location, &request),
            Routed::NoTarget => own_error(503, "Service Temporarily Unavailable"),
        }
    }

    /// Cuts what is under way at targets that are registered no more.
    pub(super) fn cut_unregistered(&self, cloud: &Cloud) {
        lock(&self.registered).retain(|(group, id, port), _| {
            let targets = cloud.groups.get(group).map(|g| g.targets.as_slice()).unwrap_or_default();
            targets.iter().any(|t| t.id == *id && t.port == *port)
        });
    }

    fn route(&self, listener_arn: &str, request: &Request<Incoming>) -> Routed {
        let headers = request.headers();
        let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).or_else(|| request.uri().host());
        let asked = Asked {
            host: host.map(without_port).unwrap_or_default(),
            path: request.uri().path(),
            headers,
            now: self.clock.now(),
        };
        let mut cloud = self.cloud.lock();
        route(&mut cloud, listener_arn, &asked, &mut |n| random_u64() % n, &mut lock(&self.turns))
    }

    async fn forward(&self, in_flight: InFlight, client: SocketAddr, request: Request<Incoming>) -> Response<Payload> {
        let Some(target) = in_flight.at.socket else { return own_error(502, "Bad Gateway") };
        let registered = self.registered(&in_flight.at);
        let idle_max = Duration::from_secs(in_flight.at.idle_s);
        let cookie = in_flight.at.cookie.clone();
        let (mut parts, body) = request.into_parts();
        let upgrading = is_upgrade(&parts.headers);
        let upgrade = upgrading.then(|| parts.extensions.remove::<hyper::upgrade::OnUpgrade>()).flatten();
        prepare(&mut parts, client, upgrading, self.clock.now().as_second());
        let exchange = tokio::select! {
            biased;
            done = self.exchange(target, &parts, body, upgrading) => done,
            () = self.clock.sleep(idle_max) => return own_error(504, "Gateway Time-out"),
            () = cut(registered.clone()) => return own_error(502, "Bad Gateway"),
        };
        let Some((mut response, sender)) = exchange else { return own_error(502, "Bad Gateway") };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(ours) = upgrade
        {
            let theirs = hyper::upgrade::on(&mut response);
            tokio::spawn(join(ours, theirs, in_flight, registered));
            return response.map(|_| empty());
        }
        strip_hop_by_hop(response.headers_mut());
        if let Some((value, life_s)) = cookie {
            set_cookies(response.headers_mut(), &value, life_s);
        }
        response.map(|inner| {
            let passing = Passing {
                inner,
                _in_flight: in_flight,
                cut: Box::pin(cut(registered)),
                clock: Arc::clone(&self.clock),
                idle_max,
                idle: None,
                connection: Some((Arc::clone(&self.pool), target, sender)),
            };
            passing.boxed_unsync()
        })
    }

    /// Sends the request and waits for the head of the answer; `None` when the target refuses or hangs up.
    async fn exchange(
        &self,
        target: SocketAddr,
        parts: &Parts,
        body: Incoming,
        upgrading: bool,
    ) -> Option<(Response<Incoming>, SendRequest<Payload>)> {
        if upgrading || body.size_hint().upper().is_none_or(|length| length > HELD_BYTES_MAX) {
            return send_fresh(target, parts, body.map_err(Into::into).boxed_unsync()).await;
        }
        let held = body.collect().await.ok()?.to_bytes();
        if let Some(mut idle) = self.pool.take(target)
            && let Ok(response) = idle.send_request(rebuilt(parts, full(held.clone()))).await
        {
            return Some((response, idle));
        }
        // The idle connection was closing while we took it: nothing has come back, so the request is sent once more,
        // on a connection that is not stale.
        send_fresh(target, parts, full(held)).await
    }

    fn registered(&self, at: &Chosen) -> watch::Receiver<()> {
        let key = (at.group.clone(), at.id.clone(), at.port);
        lock(&self.registered).entry(key).or_insert_with(|| watch::channel(()).0).subscribe()
    }
}

async fn send_fresh(
    target: SocketAddr,
    parts: &Parts,
    body: Payload,
) -> Option<(Response<Incoming>, SendRequest<Payload>)> {
    let mut sender = pool::dial(target).await.ok()?;
    let response = sender.send_request(rebuilt(parts, body)).await.ok()?;
    Some((response, sender))
}

/// Carries an upgraded connection (a WebSocket) until either side ends it or the target's delay is over.
async fn join(
    ours: hyper::upgrade::OnUpgrade,
    theirs: hyper::upgrade::OnUpgrade,
    in_flight: InFlight,
    registered: watch::Receiver<()>,
) {
    if let (Ok(ours), Ok(theirs)) = tokio::join!(ours, theirs) {
        let (mut ours, mut theirs) = (TokioIo::new(ours), TokioIo::new(theirs));
        tokio::select! {
            ended = tokio::io::copy_bidirectional(&mut ours, &mut theirs) => drop(ended),
            () = cut(registered) => {}
        }
    }
    drop(in_flight);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    let connection = headers.get(header::CONNECTION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    headers.contains_key(header::UPGRADE) && connection.to_ascii_lowercase().contains("upgrade")
}

/// What a balancer changes in a request that it sends on.
fn prepare(parts: &mut Parts, client: SocketAddr, upgrading: bool, now_s: i64) {
    if !upgrading {
        strip_hop_by_hop(&mut parts.headers);
    }
    if let Some(path) = parts.uri.path_and_query().cloned() {
        parts.uri = path.into();
    }
    let before = parts.headers.get("x-forwarded-for").and_then(|v| v.to_str().ok());
    let from = before.map_or_else(|| client.ip().to_string(), |others| format!("{others}, {}", client.ip()));
    let trace = format!("Root=1-{now_s:08x}-{:016x}{:08x}", random_u64(), random_u64() >> 32);
    for (name, value) in [("x-forwarded-for", from), ("x-forwarded-proto", "http".into()), ("x-amzn-trace-id", trace)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            parts.headers.insert(name, value);
        }
    }
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

fn rebuilt(parts: &Parts, body: Payload) -> Request<Payload> {
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    request.headers_mut().clone_from(&parts.headers);
    request
}

/// Both cookies, as ELB sends them; the second is for cross-origin requests.
fn set_cookies(headers: &mut HeaderMap, value: &str, life_s: u32) {
    let first = format!("{STICKY_COOKIE}={value}; Max-Age={life_s}; Path=/");
    let second = format!("{STICKY_COOKIE}CORS={value}; Max-Age={life_s}; Path=/; SameSite=None");
    for cookie in [first, second] {
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
}

fn full(bytes: Bytes) -> Payload {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn empty() -> Payload {
    full(Bytes::new())
}

/// An answer of the balancer itself.
fn own_error(status: u16, reason: &str) -> Response<Payload> {
    let title = format!("{status} {reason}");
    let html = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    page(status, "text/html", html)
}

fn page(status: u16, content_type: &str, body: String) -> Response<Payload> {
    let mut response = Response::new(full(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::SERVER, HeaderValue::from_static("awselb/2.0"));
    if let Ok(value) = HeaderValue::try_from(content_type)
        && !content_type.is_empty()
    {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

/// A redirect; what is not written stays as it was asked (`#{host}` and the like).
fn redirect(status: u16, location: &BTreeMap<String, String>, request: &Request<Incoming>) -> Response<Payload> {
    let asked_host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let fill = |text: &str| {
        text.replace("#{protocol}", "http")
            .replace("#{host}", without_port(asked_host))
            .replace("#{port}", asked_host.rsplit_once(':').map_or("80", |(_, port)| port))
            .replace("#{path}", path.trim_start_matches('/'))
            .replace("#{query}", query)
    };
    let part = |name: &str, otherwise: &str| {
        let written = location.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        fill(written.unwrap_or(otherwise))
    };
    let protocol = part("protocol", "#{protocol}").to_ascii_lowercase();
    let query = part("query", "#{query}");
    let query = if query.is_empty() { query } else { format!("?{query}") };
    let to = format!(
        "{protocol}://{}:{}{}{query}",
        part("host", "#{host}"),
        part("port", "#{port}"),
        part("path", "/#{path}"),
    );
    let mut response = page(status, "text/html", String::new());
    if let Ok(value) = HeaderValue::try_from(to) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}
