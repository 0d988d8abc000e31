//! The propagation watch against real servers: Knot DNS as authority, unbound as resolver, all on loopback.
//!
//! Real TTLs run out here, so these tests take as long as the TTLs they use: seconds.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and tells people about it"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "this is a test: whatever goes wrong here must stop it")]

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};
use jiff::{SignedDuration, Timestamp};
use modelswap::clock::{Clock, SystemClock};
use modelswap::probes::propagation::{Class, Dns, Order, Pace, Round, Seen, Values, Watch, tail};
use modelswap::world::AddressMap;

const OLD: &str = "192.0.2.1";
const NEW: &str = "192.0.2.2";

#[tokio::test]
async fn a_swap_is_seen_old_within_its_ttl_and_then_new_everywhere() {
    let authority = Knot::primary(5).await;
    let resolver = unbound(authority.address, 0).await;
    let mut watch = Watch::new(&AddressMap::default(), order(5, &[resolver.address], &[authority.address]));
    let before = watch.round(SystemClock.now()).await.unwrap();
    assert_eq!(before.resolvers[0].class, Class::Old, "{before:?}");

    let rounds = swap_and_watch(&mut watch, &authority).await;
    let first = &rounds[0];
    assert_eq!(first.resolvers[0].class, Class::Old, "the cache still has them: {first:?}");
    assert!(first.resolvers[0].ttl_s.unwrap() <= 5 && first.old_until.is_some(), "{first:?}");
    let last = rounds.last().unwrap();
    assert!(last.authoritative_since.is_some() && last.resolvers[0].clean_rounds >= 3, "{last:?}");
    for round in &rounds {
        let line = &round.resolvers[0];
        assert_eq!((line.violations, line.flip_backs), (0, 0), "{round:?}");
    }
    let bound = tail::life_s(5, &[], 1);
    assert!(last_old(&rounds) <= first.at + secs(bound), "{rounds:?}");
}

#[tokio::test]
async fn a_resolver_that_raises_ttls_is_seen_and_waited_for() {
    let authority = Knot::primary(2).await;
    let resolver = unbound(authority.address, 8).await;
    let mut watch = Watch::new(&AddressMap::default(), order(2, &[resolver.address], &[authority.address]));
    let before = watch.round(SystemClock.now()).await.unwrap();
    let (ttl_s, who) = before.longest_ttl.clone().unwrap();
    assert!(ttl_s > 2 && who == resolver.address.to_string(), "it gives more than the name server: {before:?}");
    assert_eq!(tail::old_ttl(2, &[(ttl_s, who)], None).ttl_s, ttl_s);

    let rounds = swap_and_watch(&mut watch, &authority).await;
    let swapped_at = rounds[0].at;
    let until = rounds[0].old_until.unwrap();
    assert!(until > swapped_at + secs(4), "it will have the old records long after their TTL of 2: {rounds:?}");
    let first_new = rounds.iter().find(|r| r.resolvers[0].class == Class::New).unwrap().at;
    assert!(first_new >= until, "and it was waited for: {rounds:?}");
    assert_eq!(rounds.last().unwrap().resolvers[0].violations, 0, "but not longer than it said");
    assert!(last_old(&rounds) <= swapped_at + secs(tail::life_s(2, &[8], 1)), "{rounds:?}");
}

#[tokio::test]
async fn a_secondary_that_lags_is_seen_and_holds_it_up() {
    let primary = Knot::primary(2).await;
    let secondary = Knot::secondary(&primary).await;
    let resolver = unbound(primary.address, 0).await;
    let servers = [primary.address, secondary.address];
    let mut watch = Watch::new(&AddressMap::default(), order(2, &[resolver.address], &servers));
    watch.round(SystemClock.now()).await.unwrap();

    let rounds = swap_and_watch(&mut watch, &primary).await;
    let classes = |r: &Round| r.authoritative.iter().map(|l| l.class).collect::<Vec<_>>();
    let torn: Vec<&Round> = rounds.iter().filter(|r| classes(r) == [Class::New, Class::Old]).collect();
    assert!(!torn.is_empty(), "{rounds:?}");
    for round in torn {
        assert_eq!(round.authoritative_since, None);
        let Seen::NotYet { why } = &round.seen else { panic!("{round:?}") };
        assert!(why.contains(&secondary.address.to_string()), "{why}");
    }
    let last = rounds.last().unwrap();
    assert_eq!(classes(last), [Class::New, Class::New]);
    assert!(last.authoritative_since.unwrap() > rounds[0].at, "the lag is measured");
}

/// Rewrites the zone and watches, whenever a round is due, until everybody answers the new records.
async fn swap_and_watch(watch: &mut Watch, authority: &Knot) -> Vec<Round> {
    authority.swap();
    until_served(authority.address, NEW).await;
    let swapped_at = SystemClock.now();
    watch.swapped(swapped_at);
    let mut rounds = Vec::new();
    loop {
        let now = SystemClock.now();
        assert!(now < swapped_at + secs(60), "still not new everywhere: {rounds:?}");
        let round = watch.round(now).await.unwrap();
        let done = matches!(round.seen, Seen::AllNew { .. });
        let due = round.next_due;
        assert!(due > now, "a round is never due at once");
        rounds.push(round);
        if done {
            return rounds;
        }
        SystemClock.sleep(due.duration_since(SystemClock.now()).try_into().unwrap_or_default()).await;
    }
}

fn last_old(rounds: &[Round]) -> Timestamp {
    rounds.iter().filter(|r| r.resolvers[0].class == Class::Old).map(|r| r.at).max().unwrap()
}

fn order(ttl_s: u32, resolvers: &[SocketAddr], servers: &[SocketAddr]) -> Order {
    let exact = |address: &str| Values::Exact(BTreeMap::from([("A".to_owned(), vec![address.to_owned()])]));
    let half = Duration::from_millis(500);
    Order {
        name: "chat.lab".to_owned(),
        old: exact(OLD),
        new: exact(NEW),
        ttl_s: Some(ttl_s),
        old_ttl_s: Some(ttl_s),
        swapped_at: None,
        resolvers: resolvers.iter().map(ToString::to_string).collect(),
        name_servers: Vec::new(),
        name_server_addresses: servers.to_vec(),
        ignored: Vec::new(),
        nobody: Some(Vec::new()),
        pace: Pace { clean_gap: half, every: half, ..Pace::default() },
    }
}

fn secs(s: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(s).unwrap())
}

/// A server that was started here, and is ended by its pid.
struct Server {
    address: SocketAddr,
    child: Child,
    directory: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    /// Starts a program on a free port; `configure` writes its files and gives its arguments.
    async fn start(program: &str, ready_when: &str, configure: impl Fn(&Path, SocketAddr) -> Vec<String>) -> Self {
        installed();
        let mut said = String::new();
        // Between finding a free port and using it, somebody else may take it.
        for _ in 0..5 {
            let directory = tempfile::tempdir().unwrap();
            let address = free();
            let arguments = configure(directory.path(), address);
            let log = std::fs::File::create(directory.path().join("log")).unwrap();
            let child = Command::new(program)
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap();
            let mut server = Self { address, child, directory };
            if server.answers(ready_when).await {
                return server;
            }
            said = std::fs::read_to_string(server.directory.path().join("log")).unwrap();
        }
        panic!("{program} does not start: {said}");
    }

    async fn answers(&mut self, served: &str) -> bool {
        for _ in 0..200 {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if serves(self.address, served).await {
                return true;
            }
            SystemClock.sleep(Duration::from_millis(50)).await;
        }
        false
    }
}

async fn serves(address: SocketAddr, want: &str) -> bool {
    let name = Name::from_ascii("chat.lab.").unwrap();
    // A resolver is asked for another name, so that nothing is cached yet.
    let name = if want.is_empty() { Name::from_ascii("ready.lab.").unwrap() } else { name };
    let answer = Dns::new(&AddressMap::default()).ask(address, &name, RecordType::A, want.is_empty()).await;
    answer.is_ok_and(|a| {
        let values = a.answers.iter().map(|r| r.data.to_string()).collect::<Vec<_>>();
        a.metadata.response_code == ResponseCode::NoError && (want.is_empty() || values == [want])
    })
}

async fn until_served(address: SocketAddr, want: &str) {
    for _ in 0..200 {
        if serves(address, want).await {
            return;
        }
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    panic!("{address} does not serve {want}");
}

struct Knot {
    server: Server,
    address: SocketAddr,
    ttl_s: u32,
}

impl Knot {
    async fn primary(ttl_s: u32) -> Self {
        let server = Server::start("knotd", OLD, |directory, address| {
            write(directory, "lab.zone", &zone(1, OLD, ttl_s));
            let own = "acl:\n  - id: anyone\n    address: 127.0.0.0/8\n    action: transfer\n\
                       zone:\n  - domain: lab\n    file: lab.zone\n    acl: anyone\n";
            knot(directory, address, own)
        })
        .await;
        Self { address: server.address, server, ttl_s }
    }

    /// One that hears of changes only when the SOA's refresh time is over: nobody notifies it.
    async fn secondary(primary: &Self) -> Self {
        let from = primary.address;
        let server = Server::start("knotd", OLD, |directory, address| {
            let own = format!(
                "remote:\n  - id: primary\n    address: {}@{}\nzone:\n  - domain: lab\n    master: primary\n",
                from.ip(),
                from.port()
            );
            knot(directory, address, &own)
        })
        .await;
        Self { address: server.address, server, ttl_s: primary.ttl_s }
    }

    /// Gives the name its new address.
    fn swap(&self) {
        write(self.server.directory.path(), "lab.zone", &zone(2, NEW, self.ttl_s));
        let pid = rustix::process::Pid::from_child(&self.server.child);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }
}

fn knot(directory: &Path, address: SocketAddr, own: &str) -> Vec<String> {
    let at = directory.display();
    let general = format!(
        "server:\n  rundir: {at}\n  listen: {}@{}\ndatabase:\n  storage: {at}/db\n\
         log:\n  - target: stderr\n    any: info\ntemplate:\n  - id: default\n    storage: {at}\n",
        address.ip(),
        address.port()
    );
    write(directory, "knot.conf", &format!("{general}{own}"));
    vec!["-c".to_owned(), directory.join("knot.conf").display().to_string()]
}

/// The SOA's refresh time of 4 s is how long the secondary lags at most.
fn zone(serial: u32, address: &str, ttl_s: u32) -> String {
    format!(
        "$ORIGIN lab.\n$TTL 60\n@ SOA ns1 root {serial} 4 4 600 1\n@ NS ns1\nns1 A 127.0.0.1\n\
         ready A 127.0.0.1\nchat {ttl_s} A {address}\n"
    )
}

async fn unbound(authority: SocketAddr, least_ttl_s: u32) -> Server {
    Server::start("unbound", "", |directory, address| {
        let at = directory.display();
        let text = format!(
            "server:\n  interface: {ip}@{port}\n  do-ip6: no\n  do-daemonize: no\n  do-not-query-localhost: no\n\
             \x20 chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  directory: \"{at}\"\n  use-syslog: no\n\
             \x20 module-config: \"iterator\"\n  cache-min-ttl: {least_ttl_s}\n\
             remote-control:\n  control-enable: no\n\
             stub-zone:\n  name: \"lab.\"\n  stub-addr: {from_ip}@{from_port}\n",
            ip = address.ip(),
            port = address.port(),
            from_ip = authority.ip(),
            from_port = authority.port(),
        );
        write(directory, "unbound.conf", &text);
        vec!["-d".to_owned(), "-c".to_owned(), directory.join("unbound.conf").display().to_string()]
    })
    .await
}

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).unwrap();
}

/// A port that is free for UDP and TCP now.
fn free() -> SocketAddr {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// The servers are there, or are installed now, once.
fn installed() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let there = |program: &str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
        };
        if there("knotd") && there("unbound") {
            return;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/install.sh");
        let done = Command::new(&script).status().unwrap();
        assert!(done.success(), "{} failed: install knot and unbound by hand", script.display());
    });
}
