//! Every interleaving of one deploy and the rollbacks that take it over, with requests that are late, lost or delivered twice.
//!
//! What is decided, folded, allowed to be appended, and asked of a register is the real code: `decide`, `RunState::fold`,
//! `journal::writer::displaces`, and the `Set` step, whose reads and writes are the messages of this model. Copied here is only the
//! order in which `engine::perform` and `engine::back` ask for them. All states are visited, each once.
//!
//! Assumed, as in docs/architecture.md: a request arrives within its window or never; copies of it arrive before its answer does.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::FutureExt;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::worlds::{Plan, named, rolled};
use super::*;
use crate::ids::RunId;
use crate::journal::fact::{OnDrift, Prepared, Purpose};
use crate::journal::writer::displaces;
use crate::providers::erased::AnyRegister;
use crate::providers::{Late, ProviderError, Settled};
use crate::steps::set::Set;
use crate::steps::{Cx, Stands, Step, StepError, Verdict};

/// Requests of one step before it gives up.
const TRIES: u32 = 2;
