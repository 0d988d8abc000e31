//! Text → Plan → Resolved → Graph. Pure.

// Bytes → text → plan, or everything that is wrong with it.
pub mod parse;
pub mod text;

// What a person writes, as types; what is wrong, where, and what to do about it.
pub mod finding;
pub mod model;

// YAML with places, and the ways to them.
pub mod nearest;
pub mod path;
pub mod source;
pub mod tree;
pub mod vars;

// The same types for editors and for people.
pub mod reference;
pub mod schema;

pub mod compile;
pub mod graph; //     what a run can do, in which order, and in which order it goes back
pub mod resolve; //   a plan with its roles fixed, as it is recorded //   resolved → graph

mod check;
mod draft;
mod misfit;
mod typed;

pub use finding::{Finding, Severity};
pub use parse::{Parsed, parse};
pub use source::Source;
pub use vars::Vars;
