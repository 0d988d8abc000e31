//! Why a call is refused, and how each service writes that on the wire.

use super::call::Service;
use super::xml::Xml;

/// A refusal: HTTP status, AWS error code, message. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    /// ELBv2's word for a parameter that is out of range or malformed.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    /// Route 53's word for the same.
    pub(super) fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidInput", message)
    }

    /// Route 53 lists every reason at once: `[first, second]`.
    pub(super) fn invalid_change_batch(messages: &[String]) -> Self {
        Self::new(400, "InvalidChangeBatch", format!("[{}]", messages.join(", ")))
    }

    /// AWS has it, this world does not: said by name, never ignored.
    pub(super) fn not_here(what: &str) -> Self {
        Self::new(400, "NotInThisWorld", format!("the loopback world does not have {what}"))
    }

    pub(super) fn throttled(service: Service) -> Self {
        let code = match service {
            Service::Route53 | Service::Sts => "Throttling",
            Service::Elb => "ThrottlingException",
            Service::S3 => return Self::new(503, "SlowDown", "Please reduce your request rate."),
        };
        Self::new(400, code, "Rate exceeded")
    }

    pub(super) fn access_denied(service: Service, operation: &str) -> Self {
        let action = format!("{}:{operation}", service.iam_prefix());
        let user = "arn:aws:iam::123456789012:user/lab";
        let why = "because no identity-based policy allows the action";
        Self::new(403, "AccessDenied", format!("User: {user} is not authorized to perform: {action} {why} {action}"))
    }

    /// The error document of the service.
    pub(super) fn document(&self, service: Service, request_id: &str) -> String {
        if service == Service::S3 {
            return Xml::document("Error", "", |xml| {
                xml.leaf("Code", &self.code).leaf("Message", &self.message).leaf("RequestId", request_id);
            });
        }
        let side = if self.status < 500 { "Sender" } else { "Receiver" };
        Xml::document("ErrorResponse", service.namespace(), |xml| {
            xml.node("Error", |xml| {
                xml.leaf("Type", side).leaf("Code", &self.code).leaf("Message", &self.message);
            });
            xml.leaf("RequestId", request_id);
        })
    }
}
