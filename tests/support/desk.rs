//! The oracle's port, as tests ask it.

use modelswap::lab::faults::Fault;
use modelswap::lab::oracle::{Call, Finding};
use modelswap::lab::state::Cloud;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[derive(Debug, Clone)]
pub(crate) struct Desk {
    pub(crate) url: String,
}

impl Desk {
    pub(crate) async fn calls(&self) -> Vec<Call> {
        self.get("calls").await
    }

    pub(crate) async fn findings(&self) -> Vec<Finding> {
        self.get("findings").await
    }

    /// Promises that were found broken, in order.
    pub(crate) async fn broken(&self) -> Vec<String> {
        self.findings().await.into_iter().map(|finding| finding.promise).collect()
    }

    pub(crate) async fn cloud(&self) -> Cloud {
        self.get("cloud").await
    }

    /// Where servers served and do so no more.
    pub(crate) async fn ended(&self) -> Vec<String> {
        self.get("ended").await
    }

    pub(crate) async fn faults(&self) -> Vec<Fault> {
        self.get("faults").await
    }

    /// Orders a fault for the next call of `op`.
    pub(crate) async fn fault(&self, op: &str, kind: Value) {
        self.post("faults", json!({ "op": op, "kind": kind })).await;
    }

    pub(crate) async fn edit(&self, edit: Value) {
        self.post("edit", edit).await;
    }

    pub(crate) async fn post(&self, path: &str, body: Value) {
        let answer = client().post(format!("{}/{path}", self.url)).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        client().get(format!("{}/{path}", self.url)).send().await.unwrap().json().await.unwrap()
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
