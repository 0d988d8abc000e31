//! How it is told. A reporter's trouble never changes what happens.

use crate::ids::StepId;
use crate::journal::record::Record;
use crate::journal::state::RunState;

/// Somebody who is told, once it is durable.
pub trait Reporter: Send {
    /// A fact was made durable; `state` is the run after it.
    fn record(&mut self, record: &Record, state: &RunState);

    /// A step is still at it. Not durable, and may be said often.
    fn progress(&mut self, step: &StepId, note: &str);
}
