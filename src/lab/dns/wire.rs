//! DNS on real sockets: UDP and TCP on one loopback port (RFC 1035 section 4.2), for servers and for whoever asks.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

/// How long a server on loopback may take, in real time; beyond it, it is taken to be down.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// What fits in a UDP answer when the question has no EDNS (RFC 1035 section 4.2.1).
const UDP_BYTES_PLAIN: usize = 512;

/// Something that answers questions.
#[async_trait]
pub(super) trait Answers: Send + Sync + 'static {
    /// The answer to one question; id, question and EDNS are filled in by the caller.
    async fn answer(&self, question: &Query, asked: &Message) -> Message;
}

/// A UDP and a TCP socket on the same loopback port.
pub(super) struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
    /// Where both listen.
    pub(super) address: SocketAddr,
}

/// Binds both sockets to a port that is free for both.
pub(super) async fn bind() -> io::Result<Sockets> {
    const TRIES: u32 = 50; // a port that is free for TCP is nearly always free for UDP
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..TRIES {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = tcp.local_addr()?;
        match UdpSocket::bind(address).await {
            Ok(udp) => return Ok(Sockets { udp, tcp, address }),
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// Answers on both sockets until the set is dropped.
pub(super) fn serve(sockets: Sockets, server: Arc<dyn Answers>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(serve_udp(Arc::new(sockets.udp), Arc::clone(&server)));
    tasks.spawn(serve_tcp(sockets.tcp, server));
    tasks
}

async fn serve_udp(socket: Arc<UdpSocket>, server: Arc<dyn Answers>) {
    let mut asked = JoinSet::new();
    let mut buffer = vec![0; 4096];
    loop {
        // An error here belongs to an earlier answer (its port was closed), not to this socket.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        while asked.try_join_next().is_some() {}
        let (bytes, socket, server) = (buffer[..length].to_vec(), Arc::clone(&socket), Arc::clone(&server));
        asked.spawn(async move {
            let Some((answer, room)) = reply(&bytes, server.as_ref()).await else { return };
            let Ok(whole) = answer.to_vec() else { return };
            let sent = if whole.len() <= room { whole } else { answer.truncate().to_vec().unwrap_or_default() };
            socket.send_to(&sent, from).await.ok(); // who asked may be gone
        });
    }
}

async fn serve_tcp(listener: TcpListener, server: Arc<dyn Answers>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let server = Arc::clone(&server);
        connections.spawn(async move {
            serve_stream(stream, server.as_ref()).await.ok(); // ends when who asked hangs up
        });
    }
}

async fn serve_stream(mut stream: TcpStream, server: &dyn Answers) -> io::Result<()> {
    loop {
        let bytes = read_framed(&mut stream).await?;
        let Some((answer, _)) = reply(&bytes, server).await else { return Ok(()) };
        write_framed(&mut stream, &answer.to_vec().map_err(io::Error::other)?).await?;
    }
}

/// The answer to a packet and how many bytes of UDP it may have; `None` for what is no question.
async fn reply(bytes: &[u8], server: &dyn Answers) -> Option<(Message, usize)> {
    let asked = Message::from_vec(bytes).ok().filter(|m| m.metadata.message_type == MessageType::Query)?;
    let mut answer = match asked.queries.as_slice() {
        [question] if asked.metadata.op_code == OpCode::Query => server.answer(question, &asked).await,
        [_] => Message::error_msg(asked.metadata.id, asked.metadata.op_code, ResponseCode::NotImp),
        _ => Message::error_msg(asked.metadata.id, asked.metadata.op_code, ResponseCode::FormErr),
    };
    answer.metadata.id = asked.metadata.id;
    answer.metadata.recursion_desired = asked.metadata.recursion_desired;
    answer.queries.clone_from(&asked.queries);
    let mut room = UDP_BYTES_PLAIN;
    if asked.edns.is_some() {
        room = usize::from(asked.max_payload());
        answer.set_edns(Edns::new());
    }
    Some((answer, room))
}

/// Asks `server` one question: by UDP from a fresh port, by TCP when the answer was truncated.
///
/// # Errors
/// A fragment that says what did not work: nothing came within two seconds, or it was no answer to the question.
pub async fn ask(server: SocketAddr, name: &Name, kind: RecordType, recursion: bool) -> Result<Message, String> {
    let mut question = Message::query();
    question.metadata.recursion_desired = recursion;
    question.add_query(Query::query(name.clone(), kind));
    let bytes = question.to_vec().map_err(|e| format!("cannot ask for {name} {kind}: {e}"))?;
    let whole = async {
        let answer = ask_udp(server, &bytes).await?;
        if answer.metadata.truncation { ask_tcp(server, &bytes).await } else { Ok(answer) }
    };
    let answer = match tokio::time::timeout(ANSWER_TIMEOUT, whole).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(e)) => return Err(format!("asking {server} for {name} {kind} failed: {e}")),
        Err(_) => return Err(format!("{server} did not answer for {name} {kind}")),
    };
    if answer.metadata.id == question.metadata.id && answer.metadata.message_type == MessageType::Response {
        Ok(answer)
    } else {
        Err(format!("{server} answered another question than {name} {kind}"))
    }
}

async fn ask_udp(server: SocketAddr, bytes: &[u8]) -> io::Result<Message> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    socket.send(bytes).await?;
    let mut buffer = vec![0; 4096];
    let length = socket.recv(&mut buffer).await?;
    Message::from_vec(&buffer[..length]).map_err(io::Error::other)
}

async fn ask_tcp(server: SocketAddr, bytes: &[u8]) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    write_framed(&mut stream, bytes).await?;
    Message::from_vec(&read_framed(&mut stream).await?).map_err(io::Error::other)
}

async fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn write_framed(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await
}
