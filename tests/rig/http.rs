//! The oracle's port.

use serde_json::Value;

pub(crate) async fn get(url: &str) -> Value {
    let answer = reqwest::get(url).await.unwrap_or_else(|e| panic!("GET {url}: {e}"));
    read(url, answer).await
}

pub(crate) async fn post(url: &str, body: &Value) -> Value {
    let answer = reqwest::Client::new().post(url).json(body).send().await.unwrap_or_else(|e| panic!("POST {url}: {e}"));
    read(url, answer).await
}

async fn read(url: &str, answer: reqwest::Response) -> Value {
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    answer.json().await.unwrap_or_else(|e| panic!("{url}: {e}"))
}

/// A call of the AWS query protocol. This cloud looks for a signature, not into it.
pub(crate) async fn post_form(url: &str, form: &[(&str, &str)]) {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form);
    let request = reqwest::Client::new().post(url).header("content-type", "application/x-www-form-urlencoded");
    let request = request.header("authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE").body(body.finish());
    let answer = request.send().await.unwrap_or_else(|e| panic!("POST {url}: {e}"));
    let (status, said) = (answer.status(), answer.text().await.unwrap_or_default());
    assert!(status.is_success(), "{form:?}: {said}");
}
