//! What a request asks for: service, operation, parameters.

use std::collections::BTreeMap;

use super::elbv2;
use super::form::Form;
use super::refusal::Refusal;
use super::{route53, s3};

/// A service that this cloud speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Route53,
    Elb,
    Sts,
    S3,
}

impl Service {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Route53 => "route53",
            Self::Elb => "elbv2",
            Self::Sts => "sts",
            Self::S3 => "s3",
        }
    }

    pub(super) fn iam_prefix(self) -> &'static str {
        match self {
            Self::Elb => "elasticloadbalancing",
            Self::Route53 | Self::Sts | Self::S3 => self.name(),
        }
    }

    pub(super) fn namespace(self) -> &'static str {
        match self {
            Self::Route53 => "https://route53.amazonaws.com/doc/2013-04-01/",
            Self::Elb => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Self::S3 => "http://s3.amazonaws.com/doc/2006-03-01/",
        }
    }
}

/// The parameters of a call, as its service sends them.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Route53(route53::Asked),
    Elb(Form),
    Sts,
    S3(s3::Asked),
}

/// A request that was understood.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) service: Service,
    pub(super) operation: String,
    pub(super) asked: Asked,
    /// For the call log: parameters in short, secrets masked.
    pub(super) summary: BTreeMap<String, String>,
}

impl Call {
    /// Whether it can change anything.
    pub(super) fn mutating(&self) -> bool {
        !["Describe", "List", "Get", "Head"].iter().any(|prefix| self.operation.starts_with(prefix))
    }
}

/// A request as it came in.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    /// The `Authorization` header, if any.
    pub(super) authorization: Option<String>,
    /// What must hold of the object that is written.
    pub(super) conditions: s3::Conditions,
    pub(super) body: Vec<u8>,
}

/// Finds out what is asked. One port serves all services, as with `AWS_ENDPOINT_URL`.
pub(super) fn understand(raw: &Raw) -> Result<Call, (Service, Refusal)> {
    if raw.path.starts_with("/2013-04-01/") {
        let service = Service::Route53;
        signed(raw).map_err(|refusal| (service, refusal))?;
        let (operation, asked, summary) = route53::read(raw).map_err(|refusal| (service, refusal))?;
        return Ok(Call { service, operation: operation.to_owned(), asked: Asked::Route53(asked), summary });
    }
    if s3::is_meant(raw) {
        let service = Service::S3;
        let (operation, asked, summary) = s3::read(raw).map_err(|refusal| (service, refusal))?;
        return Ok(Call { service, operation: operation.to_owned(), asked: Asked::S3(asked), summary });
    }
    let form = Form::parse(if raw.body.is_empty() { raw.query.as_bytes() } else { &raw.body });
    let operation = form.get("Action").unwrap_or_default().to_owned();
    let service = match form.get("Version") {
        Some("2011-06-15") => Service::Sts,
        Some(_) | None => Service::Elb,
    };
    let known = match service {
        Service::Sts => operation == "GetCallerIdentity",
        Service::Elb => form.get("Version") == Some("2015-12-01") && elbv2::OPERATIONS.contains(&operation.as_str()),
        Service::Route53 | Service::S3 => false,
    };
    signed(raw).map_err(|refusal| (service, refusal))?;
    if !known {
        let version = form.get("Version").unwrap_or("none");
        let why = format!("Could not find operation {operation} for version {version} in the loopback world");
        return Err((service, Refusal::new(400, "InvalidAction", why)));
    }
    let summary = summary(&form);
    let asked = if service == Service::Sts { Asked::Sts } else { Asked::Elb(form) };
    Ok(Call { service, operation, asked, summary })
}

/// Signatures are not checked here, but a client that does not sign would fail on AWS, so it fails here too.
fn signed(raw: &Raw) -> Result<(), Refusal> {
    if raw.authorization.as_deref().is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 ")) {
        return Ok(());
    }
    Err(Refusal::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token"))
}

fn summary(form: &Form) -> BTreeMap<String, String> {
    let shown = |(key, value): (&String, &String)| {
        let value = if key.ends_with("ClientSecret") { "***".to_owned() } else { value.clone() };
        (key.clone(), value)
    };
    form.pairs().iter().filter(|(key, _)| !matches!(key.as_str(), "Action" | "Version")).map(shown).collect()
}
