//! Environments: running or stopped.
//!
//! A start is known by its token, which the caller chooses before anything is done: so a repeated start finds the first one,
//! and undo finds what was started even when the reply was lost.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ProviderError, Register};
use crate::clock::Clock;
use crate::ids::{EnvironmentName, RunId, StepId};
use crate::plan::model::{Release, Runs};

pub mod command;
pub mod elsewhere;
mod found;
mod launch;
mod os;
pub mod process;
mod record;
mod run;
mod text;

pub use command::Command;
pub use elsewhere::Elsewhere;
pub use process::Process;

/// What an environment is: the same value in every process and on every machine, so no pid is part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Running {
    /// Nothing of it runs, or what runs was told to stop.
    Stopped,
    /// It was started, or found running.
    Running {
        /// Which start it was; [`EXTERNAL`] when it was not ours.
        token: String,
    },
}

/// The token of what runs but was not started by modelswap.
pub const EXTERNAL: &str = "external";

impl Running {
    /// Running, started under `token`.
    pub fn with(token: impl Into<String>) -> Self {
        Self::Running { token: token.into() }
    }
}

/// The token of the start that `step` of `run` makes: the same however often the step is tried.
pub fn fresh_token(run: &RunId, step: &StepId) -> String {
    format!("{run}.{step}")
}

/// The register of an environment, of whichever kind `runs` names. `dir` is where records and logs are kept, one set an environment.
pub fn open(
    environment: EnvironmentName,
    runs: Runs,
    release: Release,
    dir: &Path,
    clock: Arc<dyn Clock>,
) -> Box<dyn Register<Value = Running>> {
    match runs {
        Runs::Process(runs) => Box::new(Process::new(environment, runs, release, dir.to_owned(), clock)),
        Runs::Command(runs) => Box::new(Command::new(environment, runs, release, dir.to_owned(), clock)),
    }
}

/// `stopped`, `running (started as 01J…07-provision)`.
fn show(value: &Running) -> String {
    match value {
        Running::Stopped => "stopped".to_owned(),
        Running::Running { token } if token == EXTERNAL => "running (not started by modelswap)".to_owned(),
        Running::Running { token } => format!("running (started as {})", text::escape(token)),
    }
}

fn conflict(on: &str, expected: &Running, found: &Running) -> ProviderError {
    ProviderError::Conflict { on: on.to_owned(), expected: show(expected), found: show(found) }
}

fn rejected(call: impl Into<String>, why: impl std::fmt::Display) -> ProviderError {
    ProviderError::Rejected { call: call.into(), why: why.to_string() }
}

fn unknown(call: impl Into<String>, why: impl std::fmt::Display) -> ProviderError {
    ProviderError::Unknown { call: call.into(), why: why.to_string() }
}

fn busy(call: impl Into<String>, why: impl std::fmt::Display) -> ProviderError {
    ProviderError::Busy { call: call.into(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retried_step_has_the_same_token_and_another_step_another() {
        let run = RunId::new("01J000").unwrap();
        let (a, b) = (StepId::new("01-provision").unwrap(), StepId::new("02-provision").unwrap());
        assert_eq!(fresh_token(&run, &a), fresh_token(&run, &a));
        assert_ne!(fresh_token(&run, &a), fresh_token(&run, &b));
    }

    #[test]
    fn values_are_recorded_by_state() {
        let text = serde_json::to_string(&Running::with("t")).unwrap();
        assert_eq!(text, r#"{"state":"running","token":"t"}"#);
        assert_eq!(serde_json::from_str::<Running>(r#"{"state":"stopped"}"#).unwrap(), Running::Stopped);
    }
}
