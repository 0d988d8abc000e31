//! The places, and a small journal to keep in them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use modelswap::ids::{RunId, ServiceName};
use modelswap::journal::actor::Actor;
use modelswap::journal::fact::{Fact, RunStarted};
use modelswap::journal::record::{Record, VERSION, digest, payload};
use modelswap::journal::store::Store;
use modelswap::journal::store::local::Local;
use modelswap::journal::store::object::{Bucket, ObjectLog};
use modelswap::providers::buckets::{BucketUrl, Reach, open};
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::{Value, json};

use super::support::moto::Moto;
use super::support::world::Lab;

/// A place that any number of hands can open.
pub(crate) enum Place {
    Directory(tempfile::TempDir),
    Memory(Arc<InMemory>),
    Lab(Box<Lab>),
    Moto(Moto),
}

impl Place {
    pub(crate) async fn lab() -> Self {
        Self::Lab(Box::new(Lab::start().await))
    }

    pub(crate) fn memory() -> Self {
        Self::Memory(Arc::new(InMemory::new()))
    }

    /// A hand of its own on the log.
    pub(crate) async fn hand(&self) -> Box<dyn Store> {
        match self {
            Self::Directory(directory) => Box::new(Local::new(directory.path(), &service())),
            Self::Memory(_) | Self::Lab(_) | Self::Moto(_) => Box::new(ObjectLog::new(self.bucket().await, &service())),
        }
    }

    pub(crate) async fn bucket(&self) -> Bucket {
        match self {
            Self::Directory(_) => panic!("a directory is no bucket"),
            Self::Memory(store) => Bucket::new(store.clone(), Path::from("state"), "memory://state".to_owned()),
            Self::Lab(lab) => at(&lab.world.url).await,
            Self::Moto(moto) => at(&moto.url).await,
        }
    }
}

/// The bucket `ops` of whoever speaks S3 at `url`.
pub(crate) async fn at(url: &str) -> Bucket {
    let bucket: BucketUrl = "s3://ops/state".parse().unwrap();
    let reach = Reach { endpoint: Some(url.to_owned()), lab: true, request: Duration::from_secs(2) };
    let (store, prefix) = open(&bucket, &reach).await.unwrap();
    Bucket::new(store, prefix, bucket.to_string())
}

pub(crate) fn service() -> ServiceName {
    ServiceName::new("chat").unwrap()
}

pub(crate) fn at_second(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(crate) fn me() -> Actor {
    Actor::here("dana".to_owned(), None)
}

pub(crate) fn elsewhere() -> Actor {
    Actor { host: "gpu-9".to_owned(), user: "ci".to_owned(), ..me() }
}

pub(crate) fn started(resolved: Value) -> Fact {
    Fact::RunStarted(Box::new(RunStarted {
        format: 1,
        plan_name: "plan.yaml".to_owned(),
        plan_text: "version: 1\n".to_owned(),
        digest: "d".to_owned(),
        resolved,
    }))
}

/// The payloads of a chain that `who` might have written: one run, observations.
pub(crate) fn chain(who: &str, length: u64) -> Vec<Vec<u8>> {
    let mut prev = String::new();
    let of = |seq: u64| {
        let fact = if seq == 1 {
            started(json!({ "live": "blue" }))
        } else {
            Fact::Observed { what: "note".to_owned(), detail: json!(seq) }
        };
        let (service, run) = (service(), RunId::new("R1").unwrap());
        let (id, actor) = (format!("{who}{seq}"), Actor { user: who.to_owned(), ..me() });
        let record =
            Record { v: VERSION, seq, prev: prev.clone(), service, run, epoch: 1, id, actor, at: at_second(0), fact };
        let (bytes, _) = payload(&record);
        prev = digest(&bytes);
        bytes
    };
    (1..=length).map(of).collect()
}
