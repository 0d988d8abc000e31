//! STS: who is asking. <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>

use super::call::Service;
use super::xml::Xml;

/// `GetCallerIdentity`: always the lab's user.
pub(super) fn caller_identity(account: &str, request_id: &str) -> String {
    Xml::document("GetCallerIdentityResponse", Service::Sts.namespace(), |xml| {
        xml.node("GetCallerIdentityResult", |xml| {
            xml.leaf("Arn", format!("arn:aws:iam::{account}:user/lab"));
            xml.leaf("UserId", "AIDALABLABLABLABLABLA").leaf("Account", account);
        });
        xml.node("ResponseMetadata", |xml| {
            xml.leaf("RequestId", request_id);
        });
    })
}
