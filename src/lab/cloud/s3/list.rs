//! `ListObjectsV2`: in the order of keys, in pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::xml::Xml;
use crate::lab::state::StoredObject;

/// Keys on a page. AWS gives 1,000; with fewer, a short journal has pages too.
const PAGE: usize = 50;

pub(super) fn page(
    bucket: &str,
    objects: &BTreeMap<String, Arc<StoredObject>>,
    query: &BTreeMap<String, String>,
) -> String {
    let asked = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let (prefix, delimiter) = (asked("prefix"), asked("delimiter"));
    let most = asked("max-keys").parse().unwrap_or(PAGE).min(PAGE);
    // A token is the last key of the page before; for a folder, what sorts behind all that is in it.
    let after = asked("start-after").max(asked("continuation-token"));
    let folder_of = |key: &str| {
        let below = key.get(prefix.len()..)?;
        let at = below.find(delimiter).filter(|_| !delimiter.is_empty())?;
        key.get(..prefix.len() + at + delimiter.len()).map(str::to_owned)
    };
    let mut entries: BTreeMap<String, Option<&Arc<StoredObject>>> = BTreeMap::new();
    for (key, object) in objects.iter().filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after) {
        match folder_of(key) {
            Some(folder) => drop(entries.insert(folder, None)),
            None => drop(entries.insert(key.clone(), Some(object))),
        }
    }
    let more = entries.len() > most;
    let taken: Vec<_> = entries.into_iter().take(most).collect();
    let last =
        taken.last().map(|(name, object)| if object.is_some() { name.clone() } else { format!("{name}\u{10ffff}") });
    Xml::document("ListBucketResult", "http://s3.amazonaws.com/doc/2006-03-01/", |xml| {
        xml.leaf("Name", bucket).leaf("Prefix", prefix).leaf("MaxKeys", most);
        xml.leaf("KeyCount", taken.len()).leaf("IsTruncated", more);
        xml.some("NextContinuationToken", last.filter(|_| more));
        for (name, object) in &taken {
            match object {
                Some(object) => xml.node("Contents", |xml| {
                    xml.leaf("Key", name).leaf("LastModified", object.at.strftime("%Y-%m-%dT%H:%M:%S.000Z"));
                    xml.leaf("ETag", &object.etag).leaf("Size", object.body.len()).leaf("StorageClass", "STANDARD");
                }),
                None => xml.node("CommonPrefixes", |xml| {
                    xml.leaf("Prefix", name);
                }),
            };
        }
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn objects(keys: impl IntoIterator<Item = String>) -> BTreeMap<String, Arc<StoredObject>> {
        let object = StoredObject { body: String::new(), etag: "\"e\"".to_owned(), at: Timestamp::UNIX_EPOCH };
        keys.into_iter().map(|key| (key, Arc::new(object.clone()))).collect()
    }

    fn ask(objects: &BTreeMap<String, Arc<StoredObject>>, query: &[(&str, &str)]) -> String {
        let query = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        page("b", objects, &query)
    }

    fn between<'t>(text: &'t str, open: &str, close: &str) -> Vec<&'t str> {
        text.split(open).skip(1).filter_map(|rest| rest.split(close).next()).collect()
    }

    #[test]
    fn all_keys_come_once_however_many_pages_they_take() {
        let objects = objects((0..120).map(|n| format!("log/{n:03}")).chain(["other".to_owned()]));
        let (mut token, mut found, mut pages) = (String::new(), Vec::new(), 0);
        loop {
            let text = ask(&objects, &[("prefix", "log/"), ("continuation-token", &token)]);
            found.extend(between(&text, "<Key>", "</Key>").into_iter().map(str::to_owned));
            pages += 1;
            match between(&text, "<NextContinuationToken>", "</NextContinuationToken>").first() {
                Some(next) => token = (*next).to_owned(),
                None => break,
            }
        }
        assert_eq!((pages, found.len()), (3, 120));
        let rest = ask(&objects, &[("prefix", "log/"), ("start-after", "log/117")]);
        assert_eq!(between(&rest, "<Key>", "</Key>"), ["log/118", "log/119"]);
    }

    #[test]
    fn what_lies_deeper_is_named_once() {
        let objects =
            objects((0..70).map(|n| format!("p/chat/{n:03}")).chain(["p/images/1".to_owned(), "p/x".to_owned()]));
        let text = ask(&objects, &[("prefix", "p/"), ("delimiter", "/")]);
        assert_eq!(between(&text, "<CommonPrefixes><Prefix>", "</Prefix>"), ["p/chat/", "p/images/"]);
        assert_eq!(between(&text, "<Key>", "</Key>"), ["p/x"]);
        assert!(text.contains("<IsTruncated>false<"), "{text}");
    }
}
