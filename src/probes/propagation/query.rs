//! One DNS question, from a fresh socket: UDP first, TCP when the answer is truncated or does not come.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::world::AddressMap;

/// What fits through almost every network in one piece (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;

/// How long a server is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For one answer over UDP.
    pub udp: Duration,
    /// Questions over UDP before TCP is tried.
    pub tries: u32,
    /// For the answer over TCP; none: TCP is not tried.
    pub tcp: Option<Duration>,
}

impl Default for Patience {
    fn default() -> Self {
        Self { udp: Duration::from_secs(2), tries: 3, tcp: Some(Duration::from_secs(3)) }
    }
}

/// Asks DNS servers. In the loopback world their stand-ins are asked.
#[derive(Debug, Clone, Default)]
pub struct Dns {
    pub(super) addresses: AddressMap,
    pub(super) patience: Patience,
}

impl Dns {
    /// One that is as patient as is usual.
    pub fn new(addresses: &AddressMap) -> Self {
        Self { addresses: addresses.clone(), patience: Patience::default() }
    }

    /// The same with another patience.
    #[must_use]
    pub fn patient(&self, patience: Patience) -> Self {
        Self { addresses: self.addresses.clone(), patience }
    }

    /// The server's whole answer, whatever it says.
    ///
    /// # Errors
    /// A fragment when none came.
    pub async fn ask(
        &self,
        server: SocketAddr,
        name: &Name,
        kind: RecordType,
        recurse: bool,
    ) -> Result<Message, String> {
        let host = if server.is_ipv6() { format!("[{}]", server.ip()) } else { server.ip().to_string() };
        let server = self.addresses.to(&host, server.port())?.unwrap_or(server);
        let mut failed = "no answer".to_owned();
        for _ in 0..self.patience.tries {
            match tokio::time::timeout(self.patience.udp, over_udp(server, &question(name, kind, recurse))).await {
                Ok(Ok(answer)) if answer.metadata.truncation => break,
                Ok(Ok(answer)) => return Ok(answer),
                // Refused by the host: it will not change its mind within the second.
                Ok(Err(why)) => {
                    failed = why;
                    break;
                }
                Err(_) => failed = format!("no answer within {} s", self.patience.udp.as_secs_f64()),
            }
        }
        let Some(within) = self.patience.tcp else { return Err(failed) };
        match tokio::time::timeout(within, over_tcp(server, &question(name, kind, recurse))).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(format!("{failed}; over TCP: {why}")),
            Err(_) => Err(format!("{failed}; over TCP: no answer within {} s", within.as_secs_f64())),
        }
    }
}

fn question(name: &Name, kind: RecordType, recurse: bool) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = recurse;
    message.add_query(Query::query(name.clone(), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD);
    message.set_edns(edns);
    message
}

async fn over_udp(server: SocketAddr, question: &Message) -> Result<Message, String> {
    // A fresh socket has a fresh source port: another cache behind an anycast address may get the question.
    let any = if server.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((any, 0)).await.map_err(|e| e.to_string())?;
    socket.connect(server).await.map_err(|e| e.to_string())?;
    let bytes = question.to_vec().map_err(|e| e.to_string())?;
    socket.send(&bytes).await.map_err(|e| e.to_string())?;
    let mut buffer = vec![0; 65_535];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(|e| e.to_string())?;
        // What answers another question is not for us: late, or forged.
        if let Some(answer) = buffer.get(..length).and_then(|b| fitting(b, question)) {
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &Message) -> Result<Message, String> {
    let mut stream = TcpStream::connect(server).await.map_err(|e| e.to_string())?;
    let bytes = question.to_vec().map_err(|e| e.to_string())?;
    let length = u16::try_from(bytes.len()).map_err(|e| e.to_string())?;
    stream.write_all(&[&length.to_be_bytes()[..], &bytes].concat()).await.map_err(|e| e.to_string())?;
    let length = stream.read_u16().await.map_err(|e| e.to_string())?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await.map_err(|e| e.to_string())?;
    fitting(&buffer, question).ok_or_else(|| "the answer does not fit the question".to_owned())
}

pub(in crate::probes) fn fitting(bytes: &[u8], question: &Message) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    let fits = answer.metadata.id == question.metadata.id
        && answer.metadata.message_type == MessageType::Response
        // Some servers leave the question out of an error.
        && (answer.queries == question.queries || answer.queries.is_empty());
    fits.then_some(answer)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::testing::{self, a};
    use super::*;

    fn quick() -> Dns {
        let ms = Duration::from_millis;
        Dns::default().patient(Patience { udp: ms(300), tries: 2, tcp: Some(ms(500)) })
    }

    fn name() -> Name {
        Name::from_str("chat.lab.").unwrap()
    }

    #[tokio::test]
    async fn a_truncated_answer_is_fetched_over_tcp() {
        let server = testing::server(|question, over_tcp| {
            let mut answer = testing::answer(question, &[a("chat.lab.", 60, "192.0.2.1")]);
            answer.metadata.truncation = !over_tcp;
            Some(answer)
        })
        .await;
        let answer = quick().ask(server, &name(), RecordType::A, true).await.unwrap();
        assert!(!answer.metadata.truncation);
        assert_eq!(answer.answers.len(), 1);
    }

    #[tokio::test]
    async fn a_server_that_is_silent_over_udp_is_asked_over_tcp_after_all_tries() {
        let heard = Arc::new(AtomicU32::new(0));
        let ears = Arc::clone(&heard);
        let server = testing::server(move |question, over_tcp| {
            ears.fetch_add(1, Ordering::SeqCst);
            over_tcp.then(|| testing::answer(question, &[]))
        })
        .await;
        quick().ask(server, &name(), RecordType::A, true).await.unwrap();
        assert_eq!(heard.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn an_answer_to_another_question_is_not_taken() {
        let server = testing::server(|question, _| {
            let mut answer = testing::answer(question, &[a("chat.lab.", 60, "192.0.2.66")]);
            answer.metadata.id = answer.metadata.id.wrapping_add(1);
            Some(answer)
        })
        .await;
        let error = quick().ask(server, &name(), RecordType::A, true).await.unwrap_err();
        assert!(error.contains("no answer within 0.3 s; over TCP: the answer does not fit"), "{error}");
    }

    #[tokio::test]
    async fn a_dead_server_is_an_error_at_once() {
        let dead = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = quick().ask(dead, &name(), RecordType::A, true).await.unwrap_err();
        assert!(error.contains("refused"), "{error}");
    }
}
