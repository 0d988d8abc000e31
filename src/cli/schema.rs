//! `modelswap schema`: the plan language as JSON Schema, for editors and other programs.

use super::{Exit, Failure};
use crate::report::show;

/// Prints the schema that `docs/plan.schema.json` holds.
#[expect(clippy::unnecessary_wraps, reason = "every verb has this shape")]
pub(super) fn run() -> Result<Exit, Failure> {
    show(&format!("{:#}", crate::plan::schema::schema()));
    Ok(Exit::Done)
}
