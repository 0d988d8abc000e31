//! Route 53 as it speaks: REST-XML, API version 2013-04-01. <https://docs.aws.amazon.com/Route53/latest/APIReference/>

use std::collections::BTreeMap;

use super::Cx;
use super::call::{Raw, Service};
use super::refusal::Refusal;
use super::xml::Xml;

mod apply;
mod batch;
mod changes;
mod checks;
mod list;
mod zones;

pub(super) use batch::ChangeItem;

/// A request that was understood.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    ZonesByName(Query),
    Zone { zone: String },
    Records { zone: String, query: Query },
    Submit { zone: String, comment: Option<String>, changes: Vec<ChangeItem> },
    Change { id: String },
}

/// What stands after the `?`.
pub(super) type Query = BTreeMap<String, String>;

type Read = (&'static str, Asked, BTreeMap<String, String>);

/// Finds the operation by method and path, and reads its parameters.
pub(super) fn read(raw: &Raw) -> Result<Read, Refusal> {
    let path = raw.path.trim_start_matches("/2013-04-01/").trim_end_matches('/');
    let segments: Vec<&str> = path.split('/').collect();
    let query: Query = url::form_urlencoded::parse(raw.query.as_bytes()).into_owned().collect();
    let mut summary = query.clone();
    if let [_, id, ..] = segments.as_slice() {
        summary.insert("id".to_owned(), (*id).to_owned());
    }
    let (operation, asked) = match (raw.method.as_str(), segments.as_slice()) {
        ("GET", ["hostedzonesbyname"]) => ("ListHostedZonesByName", Asked::ZonesByName(query)),
        ("GET", ["hostedzone", zone]) => ("GetHostedZone", Asked::Zone { zone: (*zone).to_owned() }),
        ("GET", ["hostedzone", zone, "rrset"]) => {
            ("ListResourceRecordSets", Asked::Records { zone: (*zone).to_owned(), query })
        }
        ("GET", ["change", id]) => ("GetChange", Asked::Change { id: (*id).to_owned() }),
        ("POST", ["hostedzone", zone, "rrset"]) => {
            let (comment, changes) = batch::read(&raw.body)?;
            for (n, change) in (1..).zip(&changes) {
                summary.insert(format!("change.{n:04}"), change.to_string());
            }
            let zone = (*zone).to_owned();
            ("ChangeResourceRecordSets", Asked::Submit { zone, comment, changes })
        }
        (method, _) => {
            let why = format!("the loopback world has no operation for {method} {}", raw.path);
            return Err(Refusal::new(404, "UnknownOperationException", why));
        }
    };
    Ok((operation, asked, summary))
}

/// Carries out a request on the cloud.
pub(super) fn perform(cx: &mut Cx<'_>, asked: &Asked) -> Result<String, Refusal> {
    match asked {
        Asked::ZonesByName(query) => zones::by_name(cx.cloud, query),
        Asked::Zone { zone } => zones::get(cx.cloud, zone),
        Asked::Records { zone, query } => list::records(cx.cloud, zone, query),
        Asked::Submit { zone, comment, changes } => changes::submit(cx, zone, comment.as_deref(), changes),
        Asked::Change { id } => changes::get(cx.cloud, id),
    }
}

fn document(root: &str, content: impl FnOnce(&mut Xml)) -> String {
    Xml::document(root, Service::Route53.namespace(), content)
}
