//! The steps that change something: each is the generic change of one register, with what must hold around it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::members::LazyMembers;
use super::{Compiler, Draft};
use crate::ids::{EnvironmentName, RouterName};
use crate::journal::fact::Horizon;
use crate::plan::graph::Phase;
use crate::plan::model::{Attach, LowerTtl, Role, Router, Run, Swap, SwapWhen};
use crate::probes::propagation::tail::{Grant, Lowered, Swapped, low_at, tail};
use crate::providers::Split;
use crate::providers::environments::{Running, fresh_token};
use crate::providers::erased::{AnyRegister, AnyRouter};
use crate::steps::StepError;
use crate::steps::command::Command;
use crate::steps::guards::{AskToClose, DestinationProven, NoTraffic, Proven, Quiet, RouterReady};
use crate::steps::set::{Guard, Set, Tails};
use crate::units::Span;

/// A rule change takes effect within seconds, not at once (ELB guide, listener rules); what is sent meanwhile still goes to A.
const RULE_LAG_S: u32 = 5;

/// How long B must be quiet before it is stopped on the way back.
const QUIET_ON_UNDO: Span = Span::from_secs(5);

/// How long is waited on the way back where the servers cannot say what is in flight: the length of most streams.
const UNMEASURED_ON_UNDO: Span = Span::from_secs(120);

impl Compiler<'_> {
    pub(super) fn provision(&self, role: &Role) -> Result<Vec<Draft>, String> {
        let environment = self.resolved.environment(role)?;
        let register = self.register(&environment)?;
        let start = Box::new(|live: &Value, cx: &crate::steps::Cx<'_>| match running(live)? {
            Running::Running { .. } => Ok(live.clone()),
            Running::Stopped => Ok(json!(Running::with(fresh_token(cx.run, cx.step)))),
        });
        let mut set = Set::new(register, start);
        set.before_undo = vec![Arc::new(self.no_traffic(&environment)), Arc::new(self.left_alone(&environment)?)];
        let draft = Draft::new(format!("provision {environment}"), set).effect(Phase::Stop);
        Ok(vec![Draft { within: Span::from_secs(1800), undo_after_tail_of: Some(environment), ..draft }])
    }

    pub(super) fn attach(&self, attach: &Attach) -> Result<Vec<Draft>, String> {
        let environment = self.resolved.environment(&attach.environment)?;
        let router = Arc::clone(self.router(&attach.router)?);
        let mut drafts = Vec::new();
        let proven = || self.proven(&environment, 1);
        let targets: BTreeSet<_> = self.own_targets(&environment).into_iter().collect();
        if !targets.is_empty() {
            let add = move |live: &Value, _: &crate::steps::Cx<'_>| {
                let mut members: BTreeSet<(String, u16)> = typed(live)?;
                members.extend(targets.iter().cloned());
                Ok(json!(members))
            };
            let mut set = Set::new(members(&router, &environment), Box::new(add));
            set.before = vec![Arc::new(proven()?)];
            set.before_undo = vec![Arc::new(self.no_traffic(&environment)), Arc::new(self.left_alone(&environment)?)];
            let draft = Draft::new(format!("register {environment} in {}", attach.router), set).effect(Phase::Stop);
            let within = Span::from_secs(1800);
            drafts.push(Draft {
                suffix: "targets".to_owned(),
                within,
                undo_after_tail_of: Some(environment.clone()),
                ..draft
            });
        }
        let (on, to) = (Arc::clone(&router), environment.clone());
        let name =
            move |live: &Value, _: &crate::steps::Cx<'_>| on.attach(live, &to).map_err(|e| StepError::refused(e.0));
        let mut set = Set::new(register_of(&router), Box::new(name));
        set.before = vec![Arc::new(proven()?)];
        set.after = vec![Arc::new(RouterReady { environment: environment.clone(), router: Arc::clone(&router) })];
        set.before_undo = vec![Arc::new(self.destination(&attach.router)?)];
        let draft = Draft::new(format!("attach {environment} to {}", attach.router), set).effect(Phase::Traffic);
        drafts.push(Draft { group: Some(attach.router.clone()), within: Span::from_secs(1800), ..draft });
        Ok(drafts)
    }

    pub(super) fn swap(&self, swap: &Swap) -> Result<Vec<Draft>, String> {
        let to = self.resolved.environment(&swap.to)?;
        let router = Arc::clone(self.router(&swap.router)?);
        let (on, want) = (Arc::clone(&router), Split::all_to(&to));
        let aim =
            move |live: &Value, _: &crate::steps::Cx<'_>| on.aim(live, &want).map_err(|e| StepError::refused(e.0));
        let mut set = Set::new(register_of(&router), Box::new(aim)).with_tails(self.tails(&swap.router, &router));
        set.before = vec![Arc::new(RouterReady { environment: to.clone(), router: Arc::clone(&router) })];
        set.before_undo = vec![Arc::new(self.destination(&swap.router)?)];
        if matches!(self.resolved.plan.routers.get(&swap.router), Some(Router::Route53(_))) {
            // Clients of a name keep their connections whatever its records say; a balancer's clients are the balancer's.
            let others = || self.resolved.plan.environments.keys().filter(|e| **e != to);
            set.after =
                others().filter_map(|e| self.asked_to_close(e, true)).chain(self.asked_to_close(&to, false)).collect();
            set.after_undo =
                others().filter_map(|e| self.asked_to_close(e, false)).chain(self.asked_to_close(&to, true)).collect();
        }
        let after_tail_of = (swap.when == SwapWhen::Settled).then(|| self.resolved.live.clone());
        let draft = Draft::new(format!("swap {} to {to}", swap.router), set).effect(Phase::Traffic);
        Ok(vec![Draft { group: Some(swap.router.clone()), after_tail_of, ..draft }])
    }

    pub(super) fn lower_ttl(&self, lower: &LowerTtl) -> Result<Draft, String> {
        let router = Arc::clone(self.router(&lower.router)?);
        let to_s = u32::try_from(lower.to.as_secs_ceil()).unwrap_or(u32::MAX);
        let on = Arc::clone(&router);
        let shorter = move |live: &Value, _: &crate::steps::Cx<'_>| {
            if on.ttl_s(live).is_some_and(|ttl_s| ttl_s <= to_s) {
                return Ok(live.clone());
            }
            on.with_ttl(live, to_s).map_err(|e| StepError::refused(e.0))
        };
        let (grant, assumed_s, live) =
            (self.grant(&lower.router), self.assumed_s(&lower.router), self.resolved.live.clone());
        let on = Arc::clone(&router);
        let tails: Tails = Box::new(move |from, to, cx| {
            let (Some(from_s), Some(to_s)) = (on.ttl_s(from), on.ttl_s(to)) else { return Vec::new() };
            if from_s <= to_s {
                return Vec::new();
            }
            let from_s = from_s.max(assumed_s.unwrap_or(0));
            // Now is when the last name server has it, so there is no lag left to add.
            let low = low_at(&Lowered { at: cx.now, lag_s: 0, from_s }, grant);
            vec![Horizon { environment: live.clone(), until: low.until, why: low.why }]
        });
        let set = Set::new(register_of(&router), Box::new(shorter)).with_tails(tails);
        let draft = Draft::new(format!("lower the TTL of {} to {}", lower.router, lower.to), set).effect(Phase::Rest);
        Ok(Draft { group: Some(lower.router.clone()), ..draft })
    }

    pub(super) fn restore_ttl(&self, name: &RouterName) -> Result<Vec<Draft>, String> {
        let router = Arc::clone(self.router(name)?);
        let lowered = self.lowered.get(name).cloned();
        let lowered = lowered
            .ok_or_else(|| format!("no `lower_ttl` of `{name}` comes before it, so there is no TTL to restore"))?;
        let on = Arc::clone(&router);
        let longer = move |live: &Value, cx: &crate::steps::Cx<'_>| {
            let before = cx.state.step(&lowered).prepared.as_ref().and_then(|(p, _)| on.ttl_s(&p.before));
            match before {
                Some(ttl_s) => on.with_ttl(live, ttl_s).map_err(|e| StepError::refused(e.0)),
                None => Ok(live.clone()),
            }
        };
        let set = Set::new(register_of(&router), Box::new(longer));
        let draft = Draft::new(format!("restore the TTL of {name}"), set).effect(Phase::Traffic);
        Ok(vec![Draft { group: Some(name.clone()), ..draft }])
    }

    /// A leaves every rule, then its group, then stops: in this order, or an alias that asks target health loses the balancer.
    pub(super) fn teardown(&self, role: &Role) -> Result<Vec<Draft>, String> {
        let environment = self.resolved.environment(role)?;
        let routers = self.alb_routers(&environment);
        // One written step becomes several nodes; with several balancers their names tell them apart.
        let suffix =
            |what: &str, of: &RouterName| if routers.len() > 1 { format!("{what}-{of}") } else { what.to_owned() };
        let mut sets: Vec<(String, String, Set)> = Vec::new();
        for name in &routers {
            let router = Arc::clone(self.router(name)?);
            let (on, whom) = (Arc::clone(&router), environment.clone());
            let leave = move |live: &Value, _: &crate::steps::Cx<'_>| {
                on.detach(live, &whom).map_err(|e| StepError::refused(e.0))
            };
            let set = Set::new(register_of(&router), Box::new(leave));
            sets.push((suffix("detach", name), format!("take {environment} off {name}"), set));
        }
        let targets: BTreeSet<_> = self.own_targets(&environment).into_iter().collect();
        for name in routers.iter().filter(|_| !targets.is_empty()) {
            let gone = targets.clone();
            let remove = move |live: &Value, _: &crate::steps::Cx<'_>| {
                let members: BTreeSet<(String, u16)> = typed(live)?;
                Ok(json!(members.difference(&gone).collect::<BTreeSet<_>>()))
            };
            let set = Set::new(members(self.router(name)?, &environment), Box::new(remove));
            sets.push((suffix("targets", name), format!("deregister {environment} from {name}"), set));
        }
        let stop = Box::new(|_: &Value, _: &crate::steps::Cx<'_>| Ok(json!(Running::Stopped)));
        let mut set = Set::new(self.register(&environment)?, stop);
        set.after_undo = vec![Arc::new(self.proven(&environment, 1)?)];
        sets.push((String::new(), format!("stop {environment}"), set));
        // Nothing of it begins while a router still names it with traffic, a client may still come, or something is in flight.
        if let Some((_, _, first)) = sets.first_mut() {
            first.before = vec![Arc::new(self.no_traffic(&environment)), Arc::new(self.left_alone(&environment)?)];
        }
        let within = Span::from_secs(7200);
        let draft = |(suffix, title, set)| Draft { suffix, within, ..Draft::new(title, set).effect(Phase::Serve) };
        let mut drafts: Vec<_> = sets.into_iter().map(draft).collect();
        if let Some(first) = drafts.first_mut() {
            first.after_tail_of = Some(environment);
        }
        Ok(drafts)
    }

    pub(super) fn run(&self, run: &Run) -> Vec<Draft> {
        let within = Span::from_secs(600);
        let title = format!("run {}", run.act.first().map_or("", String::as_str));
        let command = Command { run: run.clone(), directory: self.base(), within: within.std() };
        vec![Draft { within, ..Draft::new(title, command).effect(Phase::Rest) }]
    }

    fn register(&self, environment: &EnvironmentName) -> Result<Arc<dyn AnyRegister>, String> {
        let found = self.backends.environments.get(environment).cloned();
        found.ok_or_else(|| format!("`{environment}` has no `runs`, so it can be neither started nor stopped"))
    }

    pub(super) fn proven(&self, environment: &EnvironmentName, times: u32) -> Result<Proven, String> {
        Ok(Proven::new(Arc::clone(self.servers(environment)?), self.resolved.serves(environment), times))
    }

    fn left_alone(&self, environment: &EnvironmentName) -> Result<Quiet, String> {
        let servers = Arc::clone(self.servers(environment)?);
        Ok(Quiet::new(servers, QUIET_ON_UNDO, Some(UNMEASURED_ON_UNDO)).only_after_clients())
    }

    fn asked_to_close(&self, environment: &EnvironmentName, close: bool) -> Option<Arc<dyn Guard>> {
        let closes = self.resolved.plan.environments.get(environment)?.closes.as_ref()?;
        let servers = Arc::clone(self.backends.servers.get(environment)?);
        let (path, says) = if close { (&closes.start, "to close") } else { (&closes.stop, "to keep connections") };
        Some(Arc::new(AskToClose { servers, path: path.clone(), says }))
    }

    fn no_traffic(&self, environment: &EnvironmentName) -> NoTraffic {
        NoTraffic { environment: environment.clone(), routers: self.backends.routers.values().cloned().collect() }
    }

    /// Whoever gets more traffic by an undo must prove that it serves.
    fn destination(&self, name: &RouterName) -> Result<DestinationProven, String> {
        let router = Arc::clone(self.router(name)?);
        let of_plan = self.backends.servers.keys();
        let proofs: Result<BTreeMap<_, _>, String> = of_plan.map(|e| Ok((e.clone(), self.proven(e, 1)?))).collect();
        Ok(DestinationProven { router, proofs: proofs? })
    }

    /// Until when clients may still come to who loses traffic.
    fn tails(&self, name: &RouterName, router: &Arc<dyn AnyRouter>) -> Tails {
        let (on, grant) = (Arc::clone(router), self.grant(name));
        let is_name = matches!(self.resolved.plan.routers.get(name), Some(Router::Route53(_)));
        Box::new(move |from, to, cx| {
            let (Some(before), after) = (on.split(from), on.split(to)) else { return Vec::new() };
            let until = if is_name {
                // An alias has its target's TTL: 60 s for a load balancer.
                let ttl_s = on.ttl_s(from).unwrap_or(60);
                tail(&Swapped { at: cx.now, lag_s: 0, ttl_s }, None, grant)
            } else {
                let sticky_s = on.sticky_s(from);
                let until = cx.now + Span::from_secs(RULE_LAG_S + sticky_s).signed();
                let cookie = if sticky_s > 0 { format!(" + {sticky_s} s cookie") } else { String::new() };
                crate::probes::propagation::tail::Tail { until, why: format!("{RULE_LAG_S} s rule change{cookie}") }
            };
            let loses = |e: &EnvironmentName, share: u32| after.as_ref().is_none_or(|a| a.share(e) < share);
            let horizon =
                |e: &EnvironmentName| Horizon { environment: e.clone(), until: until.until, why: until.why.clone() };
            before.shares().filter(|(e, share)| loses(e, *share)).map(|(e, _)| horizon(e)).collect()
        })
    }

    fn grant(&self, name: &RouterName) -> Grant {
        let Some(Router::Route53(record)) = self.resolved.plan.routers.get(name) else { return Grant::default() };
        let seconds = |span: Span| u32::try_from(span.as_secs_ceil()).unwrap_or(u32::MAX);
        Grant { clamp_s: seconds(record.propagation.clamp), client_s: seconds(record.propagation.client_cache) }
    }

    fn assumed_s(&self, name: &RouterName) -> Option<u32> {
        let Some(Router::Route53(record)) = self.resolved.plan.routers.get(name) else { return None };
        record.propagation.assume_old_ttl.map(|span| u32::try_from(span.as_secs_ceil()).unwrap_or(u32::MAX))
    }
}

/// The targets in an environment's group.
fn members(router: &Arc<dyn AnyRouter>, environment: &EnvironmentName) -> Arc<dyn AnyRegister> {
    Arc::new(LazyMembers { router: Arc::clone(router), environment: environment.clone(), found: OnceCell::new() })
}

/// A router, as the register that it is.
fn register_of(router: &Arc<dyn AnyRouter>) -> Arc<dyn AnyRegister> {
    let register: Arc<dyn AnyRegister> = Arc::clone(router) as _;
    register
}

fn running(live: &Value) -> Result<Running, StepError> {
    typed(live)
}

fn typed<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, StepError> {
    serde_json::from_value(value.clone())
        .map_err(|e| StepError::refused(format!("the value is not one of its kind: {e}")))
}
