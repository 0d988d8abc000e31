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

/// Adds what to do to the errors that everybody meets once.
fn explain(why: &str) -> String {
    let lower = why.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let hint = if has(&["expired"]) {
        "; sign in again (for instance `aws sso login`), then repeat the command"
    } else if has(&["accessdenied", "not authorized", "unauthorizedoperation"]) {
        "; these credentials may not make this call: let their policy allow it, or name another profile in `aws: {profile: ...}`"
    } else if has(&["invalidclienttokenid", "signaturedoesnotmatch", "unrecognizedclient"]) {
        "; AWS does not know these credentials: check AWS_PROFILE or AWS_ACCESS_KEY_ID"
    } else if has(&["credentials", "identity"]) {
        "; no usable AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    } else {
        ""
    };
    format!("{why}{hint}")
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
