//! The readiness ladder of one endpoint: it connects, says it is healthy, says that it serves the release, and completes.
//!
//! Only the last rung opens traffic: servers say "healthy" minutes before they can answer, and for hours after they could.
//! One proof is one look; how many in a row are wanted is the caller's to count.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::http::{AskError, Asker};
use super::servers::{kserve, openai, plain, tcp};
use crate::plan::model::{Release, Serves};

/// A connection to a server that is there takes a round trip.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Lists and small documents.
pub(super) const LIST_WITHIN: Duration = Duration::from_secs(10);
/// The first completion after a load may compile: vLLM users report 30 to 60 s.
pub(super) const COMPLETION_WITHIN: Duration = Duration::from_mins(2);

/// The rungs, from the ground up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// A TCP connection is accepted.
    Connects,
    /// The server says that it is healthy.
    Healthy,
    /// What it says it serves is the release.
    Identity,
    /// It completed a generation.
    Completion,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Connects => "connects",
            Self::Healthy => "healthy",
            Self::Identity => "identity",
            Self::Completion => "completion",
        })
    }
}

/// What one look at an endpoint proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "proof", rename_all = "snake_case")]
pub enum Proof {
    /// It serves.
    Serves {
        /// The release, as far as the server tells it; see `evidence` for what it does not tell.
        identity: Release,
        /// How that is known, in one line.
        evidence: String,
    },
    /// Not yet, and waiting may help.
    NotYet {
        /// Where it stopped.
        rung: Rung,
        /// What was seen.
        why: String,
    },
    /// It is not what is wanted, and waiting will not help.
    Wrong {
        /// Where it stopped.
        rung: Rung,
        /// What was seen.
        why: String,
    },
    /// It cannot be known; never to be taken for a yes.
    CannotTell {
        /// Where it stopped.
        rung: Rung,
        /// What is missing.
        why: String,
    },
}

impl Proof {
    pub(super) fn not_yet(rung: Rung, why: impl Into<String>) -> Self {
        Self::NotYet { rung, why: why.into() }
    }

    pub(super) fn wrong(rung: Rung, why: impl Into<String>) -> Self {
        Self::Wrong { rung, why: why.into() }
    }

    pub(super) fn cannot_tell(rung: Rung, why: impl Into<String>) -> Self {
        Self::CannotTell { rung, why: why.into() }
    }

    /// No answer at all: waiting may help, unless it was not even tried.
    pub(super) fn of_error(rung: Rung, error: &AskError) -> Self {
        match error {
            AskError::Refused { .. } => Self::cannot_tell(rung, error.to_string()),
            AskError::Connect { .. }
            | AskError::NothingListens { .. }
            | AskError::Timeout { .. }
            | AskError::Broken { .. } => Self::not_yet(rung, error.to_string()),
        }
    }

    /// An answer that is not 2xx. Credentials do not heal by waiting; almost everything else may.
    pub(super) fn of_status(rung: Rung, path: &str, status: u16, excerpt: &str) -> Self {
        match status {
            401 | 403 => Self::wrong(rung, format!("{path} refuses the credentials: {excerpt}")),
            300..=399 => Self::wrong(rung, format!("{path} leads elsewhere: {excerpt}")),
            _ => Self::not_yet(rung, format!("{path} answered {excerpt}")),
        }
    }
}

/// Climbs the ladder once.
pub async fn prove(asker: &Asker, endpoint: &Url, serves: &Serves, want: &Release) -> Proof {
    if let Err(error) = asker.connect(endpoint, CONNECT_WITHIN).await {
        return Proof::of_error(Rung::Connects, &error);
    }
    let proof = match serves {
        Serves::Openai(how) => openai::prove(asker, endpoint, how, want).await,
        Serves::Kserve(how) => kserve::prove(asker, endpoint, how, want).await,
        Serves::Http(how) => plain::prove(asker, endpoint, how, want).await,
        Serves::Tcp(_) => Ok(tcp::proof(want)),
    };
    proof.unwrap_or_else(|stopped| stopped)
}

/// What the endpoint says that it serves; its own word, nothing is generated.
///
/// # Errors
/// A fragment when it does not answer or cannot say.
pub async fn identity(asker: &Asker, endpoint: &Url, serves: &Serves) -> Result<Release, String> {
    match serves {
        Serves::Openai(how) => openai::identity(asker, endpoint, how).await,
        Serves::Kserve(_) => kserve::identity(asker, endpoint).await,
        Serves::Http(how) => plain::identity(asker, endpoint, how).await,
        Serves::Tcp(_) => Err("a TCP server cannot say what it serves".to_owned()),
    }
}
