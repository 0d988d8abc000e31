//! The compiled plan: what a run can do, in which order, and in which order it goes back.

use std::sync::Arc;

use crate::ids::{EnvironmentName, RouterName, StepId};
use crate::plan::model::OnFailure;
pub use crate::providers::Late;
use crate::steps::Step;
use crate::units::Span;

/// A compiled plan. Only [`super::compile::compile`] makes one.
#[derive(Debug)]
pub struct Graph {
    /// What happens when a step fails.
    pub on_failure: OnFailure,
    /// In the order in which they were written.
    pub nodes: Vec<Node>,
}

impl Graph {
    /// The node of a step.
    pub fn node(&self, id: &StepId) -> &Node {
        self.nodes.iter().find(|node| node.shape.id == *id).expect("BUG: moves name steps of the graph")
    }

    /// The shapes alone: all that deciding needs.
    pub fn shapes(&self) -> Vec<Shape> {
        self.nodes.iter().map(|node| node.shape.clone()).collect()
    }
}

/// A step with its place in the order.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its place.
    pub shape: Shape,
    /// What it does.
    pub step: Arc<dyn Step>,
    /// How long it may take from its first look.
    pub within: Span,
    /// How long between two looks.
    pub poll: Span,
}

impl Node {
    /// Whether it waits for a person to say yes.
    pub fn asks_a_person(&self) -> bool {
        self.shape.title == APPROVAL
    }
}

/// Title of the steps that wait for a person.
pub const APPROVAL: &str = "wait for approval";

/// A step's place in the order; plain data, so that deciding is pure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Which step.
    pub id: StepId,
    /// What it is called on a screen: `swap record`.
    pub title: String,
    /// Deploy or finalize.
    pub section: Section,
    /// Steps that must hold before this one begins.
    pub after: Vec<StepId>,
    /// Whether it changes anything.
    pub effect: bool,
    /// When it is undone.
    pub phase: Phase,
    /// Steps that change the same register are undone together, by one write, when they share this.
    pub group: Option<RouterName>,
    /// Whether its failure leaves everything as it is, whatever the plan's policy: a person decides.
    pub holds: bool,
    /// It begins only when no client can still be led to this environment.
    pub after_tail_of: Option<EnvironmentName>,
    /// Its undo begins only when no client can still be led to this environment.
    pub undo_after_tail_of: Option<EnvironmentName>,
    /// How a request of its that was not answered may still take effect; none where it cannot.
    pub late: Option<Late>,
}

/// Which part of the plan a step belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// `steps`.
    Deploy,
    /// `finalize`.
    Finalize,
}

/// Going back has an order of its own; a phase that failed stops those that rely on it.
///
/// ```text
/// Serve    the destination serves: it exists, is registered, is healthy; traffic stays where it is meanwhile
/// Traffic  one net write for each register
/// Stop     what was started is drained and stopped
/// Rest     the rest in reverse, TTLs last
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The destination serves again.
    Serve,
    /// Traffic goes back to it.
    Traffic,
    /// What was started stops.
    Stop,
    /// Everything else.
    Rest,
}
