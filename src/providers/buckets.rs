//! Buckets that keep journals: `s3://bucket/prefix`, `gs://…`, `az://container/prefix`.
//!
//! Credentials for S3 come from the same chain as everything else of AWS. The client of the crate retries nothing: what became
//! of a write is found out by whoever asked for it.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};

use self::credentials::Chain;
use super::ProviderError;
use super::aws::{AwsAccess, AwsClients};

mod address;
mod credentials;

pub use address::{BucketUrl, Scheme};

/// How a bucket is reached.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Where an S3-compatible store listens, when the URL does not say it.
    pub endpoint: Option<String>,
    /// Whether that is the loopback world's cloud: no real credentials, no proxy.
    pub lab: bool,
    /// How long one request may take. Many are sent one after the other, so it is short.
    pub request: Duration,
}

/// How long a connection may take to be made; after that there may be a mirror to turn to.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens a bucket; nothing is read or written yet, but for credentials.
///
/// # Errors
/// When credentials or a region are missing.
pub async fn open(url: &BucketUrl, reach: &Reach) -> Result<(Arc<dyn ObjectStore>, Path), ProviderError> {
    let store: Arc<dyn ObjectStore> = match url.scheme {
        Scheme::S3 => s3(url, reach).await?,
        Scheme::Google | Scheme::Azure if reach.lab => {
            let why = "the loopback world has S3 alone: write s3://bucket/prefix".to_owned();
            return Err(ProviderError::Rejected { call: format!("opening {url}"), why });
        }
        Scheme::Google => {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&url.bucket);
            let built = builder.with_retry(no_retry()).with_http_connector(Connector(reach.clone())).build();
            Arc::new(built.map_err(|e| cannot(url, &e))?)
        }
        Scheme::Azure => {
            let builder = MicrosoftAzureBuilder::from_env().with_container_name(&url.bucket);
            let built = builder.with_retry(no_retry()).with_http_connector(Connector(reach.clone())).build();
            Arc::new(built.map_err(|e| cannot(url, &e))?)
        }
    };
    Ok((store, Path::from(url.prefix.as_str())))
}

async fn s3(url: &BucketUrl, reach: &Reach) -> Result<Arc<dyn ObjectStore>, ProviderError> {
    let lab = reach.endpoint.clone().filter(|_| reach.lab);
    let region = url.region.clone().or_else(|| lab.is_some().then(|| "us-east-1".to_owned()));
    let clients = AwsClients::new(AwsAccess { account: None, region, profile: None, endpoint: lab, scale: None });
    let chain = clients.chain().await?;
    let endpoint = url.endpoint.clone().filter(|_| !reach.lab).or_else(|| reach.endpoint.clone()).or(chain.endpoint);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&url.bucket)
        .with_region(chain.region)
        .with_credentials(Arc::new(Chain::new(chain.credentials)))
        .with_disable_bulk_delete(true)
        .with_retry(no_retry())
        .with_http_connector(Connector(reach.clone()));
    // Compatible stores are asked path-style: their buckets have no names of their own in DNS.
    match endpoint {
        Some(endpoint) => builder = builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint),
        None => builder = builder.with_virtual_hosted_style_request(!url.bucket.contains('.')),
    }
    Ok(Arc::new(builder.build().map_err(|e| cannot(url, &e))?))
}

fn no_retry() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn cannot(url: &BucketUrl, error: &object_store::Error) -> ProviderError {
    ProviderError::Rejected { call: format!("opening {url}"), why: error.to_string() }
}

/// One HTTP client for a bucket, with our limits.
#[derive(Debug)]
struct Connector(Reach);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("modelswap/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(self.0.request)
            .redirect(reqwest::redirect::Policy::none());
        if self.0.lab {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|e| object_store::Error::Generic { store: "HTTP", source: e.into() })?;
        Ok(HttpClient::new(client))
    }
}
