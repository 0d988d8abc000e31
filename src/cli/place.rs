//! Where journals are kept: a directory, or a place in a bucket.

use std::path::PathBuf;
use std::str::FromStr;

use crate::providers::buckets::BucketUrl;

/// Where journals are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A directory of this host.
    Directory(PathBuf),
    /// Below a prefix of a bucket.
    Bucket(BucketUrl),
}

impl Place {
    /// As it must be typed in a shell.
    pub(super) fn typed(&self) -> String {
        let text = self.to_string();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._/:=@%+,~".contains(c);
        if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
    }

    /// A name for it among the directories of this host.
    pub(super) fn slug(&self) -> String {
        let text = self.to_string();
        let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let readable: String = text.replace("://", "-").chars().map(word).take(60).collect();
        let digest = crate::journal::record::digest(text.as_bytes());
        format!("{readable}-{}", digest.get(..8).unwrap_or_default())
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("it is empty".to_owned()),
            url if url.contains("://") => url.parse().map(Self::Bucket),
            directory => Ok(Self::Directory(PathBuf::from(directory))),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Bucket(url) => write!(f, "{url}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_typed_so_that_a_shell_leaves_it_alone() {
        let typed = |text: &str| text.parse::<Place>().unwrap().typed();
        assert_eq!(typed("s3://ops/state"), "s3://ops/state");
        assert_eq!(typed("s3://ops/state?region=eu-west-1"), "'s3://ops/state?region=eu-west-1'");
        assert_eq!(typed("/srv/it's here"), r"'/srv/it'\''s here'");
    }

    #[test]
    fn places_that_differ_have_names_that_differ() {
        let slug = |text: &str| text.parse::<Place>().unwrap().slug();
        assert!(slug("s3://ops/state").starts_with("s3-ops-state-"));
        assert_ne!(slug("s3://ops/state"), slug("s3://ops-state"));
    }
}
