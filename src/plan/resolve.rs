//! A plan with its roles fixed: everything that resume and rollback need, on any machine. It is recorded in `RunStarted`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::model::{Plan, Release, Role};
use crate::ids::EnvironmentName;

/// Version of what [`Resolved`] looks like in a journal.
pub const FORMAT: u32 = 1;

/// A plan, expanded, with roles fixed to environments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resolved {
    /// What was written, with variables expanded.
    pub plan: Plan,
    /// Who got all traffic at the start.
    pub live: EnvironmentName,
    /// Who shall get it.
    pub next: EnvironmentName,
    /// What the live environment said that it serves, if it could say.
    pub was: Option<Release>,
    /// The host that it began on: processes of this plan belong to it.
    #[serde(default)]
    pub host: String,
    /// Where relative paths and commands of the plan belong: absolute.
    pub base: PathBuf,
}

impl Resolved {
    /// Where the routers led when the run began. A run without steps moves nothing: it stops the environment that it calls live,
    /// which nobody is led to any more.
    pub fn led_to(&self) -> &EnvironmentName {
        if self.plan.steps.is_empty() { &self.next } else { &self.live }
    }

    /// The environment that a role names in this run.
    ///
    /// # Errors
    /// A fragment for a name that the plan does not have.
    pub fn environment(&self, role: &Role) -> Result<EnvironmentName, String> {
        match role.0.as_str() {
            "next" => Ok(self.next.clone()),
            "live" | "previous" => Ok(self.live.clone()),
            name => {
                let found = self.plan.environments.keys().find(|e| e.as_str() == name);
                found.cloned().ok_or_else(|| format!("there is no environment `{name}`"))
            }
        }
    }

    /// What an environment serves in this run: the one that was live what it served, the others the release.
    pub fn serves(&self, environment: &EnvironmentName) -> Option<Release> {
        if *environment == self.live { self.was.clone() } else { Some(self.plan.release.clone()) }
    }
}
