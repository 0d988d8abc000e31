//! `verify` of a balancer: its rule reads back, and what answers at the front door is what was switched to.

use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use super::look::Look;
use super::servers::Servers;
use super::{Cx, StepError, Verdict};
use crate::ids::EnvironmentName;
use crate::plan::model::Release;
use crate::probes::health;
use crate::providers::erased::AnyRouter;

/// Answers in a row that must come from the right place; a rule change reaches the balancer's nodes one by one.
const ANSWERS: usize = 5;

/// Clients of a balancer see an environment.
#[derive(Debug)]
pub struct Seen {
    /// The balancer.
    pub router: Arc<dyn AnyRouter>,
    /// Whom clients shall see.
    pub sees: EnvironmentName,
    /// Where clients ask; without it only the rule is read back.
    pub door: Option<Url>,
    /// How the door is asked.
    pub servers: Arc<Servers>,
    /// What it serves.
    pub want: Option<Release>,
}

#[async_trait]
impl Look for Seen {
    async fn look(&self, _cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let split = self.router.split(&self.router.read().await?);
        if split.as_ref().and_then(|s| s.only()) != Some(&self.sees) {
            let now = split.map_or_else(|| "somewhere the plan does not name".to_owned(), |s| s.to_string());
            return Ok(Verdict::No(format!("{} leads to {now}", self.router.key())));
        }
        let (Some(door), Some(want)) = (&self.door, &self.want) else {
            return Ok(Verdict::yes(format!(
                "{} leads to {} (no `witness` names a front door to ask)",
                self.router.key(),
                self.sees
            )));
        };
        let asker = match self.servers.asker().await {
            Ok(asker) => asker,
            Err(why) => return Ok(Verdict::CannotTell(why)),
        };
        let mut base = door.clone();
        base.set_path("/");
        for _ in 0..ANSWERS {
            match health::identity(asker, &base, self.servers.serves()).await {
                Ok(said) if said.model == want.model => {}
                Ok(said) => {
                    return Ok(Verdict::NotYet(format!("{} still answers as {}", base.authority(), said.model)));
                }
                Err(why) => return Ok(Verdict::CannotTell(why)),
            }
        }
        Ok(Verdict::yes(format!("{ANSWERS} of {ANSWERS} answers at {} are {}'s", base.authority(), self.sees)))
    }

    fn wants(&self) -> String {
        format!("clients are answered by {}", self.sees)
    }
}
