//! Names that must not be mixed up: each is a string with its own type.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A name was refused: it is empty, too long, or has a character that is unsafe in a path or a terminal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a name: use 1 to 100 of a-z A-Z 0-9 . _ -, starting with a letter or digit")]
pub struct BadName(pub String);

/// Names end up in file paths, DNS labels and terminals, so they are kept to what is harmless in all three.
fn is_name(text: &str) -> bool {
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.len() <= 100 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(harmless)
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Accepts a harmless name.
            ///
            /// # Errors
            /// [`BadName`] for anything else.
            pub fn new(text: impl Into<String>) -> Result<Self, BadName> {
                let text = text.into();
                if is_name(&text) { Ok(Self(text)) } else { Err(BadName(text)) }
            }

            /// The name as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"})
            }
        }

        impl TryFrom<String> for $type {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $type {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// What is served under one name by one model at a time; it has one journal.
    ServiceName
);
name!(
    /// One of the places where a model of the service can run.
    EnvironmentName
);
name!(
    /// Something that moves traffic: a record, a balancer rule.
    RouterName
);
name!(
    /// A condition of the plan that must hold.
    GateName
);
name!(
    /// One step of a run, unique in its plan: `07-bake`, or the name that was written.
    StepId
);
name!(
    /// One run: a ULID, so that runs sort by the time they began.
    RunId
);

impl RunId {
    /// A new id; `at_ms` is milliseconds since 1970.
    pub fn generate(at_ms: u64) -> Self {
        Self(ulid::Ulid::from_parts(at_ms, u128::from(random_u64()) << 16 | u128::from(random_u64() >> 48)).to_string())
    }
}

/// Randomness for ids and tokens; not for secrets.
pub fn random_u64() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_a_directory_or_move_a_cursor_are_refused() {
        for bad in ["", ".", "..", "../x", "a/b", "a\u{1b}[2J", "-a", "a b", "ä", &"x".repeat(101)] {
            assert!(ServiceName::new(bad).is_err(), "{bad:?} was accepted");
        }
        for good in ["chat", "chat-v2", "01-lower_ttl", "a.b"] {
            assert!(ServiceName::new(good).is_ok(), "{good:?} was refused");
        }
    }

    #[test]
    fn run_ids_sort_by_time() {
        assert!(RunId::generate(1_000) < RunId::generate(2_000));
    }
}
