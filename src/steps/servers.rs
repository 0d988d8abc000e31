//! An environment's servers, as they can be asked: what they serve, whether they prove it, what is in flight.

use std::sync::Arc;

use tokio::sync::OnceCell;
use url::Url;

use super::Verdict;
use crate::ids::EnvironmentName;
use crate::plan::model::{Access, Endpoints, Release, Serves};
use crate::probes::health::{self, Proof};
use crate::probes::http::{AskError, Asker};
use crate::probes::in_flight::{self, Load};
use crate::providers::erased::AnyRouter;
use crate::world::AddressMap;

/// The servers of one environment.
#[derive(Debug)]
pub struct Servers {
    /// Which environment.
    pub environment: EnvironmentName,
    serves: Serves,
    endpoints: Endpoints,
    /// The router that knows the targets, when the endpoints are a target group's.
    router: Option<Arc<dyn AnyRouter>>,
    addresses: AddressMap,
    asker: OnceCell<Asker>,
}

impl Servers {
    /// The servers of `environment`. Opens nothing.
    pub fn new(
        environment: EnvironmentName,
        serves: Serves,
        endpoints: Endpoints,
        router: Option<Arc<dyn AnyRouter>>,
        addresses: AddressMap,
    ) -> Self {
        Self { environment, serves, endpoints, router, addresses, asker: OnceCell::new() }
    }

    /// How they are talked to.
    pub fn serves(&self) -> &Serves {
        &self.serves
    }

    /// Who asks them.
    ///
    /// # Errors
    /// A fragment when a secret or a certificate authority cannot be used.
    pub async fn asker(&self) -> Result<&Asker, String> {
        self.asker.get_or_try_init(|| async { Asker::new(&self.addresses, access(&self.serves)).await }).await
    }

    /// Their URLs; none means that no server is known yet.
    ///
    /// # Errors
    /// A fragment when the router cannot say.
    pub async fn urls(&self) -> Result<Vec<Url>, String> {
        match (&self.endpoints, &self.router) {
            (Endpoints::Urls(urls), _) => Ok(urls.clone()),
            (Endpoints::TargetGroup { .. }, Some(router)) => {
                let targets = router.targets(&self.environment).await.map_err(|e| e.to_string())?;
                targets
                    .iter()
                    .map(|(host, port)| Url::parse(&format!("http://{host}:{port}")).map_err(|e| e.to_string()))
                    .collect()
            }
            (Endpoints::TargetGroup { target_group }, None) => Err(format!("there is no router `{target_group}`")),
        }
    }

    /// Their URLs as they can be reached from here: in the loopback world, those of the stand-ins.
    ///
    /// # Errors
    /// A fragment when the router cannot say, or a server is not part of the loopback world.
    pub async fn reachable(&self) -> Result<Vec<Url>, String> {
        let mut urls = self.urls().await?;
        for url in &mut urls {
            let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { continue };
            if let Some(stand_in) = self.addresses.to(host, port)? {
                *url = Url::parse(&format!("http://{stand_in}")).map_err(|e| e.to_string())?;
            }
        }
        Ok(urls)
    }

    /// Climbs the ladder on every server once. Yes only if every one of them serves `want`;
    /// without `want`, whatever they say that they serve must be proven by a completion.
    pub async fn prove(&self, want: Option<&Release>) -> Verdict {
        let asked = async {
            let (asker, urls) = (self.asker().await?, self.urls().await?);
            Ok::<_, String>((asker, urls))
        };
        let (asker, urls) = match asked.await {
            Ok(asked) => asked,
            Err(why) => return Verdict::CannotTell(why),
        };
        // No servers at all is the oldest lie about readiness: everything holds of nothing.
        if urls.is_empty() {
            return Verdict::NotYet(format!("no server of {} is known yet", self.environment));
        }
        let looks = urls.iter().map(|url| self.prove_one(asker, url, want));
        let mut evidence = String::new();
        for (url, proof) in urls.iter().zip(futures_util::future::join_all(looks).await) {
            let at = format!("{} at {}", self.environment, url.authority());
            match proof {
                Proof::Serves { evidence: said, .. } => evidence = said,
                Proof::NotYet { rung, why } => return Verdict::NotYet(format!("{at}, {rung}: {why}")),
                Proof::Wrong { rung, why } => return Verdict::No(format!("{at}, {rung}: {why}")),
                Proof::CannotTell { rung, why } => return Verdict::CannotTell(format!("{at}, {rung}: {why}")),
            }
        }
        Verdict::yes(format!("serving {0}/{0}: {evidence}", urls.len()))
    }

    async fn prove_one(&self, asker: &Asker, url: &Url, want: Option<&Release>) -> Proof {
        match want {
            Some(want) => health::prove(asker, url, &self.serves, want).await,
            None => match health::identity(asker, url, &self.serves).await {
                Ok(said) => health::prove(asker, url, &self.serves, &said).await,
                Err(why) => Proof::NotYet { rung: health::Rung::Identity, why },
            },
        }
    }

    /// What the first server says that it serves.
    ///
    /// # Errors
    /// A fragment when none answers or none can say.
    pub async fn identity(&self) -> Result<Release, String> {
        let (asker, urls) = (self.asker().await?, self.urls().await?);
        let url = urls.first().ok_or_else(|| format!("no server of {} is known", self.environment))?;
        health::identity(asker, url, &self.serves).await
    }

    /// What all of them have in flight together. One that does not answer makes it unknown, never zero.
    ///
    /// # Errors
    /// A fragment when any of them cannot say.
    pub async fn load(&self) -> Result<Load, String> {
        let (asker, urls) = (self.asker().await?, self.urls().await?);
        let mut sum = Load { in_flight: 0, finished: Some(0) };
        for url in &urls {
            let one = in_flight::in_flight(asker, url, &self.serves).await?;
            sum.in_flight += one.in_flight;
            sum.finished = sum.finished.zip(one.finished).map(|(a, b)| a + b);
        }
        Ok(sum)
    }

    /// Whether nothing listens at any of its addresses: what is not there has nothing in flight.
    pub async fn is_gone(&self) -> bool {
        let (Ok(asker), Ok(urls)) = (self.asker().await, self.urls().await) else { return false };
        for url in &urls {
            match asker.connect(url, std::time::Duration::from_secs(2)).await {
                Err(AskError::NothingListens { .. }) => {}
                Ok(_) | Err(_) => return false,
            }
        }
        true
    }
}

/// How requests to these servers are authenticated and trusted.
pub fn access(serves: &Serves) -> &Access {
    static NONE: Access = Access { auth: None, headers: std::collections::BTreeMap::new(), ca: None };
    match serves {
        Serves::Openai(server) => &server.access,
        Serves::Kserve(server) => &server.access,
        Serves::Http(server) => &server.access,
        Serves::Tcp(_) => &NONE,
    }
}
