//! Steps that only look: they wait for something to hold, and have nothing to take back.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;

use super::{Cx, Foreseen, Prepared, Step, StepError, Verdict};
use crate::units::Span;

/// Something to wait for. Polled.
#[async_trait]
pub trait Look: Send + Sync + std::fmt::Debug {
    /// Whether it holds.
    async fn look(&self, cx: &Cx<'_>) -> Result<Verdict, StepError>;

    /// What must hold, in a few words, for a preview.
    fn wants(&self) -> String {
        String::new()
    }

    /// How long it takes, where that is fixed.
    fn length(&self) -> Option<Span> {
        None
    }
}

/// A step around a [`Look`].
#[derive(Debug)]
pub struct LookStep<L>(pub L);

#[async_trait]
impl<L: Look> Step for LookStep<L> {
    async fn prepare(&self, _cx: &Cx<'_>) -> Result<Prepared, StepError> {
        Ok(Prepared::nothing())
    }
    async fn foresee(&self, _held: &BTreeMap<String, Value>, _cx: &Cx<'_>) -> Result<Foreseen, StepError> {
        Ok(Foreseen { wants: self.0.wants(), length: self.0.length(), ..Foreseen::default() })
    }
    async fn apply(&self, _prepared: &Prepared, _cx: &Cx<'_>) -> Result<Value, StepError> {
        Ok(Value::Null)
    }
    async fn verify(&self, _prepared: &Prepared, _receipt: Option<&Value>, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        self.0.look(cx).await
    }
    async fn undo(&self, _prepared: &Prepared, _cx: &Cx<'_>) -> Result<Value, StepError> {
        Ok(Value::Null)
    }
    async fn undone(&self, _prepared: &Prepared, _receipt: Option<&Value>, _cx: &Cx<'_>) -> Result<Verdict, StepError> {
        Ok(Verdict::yes("nothing was changed"))
    }
}
