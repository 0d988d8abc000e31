//! `wait` and `approve`: time passes, or a person says yes.

use async_trait::async_trait;

use super::look::Look;
use super::{Cx, StepError, Verdict};
use crate::units::{Span, clock_time};

/// Nothing but time.
#[derive(Debug)]
pub struct Wait(pub Span);

#[async_trait]
impl Look for Wait {
    async fn look(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let end = cx.since + self.0.signed();
        Ok(if cx.now >= end {
            Verdict::yes(format!("{} passed", self.0))
        } else {
            Verdict::NotYet(format!("until {}", clock_time(end)))
        })
    }

    fn wants(&self) -> String {
        "time passes".to_owned()
    }

    fn length(&self) -> Option<Span> {
        Some(self.0)
    }
}

/// A person says yes, from any terminal that sees the state.
#[derive(Debug)]
pub struct Approve {
    /// How long it is waited for.
    pub within: Span,
    /// The service, to say what to type.
    pub service: String,
}

#[async_trait]
impl Look for Approve {
    async fn look(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        if let Some(by) = cx.approved_by {
            return Ok(Verdict::yes(format!("approved by {by}")));
        }
        let end = cx.since + self.within.signed();
        Ok(if cx.now >= end {
            Verdict::No(format!("nobody approved within {}", self.within))
        } else {
            Verdict::NotYet(format!("approve until {} with `modelswap approve {}`", clock_time(end), self.service))
        })
    }

    fn wants(&self) -> String {
        format!("a person says yes within {}", self.within)
    }
}
