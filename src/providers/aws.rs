//! One way into AWS: configuration, and clients that share connections.

use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig, imds};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use tokio::sync::OnceCell;

pub use self::error::{read_error, split_hint, write_error};
use super::ProviderError;

#[cfg(any(fuzzing, test))]
mod canned;
mod error;
mod fresh;
mod http;

/// How to reach AWS for one plan.
#[derive(Debug, Clone, Default)]
pub struct AwsAccess {
    /// The account that everything belongs to; another one is refused.
    pub account: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// A profile of the shared configuration.
    pub profile: Option<String>,
    /// Where the loopback world's cloud listens.
    pub endpoint: Option<String>,
    /// How many times faster than real time that world runs.
    pub scale: Option<f64>,
}

/// Clients of one account, made when first needed. Each is made once: a client of the SDK has a connection pool of its own.
#[derive(Debug, Default)]
pub struct AwsClients {
    access: AwsAccess,
    config: OnceCell<SdkConfig>,
    account: OnceCell<()>,
    route53: OnceCell<aws_sdk_route53::Client>,
    elbv2: OnceCell<aws_sdk_elasticloadbalancingv2::Client>,
}

/// What the chain gives to clients that are not of the SDK.
#[derive(Debug)]
pub struct AwsChain {
    /// Gives credentials, as often as it is asked.
    pub credentials: aws_credential_types::provider::SharedCredentialsProvider,
    /// The region.
    pub region: String,
    /// Where to ask instead of AWS.
    pub endpoint: Option<String>,
}

/// No AWS call of ours takes longer than this unless the network is gone.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// One attempt's part of it, so that a read whose answer is lost is asked again while there is time.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// The least of an attempt's in a loopback world that runs fast: far beyond the time that an answer takes there.
const WORLD_TIMEOUT_MIN: Duration = Duration::from_secs(3);

/// How long a connection may take to be made: far beyond any round trip on earth.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the metadata service of a virtual machine is waited for. It answers within milliseconds where there is one;
/// where there is none, this is how long somebody without credentials waits to be told so. The SDK's own limits are four
/// attempts of two seconds.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// The call that says whose credentials these are.
const WHOSE: &str = "sts GetCallerIdentity";

impl AwsClients {
    /// Clients for `access`; nothing is opened or read yet.
    pub fn new(access: AwsAccess) -> Self {
        Self { access, ..Self::default() }
    }

    /// Credentials, region and endpoint of the chain, for clients that are not of the SDK.
    ///
    /// # Errors
    /// When there is no region or nobody gives credentials.
    pub async fn chain(&self) -> Result<AwsChain, ProviderError> {
        let config = self.config().await?;
        let missing = |what: &str| {
            let why = error::explain(&format!("missing {what}"));
            ProviderError::Rejected { call: format!("finding the AWS {what}"), why }
        };
        Ok(AwsChain {
            credentials: config.credentials_provider().ok_or_else(|| missing("credentials"))?,
            region: config.region().ok_or_else(|| missing("region"))?.to_string(),
            endpoint: config.endpoint_url().map(str::to_owned),
        })
    }

    async fn config(&self) -> Result<&SdkConfig, ProviderError> {
        self.config.get_or_try_init(|| self.load()).await
    }

    async fn load(&self) -> Result<SdkConfig, ProviderError> {
        let http = http::shared(self.access.endpoint.is_some());
        let region = self.region().await?;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(self.real(ATTEMPT_TIMEOUT))
            .operation_timeout(self.real(CALL_TIMEOUT).max(2 * self.real(ATTEMPT_TIMEOUT)));
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .timeout_config(timeouts.build())
            .http_client(http.clone())
            .region(region.clone());
        if let Some(profile) = &self.access.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(endpoint) = &self.access.endpoint {
            // The loopback world takes any signature; real credentials must not even be read for it.
            let nobody = aws_credential_types::Credentials::new("LAB", "LAB", None, None, "loopback world");
            return Ok(loader.endpoint_url(endpoint).credentials_provider(nobody).load().await);
        }
        let around = ProviderConfig::without_region().with_http_client(http).with_region(Some(region.clone()));
        let metadata = imds::Client::builder()
            .configure(&around)
            .connect_timeout(METADATA_TIMEOUT)
            .read_timeout(METADATA_TIMEOUT)
            .operation_timeout(METADATA_TIMEOUT)
            .max_attempts(1);
        let mut credentials =
            DefaultCredentialsChain::builder().configure(around).region(region).imds_client(metadata.build());
        if let Some(profile) = &self.access.profile {
            credentials = credentials.profile_name(profile);
        }
        Ok(loader.credentials_provider(credentials.build().await).load().await)
    }

    /// A write has one attempt, so it may have all the time. What a call overrides it overrides whole, so all limits stand here.
    fn write_timeouts(&self) -> TimeoutConfig {
        let whole = self.real(CALL_TIMEOUT).max(2 * self.real(ATTEMPT_TIMEOUT));
        TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(whole)
            .operation_timeout(whole)
            .build()
    }

    /// What `patience` really is: the deployer's waits shrink with the world's, but not below what a busy machine needs.
    fn real(&self, patience: Duration) -> Duration {
        match self.access.scale {
            Some(scale) => patience.div_f64(scale.max(1.0)).max(WORLD_TIMEOUT_MIN).min(patience),
            None => patience,
        }
    }

    /// The plan's region, else the environment's, else the profile's. A machine is not asked where it stands: a plan that
    /// means another region on another machine is nobody's wish.
    async fn region(&self) -> Result<Region, ProviderError> {
        if let Some(region) = &self.access.region {
            return Ok(Region::new(region.clone()));
        }
        let mut profile = ProfileFileRegionProvider::builder();
        if let Some(name) = &self.access.profile {
            profile = profile.profile_name(name);
        }
        let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new()).or_else(profile.build());
        let why = error::explain("missing region");
        chain.region().await.ok_or(ProviderError::Rejected { call: "finding the AWS region".to_owned(), why })
    }

    /// Route 53. Its reads are retried by the SDK; a write takes [`once`](Self::route53_once).
    pub async fn route53(&self) -> Result<&aws_sdk_route53::Client, ProviderError> {
        self.route53.get_or_try_init(|| async { Ok(aws_sdk_route53::Client::new(self.config().await?)) }).await
    }

    /// For each write to Route 53: a retry that nobody wrote down is a write that nobody can account for.
    pub fn route53_once(&self) -> aws_sdk_route53::config::Builder {
        aws_sdk_route53::config::Builder::default()
            .interceptor(fresh::Fresh::now())
            .retry_config(RetryConfig::disabled())
            .timeout_config(self.write_timeouts())
    }

    /// Load balancers. Reads are retried by the SDK; a write takes [`once`](Self::elbv2_once).
    pub async fn elbv2(&self) -> Result<&aws_sdk_elasticloadbalancingv2::Client, ProviderError> {
        self.elbv2
            .get_or_try_init(|| async { Ok(aws_sdk_elasticloadbalancingv2::Client::new(self.config().await?)) })
            .await
    }

    /// For each write to load balancers.
    pub fn elbv2_once(&self) -> aws_sdk_elasticloadbalancingv2::config::Builder {
        aws_sdk_elasticloadbalancingv2::config::Builder::default()
            .interceptor(fresh::Fresh::now())
            .retry_config(RetryConfig::disabled())
            .timeout_config(self.write_timeouts())
    }

    /// The account of these credentials.
    pub async fn account(&self) -> Result<String, ProviderError> {
        let answer = aws_sdk_sts::Client::new(self.config().await?).get_caller_identity().send().await;
        let identity = answer.map_err(|e| read_error(WHOSE, &e))?;
        Ok(identity.account().unwrap_or("none").to_owned())
    }

    /// The region that is in force, if anybody says one.
    pub async fn known_region(&self) -> Option<String> {
        self.region().await.ok().map(|region| region.to_string())
    }

    /// That these credentials belong to the account that the plan names. Asked once.
    pub async fn check_account(&self) -> Result<(), ProviderError> {
        let Some(wanted) = &self.access.account else { return Ok(()) };
        self.account
            .get_or_try_init(|| async {
                let found = self.account().await?;
                if found == *wanted {
                    return Ok(());
                }
                let why = format!("the plan is for account {wanted}, these credentials are for {found}");
                Err(ProviderError::Rejected { call: WHOSE.to_owned(), why })
            })
            .await
            .copied()
    }
}
