//! `modelswap validate PLAN`: the file alone. No network, no credentials, nothing is run.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::args::{Common, Output, VarArgs};
use super::failure::colour;
use super::opening::PlanFile;
use super::{Exit, Failure};
use crate::report::tell;

/// Options of `validate`.
#[derive(Debug, Args)]
pub(super) struct Validate {
    /// The plan
    plan: PathBuf,
    #[command(flatten)]
    vars: VarArgs,
}

impl Validate {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let file = PlanFile::read(&self.plan, &self.vars, common)?;
        for warning in &file.warnings {
            tell(&warning.rendered(colour(common), 100));
        }
        if common.output == Output::Json {
            let findings: Vec<_> = file.warnings.iter().map(|f| serde_json::to_value(f).unwrap_or_default()).collect();
            crate::report::jsonl::say(
                &json!({ "type": "validated", "digest": file.digest, "findings": findings, "exit": 0 }),
            );
        } else {
            let (steps, warnings) = (file.plan.steps.len(), file.warnings.len());
            tell(&format!("{}: valid, {steps} steps, {warnings} warnings", file.path.display()));
        }
        Ok(Exit::Done)
    }
}
