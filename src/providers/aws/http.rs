//! One HTTP client for all of AWS, so that calls share connections, and roots are loaded only when TLS is spoken.
//!
//! The SDK's default client is one for each service client, and loads the system's roots when that is made.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

/// How long an unused connection is kept. A server closes it after some tens of seconds, and a write that is sent into one
/// that is just being closed has an unknown outcome; a run waits minutes between its writes.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// A client that all services share. On loopback no proxy of the environment is used.
pub(super) fn shared(loopback: bool) -> SharedHttpClient {
    let proxy = if loopback { ProxyConfig::disabled() } else { ProxyConfig::from_env() };
    // Through a proxy even `http://` may need TLS.
    let plain = proxy.is_disabled().then(|| {
        Builder::new().build_with_connector_fn(|settings, components| {
            let mut builder = ConnectorBuilder::default().pool_idle_timeout(IDLE_MAX);
            builder.set_connector_settings(settings.cloned());
            builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
            builder.build_http()
        })
    });
    let tls = Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder =
            ConnectorBuilder::default().pool_idle_timeout(IDLE_MAX).tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.set_proxy_config(Some(proxy.clone()));
        builder.build()
    });
    SharedHttpClient::new(ByScheme { plain, tls })
}

/// Speaks TLS only to those who ask for it.
#[derive(Debug, Clone)]
struct ByScheme {
    plain: Option<SharedHttpClient>,
    tls: SharedHttpClient,
}

// `validate_base_client_config` is left out on purpose: the inner client's builds a connector there, and loads all roots for it.
impl HttpClient for ByScheme {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let (client, settings, components) = (self.clone(), settings.clone(), components.clone());
        let connect = move |plain: bool| {
            let client = client.plain.as_ref().filter(|_| plain).unwrap_or(&client.tls);
            client.http_connector(&settings, &components)
        };
        SharedHttpConnector::new(Lazily { connect: Arc::new(connect), plain: OnceLock::new(), tls: OnceLock::new() })
    }
}

type Connect = Arc<dyn Fn(bool) -> SharedHttpConnector + Send + Sync>;

/// Makes a connector when the first request needs it; the inner client keeps it for the next.
struct Lazily {
    connect: Connect,
    plain: OnceLock<SharedHttpConnector>,
    tls: OnceLock<SharedHttpConnector>,
}

impl fmt::Debug for Lazily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazily").finish_non_exhaustive()
    }
}

impl HttpConnector for Lazily {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let plain = request.uri().starts_with("http://");
        let slot = if plain { &self.plain } else { &self.tls };
        let answer = slot.get_or_init(|| (self.connect)(plain)).call(request);
        HttpConnectorFuture::new(async { whole(answer.await?).await })
    }
}

/// The answer with all of its body, or an error when that was cut short. The SDK reads XML as far as it goes: half of a list
/// would be taken for a short list, and its first line for an empty one.
pub(super) async fn whole(mut answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
    let bytes = ByteStream::new(body).collect().await.map_err(|e| ConnectorError::io(e.into()))?.into_bytes();
    if is_cut_short(&bytes) {
        return Err(ConnectorError::io("the answer was cut short".into()));
    }
    *answer.body_mut() = SdkBody::from(bytes);
    Ok(answer)
}

/// Whether XML does not end with the end of what it began with.
fn is_cut_short(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let Some(mut rest) = text.strip_prefix('<') else { return false };
    if rest.starts_with('?') {
        let Some((_, after)) = rest.split_once("?>") else { return true };
        let Some(after) = after.trim_start().strip_prefix('<') else { return true };
        rest = after;
    }
    let root = rest.split(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).next().unwrap_or_default();
    let empty = rest.ends_with("/>") && !rest.contains('<');
    !empty && !text.ends_with(&format!("</{root}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_that_does_not_end_with_its_root_was_cut_short() {
        for whole in ["", "{\"a\": 1}", "<a/>", "<a b='c' />", " <?xml version='1.0'?>\n<a x='1'><b/></a>\n", "<a></a>"]
        {
            assert!(!is_cut_short(whole.as_bytes()), "{whole}");
        }
        let answer = "<?xml version='1.0'?><a x='1'><b>1</b><b/></a>";
        for cut in 1..answer.len() {
            assert!(is_cut_short(&answer.as_bytes()[..cut]), "{}", &answer[..cut]);
        }
    }
}
