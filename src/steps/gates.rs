//! Gates: what must hold beside the proof of serving. Read-only.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use super::Verdict;
use super::servers::Servers;
use crate::ids::GateName;
use crate::plan::model::{CommandGate, HttpGate};
use crate::providers::argv::{self, Ended};

/// The gates of one step, in order.
#[derive(Debug, Default)]
pub struct Gates(pub Vec<(GateName, Box<dyn Gate>)>);

/// One gate.
#[async_trait]
pub trait Gate: Send + Sync + std::fmt::Debug {
    /// Whether it passes now.
    async fn ask(&self) -> Verdict;
}

impl Gates {
    /// `evidence` and what the gates say, if all pass; else the first that does not.
    pub async fn after(&self, evidence: String) -> Verdict {
        let mut said = evidence;
        for (name, gate) in &self.0 {
            match gate.ask().await {
                Verdict::Yes { evidence, .. } => said = format!("{said}; {name}: {evidence}"),
                Verdict::NotYet(why) => return Verdict::NotYet(format!("gate `{name}`: {why}")),
                Verdict::No(why) => return Verdict::No(format!("gate `{name}`: {why}")),
                Verdict::CannotTell(why) => return Verdict::CannotTell(format!("gate `{name}`: {why}")),
            }
        }
        Verdict::yes(said)
    }
}

const HTTP_WITHIN: Duration = Duration::from_secs(30);

/// An HTTP answer of a URL, or of a path of every server.
#[derive(Debug)]
pub struct Http {
    /// Whose servers.
    pub servers: Arc<Servers>,
    /// What passes.
    pub gate: HttpGate,
}

impl Http {
    async fn urls(&self) -> Result<Vec<Url>, String> {
        if !self.gate.url.starts_with('/') {
            return Ok(vec![Url::parse(&self.gate.url).map_err(|e| format!("{}: {e}", self.gate.url))?]);
        }
        let servers = self.servers.urls().await?;
        servers.iter().map(|server| server.join(&self.gate.url).map_err(|e| e.to_string())).collect()
    }
}

#[async_trait]
impl Gate for Http {
    async fn ask(&self) -> Verdict {
        let (asker, urls) = match (self.servers.asker().await, self.urls().await) {
            (Ok(asker), Ok(urls)) => (asker, urls),
            (Err(why), _) | (_, Err(why)) => return Verdict::CannotTell(why),
        };
        for url in &urls {
            let answer = match asker.get(url, HTTP_WITHIN).await {
                Ok(answer) => answer,
                Err(error) => return Verdict::CannotTell(error.to_string()),
            };
            if answer.status != self.gate.status {
                return Verdict::No(format!("{url} answered {}, wanted {}", answer.excerpt(), self.gate.status));
            }
            if let Some(text) = &self.gate.contains
                && !answer.text().contains(text)
            {
                return Verdict::No(format!("{url} answered without {text:?}: {}", answer.excerpt()));
            }
        }
        Verdict::yes(format!("{} from {}", self.gate.status, urls.len()))
    }
}

/// A command that exits 0.
#[derive(Debug)]
pub struct Command {
    /// Whose servers; the command is told where they are.
    pub servers: Arc<Servers>,
    /// Which, and how long it may take.
    pub gate: CommandGate,
    /// Where it runs.
    pub directory: std::path::PathBuf,
}

#[async_trait]
impl Gate for Command {
    async fn ask(&self) -> Verdict {
        let urls = match self.servers.reachable().await {
            Ok(urls) => urls.iter().map(|url| url.as_str().trim_end_matches('/').to_owned()).collect::<Vec<_>>(),
            Err(why) => return Verdict::CannotTell(why),
        };
        let environment = self.servers.environment.to_string();
        let env = [("MODELSWAP_ENVIRONMENT".to_owned(), environment), ("MODELSWAP_URLS".to_owned(), urls.join(" "))];
        match argv::run(&self.gate.run, &env, &self.directory, self.gate.within.std()).await {
            Ended::Exit(0, _) => Verdict::yes("exit 0"),
            Ended::Exit(code, output) => {
                Verdict::No(format!("`{}` ended with exit {code}: {output}", self.gate.run.join(" ")))
            }
            Ended::Not(why) => Verdict::CannotTell(why),
        }
    }
}
