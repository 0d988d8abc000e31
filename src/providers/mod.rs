//! Where it changes: every back-end is a register, a named value that can be read, compared-and-swapped, and watched until it settles.
//!
//! Providers never wait, never retry a write, and know nothing of plans, steps or the terminal.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::erased::AnyRegister;
use crate::ids::EnvironmentName;
use crate::units::Span;

pub mod argv;
pub mod aws;
pub mod buckets;
pub mod dns;
pub mod environments;
pub mod erased;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
pub mod traffic;

/// What a register holds: complete enough to restore exactly, and comparable.
pub trait Datum: Clone + PartialEq + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static {}
impl<T: Clone + PartialEq + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static> Datum for T {}

/// One back-end value that moves as a whole: all record sets of a name, the actions of a rule, an environment.
#[async_trait]
pub trait Register: Send + Sync + fmt::Debug {
    /// The vendor's own value.
    type Value: Datum;

    /// What it is called among all resources, for claims and messages: `route53 Z123 chat.example.com`.
    fn key(&self) -> String;

    /// The value in force.
    async fn read(&self) -> Result<Self::Value, ProviderError>;

    /// Writes `new` if the value in force is still `expected`; succeeds, writing nothing, if it is `new` already.
    /// The receipt is what only the answer tells (a change id), or null.
    async fn swap(&self, expected: &Self::Value, new: &Self::Value) -> Result<Value, ProviderError>;

    /// Whether the back-end itself says that `value` is in force everywhere.
    async fn settled(&self, value: &Self::Value, receipt: Option<&Value>) -> Result<Settled, ProviderError>;

    /// The value in one line, for people.
    fn show(&self, value: &Self::Value) -> String;

    /// Whether `swap` writes only the difference and leaves what others added alone, so that their changes are no conflict.
    fn merges(&self) -> bool {
        false
    }

    /// How a write whose answer was lost may still take effect; none where it cannot.
    fn late(&self) -> Option<Late> {
        Some(Late { within: LATE_AT_MOST, compared: false, outlives_sender: true })
    }

    /// What may stand in the place of `value` while a late write may put `late` there: the same for whoever asks. Where the
    /// back-end compares it is the fence, a value that the late write no longer matches; where it does not, one in which a late
    /// write that lands for a moment does the least harm. None where `value` itself is as good.
    fn touch(&self, _value: &Self::Value, _late: &Self::Value) -> Option<Self::Value> {
        None
    }

    /// Whether `live` has what the change from `from` to `to` made of it.
    fn has(&self, live: &Self::Value, _from: &Self::Value, to: &Self::Value) -> bool {
        live == to
    }

    /// `live`, which somebody else has changed, with what the change from `before` to `want` did taken back and the rest
    /// kept; none where the value has no parts that could be told apart.
    fn take_back(&self, _live: &Self::Value, _before: &Self::Value, _want: &Self::Value) -> Option<Self::Value> {
        None
    }
}

/// How a write whose answer was lost may still take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// For how long after it was announced.
    pub within: Span,
    /// Whether the back-end compares by itself: then a late write is refused unless the register holds what it expects.
    pub compared: bool,
    /// Whether it may arrive although its sender is gone, or has given it up.
    pub outlives_sender: bool,
}

impl Late {
    /// Of a change that the process makes itself, while its announcement is fresh: only one that was stopped between the two can
    /// still make it.
    pub const BY_SENDER: Self = Self { within: Span::from_secs(30), compared: true, outlives_sender: false };
}

/// The longest that a request which was announced may still be accepted. Nothing else ends the life of a request that
/// hangs in some queue than its signature: AWS takes it for 15 minutes at most (S3 user guide, `RequestTimeTooSkewed`;
/// most services are stricter, "in most cases within five minutes", IAM user guide, signing). To that comes the time between
/// the announcement and the signature, half a minute ([`SENT_WITHIN`](crate::clock::SENT_WITHIN)).
pub const LATE_AT_MOST: Span = Span::from_secs(15 * 60 + 30);

/// A register that moves traffic. The functions on its value are pure.
#[async_trait]
pub trait Router: Register {
    /// `live` changed so that traffic goes as `want` says, and nothing else.
    fn aim(&self, live: &Self::Value, want: &Split) -> Result<Self::Value, Refused>;

    /// Which environment gets which share; `None` when the value leads somewhere that the plan does not name.
    fn split(&self, value: &Self::Value) -> Option<Split>;

    /// `live` with `environment` known to the router but without traffic (a target group at weight 0).
    fn attach(&self, live: &Self::Value, _environment: &EnvironmentName) -> Result<Self::Value, Refused> {
        Ok(live.clone())
    }

    /// `live` without any mention of `environment`.
    fn detach(&self, live: &Self::Value, _environment: &EnvironmentName) -> Result<Self::Value, Refused> {
        Ok(live.clone())
    }

    /// Seconds for which a client may keep the answer; `None` where that is not the value's to say (an alias, a balancer).
    fn ttl_s(&self, _value: &Self::Value) -> Option<u32> {
        None
    }

    /// `live` with another TTL.
    fn with_ttl(&self, _live: &Self::Value, _ttl_s: u32) -> Result<Self::Value, Refused> {
        Err(Refused("this router has no TTL".to_owned()))
    }

    /// Seconds for which a cookie keeps clients where they are, whatever the split; 0 where there is none.
    fn sticky_s(&self, _value: &Self::Value) -> u32 {
        0
    }

    /// Whether enough of `environment` is healthy, as the router itself sees it, to be sent traffic.
    async fn ready(&self, _environment: &EnvironmentName) -> Result<Ready, ProviderError> {
        Ok(Ready::Yes("the router has no health of its own".to_owned()))
    }

    /// The addresses and ports that stand for `environment` here, where the router keeps them (a target group).
    async fn targets(&self, _environment: &EnvironmentName) -> Result<Vec<(String, u16)>, ProviderError> {
        Ok(Vec::new())
    }

    /// The register of those addresses, where servers are to be registered before they get traffic.
    async fn members(&self, _environment: &EnvironmentName) -> Result<Option<Arc<dyn AnyRegister>>, ProviderError> {
        Ok(None)
    }

    /// What else stands where this value stands, and is left alone; none where nothing does.
    async fn place(&self) -> Result<Option<Place>, ProviderError> {
        Ok(None)
    }

    /// Host names of the servers that answer for this router's name, where it is a name.
    async fn name_servers(&self) -> Result<Vec<String>, ProviderError> {
        Ok(Vec::new())
    }

    /// What those servers answer once `value` is in force; none where this is no name, or the answer is not fixed (weights).
    fn answers(&self, _value: &Self::Value) -> Option<Answers> {
        None
    }

    /// What is known to go wrong with a value like this one; looked up before the first effect.
    async fn traps(&self, _live: &Self::Value) -> Result<Vec<Trap>, ProviderError> {
        Ok(Vec::new())
    }
}

/// What a name's servers answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// The name, without trailing dot.
    pub name: String,
    /// Values by record type; empty for an alias.
    pub by_type: BTreeMap<String, Vec<String>>,
    /// The name whose addresses are answered.
    pub alias_of: Option<String>,
    /// Seconds; none for an alias.
    pub ttl_s: Option<u32>,
}

/// Whether a change is in force everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is, and how that is known.
    Yes(String),
    /// Not yet, and what is missing.
    NotYet(String),
    /// The back-end does not say.
    CannotTell(String),
}

/// Where a router's value stands, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The place, for people: `listener app/edge/...`.
    pub of: String,
    /// The part that is this router's: `rule 10`.
    pub own: String,
    /// All parts, this one too, in the place's own order.
    pub parts: Vec<String>,
}

/// Whether a router sees enough of an environment healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// It does, and how that is known.
    Yes(String),
    /// It does not.
    No(String),
    /// It has not looked, or not often enough: nothing sends traffic there, or it was only just registered.
    NotAsked(String),
}

/// Why a call to a back-end did not succeed. It is written to the journal, so it is data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ProviderError {
    /// Nothing changed: the request is wrong or not allowed.
    #[error("{call} was refused: {why}")]
    Rejected {
        /// What was attempted, on what.
        call: String,
        /// The back-end's reason.
        why: String,
    },
    /// Nothing changed and a later try may succeed: throttled, or an earlier change is still being made.
    #[error("{call} must be tried again: {why}")]
    Busy {
        /// What was attempted, on what.
        call: String,
        /// The back-end's reason.
        why: String,
    },
    /// It may have changed: a time-out, a reset, a 5xx after the request was sent.
    #[error("{call} has an unknown outcome: {why}")]
    Unknown {
        /// What was attempted, on what.
        call: String,
        /// What was seen instead of an answer.
        why: String,
    },
    /// Somebody else wrote this value; it was left alone.
    #[error("{on} changed since it was read: expected {expected}, found {found}")]
    Conflict {
        /// The register.
        on: String,
        /// The value that was recorded.
        expected: String,
        /// The value in force.
        found: String,
    },
}

/// A router cannot express what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Something known to hurt, said before the first effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trap {
    /// Stable code to look up or acknowledge: `sticky-cookie`.
    pub code: String,
    /// Whether the plan must acknowledge it before anything is done.
    pub must_acknowledge: bool,
    /// What is true and what it leads to.
    pub says: String,
    /// What to do about it.
    pub hint: String,
}

/// How traffic is shared between environments, in thousandths; always 1000 in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Split(BTreeMap<EnvironmentName, u32>);

impl Split {
    /// Everything to one environment.
    pub fn all_to(environment: &EnvironmentName) -> Self {
        Self(BTreeMap::from([(environment.clone(), 1000)]))
    }

    /// Shares in proportion to `weights`; `None` when all are 0.
    pub fn of_weights(weights: impl IntoIterator<Item = (EnvironmentName, u32)>) -> Option<Self> {
        let weights: Vec<_> = weights.into_iter().filter(|(_, w)| *w > 0).collect();
        let total: u64 = weights.iter().map(|(_, w)| u64::from(*w)).sum();
        if total == 0 {
            return None;
        }
        let mut shares = BTreeMap::new();
        for (environment, weight) in weights {
            let share = u32::try_from(u64::from(weight) * 1000 / total).unwrap_or(1000);
            *shares.entry(environment).or_insert(0) += share.max(1);
        }
        Some(Self(shares))
    }

    /// The one environment that gets everything, if there is one.
    pub fn only(&self) -> Option<&EnvironmentName> {
        let mut names = self.0.keys();
        names.next().filter(|_| names.next().is_none())
    }

    /// The share of one environment, in thousandths.
    pub fn share(&self, environment: &EnvironmentName) -> u32 {
        self.0.get(environment).copied().unwrap_or(0)
    }

    /// All who get traffic.
    pub fn shares(&self) -> impl Iterator<Item = (&EnvironmentName, u32)> {
        self.0.iter().map(|(e, s)| (e, *s))
    }
}

/// `a 75 %, b 25 %`.
impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shares: Vec<_> = self.0.iter().map(|(e, s)| format!("{e} {} %", f64::from(*s) / 10.0)).collect();
        f.write_str(&shares.join(", "))
    }
}
