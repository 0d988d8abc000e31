//! Clients that get one answer to whatever they ask: for the fuzzer.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use tokio::sync::OnceCell;

use super::AwsClients;

#[derive(Debug, Clone)]
struct Canned {
    status: StatusCode,
    body: Vec<u8>,
}

impl HttpConnector for Canned {
    fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
        let answer = HttpResponse::new(self.status, SdkBody::from(self.body.clone()));
        HttpConnectorFuture::new(super::http::whole(answer))
    }
}

impl AwsClients {
    /// Clients that are answered with `status` and `body`, whatever they ask, and ask once.
    pub(in crate::providers) fn answering(status: u16, body: &[u8]) -> Self {
        let status = StatusCode::try_from(status).unwrap_or(StatusCode::try_from(200).expect("BUG: 200 is one"));
        let canned = SharedHttpConnector::new(Canned { status, body: body.to_vec() });
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("LAB", "LAB", None, None, "nobody")))
            .retry_config(RetryConfig::disabled())
            .http_client(http_client_fn(move |_, _| canned.clone()))
            .build();
        Self { config: OnceCell::new_with(Some(config)), ..Self::default() }
    }
}
