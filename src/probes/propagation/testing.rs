//! A DNS server for tests, which answers whatever it is told to, over UDP and TCP on one port.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::{CNAME, NS};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// Starts a server; `reply` gets the question and whether it came over TCP. It ends with the test's runtime.
pub(crate) async fn server(reply: impl Fn(&Message, bool) -> Option<Message> + Send + Sync + 'static) -> SocketAddr {
    // Both protocols need the same port, which may be taken for the second one: then the next pair.
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    let reply = Arc::new(reply);
    let over_udp = Arc::clone(&reply);
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
            if let Some(answer) = over_udp(&Message::from_vec(&buffer[..length]).unwrap(), false) {
                udp.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let length = stream.read_u16().await.unwrap();
            let mut buffer = vec![0; usize::from(length)];
            stream.read_exact(&mut buffer).await.unwrap();
            if let Some(answer) = reply(&Message::from_vec(&buffer).unwrap(), true) {
                let bytes = answer.to_vec().unwrap();
                stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
                stream.write_all(&bytes).await.unwrap();
            }
        }
    });
    address
}

/// An authoritative answer with these records.
pub(crate) fn answer(question: &Message, records: &[Record]) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.authoritative = true;
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.add_queries(question.queries.clone());
    answer.add_answers(records.to_vec());
    answer
}

/// An authoritative answer with those of the records that are asked for.
pub(crate) fn zone(question: &Message, records: &[Record]) -> Message {
    let asked = &question.queries[0];
    let fits = |r: &&Record| r.name == *asked.name() && r.record_type() == asked.query_type();
    answer(question, &records.iter().filter(fits).cloned().collect::<Vec<_>>())
}

pub(crate) fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

pub(crate) fn a(owner: &str, ttl: u32, address: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::A(address.parse().unwrap()))
}

pub(crate) fn cname(owner: &str, ttl: u32, to: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(to))))
}

pub(crate) fn ns(owner: &str, ttl: u32, to: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::NS(NS(name(to))))
}

pub(crate) fn is(question: &Message, owner: &str, kind: RecordType) -> bool {
    let asked = &question.queries[0];
    *asked.name() == name(owner) && asked.query_type() == kind
}
