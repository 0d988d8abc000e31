//! The steps that only look.

use std::sync::Arc;

use super::{Compiler, Draft};
use crate::ids::{EnvironmentName, GateName};
use crate::plan::model::{Approve, Bake, Check, Drain, Gate, OnFailure, Router, Verify, Wait};
use crate::steps::check;
use crate::steps::gates::{self, Gates};
use crate::steps::guards::Quiet;
use crate::steps::look::LookStep;
use crate::steps::{front_door, propagation, time};
use crate::units::Span;

/// So long that only the step's own patience counts.
const OWN_PATIENCE: Span = Span::from_secs(30 * 24 * 3600);

impl Compiler<'_> {
    pub(super) fn check(&self, check: &Check) -> Result<Vec<Draft>, String> {
        let environment = self.resolved.environment(&check.environment)?;
        let look = check::Check {
            proven: self.proven(&environment, check.times)?,
            gates: self.gates(&environment, &check.gates)?,
        };
        let draft = Draft::new(format!("check {environment}"), LookStep(look));
        Ok(vec![Draft { within: Span::from_secs(900), ..draft }])
    }

    pub(super) fn bake(&self, bake: &Bake) -> Result<Vec<Draft>, String> {
        let environment = self.resolved.next.clone();
        let look = check::Bake {
            length: bake.length,
            routers: self.backends.routers.values().cloned().collect(),
            proven: self.proven(&environment, 1)?,
            gates: self.gates(&environment, &bake.gates)?,
            environment,
        };
        let draft = Draft::new(format!("bake for {}", bake.length), LookStep(look));
        // A look that cannot tell may outlast the bake; then it has not held.
        let within = Span::from(bake.length.std() + std::time::Duration::from_mins(5));
        Ok(vec![Draft { within, poll: Span::from_secs(2), ..draft }])
    }

    pub(super) fn drain(&self, drain: &Drain) -> Result<Vec<Draft>, String> {
        let environment = self.resolved.environment(&drain.environment)?;
        let quiet = Quiet::new(Arc::clone(self.servers(&environment)?), drain.quiet, drain.unmeasured);
        let look = check::Drain { environment: environment.clone(), at_most: drain.at_most, quiet };
        let draft = Draft::new(format!("drain {environment}"), LookStep(look));
        Ok(vec![Draft { within: OWN_PATIENCE, holds: true, after_tail_of: Some(environment), ..draft }])
    }

    pub(super) fn verify(&self, verify: &Verify) -> Result<Vec<Draft>, String> {
        let sees = self.resolved.environment(&verify.sees)?;
        let router = Arc::clone(self.router(&verify.router)?);
        let title = format!("verify that clients of {} see {sees}", verify.router);
        let draft = match self.resolved.plan.routers.get(&verify.router) {
            Some(Router::Route53(record)) => {
                let look = propagation::Propagated::new(
                    router,
                    sees,
                    record.propagation.clone(),
                    self.backends.addresses.clone(),
                    self.backends.resolvers.clone(),
                );
                // Until the last copy of the old answer dies, an old answer is no failure; that bound is the step's own.
                Draft {
                    within: OWN_PATIENCE,
                    poll: Span::from_millis(500),
                    holds: true,
                    ..Draft::new(title, LookStep(look))
                }
            }
            Some(Router::Alb(_)) | None => {
                let look = front_door::Seen {
                    router,
                    sees: sees.clone(),
                    door: self.resolved.plan.witness.as_ref().map(|w| w.url.clone()),
                    servers: Arc::clone(self.servers(&sees)?),
                    want: self.resolved.serves(&sees),
                };
                Draft::new(title, LookStep(look))
            }
        };
        Ok(vec![draft])
    }

    pub(super) fn approve(&self, approve: &Approve) -> Vec<Draft> {
        let service = self.resolved.plan.service.to_string();
        let look = time::Approve { within: approve.within, service };
        let holds = approve.otherwise != OnFailure::Rollback;
        vec![Draft {
            within: OWN_PATIENCE,
            holds,
            ..Draft::new(crate::plan::graph::APPROVAL.to_owned(), LookStep(look))
        }]
    }

    pub(super) fn wait(wait: &Wait) -> Vec<Draft> {
        let draft = Draft::new(format!("wait {}", wait.length), LookStep(time::Wait(wait.length)));
        vec![Draft { within: OWN_PATIENCE, ..draft }]
    }

    fn gates(&self, environment: &EnvironmentName, names: &[GateName]) -> Result<Gates, String> {
        let gate = |name: &GateName| -> Result<(GateName, Box<dyn gates::Gate>), String> {
            let written = self.resolved.plan.gates.get(name).ok_or_else(|| format!("there is no gate `{name}`"))?;
            let servers = Arc::clone(self.servers(environment)?);
            let gate: Box<dyn gates::Gate> = match written {
                Gate::Http(http) => Box::new(gates::Http { servers, gate: http.clone() }),
                Gate::Command(command) => {
                    Box::new(gates::Command { servers, gate: command.clone(), directory: self.base() })
                }
            };
            Ok((name.clone(), gate))
        };
        Ok(Gates(names.iter().map(gate).collect::<Result<_, _>>()?))
    }
}
