//! What stands at a name, for a first plan. Reads only.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::super::ProviderError;
use super::super::super::aws::{AwsAccess, AwsClients};
use super::value::Records;
use super::{Form, Route53};

/// Where Route 53 itself is; asked when nobody says where everything else is.
const HOME: &str = "us-east-1";

/// What stands at a name, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The account of the credentials.
    pub account: String,
    /// The region of environment or profile, if they say one.
    pub region: Option<String>,
    /// What leads clients somewhere.
    pub records: Records,
    /// Types of what stands there too: `TXT`, `HTTPS`.
    pub others: Vec<String>,
}

/// Reads `name` in `zone` (its name, or its id); `endpoint` is the loopback world's.
///
/// # Errors
/// When the zone cannot be read, or nothing at the name leads clients anywhere.
pub async fn survey(endpoint: Option<String>, zone: &str, name: &str) -> Result<Survey, ProviderError> {
    let access = |region: Option<String>| AwsAccess {
        account: None,
        region,
        profile: None,
        endpoint: endpoint.clone(),
        scale: None,
    };
    let region = AwsClients::new(access(None)).known_region().await;
    let clients = Arc::new(AwsClients::new(access(Some(region.clone().unwrap_or_else(|| HOME.to_owned())))));
    let account = clients.account().await?;
    let at = Route53::new(clients, (zone, false), name, Form::Values(BTreeMap::new()), None);
    let found = at.read_name(&at.name).await?;
    if found.records.sets.is_empty() {
        let why = "no A, AAAA or CNAME record stands there".to_owned();
        return Err(ProviderError::Rejected { call: at.call("ListResourceRecordSets"), why });
    }
    let others = found.others.into_iter().map(|(kind, _)| kind).collect();
    Ok(Survey { account, region, records: found.records, others })
}
