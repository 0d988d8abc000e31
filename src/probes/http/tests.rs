use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::super::testing::{self, Asked, Reply};
use super::*;
use crate::plan::model::{Secret, SecretHolder};
use crate::world::WorldFile;

const SOON: Duration = Duration::from_secs(5);

fn lab(addresses: &[(&str, SocketAddr)]) -> AddressMap {
    AddressMap::of(&WorldFile {
        version: 1,
        origin: jiff::Timestamp::UNIX_EPOCH,
        scale: 1.0,
        cloud: "http://127.0.0.1:1".to_owned(),
        oracle: "http://127.0.0.1:1".to_owned(),
        resolvers: Vec::new(),
        addresses: addresses.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect(),
        runs: BTreeMap::new(),
        pid: 0,
    })
}

/// A server that remembers what it was asked.
async fn listening() -> (SocketAddr, Arc<Mutex<Vec<Asked>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    let address = testing::server_at(move |asked| {
        ears.lock().unwrap().push(asked.clone());
        Reply::Whole(200, "heard".to_owned())
    })
    .await;
    (address, heard)
}

#[tokio::test]
async fn in_the_loopback_world_the_stand_in_is_dialled_under_the_original_name() {
    let (address, heard) = listening().await;
    let asker = Asker::new(&lab(&[("chat.example.com:8000", address)]), &Access::default()).await.unwrap();
    let url = Url::parse("http://chat.example.com:8000/health?deep=1").unwrap();
    assert_eq!(asker.get(&url, SOON).await.unwrap().text(), "heard");
    assert_eq!(asker.connect(&url, SOON).await.unwrap(), address);
    let first = heard.lock().unwrap()[0].clone();
    assert_eq!(first.path, "/health?deep=1");
    assert!(first.head.contains("host: chat.example.com:8000\r\n"), "{}", first.head);
    let stray = asker.get(&Url::parse("http://other.example.com/").unwrap(), SOON).await.unwrap_err();
    assert!(matches!(stray, AskError::Refused { .. }), "{stray}");
}

#[tokio::test]
async fn a_pinned_url_keeps_its_name_and_goes_to_that_address_only() {
    let (address, heard) = listening().await;
    let asker = testing::asker().await;
    let url = Url::parse("http://chat.invalid/v1/models").unwrap();
    assert!(asker.ask_at(address, &url, SOON).await.unwrap().is_ok());
    assert!(heard.lock().unwrap()[0].head.contains("host: chat.invalid\r\n"));
    // In the loopback world the pin is an address of the plan.
    let asker = Asker::new(&lab(&[("203.0.113.7:80", address)]), &Access::default()).await.unwrap();
    assert!(asker.ask_at("203.0.113.7:80".parse().unwrap(), &url, SOON).await.unwrap().is_ok());
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let (address, heard) = listening().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "canary-9144\n").unwrap();
    let access = Access {
        auth: Some(Auth::Bearer(SecretHolder { secret: Secret::File(file.path().to_owned()) })),
        headers: BTreeMap::from([("X-Key".to_owned(), "canary-9145".to_owned())]),
        ca: None,
    };
    let asker = Asker::new(&AddressMap::default(), &access).await.unwrap();
    asker.get(&Url::parse(&format!("http://{address}")).unwrap(), SOON).await.unwrap();
    let sent = heard.lock().unwrap()[0].head.clone();
    assert!(
        sent.contains("authorization: bearer canary-9144\r\n") && sent.contains("x-key: canary-9145\r\n"),
        "{sent}"
    );
    assert!(!format!("{asker:?}").contains("canary"), "{asker:?}");
}

#[tokio::test]
async fn every_probe_opens_its_own_connection() {
    let connections = Arc::new(Mutex::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            *counted.lock().unwrap() += 1;
            tokio::spawn(async move {
                // Willing to keep the connection open for ever.
                while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                }
            });
        }
    });
    let asker = testing::asker().await;
    for _ in 0..3 {
        asker.get(&url, SOON).await.unwrap();
    }
    assert_eq!(*connections.lock().unwrap(), 3);
}

#[tokio::test]
async fn metadata_addresses_are_never_asked() {
    let asker = testing::asker().await;
    for bad in ["http://169.254.169.254/latest", "http://[fd00:ec2::254]/", "http://[fe80::1]/", "http://0xa9fea9fe/"] {
        let url = Url::parse(bad).unwrap();
        let error = asker.get(&url, SOON).await.unwrap_err();
        assert!(matches!(error, AskError::Refused { .. }), "{bad}: {error}");
        assert!(matches!(asker.connect(&url, SOON).await, Err(AskError::Refused { .. })), "{bad}");
    }
    let tcp = Url::parse("tcp://169.254.169.254:80").unwrap();
    assert!(matches!(asker.connect(&tcp, SOON).await, Err(AskError::Refused { .. })));
    let pinned = asker.ask_at("169.254.169.254:80".parse().unwrap(), &Url::parse("http://chat/").unwrap(), SOON).await;
    assert!(matches!(pinned, Err(AskError::Refused { .. })));
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut_at_one_mebibyte() {
    let url = testing::server(|_| Reply::Endless).await;
    let error = testing::asker().await.get(&url, SOON).await.unwrap_err();
    assert!(error.to_string().contains("larger than 1 MiB"), "{error}");
}

#[tokio::test]
async fn each_way_of_not_answering_is_told_apart() {
    let asker = testing::asker().await;
    let hangs = testing::server(|_| Reply::Hang).await;
    let error = asker.get(&hangs, Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, AskError::Timeout { .. }), "{error}");
    let silent = testing::server(|_| Reply::Nothing).await;
    let error = asker.post(&silent, &json!({}), SOON).await.unwrap_err();
    assert!(matches!(error, AskError::Broken { .. }), "{error}");
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = Url::parse(&format!("http://user:canary@{closed}/?key=canary")).unwrap();
    let error = asker.get(&url, SOON).await.unwrap_err();
    assert!(matches!(error, AskError::Connect { .. }), "{error}");
    assert!(!error.to_string().contains("canary"), "{error}");
}

#[test]
fn an_endpoint_may_be_written_as_clients_write_it() {
    for (endpoint, want) in [
        ("http://h:1", "http://h:1/v1/models"),
        ("http://h:1/", "http://h:1/v1/models"),
        ("http://h:1/v1", "http://h:1/v1/models"),
        ("http://h:1/chat/v1/?x=y#z", "http://h:1/chat/v1/models"),
    ] {
        assert_eq!(below(&Url::parse(endpoint).unwrap(), "/v1/models").as_str(), want);
    }
}

/// A TLS server for `chat.lab`, the PEM of the authority that signed it, and the names that clients asked for.
async fn tls_server() -> (SocketAddr, tempfile::NamedTempFile, Arc<Mutex<Vec<Option<String>>>>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::rustls::{ServerConfig, pki_types::PrivateKeyDer};
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["chat.lab".to_owned()]).unwrap();
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked_for = Arc::new(Mutex::new(Vec::new()));
    let names = Arc::clone(&asked_for);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            names.lock().unwrap().push(stream.get_ref().1.server_name().map(str::to_owned));
            stream.read(&mut [0; 4096]).await.map(|_| ()).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        }
    });
    (address, authority, asked_for)
}

#[tokio::test]
async fn with_tls_the_name_is_kept_wherever_the_connection_goes() {
    let (address, authority, asked_for) = tls_server().await;
    let access = Access { ca: Some(authority.path().to_owned()), ..Access::default() };
    let url = Url::parse("https://chat.lab/").unwrap();
    let asker = Asker::new(&AddressMap::default(), &access).await.unwrap();
    assert_eq!(asker.ask_at(address, &url, SOON).await.unwrap().text(), "ok");
    assert_eq!(*asked_for.lock().unwrap(), [Some("chat.lab".to_owned())]);
}

#[tokio::test]
async fn the_loopback_world_has_no_certificates_so_https_goes_there_in_the_clear() {
    let (address, authority, asked_for) = tls_server().await;
    let access = Access { ca: Some(authority.path().to_owned()), ..Access::default() };
    let url = Url::parse("https://chat.lab/").unwrap();
    let asker = Asker::new(&lab(&[("chat.lab:443", address)]), &access).await.unwrap();
    // The server speaks nothing but TLS, and nobody greets it in TLS.
    assert!(asker.get(&url, SOON).await.is_err());
    assert!(asked_for.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_name_is_refused() {
    let (address, authority, _) = tls_server().await;
    let (_, other, _) = tls_server().await;
    let access = |ca: &tempfile::NamedTempFile| Access { ca: Some(ca.path().to_owned()), ..Access::default() };
    let asker = Asker::new(&AddressMap::default(), &access(&other)).await.unwrap();
    let error = asker.ask_at(address, &Url::parse("https://chat.lab/").unwrap(), SOON).await.unwrap_err();
    assert!(matches!(&error, AskError::Connect { why, .. } if why.contains("certificate")), "{error}");
    let asker = Asker::new(&AddressMap::default(), &access(&authority)).await.unwrap();
    let error = asker.ask_at(address, &Url::parse("https://shop.lab/").unwrap(), SOON).await.unwrap_err();
    assert!(matches!(&error, AskError::Connect { why, .. } if why.contains("certificate")), "{error}");
    let none = Access { ca: Some("/nonexistent/ca.pem".into()), ..Access::default() };
    assert!(Asker::new(&AddressMap::default(), &none).await.unwrap_err().contains("/nonexistent/ca.pem"));
}
