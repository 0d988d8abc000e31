//! One way into AWS: configuration, clients without write retries, and what an SDK error means for us.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use tokio::sync::OnceCell;

use super::ProviderError;

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
}

/// Clients of one account, made when first needed.
#[derive(Debug, Default)]
pub struct AwsClients {
    access: AwsAccess,
    config: OnceCell<SdkConfig>,
    account: OnceCell<()>,
}

/// No AWS call of ours takes longer than this unless the network is gone.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

impl AwsClients {
    /// Clients for `access`; nothing is opened or read yet.
    pub fn new(access: AwsAccess) -> Self {
        Self { access, config: OnceCell::new(), account: OnceCell::new() }
    }

    async fn config(&self) -> &SdkConfig {
        self.config
            .get_or_init(|| async {
                let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
                    .timeout_config(TimeoutConfig::builder().operation_timeout(CALL_TIMEOUT).build());
                if let Some(region) = &self.access.region {
                    loader = loader.region(Region::new(region.clone()));
                }
                if let Some(profile) = &self.access.profile {
                    loader = loader.profile_name(profile);
                }
                if let Some(endpoint) = &self.access.endpoint {
                    // The loopback world takes any signature; real credentials must not even be read for it.
                    let nobody = aws_credential_types::Credentials::new("LAB", "LAB", None, None, "loopback world");
                    loader = loader.endpoint_url(endpoint).credentials_provider(nobody);
                }
                loader.load().await
            })
            .await
    }

    /// Route 53; reads are retried by the SDK, so use it for reads only.
    pub async fn route53(&self) -> aws_sdk_route53::Client {
        aws_sdk_route53::Client::new(self.config().await)
    }

    /// Route 53 for writes: a retry that nobody wrote down is a write that nobody can account for.
    pub async fn route53_once(&self) -> aws_sdk_route53::Client {
        let config = aws_sdk_route53::config::Builder::from(self.config().await).retry_config(RetryConfig::disabled());
        aws_sdk_route53::Client::from_conf(config.build())
    }

    /// Load balancers; for reads.
    pub async fn elbv2(&self) -> aws_sdk_elasticloadbalancingv2::Client {
        aws_sdk_elasticloadbalancingv2::Client::new(self.config().await)
    }

    /// Load balancers; for writes.
    pub async fn elbv2_once(&self) -> aws_sdk_elasticloadbalancingv2::Client {
        let config = aws_sdk_elasticloadbalancingv2::config::Builder::from(self.config().await)
            .retry_config(RetryConfig::disabled());
        aws_sdk_elasticloadbalancingv2::Client::from_conf(config.build())
    }

    /// That these credentials belong to the account that the plan names. Asked once.
    pub async fn check_account(&self) -> Result<(), ProviderError> {
        let Some(wanted) = &self.access.account else { return Ok(()) };
        self.account
            .get_or_try_init(|| async {
                let call = "sts GetCallerIdentity";
                let answer = aws_sdk_sts::Client::new(self.config().await).get_caller_identity().send().await;
                let identity = answer.map_err(|e| read_error(call, &e))?;
                let found = identity.account().unwrap_or("none");
                if found == wanted {
                    return Ok(());
                }
                let why = format!("the plan is for account {wanted}, these credentials are for {found}");
                Err(ProviderError::Rejected { call: call.to_owned(), why })
            })
            .await
            .copied()
    }
}

/// What a failed read means: nothing changed, whatever it was.
pub fn read_error<E, R>(call: &str, error: &SdkError<E, R>) -> ProviderError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    match write_error(call, error) {
        ProviderError::Unknown { call, why } => ProviderError::Busy { call, why },
        other => other,
    }
}

/// What a failed write means. Only an answer from the service itself says that nothing changed.
pub fn write_error<E, R>(call: &str, error: &SdkError<E, R>) -> ProviderError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let call = call.to_owned();
    match error {
        SdkError::ConstructionFailure(_) => ProviderError::Rejected { call, why: explain(&chain(error)) },
        SdkError::DispatchFailure(_) if is_local(&chain(error)) => {
            ProviderError::Rejected { call, why: explain(&chain(error)) }
        }
        SdkError::ServiceError(answer) => match answer.err().code() {
            Some(
                "Throttling"
                | "ThrottlingException"
                | "RequestLimitExceeded"
                | "PriorRequestNotComplete"
                | "TooManyRequestsException",
            ) => ProviderError::Busy { call, why: said(answer.err()) },
            Some("InternalFailure" | "InternalError" | "ServiceUnavailable" | "ServiceUnavailableException") | None => {
                ProviderError::Unknown { call, why: said(answer.err()) }
            }
            Some(_) => ProviderError::Rejected { call, why: explain(&said(answer.err())) },
        },
        other => ProviderError::Unknown { call, why: chain(other) },
    }
}

/// No credentials, no region: it failed before anything was sent.
fn is_local(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("credentials") || text.contains("identity resolver") || text.contains("region")
}

/// What to do about the errors that everybody meets once; at the end of their text.
const HINTS: [&str; 3] = [
    "sign in again (for instance `aws sso login`), then repeat the command",
    "set `aws: {account: ..., region: ...}` in the plan, or AWS_REGION",
    "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or sign in with `aws sso login`",
];

/// What happened, and what to do about it where that is known.
pub fn split_hint(text: &str) -> (&str, Option<&'static str>) {
    let hint = HINTS.into_iter().find(|hint| text.ends_with(hint));
    let told = hint.and_then(|hint| text.strip_suffix(hint)).map_or(text, |told| told.trim_end_matches("; "));
    (told, hint)
}

fn said<E: ProvideErrorMetadata>(error: &E) -> String {
    let (code, message) = (error.code().unwrap_or("no code"), error.message().unwrap_or("no message"));
    format!("{code}: {message}")
}

/// Adds what to do to the errors that everybody meets once.
fn explain(why: &str) -> String {
    let [sign_in, region, credentials] = HINTS;
    let lower = why.to_ascii_lowercase();
    if lower.contains("no credentials found in chain") {
        return format!(
            "no AWS credentials were found: not in the environment, nor in a profile, nor from the machine; {credentials}"
        );
    }
    // The SDK lists what it tried on lines of their own; an error is one line.
    let why = why.split('\n').map(str::trim).collect::<Vec<_>>().join("; ");
    if lower.contains("expired") {
        format!("{why}; {sign_in}")
    } else if lower.contains("missing region") {
        format!("no AWS region is known; {region}")
    } else if lower.contains("credentials") || lower.contains("identity resolver") {
        format!("{why}; {credentials}")
    } else {
        why
    }
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    text
}
