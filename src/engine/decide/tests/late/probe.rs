//! A register whose answers are given in advance, so that the real `Set` can be asked what it would send.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::journal::fact::FailureKind;
use crate::providers::erased::AnyRegister;
use crate::providers::{Late, ProviderError, Settled};
use crate::steps::StepError;
use crate::steps::set::Set;

/// What a register does with a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is changed by the process itself: what is done is done.
    Local,
    /// It takes every write, as a load balancer's rule does.
    Blind,
    /// It takes a write only while it holds what the write expects, as Route 53 does.
    Compared,
}

/// What a touched value is higher by.
const TOUCH: i64 = 100;

/// Where a value leads, touched or not.
pub(super) fn leads_to(value: i64) -> i64 {
    value % TOUCH
}

#[derive(Debug)]
pub(super) struct Probe {
    kind: Kind,
    key: String,
    /// What each read finds; the last again and again.
    reads: Mutex<VecDeque<i64>>,
    /// Whether the write took effect; none while there is no answer.
    answer: Option<bool>,
    sent: Mutex<Option<(i64, i64)>>,
}

impl Probe {
    pub(super) fn new(kind: Kind, register: usize, reads: &[i64], answer: Option<bool>) -> Arc<Self> {
        let (reads, key) = (Mutex::new(reads.iter().copied().collect()), format!("r{register}"));
        Arc::new(Self { kind, key, reads, answer, sent: Mutex::new(None) })
    }

    pub(super) fn set(self: &Arc<Self>, want: i64) -> Set {
        Set::new(Arc::clone(self) as Arc<dyn AnyRegister>, Box::new(move |_, _| Ok(json!(want))))
    }

    /// The write that was asked for, if one was.
    pub(super) fn sent(&self) -> Option<(i64, i64)> {
        *self.sent.lock().unwrap()
    }

    fn look(&self) -> i64 {
        let mut reads = self.reads.lock().unwrap();
        if reads.len() > 1 { reads.pop_front().unwrap() } else { reads[0] }
    }

    fn conflict(&self, expected: i64, found: i64) -> ProviderError {
        ProviderError::Conflict { on: self.key.clone(), expected: expected.to_string(), found: found.to_string() }
    }
}

#[async_trait]
impl AnyRegister for Probe {
    fn key(&self) -> String {
        self.key.clone()
    }
    async fn read(&self) -> Result<Value, ProviderError> {
        Ok(json!(self.look()))
    }
    async fn swap(&self, expected: &Value, new: &Value) -> Result<Value, ProviderError> {
        let (expected, new) = (expected.as_i64().unwrap(), new.as_i64().unwrap());
        if self.kind != Kind::Compared {
            match self.look() {
                live if live == new => return Ok(Value::Null),
                live if live != expected => return Err(self.conflict(expected, live)),
                _ => {}
            }
        } else if expected == new {
            return Ok(Value::Null);
        }
        match self.answer {
            None => {
                *self.sent.lock().unwrap() = Some((expected, new));
                Err(ProviderError::Unknown { call: self.key.clone(), why: "no answer".to_owned() })
            }
            Some(true) => Ok(json!("changed")),
            // Refused: as Route 53 does after an `InvalidChangeBatch`, it looks what is there.
            Some(false) => match self.look() {
                live if live == new => Ok(Value::Null),
                live if live != expected => Err(self.conflict(expected, live)),
                _ => Err(ProviderError::Busy { call: self.key.clone(), why: "it was there for a moment".to_owned() }),
            },
        }
    }
    async fn settled(&self, value: &Value, _: Option<&Value>) -> Result<Settled, ProviderError> {
        let live = self.look();
        let value = value.as_i64().unwrap();
        if live == value { Ok(Settled::Yes(String::new())) } else { Err(self.conflict(value, live)) }
    }
    fn show(&self, value: &Value) -> String {
        value.to_string()
    }
    fn merges(&self) -> bool {
        false
    }
    fn late(&self) -> Option<Late> {
        None
    }
    fn touch(&self, value: &Value, _: &Value) -> Option<Value> {
        let value = value.as_i64().unwrap();
        (self.kind == Kind::Compared && value < TOUCH).then(|| json!(value + TOUCH))
    }
    fn has(&self, live: &Value, _: &Value, to: &Value) -> bool {
        live == to
    }
    fn take_back(&self, _: &Value, _: &Value, _: &Value) -> Option<Value> {
        None
    }
}

/// What became of asking for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// It is there.
    Done,
    /// A request is on its way: from what, to what.
    Sent(i64, i64),
    /// It may be tried again.
    Busy,
    /// It failed.
    Failed(FailureKind),
}

pub(super) fn asked(answer: Result<Value, StepError>, probe: &Probe) -> Asked {
    match answer {
        Ok(_) => Asked::Done,
        Err(StepError::Provider { error: ProviderError::Unknown { .. } }) => {
            let (from, to) = probe.sent().expect("only what was sent has an unknown outcome");
            Asked::Sent(from, to)
        }
        Err(StepError::Provider { error: ProviderError::Busy { .. } }) => Asked::Busy,
        Err(StepError::Provider { error: ProviderError::Conflict { .. } }) => Asked::Failed(FailureKind::Drift),
        Err(StepError::Provider { error: ProviderError::Rejected { .. } } | StepError::Refused { .. }) => {
            Asked::Failed(FailureKind::Failed)
        }
    }
}
