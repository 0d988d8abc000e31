//! From the names in a plan to the back-ends they stand for. Nothing is opened or asked here.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::desk::Desk;
use crate::ids::EnvironmentName;
use crate::plan::compile::Backends;
use crate::plan::model::{AlbRule, Endpoints, Plan, ProcessRuns, RecordValues, Release, Router, Runs};
use crate::plan::resolve::Resolved;
use crate::providers::aws::{AwsAccess, AwsClients};
use crate::providers::dns::route53::value::Alias;
use crate::providers::dns::route53::{Form, Route53};
use crate::providers::environments::{Command, Elsewhere, Process};
use crate::providers::erased::{AnyRegister, AnyRouter};
use crate::providers::traffic::alb::{Alb, Which};
use crate::steps::servers::Servers;
use crate::units::Span;
use crate::world::AddressMap;

/// Routers and servers, for looking before roles are known.
pub(super) fn open(plan: &Plan, desk: &Desk) -> Backends {
    let access = AwsAccess {
        account: plan.aws.as_ref().map(|aws| aws.account.clone()),
        region: plan.aws.as_ref().map(|aws| aws.region.clone()),
        profile: plan.aws.as_ref().and_then(|aws| aws.profile.clone()),
        endpoint: desk.world.as_ref().map(|world| world.cloud.clone()),
        scale: desk.world.as_ref().map(|world| world.scale),
    };
    let clients = Arc::new(AwsClients::new(access));
    let routers: BTreeMap<_, _> =
        plan.routers.iter().map(|(name, router)| (name.clone(), self::router(router, &clients))).collect();
    let addresses = desk.world.as_ref().map(AddressMap::of).unwrap_or_default();
    let servers = plan.environments.iter().map(|(name, environment)| {
        let router = match &environment.endpoints {
            Endpoints::TargetGroup { target_group } => routers.get(target_group).cloned(),
            Endpoints::Urls(_) => None,
        };
        let (serves, endpoints) = (environment.serves.clone(), environment.endpoints.clone());
        (name.clone(), Arc::new(Servers::new(name.clone(), serves, endpoints, router, addresses.clone())))
    });
    Backends {
        servers: servers.collect(),
        environments: BTreeMap::new(),
        routers,
        addresses: addresses.clone(),
        resolvers: desk.world.as_ref().map(|world| world.resolvers.clone()),
        clock: Arc::clone(&desk.clock),
    }
}

/// The same with what starts and stops environments, which depends on who is live.
pub(super) fn with_environments(backends: Backends, resolved: &Resolved, desk: &Desk) -> Backends {
    let environments = resolved.plan.environments.iter().filter_map(|(name, environment)| {
        let runs = environment.runs.as_ref()?;
        let release = resolved.serves(name).unwrap_or_else(|| resolved.plan.release.clone());
        Some((name.clone(), self::environment(name, runs, release, resolved, desk)))
    });
    Backends { environments: environments.collect(), ..backends }
}

fn environment(
    name: &EnvironmentName,
    runs: &Runs,
    release: Release,
    resolved: &Resolved,
    desk: &Desk,
) -> Arc<dyn AnyRegister> {
    let dir = desk.directory(&resolved.plan.service);
    let clock = Arc::clone(&desk.clock);
    let argv = desk.world.as_ref().and_then(|world| world.runs.get(name)).cloned();
    let away = !resolved.host.is_empty() && resolved.host != desk.actor.host;
    if away && matches!(runs, Runs::Process(_)) {
        return Arc::new(Elsewhere { environment: name.clone(), host: resolved.host.clone() });
    }
    let at = |directory: Option<std::path::PathBuf>| Some(resolved.base.join(directory.unwrap_or_default()));
    match (runs.clone(), argv) {
        (runs, Some(argv)) => {
            let (env, directory, grace) = match runs {
                Runs::Process(runs) => (runs.env, runs.directory, runs.grace),
                Runs::Command(runs) => (runs.env, runs.directory, Span::from_secs(30)),
            };
            // The world's model servers stream in real time, so from TERM to KILL takes as long as it does outside.
            let scale = desk.world.as_ref().map_or(1.0, |world| world.scale);
            let grace = Span::from(grace.std().mul_f64(scale));
            let runs = ProcessRuns { command: argv, env, directory: at(directory), log: None, grace };
            Arc::new(Process::new(name.clone(), runs, release, dir, clock))
        }
        (Runs::Process(mut runs), None) => {
            runs.directory = at(runs.directory);
            Arc::new(Process::new(name.clone(), runs, release, dir, clock))
        }
        (Runs::Command(mut runs), None) => {
            runs.directory = at(runs.directory);
            Arc::new(Command::new(name.clone(), runs, release, dir, clock))
        }
    }
}

fn router(router: &Router, clients: &Arc<AwsClients>) -> Arc<dyn AnyRouter> {
    match router {
        Router::Alb(alb) => {
            let (listener, which) = match &alb.rule {
                AlbRule::Default => (alb.listener.clone().unwrap_or_default(), Which::Default),
                AlbRule::Matching(rule) => {
                    (rule.listener.clone(), Which::Matching { host: rule.host.clone(), path: rule.path.clone() })
                }
            };
            let groups = alb.target_groups.clone();
            Arc::new(Alb::new(Arc::clone(clients), listener, which, groups, alb.floor, alb.owner.clone()))
        }
        Router::Route53(record) => {
            let zone = (record.zone.as_str(), record.private);
            Arc::new(Route53::new(Arc::clone(clients), zone, &record.name, form(record), record.owner.clone()))
        }
    }
}

fn form(record: &crate::plan::model::Route53) -> Form {
    if let Some(aliases) = &record.aliases {
        let alias = |a: &crate::plan::model::AliasTarget| Alias {
            target: format!("{}.", a.target.trim_end_matches('.').to_ascii_lowercase()),
            zone: a.zone.clone(),
            evaluate_target_health: a.evaluate_target_health,
        };
        return Form::Aliases(aliases.iter().map(|(e, a)| (e.clone(), alias(a))).collect());
    }
    if let Some(weighted) = &record.weighted {
        return Form::Weighted(weighted.clone());
    }
    let values = record.values.iter().flatten();
    Form::Values(values.map(|(e, values)| (e.clone(), by_type(values))).collect())
}

fn by_type(values: &RecordValues) -> BTreeMap<String, Vec<String>> {
    match values {
        RecordValues::ByType(values) => values.clone(),
        RecordValues::Addresses(addresses) => {
            let mut sets: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for address in addresses {
                let kind = match address {
                    IpAddr::V4(_) => "A",
                    IpAddr::V6(_) => "AAAA",
                };
                sets.entry(kind.to_owned()).or_default().push(address.to_string());
            }
            sets
        }
    }
}
