//! Text → Plan → Resolved → Graph. Pure.

pub mod parse;
pub mod text; //      bytes → the text of a plan //     text → plan, or all that is wrong with it

pub mod finding; //   what is wrong, where, and what to do about it
pub mod model; //     what a person writes, as types
pub mod nearest;
pub mod path; //      `steps[3].swap.router`
pub mod source; //    where each value stands
pub mod tree; //      YAML with places
pub mod vars; //      ${var.NAME} //   what may have been meant

pub mod reference; // for people
pub mod schema; //    for editors

pub mod resolve; //   a plan with its roles fixed, as it is recorded
pub mod graph; //     what a run can do, in which order, and in which order it goes back
pub mod compile; //   resolved → graph

mod check;
mod draft;
mod misfit;
mod typed;

pub use finding::{Finding, Severity};
pub use parse::{Parsed, parse};
pub use source::Source;
pub use vars::Vars;
