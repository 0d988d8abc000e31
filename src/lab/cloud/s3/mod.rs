//! S3, as far as a journal needs it: path-style requests, create-only and compare-and-replace writes, listing in pages.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>
//!
//! Every bucket name exists here. Keys and contents are text, as everything that is kept here is.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::call::Raw;
use super::refusal::Refusal;
use crate::lab::state::{Cloud, StoredObject};

mod list;

/// What is asked of a bucket.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    operation: Operation,
    bucket: String,
    key: String,
    pub(super) conditions: Conditions,
}

#[derive(Debug, Clone)]
enum Operation {
    Put(String),
    Get,
    Head,
    Delete,
    List(BTreeMap<String, String>),
}

/// `If-None-Match` and `If-Match`.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    pub(super) none_match: Option<String>,
    pub(super) matches: Option<String>,
}

/// An answer: headers and body.
pub(super) type Answer = (Vec<(&'static str, String)>, String);

/// Whether a request is for S3: its signature says so.
pub(super) fn is_meant(raw: &Raw) -> bool {
    raw.authorization.as_deref().is_some_and(|value| value.contains("/s3/aws4_request"))
}

/// Operation, what is asked, and the parameters in short.
pub(super) fn read(raw: &Raw) -> Result<(&'static str, Asked, BTreeMap<String, String>), Refusal> {
    let decoded = |text: &str| url_decoded(text);
    let path = raw.path.trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let (bucket, key) = (decoded(bucket), decoded(key));
    let query: BTreeMap<String, String> = url::form_urlencoded::parse(raw.query.as_bytes()).into_owned().collect();
    let body = || String::from_utf8(raw.body.clone()).map_err(|_| Refusal::not_here("objects that are not text"));
    let (name, operation) = match (raw.method.as_str(), key.is_empty()) {
        ("GET", true) if query.get("list-type").is_some_and(|v| v == "2") => ("ListObjectsV2", Operation::List(query)),
        ("GET", false) => ("GetObject", Operation::Get),
        ("HEAD", false) => ("HeadObject", Operation::Head),
        ("PUT", false) => ("PutObject", Operation::Put(body()?)),
        ("DELETE", false) => ("DeleteObject", Operation::Delete),
        (method, _) => return Err(Refusal::not_here(&format!("{method} of S3 with {path:?}?{}", raw.query))),
    };
    let mut summary = BTreeMap::from([("bucket".to_owned(), bucket.clone()), ("key".to_owned(), key.clone())]);
    for (header, value) in [("if-none-match", &raw.conditions.none_match), ("if-match", &raw.conditions.matches)] {
        summary.extend(value.clone().map(|value| (header.to_owned(), value)));
    }
    Ok((name, Asked { operation, bucket, key, conditions: raw.conditions.clone() }, summary))
}

/// Does it.
pub(super) fn perform(cloud: &mut Cloud, asked: &Asked, now: Timestamp) -> Result<Answer, Refusal> {
    let objects = cloud.buckets.entry(asked.bucket.clone()).or_default();
    let found = objects.get(&asked.key).cloned();
    match &asked.operation {
        Operation::List(query) => Ok((Vec::new(), list::page(&asked.bucket, objects, query))),
        Operation::Get | Operation::Head => {
            let object = found.ok_or_else(no_such_key)?;
            Ok((headers(&object), object.body.clone()))
        }
        Operation::Put(body) => {
            hold(&asked.conditions, found.as_deref())?;
            let object = StoredObject { body: body.clone(), etag: etag(body), at: now };
            let headers = headers(&object);
            objects.insert(asked.key.clone(), Arc::new(object));
            Ok((headers, String::new()))
        }
        Operation::Delete => {
            objects.remove(&asked.key);
            Ok((Vec::new(), String::new()))
        }
    }
}

/// Whether the conditions of a write hold.
fn hold(conditions: &Conditions, found: Option<&StoredObject>) -> Result<(), Refusal> {
    let failed = |name: &str| {
        let why = "At least one of the pre-conditions you specified did not hold";
        Err(Refusal::new(412, "PreconditionFailed", format!("{why} ({name})")))
    };
    match (&conditions.none_match, &conditions.matches, found) {
        (Some(_), _, Some(_)) => failed("If-None-Match"),
        (_, Some(_), None) => Err(no_such_key()),
        (_, Some(wanted), Some(found)) if wanted.trim_matches('"') != found.etag.trim_matches('"') => {
            failed("If-Match")
        }
        (_, _, _) => Ok(()),
    }
}

fn no_such_key() -> Refusal {
    Refusal::new(404, "NoSuchKey", "The specified key does not exist.")
}

fn headers(object: &StoredObject) -> Vec<(&'static str, String)> {
    vec![("etag", object.etag.clone()), ("last-modified", object.at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())]
}

/// Identical bytes have the same tag, as on AWS.
fn etag(body: &str) -> String {
    let digest = crate::journal::record::digest(body.as_bytes());
    format!("\"{}\"", digest.get(..32).unwrap_or_default())
}

fn url_decoded(text: &str) -> String {
    // A key's `+` is a plus; only queries write blanks so.
    let plus = text.replace('+', "%2B");
    url::form_urlencoded::parse(format!("k={plus}").as_bytes()).next().map(|(_, v)| v.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(cloud: &mut Cloud, body: &str, conditions: Conditions) -> Result<Answer, Refusal> {
        let operation = Operation::Put(body.to_owned());
        let asked = Asked { operation, bucket: "b".to_owned(), key: "k".to_owned(), conditions };
        perform(cloud, &asked, Timestamp::UNIX_EPOCH)
    }

    fn only_new() -> Conditions {
        Conditions { none_match: Some("*".to_owned()), matches: None }
    }

    fn only(etag: &str) -> Conditions {
        Conditions { none_match: None, matches: Some(etag.to_owned()) }
    }

    #[test]
    fn a_create_succeeds_once_and_a_replacement_only_of_what_was_read() {
        let mut cloud = Cloud::default();
        let status = |done: Result<Answer, Refusal>| done.map_or_else(|refusal| refusal.status, |_| 200);
        assert_eq!(status(put(&mut cloud, "x", only("\"none\""))), 404, "there is nothing to replace");
        assert_eq!(status(put(&mut cloud, "one", only_new())), 200);
        assert_eq!(status(put(&mut cloud, "two", only_new())), 412);
        assert_eq!(status(put(&mut cloud, "two", only(&etag("one")))), 200);
        assert_eq!(status(put(&mut cloud, "three", only(&etag("one")))), 412);
        assert_eq!(cloud.buckets["b"]["k"].body, "two");
    }
}
