//! Small servers for tests, which answer whatever they are told to, true or not.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::http::Asker;
use crate::plan::model::Access;
use crate::world::AddressMap;

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// The whole head in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A whole answer.
    Whole(u16, String),
    /// Status 200 and server-sent events with these data, then a proper end.
    Events(Vec<String>),
    /// As `Events`, but the connection ends without the end of the body.
    CutEvents(Vec<String>),
    /// Status 200 and a body that never ends.
    Endless,
    /// The connection is closed without a word.
    Nothing,
    /// The connection stays open without a word.
    Hang,
}

pub(crate) fn json(value: &serde_json::Value) -> Reply {
    Reply::Whole(200, value.to_string())
}

/// A server on loopback; it ends with the test's runtime.
pub(crate) async fn server(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Url {
    let address = server_at(answer).await;
    Url::parse(&format!("http://{address}")).unwrap()
}

pub(crate) async fn server_at(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                if let Some(asked) = read(&mut stream).await {
                    let reply = answer(&asked);
                    write(&mut stream, reply).await.ok();
                }
            });
        }
    });
    address
}

/// An asker with no credentials, outside the loopback world.
pub(crate) async fn asker() -> Asker {
    Asker::new(&AddressMap::default(), &Access::default()).await.unwrap()
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&chunk[..n]);
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut words = head.split_whitespace();
    let path = words.nth(1)?.to_owned();
    let head = head.to_lowercase();
    let length: usize =
        head.lines().find_map(|l| l.strip_prefix("content-length:")).map_or(0, |l| l.trim().parse().unwrap());
    while bytes.len() < end + length {
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&chunk[..n]);
    }
    Some(Asked { path, head, body: String::from_utf8_lossy(&bytes[end..]).into_owned() })
}

async fn write(stream: &mut TcpStream, reply: Reply) -> std::io::Result<()> {
    let chunked = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    match reply {
        Reply::Whole(status, body) => {
            let length = body.len();
            let text = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            stream.write_all(text.as_bytes()).await
        }
        Reply::Events(events) => {
            stream.write_all(chunked.as_bytes()).await?;
            send_events(stream, events).await?;
            stream.write_all(b"0\r\n\r\n").await
        }
        Reply::CutEvents(events) => {
            stream.write_all(chunked.as_bytes()).await?;
            send_events(stream, events).await
        }
        Reply::Endless => {
            stream.write_all(chunked.as_bytes()).await?;
            let piece = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
            loop {
                stream.write_all(piece.as_bytes()).await?;
            }
        }
        Reply::Nothing => Ok(()),
        Reply::Hang => {
            // Until the client gives up.
            stream.read(&mut [0; 1]).await.map(|_| ())
        }
    }
}

async fn send_events(stream: &mut TcpStream, events: Vec<String>) -> std::io::Result<()> {
    for event in events {
        let event = format!("data: {event}\n\n");
        stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await?;
    }
    Ok(())
}
