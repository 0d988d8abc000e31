//! `check`, `bake` and `drain`: an environment serves the release and the gates pass, once or for a while; or nobody needs it any more.

use std::sync::Arc;

use async_trait::async_trait;

use super::gates::Gates;
use super::guards::{Proven, Quiet};
use super::look::Look;
use super::{Cx, StepError, Verdict};
use crate::ids::EnvironmentName;
use crate::providers::erased::AnyRouter;
use crate::units::Span;

/// The environment proves that it serves, then every gate passes.
#[derive(Debug)]
pub struct Check {
    /// The proof.
    pub proven: Proven,
    /// What must pass as well.
    pub gates: Gates,
}

#[async_trait]
impl Look for Check {
    async fn look(&self, _cx: &Cx<'_>) -> Result<Verdict, StepError> {
        match self.proven.look().await {
            Verdict::Yes { evidence, .. } => Ok(self.gates.after(evidence).await),
            other => Ok(other),
        }
    }

    fn wants(&self) -> String {
        with_gates("serving, proven by a completion", &self.gates)
    }
}

fn with_gates(wants: &str, gates: &Gates) -> String {
    let names: Vec<_> = gates.0.iter().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() { wants.to_owned() } else { format!("{wants}; {}", names.join(", ")) }
}

/// For a while, everything holds: the routers lead where they were led, the environment serves, the gates pass.
#[derive(Debug)]
pub struct Bake {
    /// How long.
    pub length: Span,
    /// Who gets the traffic.
    pub environment: EnvironmentName,
    /// What must lead there.
    pub routers: Vec<Arc<dyn AnyRouter>>,
    /// What it serves.
    pub proven: Proven,
    /// What must hold all the while.
    pub gates: Gates,
}

#[async_trait]
impl Look for Bake {
    async fn look(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        for router in &self.routers {
            let split = router.split(&router.read().await?);
            if split.as_ref().and_then(|s| s.only()) != Some(&self.environment) {
                let now = split.map_or_else(|| "somewhere the plan does not name".to_owned(), |s| s.to_string());
                return Ok(Verdict::No(format!("{} leads to {now} now: somebody else changed it", router.key())));
            }
        }
        let proof = self.proven.look().await;
        let Verdict::Yes { evidence, .. } = proof else { return Ok(proof) };
        let verdict = self.gates.after(evidence).await;
        let left = self.length.signed() - cx.now.duration_since(cx.since);
        match verdict {
            Verdict::Yes { evidence, .. } if left.is_positive() => {
                Ok(Verdict::NotYet(format!("{} left; {evidence}", Span::from(left.unsigned_abs()))))
            }
            other => Ok(other),
        }
    }

    fn wants(&self) -> String {
        with_gates(&format!("{} keeps serving", self.environment), &self.gates)
    }

    fn length(&self) -> Option<Span> {
        Some(self.length)
    }
}

/// Nobody needs an environment any more.
#[derive(Debug)]
pub struct Drain {
    /// Which.
    pub environment: EnvironmentName,
    /// How long after the last client may have come it may take.
    pub at_most: Span,
    /// The measurement.
    pub quiet: Quiet,
}

#[async_trait]
impl Look for Drain {
    async fn look(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let verdict = self.quiet.look(cx).await;
        // The tail is never cut short: patience begins when it ends.
        let tails = cx.state.tails.iter().filter(|t| t.environment == self.environment).map(|t| t.until);
        let begins = tails.max().unwrap_or(cx.since).max(cx.since);
        match verdict {
            Verdict::NotYet(why) | Verdict::CannotTell(why) if cx.now >= begins + self.at_most.signed() => {
                Ok(Verdict::No(format!("not drained within {}: {why}", self.at_most)))
            }
            other => Ok(other),
        }
    }

    fn wants(&self) -> String {
        format!("nothing in flight in {}, at most {}", self.environment, self.at_most)
    }
}
