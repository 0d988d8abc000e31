//! How to talk to a server: health, identity, completion, metrics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::with_access;

/// How to talk to a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Serves {
    /// An OpenAI-compatible model server.
    Openai(OpenAi),
    /// The open inference protocol, version 2: KServe, Triton, MLServer.
    Kserve(Kserve),
    /// Any HTTP server.
    Http(PlainHttp),
    /// Anything that accepts TCP connections.
    Tcp(Tcp),
}

with_access! {
    /// An OpenAI-compatible model server.
    pub struct OpenAi, read as OpenAiKeys {
        /// Which server: its health path, identity and metric names.
        #[serde(default)]
        pub server: OpenAiServer,
        /// Tokens that the proof of serving asks for. Default 8.
        #[serde(default = "default_proof_tokens")]
        pub proof_tokens: u32,
    }
}

/// The OpenAI-compatible servers whose habits are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OpenAiServer {
    /// vLLM.
    Vllm,
    /// SGLang.
    Sglang,
    /// llama.cpp's server.
    LlamaCpp,
    /// Text Generation Inference.
    Tgi,
    /// Ollama.
    Ollama,
    /// Another: `/v1/models` and a completion; no metrics are known.
    #[default]
    Other,
}

with_access! {
    /// The open inference protocol, version 2.
    pub struct Kserve, read as KserveKeys {
        /// The request body that proves inference, as JSON; without it, readiness of the model is all that is proven.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub infer: Option<serde_json::Value>,
    }
}

with_access! {
    /// Any HTTP server.
    pub struct PlainHttp, read as PlainHttpKeys {
        /// Path that answers 2xx when it can serve. Default `/`.
        #[serde(default = "default_path")]
        pub health: String,
        /// Where the served release can be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub identity: Option<HttpIdentity>,
    }
}

/// Where a plain HTTP server says what it serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpIdentity {
    /// Path of a JSON answer.
    pub path: String,
    /// JSON pointer to the model's name.
    pub model: String,
    /// JSON pointer to its revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// A TCP server: nothing but a connection can be proven.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tcp {}

fn default_proof_tokens() -> u32 {
    8
}

fn default_path() -> String {
    "/".to_owned()
}
