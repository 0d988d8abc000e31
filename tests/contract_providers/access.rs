//! Getting at AWS: the right account, and one clear word, soon, when there is no way in.

use std::io::Read;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use modelswap::providers::aws::{AwsAccess, AwsClients};
use modelswap::providers::dns::route53::{Form, Route53};
use modelswap::providers::{ProviderError, Register};

use crate::subjects::plain_a;
use crate::support::world::Lab;

#[tokio::test]
async fn another_account_is_refused_before_anything_is_written() {
    let lab = Lab::start().await;
    let (region, endpoint) = (Some("eu-west-1".to_owned()), Some(lab.world.url.clone()));
    let access = AwsAccess { account: Some("999999999999".to_owned()), region, profile: None, endpoint, scale: None };
    let zone = (lab.world.names.zone.as_str(), false);
    let register =
        Route53::new(Arc::new(AwsClients::new(access)), zone, "m.w.example.com", Form::Weighted([].into()), None);
    match register.read().await {
        Err(ProviderError::Rejected { why, .. }) => {
            assert_eq!(why, "the plan is for account 999999999999, these credentials are for 123456789012");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_account_is_asked_for_once() {
    let lab = Lab::start().await;
    let subject = plain_a(&lab);
    for _ in 0..3 {
        subject.register.read().await.unwrap();
    }
    let asked = lab.oracle.calls().iter().filter(|call| call.operation == "GetCallerIdentity").count();
    assert_eq!(asked, 1);
}

/// A metadata service that takes connections and never answers, as a firewall that swallows packets seems to.
struct Silent {
    url: String,
    connections: Arc<AtomicUsize>,
}

fn silent() -> Silent {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || stream.unwrap().read_to_end(&mut Vec::new()));
        }
    });
    Silent { url, connections }
}

const PLAN: &str = r#"
version: 1
service: chat
release: {model: chat-v2}
environments:
  a: {serves: {tcp: {}}, endpoints: ["http://127.0.0.1:1"]}
  b: {serves: {tcp: {}}, endpoints: ["http://127.0.0.1:2"]}
routers:
  record:
    route53: {zone: example.com, name: chat.example.com, values: {a: [203.0.113.10], b: [203.0.113.20]}}
steps:
  - swap: {router: record}
"#;

/// What a deploy says on a machine with no AWS configuration but `env`.
fn deploy(env: &[(&str, &str)]) -> (i32, String) {
    let home = tempfile::tempdir().unwrap();
    let plan = home.path().join("plan.yaml");
    std::fs::write(&plan, PLAN).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_modelswap"));
    command.arg("deploy").arg(&plan).arg("--yes").arg("--state").arg(home.path().join("state"));
    let output = command.env_clear().env("HOME", home.path()).envs(env.iter().copied()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn without_a_region_the_word_is_region_and_nobody_is_asked() {
    let metadata = silent();
    let (exit, said) = deploy(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url)]);
    assert_eq!(exit, 2, "{said}");
    assert!(said.contains("no AWS region is known"), "{said}");
    assert!(said.contains("nothing was done"), "{said}");
    assert_eq!(metadata.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn without_credentials_the_word_is_credentials_and_the_metadata_service_is_asked_once() {
    let metadata = silent();
    let (exit, said) = deploy(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url), ("AWS_REGION", "eu-west-1")]);
    assert_eq!(exit, 2, "{said}");
    assert!(said.contains("no AWS credentials were found"), "{said}");
    assert!(said.contains("nothing was done"), "{said}");
    assert_eq!(metadata.connections.load(Ordering::SeqCst), 1);
}
