//! What happened: facts, the records that carry them, the state that they fold into, and where they are kept.

pub mod actor;
pub mod claims;
pub mod fact;
pub mod log;
pub mod record;
pub mod state;
pub mod store;
pub mod writer;
