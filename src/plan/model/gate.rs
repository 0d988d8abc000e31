//! What must hold, and who watches.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::with_access;
use super::environment::default_command_within;
use crate::units::Span;

/// A condition that must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// An HTTP answer.
    Http(HttpGate),
    /// A command that exits 0.
    Command(CommandGate),
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpGate {
    /// What is asked; a path is asked of every endpoint of the environment.
    pub url: String,
    /// The status that passes. Default 200.
    #[serde(default = "default_status")]
    pub status: u16,
    /// What the body must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
}

fn default_status() -> u16 {
    200
}

/// A command that exits 0 when the gate passes; `MODELSWAP_URLS` tells it which servers to ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandGate {
    /// Program and arguments; never a shell.
    pub run: Vec<String>,
    /// How long it may take. Default 10m.
    #[serde(default = "default_command_within")]
    pub within: Span,
}

with_access! {
    /// A client that asks through the front door.
    pub struct Witness, read as WitnessKeys {
        /// What it asks, as clients do.
        pub url: url::Url,
        /// How often. Default 200ms.
        #[serde(default = "default_every")]
        pub every: Span,
        /// How often it begins a long stream; never without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub streams_every: Option<Span>,
        /// How many tokens a long stream asks for. Default 200.
        #[serde(default = "default_stream_tokens")]
        pub stream_tokens: u32,
    }
}

fn default_every() -> Span {
    Span::from_millis(200)
}

fn default_stream_tokens() -> u32 {
    200
}
