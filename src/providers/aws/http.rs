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
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

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
        slot.get_or_init(|| (self.connect)(plain)).call(request)
    }
}
