//! Name servers that answer what the zones hold, and the caching resolvers in front of them.

mod answer;
pub mod authoritative;
pub mod resolver;
mod wire;

pub use wire::ask;
