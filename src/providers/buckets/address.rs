//! `s3://bucket/prefix?region=eu-west-1&endpoint=https://minio.example.com`, as it is written.

use std::fmt;
use std::str::FromStr;

/// Where in which cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketUrl {
    /// Whose cloud.
    pub scheme: Scheme,
    /// The bucket, or Azure's container.
    pub bucket: String,
    /// What lies before all keys; may be empty.
    pub prefix: String,
    /// `?region=`: where the bucket is, when that is not where the environment says.
    pub region: Option<String>,
    /// `?endpoint=`: where a compatible store listens.
    pub endpoint: Option<String>,
}

/// Whose cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// S3, and what is compatible.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

impl FromStr for BucketUrl {
    type Err = String;

    /// # Errors
    /// A sentence fragment that says what is wrong.
    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("it has no scheme such as s3://")?;
        let scheme = match scheme {
            "s3" => Scheme::S3,
            "gs" => Scheme::Google,
            "az" => Scheme::Azure,
            other => return Err(format!("`{other}://` is none of s3://, gs:// and az://")),
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_');
        if bucket.is_empty() || !bucket.chars().all(good) {
            return Err(format!("`{bucket}` is no name of a bucket"));
        }
        let prefix = prefix.trim_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/' | '=');
        let climbs =
            prefix.split('/').any(|part| matches!(part, "." | "..") || (part.is_empty() && !prefix.is_empty()));
        if climbs || !prefix.chars().all(plain) {
            return Err(format!("`{prefix}` is no prefix: use letters, digits and - . _ / ="));
        }
        let mut url =
            Self { scheme, bucket: bucket.to_owned(), prefix: prefix.to_owned(), region: None, endpoint: None };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match (name.as_ref(), scheme) {
                ("region", Scheme::S3) => url.region = Some(value.into_owned()),
                ("endpoint", Scheme::S3) => url.endpoint = Some(endpoint(&value)?),
                (other, _) => return Err(format!("`?{other}=` means nothing here")),
            }
        }
        Ok(url)
    }
}

fn endpoint(text: &str) -> Result<String, String> {
    let bad = || format!("`{text}` is no endpoint such as https://minio.example.com");
    let url = url::Url::parse(text).map_err(|_| bad())?;
    let plain = matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none();
    if plain && url.has_host() { Ok(text.trim_end_matches('/').to_owned()) } else { Err(bad()) }
}

/// As it is typed.
impl fmt::Display for BucketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::S3 => "s3",
            Scheme::Google => "gs",
            Scheme::Azure => "az",
        };
        write!(f, "{scheme}://{}", self.bucket)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        let options = [("region", &self.region), ("endpoint", &self.endpoint)];
        for (n, (name, value)) in options.into_iter().filter_map(|(n, v)| Some((n, v.as_ref()?))).enumerate() {
            write!(f, "{}{name}={value}", if n == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_written_again() {
        for text in [
            "s3://ops-state",
            "s3://ops-state/modelswap/prod?region=eu-west-1",
            "s3://b.c/p?endpoint=http://127.0.0.1:9000",
            "gs://ops/state",
            "az://container/state",
        ] {
            assert_eq!(text.parse::<BucketUrl>().unwrap().to_string(), text);
        }
        assert_eq!("s3://b/p/".parse::<BucketUrl>().unwrap().to_string(), "s3://b/p");
    }

    #[test]
    fn what_is_no_place_in_a_bucket_is_refused() {
        for (text, why) in [
            ("ftp://b/p", "none of"),
            ("s3:///p", "no name"),
            ("s3://B/p", "no name"),
            ("s3://b/../p", "no prefix"),
            ("s3://b//p//q", "no prefix"),
            ("s3://b/p?sse=1", "means nothing"),
            ("gs://b/p?region=eu", "means nothing"),
            ("s3://b?endpoint=https://me:secret@minio", "no endpoint"),
        ] {
            let said = text.parse::<BucketUrl>().unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
