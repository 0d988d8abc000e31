//! `run`: a command of the operator's, with a way back if one is named.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Cx, Prepared, Step, StepError, Verdict};
use crate::plan::model::Run;
use crate::providers::ProviderError;
use crate::providers::argv::{Ended, run};

/// Exit code with which `check` says that the effect is not in place.
const NOT_IN_PLACE: i32 = 3;

/// A command and its way back.
#[derive(Debug)]
pub struct Command {
    /// What the plan says.
    pub run: Run,
    /// Where it runs.
    pub directory: PathBuf,
    /// How long one may take.
    pub within: Duration,
}

impl Command {
    fn call(argv: &[String]) -> String {
        format!("`{}`", argv.join(" "))
    }

    async fn run(&self, argv: &[String], cx: &Cx<'_>) -> Result<Ended, StepError> {
        let env =
            [("MODELSWAP_RUN".to_owned(), cx.run.to_string()), ("MODELSWAP_STEP".to_owned(), cx.step.to_string())];
        Ok(run(argv, &env, &self.directory, self.within).await)
    }

    /// Runs it for its effect: a clean end is the only yes.
    async fn effect(&self, argv: &[String], cx: &Cx<'_>) -> Result<Value, StepError> {
        let call = Self::call(argv);
        match self.run(argv, cx).await? {
            Ended::Exit(0, said) => Ok(json!({ "said": said })),
            // It ran and failed: how far it came only it knows.
            Ended::Exit(code, said) => Err(StepError::refused(format!("{call} ended with exit {code}: {said}"))),
            Ended::Not(why) if why.starts_with("cannot run") => Err(ProviderError::Rejected { call, why }.into()),
            Ended::Not(why) => Err(StepError::refused(format!("{call}: {why}"))),
        }
    }

    /// Whether the effect is in place, where `check` can say.
    async fn in_place(&self, cx: &Cx<'_>) -> Result<Option<bool>, StepError> {
        let Some(check) = &self.run.check else { return Ok(None) };
        match self.run(check, cx).await? {
            Ended::Exit(0, _) => Ok(Some(true)),
            Ended::Exit(NOT_IN_PLACE, _) => Ok(Some(false)),
            Ended::Exit(code, said) => {
                Err(StepError::refused(format!("{} ended with exit {code}: {said}", Self::call(check))))
            }
            Ended::Not(why) => Err(StepError::refused(format!("{}: {why}", Self::call(check)))),
        }
    }
}

#[async_trait]
impl Step for Command {
    async fn prepare(&self, _cx: &Cx<'_>) -> Result<Prepared, StepError> {
        let shows = Self::call(&self.run.act);
        Ok(Prepared {
            key: None,
            before: Value::Null,
            want: json!({ "do": self.run.act, "undo": self.run.undo }),
            shows,
        })
    }

    async fn apply(&self, _prepared: &Prepared, cx: &Cx<'_>) -> Result<Value, StepError> {
        // The attempt that this call makes is in the journal already; any before it has an unknown outcome.
        let tried_before = cx.state.step(cx.step).attempts > 0;
        match self.in_place(cx).await? {
            Some(true) => return Ok(json!({ "said": "in place already" })),
            None if tried_before && !self.run.idempotent => {
                return Err(StepError::refused(format!(
                    "it is not known whether {} ran; give it a `check`, or `idempotent: true`, or resume after you looked",
                    Self::call(&self.run.act)
                )));
            }
            Some(false) | None => {}
        }
        self.effect(&self.run.act, cx).await
    }

    async fn verify(&self, _prepared: &Prepared, receipt: Option<&Value>, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        Ok(match self.in_place(cx).await? {
            Some(false) => Verdict::NotYet("its check says that it is not in place".to_owned()),
            Some(true) => Verdict::yes("its check says that it is in place"),
            None => {
                Verdict::yes(receipt.and_then(|r| r["said"].as_str()).filter(|s| !s.is_empty()).unwrap_or("exit 0"))
            }
        })
    }

    async fn undo(&self, _prepared: &Prepared, cx: &Cx<'_>) -> Result<Value, StepError> {
        let Some(undo) = &self.run.undo else {
            return Err(StepError::refused(format!(
                "{} has no `undo`; take it back by hand",
                Self::call(&self.run.act)
            )));
        };
        if self.in_place(cx).await? == Some(false) {
            return Ok(json!({ "said": "not in place" }));
        }
        self.effect(undo, cx).await
    }

    async fn undone(&self, _prepared: &Prepared, _receipt: Option<&Value>, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        Ok(match self.in_place(cx).await? {
            Some(true) => Verdict::NotYet("its check says that it is still in place".to_owned()),
            Some(false) => Verdict::yes("its check says that it is not in place"),
            None => Verdict::yes("exit 0"),
        })
    }
}
