//! Resolved → Graph: every written step becomes one or more nodes, in order, with their way back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::graph::{Graph, Node, Phase, Section, Shape};
use super::model::{Action, Attach, Branch, Endpoints, Router, Step};
use super::resolve::Resolved;
use crate::clock::Clock;
use crate::ids::{EnvironmentName, RouterName, StepId};
use crate::providers::erased::{AnyRegister, AnyRouter};
use crate::steps::servers::Servers;
use crate::steps::{self};
use crate::units::Span;
use crate::world::AddressMap;

mod change;
mod look;
mod members;

/// What a plan is compiled against: back-ends that are named but not asked.
#[derive(Debug, Clone)]
pub struct Backends {
    /// By name.
    pub routers: BTreeMap<RouterName, Arc<dyn AnyRouter>>,
    /// Environments that can be started and stopped.
    pub environments: BTreeMap<EnvironmentName, Arc<dyn AnyRegister>>,
    /// How everything is asked.
    pub servers: BTreeMap<EnvironmentName, Arc<Servers>>,
    /// Where connections lead.
    pub addresses: AddressMap,
    /// Resolvers of the loopback world, in place of the plan's.
    pub resolvers: Option<Vec<std::net::SocketAddr>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Why a plan cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct PlanError {
    /// Where in the plan: `steps[3].swap.router`.
    pub path: String,
    /// A fragment.
    pub why: String,
}

/// Compiles a plan; a [`Graph`] exists only if nothing is wrong with it.
///
/// # Errors
/// Everything that is wrong.
pub fn compile(resolved: &Resolved, backends: &Backends) -> Result<Graph, Vec<PlanError>> {
    let mut compiler = Compiler {
        resolved,
        backends,
        nodes: Vec::new(),
        errors: Vec::new(),
        section: Section::Deploy,
        number: 0,
        lowered: BTreeMap::new(),
    };
    let steps = with_attachments(resolved, &resolved.plan.steps);
    let mut after = compiler.sequence(&steps, &[], "steps");
    if let Some(finalize) = &resolved.plan.finalize {
        compiler.section = Section::Finalize;
        after = compiler.sequence(&finalize.steps, &after, "finalize.steps");
    }
    drop(after);
    if compiler.errors.is_empty() {
        Ok(Graph { on_failure: resolved.plan.on_failure, nodes: compiler.nodes })
    } else {
        Err(compiler.errors)
    }
}

struct Compiler<'a> {
    resolved: &'a Resolved,
    backends: &'a Backends,
    nodes: Vec<Node>,
    errors: Vec<PlanError>,
    section: Section,
    number: usize,
    /// The `lower_ttl` step of each router, whose `before` knows the TTL to restore.
    lowered: BTreeMap<RouterName, StepId>,
}

/// One node on its way into the graph.
struct Draft {
    /// Ending of the id, where one written step becomes several: `targets`.
    suffix: String,
    title: String,
    step: Arc<dyn steps::Step>,
    effect: bool,
    phase: Phase,
    group: Option<RouterName>,
    within: Span,
    poll: Span,
    holds: bool,
    after_tail_of: Option<EnvironmentName>,
    undo_after_tail_of: Option<EnvironmentName>,
}

impl Draft {
    fn new(title: String, step: impl steps::Step + 'static) -> Self {
        Self {
            suffix: String::new(),
            title,
            step: Arc::new(step),
            effect: false,
            phase: Phase::Rest,
            group: None,
            within: Span::from_secs(600),
            poll: Span::from_secs(1),
            holds: false,
            after_tail_of: None,
            undo_after_tail_of: None,
        }
    }

    fn effect(self, phase: Phase) -> Self {
        Self { effect: true, phase, ..self }
    }
}

impl Compiler<'_> {
    /// Steps one after the other; what must hold after the last of them.
    fn sequence(&mut self, steps: &[Step], after: &[StepId], path: &str) -> Vec<StepId> {
        let mut after = after.to_vec();
        for (at, step) in steps.iter().enumerate() {
            after = self.step(step, &after, &format!("{path}[{at}]"));
        }
        after
    }

    fn step(&mut self, step: &Step, after: &[StepId], path: &str) -> Vec<StepId> {
        if let Action::Parallel(branches) = &step.action {
            let ends = branches
                .iter()
                .enumerate()
                .map(|(at, Branch(steps))| self.sequence(steps, after, &format!("{path}.parallel[{at}]")));
            return ends.collect::<Vec<_>>().concat();
        }
        self.number += 1;
        let base = match &step.name {
            Some(name) => name.to_string(),
            None => format!("{:02}-{}", self.number, step.action.kind()),
        };
        match self.drafts(&step.action, &base) {
            Ok(drafts) => {
                drafts.into_iter().fold(after.to_vec(), |after, draft| self.add(draft, &base, step.within, after))
            }
            Err(why) => {
                self.errors.push(PlanError { path: path.to_owned(), why });
                after.to_vec()
            }
        }
    }

    fn add(&mut self, draft: Draft, base: &str, within: Option<Span>, after: Vec<StepId>) -> Vec<StepId> {
        let id = if draft.suffix.is_empty() { base.to_owned() } else { format!("{base}-{}", draft.suffix) };
        let id = match StepId::new(id) {
            Ok(id) if !self.nodes.iter().any(|n| n.shape.id == id) => id,
            Ok(id) => {
                self.errors.push(PlanError { path: base.to_owned(), why: format!("two steps are called `{id}`") });
                return after;
            }
            Err(bad) => {
                self.errors.push(PlanError { path: base.to_owned(), why: bad.to_string() });
                return after;
            }
        };
        let shape = Shape {
            id: id.clone(),
            title: draft.title,
            section: self.section,
            after,
            effect: draft.effect,
            phase: draft.phase,
            group: draft.group,
            // What burns the way back is never a reason to go back: a person decides.
            holds: draft.holds || self.section == Section::Finalize,
            after_tail_of: draft.after_tail_of,
            undo_after_tail_of: draft.undo_after_tail_of,
            late: draft.step.late(),
        };
        self.nodes.push(Node { shape, step: draft.step, within: within.unwrap_or(draft.within), poll: draft.poll });
        vec![id]
    }

    fn drafts(&mut self, action: &Action, id: &str) -> Result<Vec<Draft>, String> {
        match action {
            Action::Provision(on) => self.provision(&on.environment),
            Action::Attach(attach) => self.attach(attach),
            Action::Check(check) => self.check(check),
            Action::LowerTtl(lower) => {
                let draft = self.lower_ttl(lower)?;
                self.lowered.insert(lower.router.clone(), StepId::new(id).map_err(|e| e.to_string())?);
                Ok(vec![draft])
            }
            Action::RestoreTtl(on) => self.restore_ttl(&on.router),
            Action::Swap(swap) => self.swap(swap),
            Action::Verify(verify) => self.verify(verify),
            Action::Bake(bake) => self.bake(bake),
            Action::Drain(drain) => self.drain(drain),
            Action::Teardown(on) => self.teardown(&on.environment),
            Action::Run(run) => Ok(self.run(run)),
            Action::Approve(approve) => Ok(self.approve(approve)),
            Action::Wait(wait) => Ok(Self::wait(wait)),
            Action::Parallel(_) => Err("a parallel step is not a kind of its own".to_owned()),
        }
    }

    fn router(&self, name: &RouterName) -> Result<&Arc<dyn AnyRouter>, String> {
        self.backends.routers.get(name).ok_or_else(|| format!("there is no router `{name}`"))
    }

    fn servers(&self, environment: &EnvironmentName) -> Result<&Arc<Servers>, String> {
        self.backends.servers.get(environment).ok_or_else(|| format!("there is no environment `{environment}`"))
    }

    /// The routers whose group an environment's servers must be registered in.
    fn alb_routers(&self, environment: &EnvironmentName) -> Vec<RouterName> {
        let routers = self.resolved.plan.routers.iter();
        let has = |router: &Router| matches!(router, Router::Alb(alb) if alb.target_groups.contains_key(environment));
        routers.filter(|(_, router)| has(router)).map(|(name, _)| name.clone()).collect()
    }

    /// The targets that modelswap registers itself: those of an environment whose endpoints are addresses.
    fn own_targets(&self, environment: &EnvironmentName) -> Vec<(String, u16)> {
        let Some(Endpoints::Urls(urls)) = self.resolved.plan.environments.get(environment).map(|e| &e.endpoints) else {
            return Vec::new();
        };
        let target = |url: &url::Url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?));
        urls.iter().filter_map(target).collect()
    }

    fn base(&self) -> PathBuf {
        self.resolved.base.clone()
    }
}

/// Before B is checked it must be attached, or the balancer never asks its health: put in where the plan does not say it.
pub fn with_attachments(resolved: &Resolved, written: &[Step]) -> Vec<Step> {
    let mut steps = written.to_vec();
    let next = &resolved.next;
    let names_next = |role: &super::model::Role| resolved.environment(role).is_ok_and(|e| e == *next);
    for (name, router) in &resolved.plan.routers {
        let Router::Alb(alb) = router else { continue };
        let said = steps
            .iter()
            .any(|s| matches!(&s.action, Action::Attach(a) if a.router == *name && names_next(&a.environment)));
        if !alb.target_groups.contains_key(next) || said {
            continue;
        }
        let needs_it = |step: &Step| needs_attachment(&step.action, name, &names_next);
        if let Some(at) = steps.iter().position(needs_it) {
            let attach = Attach { environment: super::model::Role("next".to_owned()), router: name.clone() };
            steps.insert(at, Step { name: None, within: None, action: Action::Attach(attach) });
        }
    }
    steps
}

fn needs_attachment(action: &Action, router: &RouterName, names_next: &impl Fn(&super::model::Role) -> bool) -> bool {
    match action {
        Action::Check(check) => names_next(&check.environment),
        Action::Swap(swap) => swap.router == *router,
        Action::Parallel(branches) => {
            branches.iter().flat_map(|b| &b.0).any(|s| needs_attachment(&s.action, router, names_next))
        }
        Action::Provision(_)
        | Action::Attach(_)
        | Action::LowerTtl(_)
        | Action::RestoreTtl(_)
        | Action::Verify(_)
        | Action::Bake(_)
        | Action::Drain(_)
        | Action::Teardown(_)
        | Action::Run(_)
        | Action::Approve(_)
        | Action::Wait(_) => false,
    }
}
