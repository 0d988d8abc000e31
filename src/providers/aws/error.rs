//! What an SDK error means for us: changed nothing, may pass, or not known.

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::super::ProviderError;

/// What a failed read means: nothing changed, whatever it was.
pub fn read_error<E>(call: &str, error: &SdkError<E, HttpResponse>) -> ProviderError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match write_error(call, error) {
        ProviderError::Unknown { call, why } => ProviderError::Busy { call, why },
        other => other,
    }
}

/// What a failed write means. Only an answer from the service itself says that nothing changed.
pub fn write_error<E>(call: &str, error: &SdkError<E, HttpResponse>) -> ProviderError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let call = call.to_owned();
    match error {
        SdkError::ConstructionFailure(_) => ProviderError::Rejected { call, why: explain(&chain(error)) },
        // The SDK hands this over as a failure to dispatch, but there was nothing to sign with, so nothing was sent.
        SdkError::DispatchFailure(_) if is_without_credentials(error) => {
            ProviderError::Rejected { call, why: explain(&chain(error)) }
        }
        SdkError::ServiceError(answer) => {
            let said = said(answer.err());
            match answer.err().code() {
                Some(code) if BUSY.contains(&code) => ProviderError::Busy { call, why: said },
                // A 5xx is said by who does not know himself; and without a code it was no answer of the service.
                Some(_) if answer.raw().status().is_server_error() => ProviderError::Unknown { call, why: said },
                Some(_) => ProviderError::Rejected { call, why: explain(&said) },
                None => ProviderError::Unknown { call, why: format!("{said} (HTTP {})", answer.raw().status()) },
            }
        }
        other => ProviderError::Unknown { call, why: chain(other) },
    }
}

/// Refused before it was looked at, in the words of Route 53, ELBv2 and STS (each API reference, common errors).
const BUSY: [&str; 7] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "PriorRequestNotComplete",
];

/// Whether no usable credentials were found, for whatever reason.
fn is_without_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |e| e.source()).any(|e| e.is::<CredentialsError>())
}

fn said<E: ProvideErrorMetadata>(error: &E) -> String {
    let (code, message) = (error.code().unwrap_or("no code"), error.message().unwrap_or("no message"));
    format!("{code}: {message}")
}

/// What to do about the errors that everybody meets once; at the end of their text.
const HINTS: [&str; 5] = [
    "sign in again (for instance `aws sso login`), then repeat the command",
    "set `aws: {account: ..., region: ...}` in the plan, or AWS_REGION",
    "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or sign in with `aws sso login`",
    "let the policy of these credentials allow the call, or name another profile in `aws: {profile: ...}`",
    "AWS does not know these credentials: check AWS_PROFILE or AWS_ACCESS_KEY_ID",
];

/// What happened, and what to do about it where that is known.
pub fn split_hint(text: &str) -> (&str, Option<&'static str>) {
    let hint = HINTS.into_iter().find(|hint| text.ends_with(hint));
    let told = hint.and_then(|hint| text.strip_suffix(hint)).map_or(text, |told| told.trim_end_matches("; "));
    (told, hint)
}

/// Adds what to do to the errors that everybody meets once.
pub(super) fn explain(why: &str) -> String {
    let [sign_in, region, credentials, policy, unknown] = HINTS;
    // The SDK lists what it tried on lines of their own; an error is one line.
    let why = why.split('\n').map(str::trim).collect::<Vec<_>>().join("; ");
    let lower = why.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&["no credentials found in chain", "imds"]) {
        // A profile that is named and is not there looks like none at all.
        let named = std::env::var("AWS_PROFILE").map(|name| format!(" (AWS_PROFILE is `{name}`)")).unwrap_or_default();
        format!(
            "no AWS credentials were found: not in the environment, nor in a profile{named}, nor from the machine; {credentials}"
        )
    } else if has(&["expired"]) {
        format!("{why}; {sign_in}")
    } else if has(&["missing region"]) {
        format!("no AWS region is known; {region}")
    } else if has(&["accessdenied", "not authorized", "unauthorizedoperation"]) {
        format!("{why}; {policy}")
    } else if has(&["invalidclienttokenid", "signaturedoesnotmatch", "unrecognizedclient"]) {
        format!("{why}; {unknown}")
    } else if has(&["credentials", "identity"]) {
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
