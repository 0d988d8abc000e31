//! One bounded HTTP request on a fresh connection: what every probe is made of.
//!
//! Each request opens its own connection, so that a probe after a switch never talks to yesterday's server. Nothing is
//! retried, no redirect is followed, no proxy is used, and an answer has an end.

use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Method, Response};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::{Host, Url};

use super::{dial, secret};
use crate::plan::model::{Access, Auth};
use crate::world::AddressMap;

/// An answer may hold so much. Metrics and model lists are far smaller; a body without end is a fault.
pub const BODY_MAX: usize = 1 << 20;

/// A TCP connection takes one round trip; three lost SYNs (1 + 2 s) are forgiven.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Asks servers of one kind of access.
#[derive(Debug, Clone)]
pub struct Asker {
    addresses: AddressMap,
    headers: HeaderMap,
    roots: Option<Vec<Certificate>>,
    pin: Option<SocketAddr>,
    plain: OnceLock<Client>,
    tls: OnceLock<Client>,
}

impl Asker {
    /// An asker that authenticates and trusts as `access` says. Secrets are resolved here, once.
    ///
    /// # Errors
    /// A fragment when a secret, a header or the authority's file cannot be used.
    pub async fn new(addresses: &AddressMap, access: &Access) -> Result<Self, String> {
        let roots = match &access.ca {
            None => None,
            Some(path) => {
                let pem = tokio::fs::read(path).await.map_err(|e| format!("cannot read {}: {e}", path.display()))?;
                let roots = Certificate::from_pem_bundle(&pem)
                    .map_err(|e| format!("{} holds no PEM certificates: {e}", path.display()))?;
                if roots.is_empty() {
                    return Err(format!("{} holds no PEM certificates", path.display()));
                }
                Some(roots)
            }
        };
        Ok(Self {
            addresses: addresses.clone(),
            headers: headers(access).await?,
            roots,
            pin: None,
            plain: OnceLock::new(),
            tls: OnceLock::new(),
        })
    }

    /// The same asker, for whom every URL leads to `address` (`curl --connect-to`): Host and SNI stay what the URL says.
    /// In the loopback world `address` is the plan's, and its stand-in is dialled.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { pin: Some(address), tls: OnceLock::new(), ..self.clone() }
    }

    /// GET with a deadline for the whole answer.
    ///
    /// # Errors
    /// [`AskError`] when there is no whole answer; a status is an answer.
    pub async fn get(&self, url: &Url, within: Duration) -> Result<Answer, AskError> {
        self.send(Method::GET, url, None, within).await?.whole().await
    }

    /// POST of JSON with a deadline for the whole answer.
    ///
    /// # Errors
    /// As [`Asker::get`].
    pub async fn post(&self, url: &Url, body: &Value, within: Duration) -> Result<Answer, AskError> {
        self.send(Method::POST, url, Some(body), within).await?.whole().await
    }

    /// POST of JSON whose answer is read piece by piece; `within` is the deadline for all of it.
    ///
    /// # Errors
    /// As [`Asker::get`], up to the head of the answer.
    pub async fn stream(&self, url: &Url, body: &Value, within: Duration) -> Result<Pieces, AskError> {
        self.send(Method::POST, url, Some(body), within).await
    }

    /// [`Asker::get`], of one address.
    ///
    /// # Errors
    /// As [`Asker::get`].
    pub async fn ask_at(&self, address: SocketAddr, url: &Url, within: Duration) -> Result<Answer, AskError> {
        self.at(address).get(url, within).await
    }

    /// Whether a TCP connection to the URL's host and port can be made.
    ///
    /// # Errors
    /// [`AskError`] when not.
    pub async fn connect(&self, url: &Url, within: Duration) -> Result<SocketAddr, AskError> {
        let call = format!("connecting to {}", authority(url));
        let host = url.host_str().ok_or_else(|| AskError::refused(&call, "the URL has no host"))?;
        let port = port_of(url).ok_or_else(|| AskError::refused(&call, "the URL has no port"))?;
        let route = self.route(url).map_err(|why| AskError::refused(&call, why))?;
        let dialling = async {
            let found: Vec<SocketAddr> = match route {
                Some(address) => vec![address],
                None => tokio::net::lookup_host((host.trim_matches(['[', ']']), port))
                    .await
                    .map_err(|e| AskError::connect(&call, e))?
                    .collect(),
            };
            if let Some(bad) = found.iter().find(|a| dial::is_forbidden(a.ip())) {
                return Err(AskError::refused(&call, dial::refusal(bad.ip())));
            }
            let stream = tokio::net::TcpStream::connect(found.as_slice()).await;
            stream.and_then(|s| s.peer_addr()).map_err(|e| match e.kind() {
                std::io::ErrorKind::ConnectionRefused => {
                    AskError::NothingListens { call: call.clone(), why: e.to_string() }
                }
                _ => AskError::connect(&call, e),
            })
        };
        tokio::time::timeout(within, dialling).await.unwrap_or_else(|_| Err(AskError::timeout(&call, within)))
    }

    /// Where to connect instead of what the URL says; `None` when it stands for itself.
    fn route(&self, url: &Url) -> Result<Option<SocketAddr>, String> {
        let host = url.host_str().ok_or("the URL has no host")?;
        let port = port_of(url).ok_or("the URL has no port")?;
        let route = match self.pin {
            Some(pin) => {
                let host = if pin.is_ipv6() { format!("[{}]", pin.ip()) } else { pin.ip().to_string() };
                Some(self.addresses.to(&host, pin.port())?.unwrap_or(pin))
            }
            None => self.addresses.to(host, port)?,
        };
        let literal = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            // `tcp:` is no special scheme, so its addresses are parsed as names.
            Some(Host::Domain(name)) => name.parse().ok(),
            None => None,
        };
        match route.map(|a| a.ip()).or(literal).filter(|ip| dial::is_forbidden(*ip)) {
            Some(bad) => Err(dial::refusal(bad)),
            None => Ok(route),
        }
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        body: Option<&Value>,
        within: Duration,
    ) -> Result<Pieces, AskError> {
        let call = format!("{method} {}", shown(url));
        let refused = |why: String| AskError::refused(&call, why);
        let https = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(refused(format!("`{other}` is not HTTP"))),
        };
        let route = self.route(url).map_err(refused)?;
        let mut to = url.clone();
        // The loopback world has nobody's certificates: there, what the plan says over TLS goes in the clear.
        let https = https && !self.addresses.is_lab();
        if !https {
            to.set_scheme("http").map_err(|()| refused("the URL cannot be dialled".to_owned()))?;
        }
        let mut headers = self.headers.clone();
        if let Some(address) = route {
            // With TLS the name stays in the URL, for SNI and the certificate, and the resolver leads it to the address.
            if !(https && matches!(url.host(), Some(Host::Domain(_)))) {
                to.set_ip_host(address.ip()).map_err(|()| refused("the URL cannot be dialled".to_owned()))?;
            }
            to.set_port(Some(address.port())).map_err(|()| refused("the URL cannot be dialled".to_owned()))?;
            if !headers.contains_key(HOST) {
                let host = HeaderValue::from_str(&authority(url)).map_err(|e| refused(e.to_string()))?;
                headers.insert(HOST, host);
            }
        }
        let client = self.client(https, route).map_err(|e| refused(format!("cannot prepare TLS: {}", root_of(&e))))?;
        let mut request = client.request(method, to).headers(headers).timeout(within);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|e| AskError::of(&call, &e, within))?;
        Ok(Pieces { status: response.status().as_u16(), read: 0, at_most: BODY_MAX, call, within, response })
    }

    fn client(&self, https: bool, route: Option<SocketAddr>) -> reqwest::Result<Client> {
        // A pinned asker always has the same route, and without a pin only the loopback world has one.
        let kept = match (https, route.is_some() && self.pin.is_none()) {
            (false, _) => Some(&self.plain),
            (true, false) => Some(&self.tls),
            (true, true) => None,
        };
        if let Some(client) = kept.and_then(OnceLock::get) {
            return Ok(client.clone());
        }
        let mut builder = Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .user_agent(concat!("modelswap/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(std::sync::Arc::new(dial::Dialled { pin: route.filter(|_| https) }));
        // The system's roots are loaded only where they are used: that takes time, and fails on a machine that has none.
        builder = match (https, &self.roots) {
            (false, _) => builder.tls_certs_only([]),
            (true, Some(roots)) => builder.tls_certs_only(roots.iter().cloned()),
            (true, None) => builder,
        };
        let client = builder.build()?;
        Ok(match kept {
            Some(cell) => cell.get_or_init(|| client).clone(),
            None => client,
        })
    }
}

async fn headers(access: &Access) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &access.headers {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is not the name of a header"))?;
        let mut value =
            HeaderValue::from_str(value).map_err(|_| format!("the value of header `{name}` cannot be sent"))?;
        value.set_sensitive(true); // people put keys there
        headers.insert(name, value);
    }
    if let Some(Auth::Bearer(holder)) = &access.auth {
        let token = secret::resolve(&holder.secret).await?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| format!("the value of {} cannot be sent in a header", secret::reference(&holder.secret)))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// At most [`BODY_MAX`] bytes.
    pub body: Bytes,
}

impl Answer {
    /// Whether the status is 2xx.
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as text, whatever is in it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, if it is.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Status and the beginning of the body in one harmless line.
    pub fn excerpt(&self) -> String {
        let body: String = self.text().chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let body = body.trim();
        if body.is_empty() { self.status.to_string() } else { format!("{}: {body}", self.status) }
    }
}

/// An answer that is read as it comes.
#[derive(Debug)]
pub struct Pieces {
    /// HTTP status.
    pub status: u16,
    read: usize,
    at_most: usize,
    call: String,
    within: Duration,
    response: Response,
}

impl Pieces {
    /// Another bound than [`BODY_MAX`], in bytes, for an answer that is not kept.
    pub(super) fn at_most(mut self, bytes: usize) -> Self {
        self.at_most = bytes;
        self
    }

    /// The next piece; none at the end.
    ///
    /// # Errors
    /// When the answer breaks off, takes too long or is larger than its bound.
    pub async fn next(&mut self) -> Result<Option<Bytes>, AskError> {
        let piece = self.response.chunk().await.map_err(|e| AskError::of(&self.call, &e, self.within))?;
        self.read += piece.as_ref().map_or(0, Bytes::len);
        if self.read > BODY_MAX {
            return Err(AskError::Broken {
                call: self.call.clone(),
                why: "the answer is larger than 1 MiB".to_owned(),
            });
        }
        Ok(piece)
    }

    /// All that is left of it.
    ///
    /// # Errors
    /// As [`Pieces::next`].
    pub async fn whole(mut self) -> Result<Answer, AskError> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.next().await? {
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status: self.status, body: body.freeze() })
    }
}

/// Why there is no whole answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It was not asked: the address or the URL is not allowed, or a certificate cannot be used.
    #[error("{call} was not tried: {why}")]
    Refused {
        /// What was attempted.
        call: String,
        /// Why it was not.
        why: String,
    },
    /// No connection could be made, so the server saw nothing.
    #[error("{call} found no connection: {why}")]
    Connect {
        /// What was attempted.
        call: String,
        /// What was seen instead.
        why: String,
    },
    /// Nothing listens there: the machine itself said so.
    #[error("{call} found no connection: {why}")]
    NothingListens {
        /// What was attempted.
        call: String,
        /// What was seen instead.
        why: String,
    },
    /// It took too long.
    #[error("{call} had no whole answer within {} s", within.as_secs_f64())]
    Timeout {
        /// What was attempted.
        call: String,
        /// How long was waited.
        within: Duration,
    },
    /// The answer broke off or is not HTTP.
    #[error("{call} broke off: {why}")]
    Broken {
        /// What was attempted.
        call: String,
        /// What was seen.
        why: String,
    },
}

impl AskError {
    fn refused(call: &str, why: impl Into<String>) -> Self {
        Self::Refused { call: call.to_owned(), why: why.into() }
    }

    fn connect(call: &str, why: impl std::fmt::Display) -> Self {
        Self::Connect { call: call.to_owned(), why: why.to_string() }
    }

    fn timeout(call: &str, within: Duration) -> Self {
        Self::Timeout { call: call.to_owned(), within }
    }

    fn of(call: &str, error: &reqwest::Error, within: Duration) -> Self {
        if error.is_connect() {
            Self::connect(call, root_of(error))
        } else if error.is_timeout() {
            Self::timeout(call, within)
        } else {
            Self::Broken { call: call.to_owned(), why: root_of(error) }
        }
    }
}

/// The innermost reason; the outer ones repeat the URL.
fn root_of(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}

/// The URL without credentials and query.
pub(super) fn shown(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), authority(url), url.path())
}

/// `path` below the endpoint; an endpoint that is written with a trailing `/v1`, as clients do, means the same server.
pub(super) fn below(endpoint: &Url, path: &str) -> Url {
    let base = endpoint.path().trim_end_matches('/');
    let base = base.strip_suffix("/v1").unwrap_or(base);
    let mut url = endpoint.clone();
    url.set_path(&format!("{base}{path}"));
    url.set_query(None);
    url.set_fragment(None);
    url
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn port_of(url: &Url) -> Option<u16> {
    url.port_or_known_default()
}

#[cfg(test)]
mod tests;
