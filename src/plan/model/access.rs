//! How requests are authenticated and trusted, wherever requests are made.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How requests are authenticated and trusted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Access {
    /// A bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Headers to send.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// PEM file of the authority that signed the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// How to authenticate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// `Authorization: Bearer ...`
    Bearer(SecretHolder),
}

/// `{secret: {...}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretHolder {
    /// Where the value is found when it is needed; it is never recorded.
    pub secret: Secret,
}

/// Where a secret's value is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// An environment variable of modelswap.
    Env(String),
    /// A file; one trailing newline is dropped.
    File(PathBuf),
    /// A command's output; one trailing newline is dropped.
    Command(Vec<String>),
}

/// A type whose keys stand beside those of [`Access`]. serde's `flatten` would lose the place of an error, so what is read is a
/// type with all the keys in one row, and `Access` is put together from it.
macro_rules! with_access {
    ($(#[$doc:meta])* pub struct $type:ident, read as $keys:ident {
        $($(#[$field_doc:meta])* pub $field:ident: $of:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub struct $type {
            $($(#[$field_doc])* pub $field: $of,)*
            /// How requests are authenticated and trusted.
            #[serde(flatten)]
            pub access: $crate::plan::model::Access,
        }

        $(#[$doc])*
        #[derive(serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct $keys {
            $($(#[$field_doc])* $field: $of,)*
            /// A bearer token.
            #[serde(default)]
            auth: Option<$crate::plan::model::Auth>,
            /// Headers to send. A secret does not belong here: it would be recorded.
            #[serde(default)]
            headers: std::collections::BTreeMap<String, String>,
            /// PEM file of the authority that signed the server's certificate.
            #[serde(default)]
            ca: Option<std::path::PathBuf>,
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let keys = $keys::deserialize(deserializer)?;
                let access = $crate::plan::model::Access { auth: keys.auth, headers: keys.headers, ca: keys.ca };
                Ok(Self { $($field: keys.$field,)* access })
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $keys::json_schema(generator)
            }
        }
    };
}
pub(super) use with_access;
