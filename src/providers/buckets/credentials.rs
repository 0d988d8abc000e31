//! The credentials of the AWS chain (profiles, SSO, roles) for the client of buckets.

use std::sync::Arc;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;

/// How often one set of credentials is used before the chain is asked again. It is asked for one request in so many, because
/// a role or the metadata service takes as long to answer as the bucket.
const USES: u32 = 200;

/// The chain, with the last credentials that it gave.
#[derive(Debug)]
pub(super) struct Chain {
    provider: SharedCredentialsProvider,
    last: Mutex<Option<(Credentials, u32)>>,
}

impl Chain {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, last: Mutex::new(None) }
    }
}

#[async_trait]
impl CredentialProvider for Chain {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut last = self.last.lock().await;
        // Credentials that end may end between two uses; only those that do not are kept.
        let kept = last.take().filter(|(credentials, uses)| credentials.expiry().is_none() && *uses < USES);
        let (credentials, uses) = match kept {
            Some((credentials, uses)) => (credentials, uses + 1),
            None => {
                let given = self.provider.provide_credentials().await;
                (given.map_err(|e| object_store::Error::Generic { store: "S3", source: e.into() })?, 0)
            }
        };
        let credential = AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        };
        *last = Some((credentials, uses));
        Ok(Arc::new(credential))
    }
}
