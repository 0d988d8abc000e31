//! Small plans, as the compiler lays them out, and the registers that they change.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::ids::{EnvironmentName, RouterName, StepId};
use crate::plan::graph::{Phase, Section, Shape};

/// What a step does to its register: it sets one field.
#[derive(Debug, Clone)]
pub(super) struct Effect {
    pub(super) register: &'static str,
    field: &'static str,
    to: Value,
}

impl Effect {
    pub(super) fn on(&self, live: &Value) -> Value {
        let mut value = live.clone();
        value[self.field] = self.to.clone();
        value
    }
}

/// Steps, what they do, and what was there before.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) shapes: Vec<Shape>,
    pub(super) effects: BTreeMap<StepId, Effect>,
    pub(super) before: BTreeMap<&'static str, Value>,
}

/// A step of a plan on its way into it.
struct Step(Shape, Option<Effect>);

fn step(id: &str, after: &[&str]) -> Step {
    let shape = Shape {
        id: name(id),
        title: id.to_owned(),
        section: Section::Deploy,
        after: after.iter().map(|id| name(id)).collect(),
        effect: false,
        phase: Phase::Rest,
        group: None,
        holds: false,
        after_tail_of: None,
        undo_after_tail_of: None,
        late: None,
    };
    Step(shape, None)
}

pub(super) fn name(id: &str) -> StepId {
    StepId::new(id).unwrap()
}

fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::new(name).unwrap()
}

impl Step {
    fn sets(mut self, phase: Phase, register: &'static str, field: &'static str, to: impl Into<Value>) -> Self {
        (self.0.effect, self.0.phase) = (true, phase);
        self.1 = Some(Effect { register, field, to: to.into() });
        self
    }

    fn group(mut self, router: &str) -> Self {
        self.0.group = Some(RouterName::new(router).unwrap());
        self
    }

    fn after_tail_of(mut self, of: &str) -> Self {
        self.0.after_tail_of = Some(environment(of));
        self
    }

    fn undo_after_tail_of(mut self, of: &str) -> Self {
        self.0.undo_after_tail_of = Some(environment(of));
        self
    }

    fn finalize(mut self) -> Self {
        (self.0.section, self.0.holds) = (Section::Finalize, true);
        self
    }
}

fn plan(steps: Vec<Step>) -> Plan {
    let effects = steps.iter().filter_map(|s| Some((s.0.id.clone(), s.1.clone()?))).collect();
    let before = BTreeMap::from([
        ("hook", json!({ "ran": false })),
        ("env-a", json!({ "runs": true })),
        ("env-b", json!({ "runs": false })),
        ("in-a", json!({ "registered": true })),
        ("in-b", json!({ "registered": false })),
        ("alb", json!({ "live": "a", "a": true, "b": false, "ttl": 5 })),
        ("dns", json!({ "live": "a", "a": true, "b": true, "ttl": 300 })),
    ]);
    Plan { shapes: steps.into_iter().map(|s| s.0).collect(), effects, before }
}

/// One step of each kind, one after the other; and what burns the way back.
pub(super) fn whole() -> Plan {
    plan(vec![
        step("hook", &[]).sets(Phase::Rest, "hook", "ran", true),
        step("provision", &["hook"]).sets(Phase::Stop, "env-b", "runs", true).undo_after_tail_of("b"),
        step("targets", &["provision"]).sets(Phase::Stop, "in-b", "registered", true).undo_after_tail_of("b"),
        step("attach", &["targets"]).sets(Phase::Traffic, "alb", "b", true).group("alb"),
        step("lower", &["attach"]).sets(Phase::Rest, "dns", "ttl", 60).group("dns"),
        step("check", &["lower"]),
        step("swap-alb", &["check"]).sets(Phase::Traffic, "alb", "live", "b").group("alb"),
        step("swap-dns", &["swap-alb"]).sets(Phase::Traffic, "dns", "live", "b").group("dns").after_tail_of("a"),
        step("verify", &["swap-dns"]),
        step("restore", &["verify"]).sets(Phase::Traffic, "dns", "ttl", 300).group("dns").finalize(),
        step("detach", &["restore"]).sets(Phase::Serve, "alb", "a", false).after_tail_of("a").finalize(),
        step("gone", &["detach"]).sets(Phase::Serve, "in-a", "registered", false).finalize(),
        step("stop", &["gone"]).sets(Phase::Serve, "env-a", "runs", false).finalize(),
    ])
}

/// Two routers in branches of their own, after what both need.
pub(super) fn branches() -> Plan {
    plan(vec![
        step("provision", &[]).sets(Phase::Stop, "env-b", "runs", true).undo_after_tail_of("b"),
        step("targets", &["provision"]).sets(Phase::Stop, "in-b", "registered", true).undo_after_tail_of("b"),
        step("attach", &["targets"]).sets(Phase::Traffic, "alb", "b", true).group("alb"),
        step("swap-alb", &["attach"]).sets(Phase::Traffic, "alb", "live", "b").group("alb"),
        step("check-alb", &["swap-alb"]),
        step("lower", &["targets"]).sets(Phase::Rest, "dns", "ttl", 60).group("dns"),
        step("swap-dns", &["lower"]).sets(Phase::Traffic, "dns", "live", "b").group("dns").after_tail_of("a"),
        step("hook", &["targets"]).sets(Phase::Rest, "hook", "ran", true),
        step("verify", &["check-alb", "swap-dns", "hook"]),
    ])
}
