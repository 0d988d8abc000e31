//! Where a verb sits: the clock, the actor, the state directory, the world, and whom it talks to.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use super::args::{Common, Output};
use super::commands::Allowed;
use super::failure::colour;
use super::keeping::local_of;
use super::place::Place;
use super::{Exit, Failure};
use crate::clock::{Clock, ScaledClock, SystemClock};
use crate::ids::ServiceName;
use crate::journal::actor::Actor;
use crate::journal::store::StoreError;
use crate::plan::model::State;
use crate::report::{self, Reporter};
use crate::world::WorldFile;

/// Where journals are kept when nobody says.
const STATE_DEFAULT: &str = ".modelswap";

/// The name of the host that this one passes for in the loopback world.
const LAB_HOST: &str = "MODELSWAP_LAB_HOST";

/// Everything around a verb that is not its plan.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) common: Common,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) actor: Actor,
    pub(super) world: Option<WorldFile>,
    /// Where the journals are kept.
    pub(super) place: Place,
    /// Where each record is written down a second time, if the plan says so.
    pub(super) mirror: Option<Place>,
    /// What this host keeps for itself.
    pub(super) local: PathBuf,
    /// Whether others than this host write the journal.
    pub(super) shared: bool,
    /// Why the place of the journals is not used, when it is not.
    pub(super) unfenced: Option<String>,
    /// Which recorded commands may run.
    pub(super) allowed: Allowed,
    /// How `--state` must be repeated in a command that a person is told to type; empty when it need not be.
    pub(super) state_option: String,
    pub(super) interactive: bool,
    /// Whether a CI system runs this.
    pub(super) ci: bool,
}

impl Desk {
    /// Sits down. `planned` is what the plan says about the state, where there is a plan.
    pub(super) fn new(common: &Common, planned: Option<&State>) -> Result<Self, Failure> {
        let world = common.world.as_deref().map(WorldFile::read).transpose();
        let world = world.map_err(|why| Failure::new(Exit::Usage, why).hint("start one with `modelswap lab up`"))?;
        let clock: Arc<dyn Clock> = match &world {
            Some(world) => Arc::new(ScaledClock { origin: world.origin, scale: world.scale }),
            None => Arc::new(SystemClock),
        };
        // A rehearsal never mixes with the real thing: the world keeps its own state.
        let beside_world = common.world.as_ref().map(|file| file.with_extension("state"));
        let place = |text: &str| {
            let bad =
                |why| Failure::new(Exit::Usage, format!("`{text}` is no place for journals: {why}; nothing was done"));
            text.parse::<Place>().map_err(bad)
        };
        let typed = common.state.as_deref().map(place).transpose()?;
        let planned = planned.filter(|_| typed.is_none() && world.is_none());
        let mirror = planned.and_then(State::mirror).map(place).transpose()?;
        let said = typed.clone().or(planned.map(|state| place(state.at())).transpose()?);
        let mut state_option =
            common.world.as_ref().map(|file| format!(" --world {}", file.display())).unwrap_or_default();
        if let Some(said) = &said {
            state_option = format!("{state_option} --state {}", said.typed());
        }
        let beside = beside_world.clone().map(Place::Directory);
        let place = said.or(beside).unwrap_or_else(|| Place::Directory(PathBuf::from(STATE_DEFAULT)));
        let local = local_of(&place, beside_world.as_deref(), STATE_DEFAULT);
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
        let here = Actor::here(user, ci_url.or_else(|| std::env::var("CI_JOB_URL").ok()));
        // In the loopback world a machine can pass for another one. Nowhere else: there the variable is not even read.
        let host = world.as_ref().and_then(|_| std::env::var(LAB_HOST).ok()).unwrap_or_else(|| here.host.clone());
        Ok(Self {
            actor: Actor { host, ..here },
            interactive: terminal && !ci && !common.non_interactive && common.output == Output::Human,
            common: common.clone(),
            clock,
            world,
            shared: matches!(place, Place::Bucket(_)),
            unfenced: None,
            allowed: Allowed::OwnJournal,
            place,
            mirror,
            local,
            state_option,
            ci,
        })
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
            place: self.place.to_string(),
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
            StoreError::Moved { to, .. } => {
                failure.detail("nothing was changed").hint(format!("type it again with --state {to}"))
            }
            StoreError::Apart { mirror, .. } => self.apart(failure, mirror),
            StoreError::Unfit { .. } => failure
                .detail("nothing was changed")
                .hint("use a store that honours `If-None-Match` and `If-Match`, or a directory: --state DIR"),
            StoreError::Io { .. } | StoreError::Dead { .. } => {
                failure.detail("nothing was changed").hint("give it a directory of yours with room: --state DIR")
            }
        }
    }
}

impl Desk {
    /// The journal and its copy on this host went different ways; a person must look at both.
    fn apart(&self, failure: Failure, mirror: &str) -> Failure {
        let copy = self.mirror_of(&self.place);
        let (copy, at) = (copy.display(), &self.state_option);
        failure
            .detail("either somebody worked from the mirror while the place was down, or the place lost records; nothing was changed")
            .detail(format!("what the mirror says: modelswap history --state {copy}"))
            .detail(format!("if the mirror is right and goes further: modelswap state move {copy} {}", self.place.typed()))
            .hint(format!("if the place is right, set the mirror aside: mv {copy} {copy}.aside, then modelswap status{at}   ({mirror})"))
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
            .hint("name a place that outlives the job, --state s3://BUCKET/PREFIX or --state DIR, MODELSWAP_STATE, or `state:` in the plan"))
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
