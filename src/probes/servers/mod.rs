//! The habits of each kind of server: where it says that it is healthy, what it serves, and how it proves it.

pub(super) mod completion; //     one streamed generation, and how a server can lie in it
pub(super) mod kserve;
mod models; //         what an OpenAI-compatible server says that it serves
pub(super) mod openai;
pub(super) mod plain;
mod revision; //       when two ways to write a revision mean the same
pub(super) mod tcp;
