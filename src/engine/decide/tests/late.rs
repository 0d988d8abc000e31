//! Every interleaving of one deploy and the rollbacks that take it over, with requests that are late, lost or delivered twice.
//!
//! What is decided, folded, allowed to be appended, and asked of a register is the real code: `decide`, `RunState::fold`,
//! `journal::writer::displaces`, and the `Set` step, whose reads and writes are the messages of this model. Copied is only the
//! order in which `engine::perform` and `engine::back` ask for them (`flight`). All states are visited, each once.
//!
//! By default one process takes over; where the steps have a register each, only the first request of the deploy may be delivered
//! twice, and where they share one, each request is sent and delivered once. With `MODELSWAP_INTERLEAVE=full` every request may be
//! sent again and delivered twice (hours), and `MODELSWAP_TAKEOVERS=2` lets a third process take the run from the second.
//!
//! Assumed, as in docs/architecture.md: a request arrives within its window or never; copies of it arrive before its answer does.

use super::*;
use crate::providers::{LATE_AT_MOST, Late};

mod flight;
mod model;
mod probe;

use model::Checker;
use probe::Kind;

/// A step of a small plan: its register, what it puts there, and its phase.
#[derive(Debug, Clone, Copy)]
struct Small {
    id: &'static str,
    register: usize,
    want: i64,
    phase: Phase,
}

/// Two steps, the registers that they change, and whether something must run while the last of them leads to it.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    registers: [Kind; 2],
    steps: [Small; 2],
    /// The first register says whether B runs; the second must not lead to B (1) when it does not.
    leads: bool,
}

fn small(id: &'static str, register: usize, want: i64, phase: Phase) -> Small {
    Small { id, register, want, phase }
}

fn starts_and_swaps(name: &'static str, router: Kind) -> Case {
    let steps = [small("provision", 0, 1, Phase::Stop), small("swap", 1, 1, Phase::Traffic)];
    Case { name, registers: [Kind::Local, router], steps, leads: true }
}

fn twice(name: &'static str, router: Kind, first: Phase) -> Case {
    let steps = [small("first", 1, 1, first), small("second", 1, 2, Phase::Traffic)];
    Case { name, registers: [Kind::Local, router], steps, leads: false }
}

fn cases() -> [Case; 4] {
    [
        starts_and_swaps("a name", Kind::Compared),
        starts_and_swaps("a balancer", Kind::Blind),
        twice("a name, TTL first", Kind::Compared, Phase::Rest),
        twice("a balancer, attached first", Kind::Blind, Phase::Traffic),
    ]
}

fn shapes(case: &Case, fenced: bool) -> Vec<Shape> {
    let shape = |(at, step): (usize, &Small)| Shape {
        id: name(step.id),
        title: step.id.to_owned(),
        section: Section::Deploy,
        after: case.steps[..at].iter().map(|s| name(s.id)).collect(),
        effect: true,
        phase: step.phase,
        group: (step.register == 1).then(|| crate::ids::RouterName::new("router").unwrap()),
        holds: false,
        after_tail_of: None,
        undo_after_tail_of: None,
        late: fenced.then(|| match case.registers[step.register] {
            Kind::Local => Late::BY_SENDER,
            kind => Late { within: LATE_AT_MOST, compared: kind == Kind::Compared, outlives_sender: true },
        }),
    };
    case.steps.iter().enumerate().map(shape).collect()
}

/// How many processes take over, one from the other: one, or as many as `MODELSWAP_TAKEOVERS` says.
fn takeovers() -> usize {
    std::env::var("MODELSWAP_TAKEOVERS").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// All of the interleavings of a case; each has a test of its own, so that they share the machine.
fn no_interleaving_ends_in_a_lie(case: Case) {
    // What a deploy does by itself after a failure is what a rollback does, so the second kind of case has it too.
    let policy = if case.leads { OnFailure::Hold } else { OnFailure::Rollback };
    let mut checker = Checker::new(case, shapes(&case, true), policy, takeovers());
    let found =
        checker.all().unwrap_or_else(|(why, path)| panic!("{}: {why} after\n  {}", case.name, path.join("\n  ")));
    println!(
        "{}: {} states, {:.2e} interleavings; of {} last states {} say rolled back",
        case.name, found.states, found.interleavings, found.ends, found.rolled_back
    );
    // A check that saw nothing proves nothing.
    assert!(found.states > 1_000 && found.rolled_back > 0, "{found:?}");
}

#[test]
fn no_interleaving_on_a_name_ends_in_a_lie() {
    no_interleaving_ends_in_a_lie(cases()[0]);
}

#[test]
fn no_interleaving_on_a_balancer_ends_in_a_lie() {
    no_interleaving_ends_in_a_lie(cases()[1]);
}

#[test]
fn no_interleaving_of_two_steps_on_a_name_ends_in_a_lie() {
    no_interleaving_ends_in_a_lie(cases()[2]);
}

#[test]
fn no_interleaving_of_two_steps_on_a_balancer_ends_in_a_lie() {
    no_interleaving_ends_in_a_lie(cases()[3]);
}

/// Without the fence the known counterexample is found: A sends and is paused, B takes over, finds the value that it wants and
/// has nothing to do, says so, and then A's request lands.
#[test]
fn without_a_fence_the_late_write_that_wins_is_found() {
    for case in cases() {
        let mut checker = Checker::new(case, shapes(&case, false), OnFailure::Hold, 1);
        let (why, path) = checker.shortest().expect("nothing was found, so the check sees nothing");
        println!("{}: {why}, after\n  {}", case.name, path.join("\n  "));
        let at = |what: &str| path.iter().position(|step| step.contains(what));
        let taken = at("2 takes over").expect("there is no harm without a takeover");
        let late = path[taken..].iter().any(|step| step.contains("request 1 of 1") || step.starts_with("1 Apply"));
        assert!(at("1 Apply") < Some(taken) && late, "{path:?}");
    }
}
