//! Where a verb sits: the clock, the actor, the state directory, the world, and whom it talks to.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use super::args::{Common, Output};
use super::failure::colour;
use super::{Exit, Failure};
use crate::clock::{Clock, ScaledClock, SystemClock};
use crate::ids::ServiceName;
use crate::journal::actor::Actor;
use crate::journal::log::Log;
use crate::journal::store::local::Local;
use crate::journal::store::{Store, StoreError};
use crate::lab::crash::{self, CrashPoint, CrashingStore};
use crate::report::{self, Reporter};
use crate::world::WorldFile;

/// Where journals are kept when nobody says.
const STATE_DEFAULT: &str = ".modelswap";

/// Everything around a verb that is not its plan.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) common: Common,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) actor: Actor,
    pub(super) world: Option<WorldFile>,
    pub(super) state: PathBuf,
    /// How `--state` must be repeated in a command that a person is told to type; empty when it need not be.
    pub(super) state_option: String,
    pub(super) interactive: bool,
    /// Whether a CI system runs this.
    pub(super) ci: bool,
}

impl Desk {
    /// Sits down. `planned` is the plan's own state directory, where there is a plan.
    pub(super) fn new(common: &Common, planned: Option<&str>) -> Result<Self, Failure> {
        let world = common.world.as_deref().map(WorldFile::read).transpose();
        let world = world.map_err(|why| Failure::new(Exit::Usage, why).hint("start one with `modelswap lab up`"))?;
        let clock: Arc<dyn Clock> = match &world {
            Some(world) => Arc::new(ScaledClock { origin: world.origin, scale: world.scale }),
            None => Arc::new(SystemClock),
        };
        // A rehearsal never mixes with the real thing: the world keeps its own state.
        let beside_world = common.world.as_ref().map(|file| file.with_extension("state"));
        let said = common.state.clone().or(beside_world).or_else(|| planned.map(PathBuf::from));
        let state = said.clone().unwrap_or_else(|| PathBuf::from(STATE_DEFAULT));
        let mut state_option = String::new();
        if let Some(world) = &common.world {
            state_option = format!(" --world {}", world.display());
        }
        if let Some(said) = common.state.as_ref().or(said.as_ref().filter(|_| common.world.is_none())) {
            state_option = format!("{state_option} --state {}", said.display());
        }
        let ci = std::env::var_os("CI").is_some_and(|v| !v.is_empty());
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let user = ["USER", "LOGNAME"]
            .iter()
            .find_map(|name| std::env::var(name).ok())
            .unwrap_or_else(|| "unknown".to_owned());
        let ci_url = std::env::var("GITHUB_RUN_ID").ok().map(|id| {
            let of = |name| std::env::var(name).unwrap_or_default();
            format!("{}/{}/actions/runs/{id}", of("GITHUB_SERVER_URL"), of("GITHUB_REPOSITORY"))
        });
        Ok(Self {
            actor: Actor::here(user, ci_url.or_else(|| std::env::var("CI_JOB_URL").ok())),
            interactive: terminal && !ci && !common.non_interactive && common.output == Output::Human,
            common: common.clone(),
            clock,
            world,
            state,
            state_option,
            ci,
        })
    }

    /// The log of a service and the place that keeps it.
    pub(super) async fn log(&self, service: &ServiceName) -> Result<(Box<dyn Store>, Log), Failure> {
        let mut store = Local::new(&self.state, service);
        let (log, _) = store.load().await.map_err(|e| self.cannot_keep(&e))?;
        Ok((self.with_crash(Box::new(store))?, log))
    }

    /// In the loopback world a crash can be ordered. Nowhere else: there the variable is not even read.
    fn with_crash(&self, store: Box<dyn Store>) -> Result<Box<dyn Store>, Failure> {
        let ordered = self.world.as_ref().and_then(|_| std::env::var(crash::VARIABLE).ok());
        let Some(ordered) = ordered else { return Ok(store) };
        let point: CrashPoint = ordered.parse().map_err(|why: String| Failure::new(Exit::Usage, why))?;
        Ok(Box::new(CrashingStore::new(store, point)))
    }

    /// The services that have a journal here. A directory that may not be read is not an empty one.
    pub(super) fn known(&self) -> Result<Vec<ServiceName>, Failure> {
        Local::is_readable(&self.state).map_err(|e| self.cannot_keep(&e))?;
        Ok(Local::services(&self.state))
    }

    /// The service that is meant: the one that is named, or the only one there is.
    pub(super) fn service(&self, named: Option<&str>) -> Result<ServiceName, Failure> {
        let known = self.known()?;
        let list = || known.iter().map(ServiceName::to_string).collect::<Vec<_>>().join(", ");
        let at = self.state.display();
        if let Some(named) = named {
            let wanted = ServiceName::new(named).map_err(|e| Failure::new(Exit::Usage, e.to_string()))?;
            return if known.contains(&wanted) {
                Ok(wanted)
            } else {
                let failure = Failure::new(Exit::Usage, format!("there is no journal of `{wanted}` in {at}"));
                Err(failure
                    .detail(if known.is_empty() {
                        "it holds none at all".to_owned()
                    } else {
                        format!("it holds: {}", list())
                    })
                    .hint("name the right state directory with --state DIR or MODELSWAP_STATE"))
            };
        }
        match known.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(Failure::new(Exit::Usage, format!("there is no journal in {at}"))
                .hint("name the state directory with --state DIR or MODELSWAP_STATE")),
            _ => Err(Failure::new(Exit::Usage, format!("{at} holds the journals of several services: {}", list()))
                .hint("name the service that is meant")),
        }
    }

    /// The service that is named, or all there are; none at all is a mistake in `--state`.
    pub(super) fn services(&self, named: Option<&str>) -> Result<Vec<ServiceName>, Failure> {
        let known = self.known()?;
        if named.is_none() && known.len() > 1 { Ok(known) } else { Ok(vec![self.service(named)?]) }
    }

    /// Where a service's files on this host are kept, beside its journal.
    pub(super) fn directory(&self, service: &ServiceName) -> PathBuf {
        self.state.join(service.as_str())
    }

    /// Who tells what happens.
    pub(super) fn reporter(&self, witness: Option<report::bars::Witness>) -> Box<dyn Reporter> {
        let colour = colour(&self.common);
        let people: Box<dyn Reporter> = if self.interactive {
            Box::new(report::bars::Bars::new(colour, witness))
        } else {
            Box::new(report::lines::Lines::new(colour, self.world.is_some()))
        };
        match self.common.output {
            Output::Human => people,
            Output::Json => Box::new(report::Both(people, Box::new(report::jsonl::JsonLines))),
        }
    }

    /// What is told when a run of `service` begins here.
    pub(super) fn around(&self, service: &ServiceName) -> report::Around {
        report::Around {
            by: self.actor.to_string(),
            place: self.state.display().to_string(),
            back: format!("modelswap rollback {service}{}", self.state_option),
            lab: self.world.is_some(),
        }
    }

    /// The journal cannot be read or written.
    pub(super) fn cannot_keep(&self, error: &StoreError) -> Failure {
        let failure = Failure::new(Exit::Journal, error.to_string());
        match error {
            StoreError::Damaged { .. } | StoreError::Bad { .. } => failure
                .detail("nothing was changed, and nothing will be on the word of a damaged journal")
                .hint(format!("modelswap history --verify{}   shows how far it can be trusted", self.state_option)),
            StoreError::Io { .. } | StoreError::Dead { .. } => {
                failure.detail("nothing was changed").hint("give it a directory of yours with room: --state DIR")
            }
        }
    }
}

impl Desk {
    /// A line for people.
    pub(super) fn tell(&self, line: &str) {
        let lab = if self.world.is_some() && !self.interactive { "LAB " } else { "" };
        report::tell(&format!("{lab}{line}"));
    }

    /// A line of what was asked for, where it was asked for in words.
    pub(super) fn show(&self, line: &str) {
        if self.common.output == Output::Human {
            let lab = if self.world.is_some() { "LAB " } else { "" };
            report::show(format!("{lab}{line}").trim_end());
        }
    }

    /// The result for a program, where one was asked for.
    pub(super) fn result(&self, object: &serde_json::Value) {
        if self.common.output == Output::Json {
            report::jsonl::say(object);
        }
    }

    /// Waits in real time, whatever the speed of the world.
    #[expect(clippy::disallowed_methods, reason = "other processes are waited for in real time")]
    pub(super) async fn real_sleep(&self, length: std::time::Duration) {
        tokio::time::sleep(length).await;
    }

    /// A CI job's disk goes with the job, and the way back with it.
    pub(super) fn refuse_unshared_state(&self, plan: &crate::plan::model::Plan) -> Result<(), Failure> {
        let said = self.common.state.is_some() || plan.state.is_some() || self.world.is_some();
        if said || !self.ci {
            return Ok(());
        }
        Err(Failure::new(Exit::Usage, "under CI the journal must be kept where a rollback from elsewhere finds it")
            .detail(format!("{STATE_DEFAULT} in this job's directory is gone when the job is; nothing was done"))
            .hint("name a directory that outlives the job: --state DIR, MODELSWAP_STATE, or `state:` in the plan"))
    }

    /// The commands that bring traffic back, where a CI system shows them: before the first effect, not after.
    pub(super) fn rollback_card(&self, resolved: &crate::plan::resolve::Resolved, run: &crate::ids::RunId) {
        use std::io::Write;
        let Some(summary) = std::env::var_os("GITHUB_STEP_SUMMARY") else { return };
        let card = format!(
            "### modelswap run `{run}` of `{}`\n\nfrom `{}` to `{}`. Back, from wherever the state is seen:\n\n```\nmodelswap rollback {}{}\n```\n",
            resolved.plan.service, resolved.live, resolved.next, resolved.plan.service, self.state_option
        );
        let file = std::fs::OpenOptions::new().append(true).create(true).open(summary);
        // A summary that cannot be written is no reason not to deploy.
        drop(file.and_then(|mut file| file.write_all(card.as_bytes())));
    }
}
