use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use hickory_proto::op::Message;

use super::super::testing::{self, a};
use super::*;

const OLD: &str = "192.0.2.1";
const NEW: &str = "192.0.2.2";

fn at(s: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_800_000_000 + s)
}

/// A world in which nothing but loopback can be asked, whatever the code under test does.
fn sealed() -> AddressMap {
    AddressMap::of(&crate::world::WorldFile {
        version: 1,
        origin: Timestamp::UNIX_EPOCH,
        scale: 1.0,
        cloud: "http://127.0.0.1:1".to_owned(),
        oracle: "http://127.0.0.1:1".to_owned(),
        resolvers: Vec::new(),
        addresses: BTreeMap::new(),
        runs: BTreeMap::new(),
        pid: 0,
    })
}

fn exact(address: &str) -> Values {
    Values::Exact(BTreeMap::from([("A".to_owned(), vec![address.to_owned()])]))
}

fn order(resolvers: &[SocketAddr], servers: &[SocketAddr]) -> Order {
    Order {
        name: "chat.lab".to_owned(),
        old: exact(OLD),
        new: exact(NEW),
        ttl_s: Some(60),
        old_ttl_s: Some(60),
        swapped_at: Some(at(0)),
        resolvers: resolvers.iter().map(ToString::to_string).collect(),
        name_servers: Vec::new(),
        name_server_addresses: servers.to_vec(),
        ignored: Vec::new(),
        nobody: Some(Vec::new()),
        pace: Pace::default(),
    }
}

/// What a server answers now: an address and a TTL.
type Held = Arc<Mutex<(&'static str, u32)>>;

async fn server(held: &Held) -> SocketAddr {
    let held = Arc::clone(held);
    testing::server(move |q, _| {
        let (address, ttl) = *held.lock().unwrap();
        Some(testing::answer(q, &[a("chat.lab.", ttl, address)]))
    })
    .await
}

fn held(address: &'static str, ttl: u32) -> Held {
    Arc::new(Mutex::new((address, ttl)))
}

fn why(round: &Round) -> &str {
    match &round.seen {
        Seen::NotYet { why } | Seen::CannotTell { why } => why,
        Seen::AllNew { evidence } => panic!("all new: {evidence}"),
    }
}

#[tokio::test]
async fn a_swap_is_seen_from_the_first_name_server_to_the_last_cache() {
    let (first, lagging, cache) = (held(NEW, 60), held(OLD, 60), held(OLD, 25));
    let servers = [server(&first).await, server(&lagging).await];
    let mut watch = Watch::new(&sealed(), order(&[server(&cache).await], &servers));
    let round = watch.round(at(1)).await.unwrap();
    assert_eq!(round.authoritative.iter().map(|l| l.class).collect::<Vec<_>>(), [Class::New, Class::Old]);
    assert_eq!((round.resolvers[0].class, round.resolvers[0].ttl_s), (Class::Old, Some(25)));
    assert_eq!(round.authoritative_since, None);
    assert_eq!(round.next_due, at(1) + SOON);
    assert!(why(&round).contains("answers A 192.0.2.1"), "{}", why(&round));

    *lagging.lock().unwrap() = (NEW, 60);
    let round = watch.round(at(4)).await.unwrap();
    let since = round.authoritative_since.unwrap();
    assert!(since >= at(4) && since < at(5), "{since}");
    assert!(round.old_until.unwrap() >= at(26) && round.old_until.unwrap() < at(27));
    assert!(round.next_due >= at(27) && round.next_due < at(28), "a second after it foretells: {}", round.next_due);

    *cache.lock().unwrap() = (NEW, 60);
    for (n, s) in [28, 34, 40].into_iter().enumerate() {
        let round = watch.round(at(s)).await.unwrap();
        assert_eq!(matches!(round.seen, Seen::AllNew { .. }), n == 2, "round {n}: {:?}", round.seen);
    }
}

#[tokio::test]
async fn where_the_network_answers_dns_itself_public_resolvers_are_not_believed() {
    let nobody = server(&held(NEW, 60)).await;
    let own = server(&held(NEW, 60)).await;
    let authority = server(&held(NEW, 60)).await;
    let mut order = order(&[own], &[authority]);
    order.nobody = Some(vec![nobody]);
    order.resolvers.push("8.8.8.8".to_owned());
    let mut watch = Watch::new(&sealed(), order);
    let mut round = watch.round(at(1)).await.unwrap();
    assert!(round.intercepted.as_ref().unwrap().contains("belongs to nobody"));
    assert_eq!(round.resolvers.iter().map(|l| l.class).collect::<Vec<_>>(), [Class::New, Class::Unusable]);
    for s in [7, 13] {
        round = watch.round(at(s)).await.unwrap();
    }
    let Seen::AllNew { evidence } = round.seen else { panic!("{:?}", round.seen) };
    assert!(evidence.contains("only the time bound counts"), "{evidence}");
}

#[tokio::test]
async fn with_nobody_to_ask_nothing_is_claimed() {
    let mut order = order(&[], &[]);
    order.nobody = Some(vec![server(&held(NEW, 60)).await]);
    order.resolvers = vec!["8.8.8.8".to_owned()];
    let round = Watch::new(&sealed(), order).round(at(1)).await.unwrap();
    assert!(matches!(round.seen, Seen::CannotTell { .. }), "{:?}", round.seen);
}

#[tokio::test]
async fn a_name_that_does_not_exist_yet_is_not_asked_of_caches() {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let cache = testing::server(move |q, _| {
        counter.fetch_add(1, Ordering::SeqCst);
        Some(testing::answer(q, &[a("chat.lab.", 60, NEW)]))
    })
    .await;
    let exists = Arc::new(AtomicU32::new(0));
    let there = Arc::clone(&exists);
    let authority = testing::server(move |q, _| {
        let records = [a("chat.lab.", 60, NEW)];
        let there = there.load(Ordering::SeqCst) > 0;
        Some(testing::answer(q, if there { &records } else { &[] }))
    })
    .await;
    let mut order = order(&[cache], &[authority]);
    order.old = Values::Exact(BTreeMap::new());
    let mut watch = Watch::new(&sealed(), order);
    let round = watch.round(at(1)).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert!(round.notes.iter().any(|n| n.contains("not asked")), "{:?}", round.notes);
    exists.store(1, Ordering::SeqCst);
    let round = watch.round(at(2)).await.unwrap();
    assert!(asked.load(Ordering::SeqCst) > 0 && round.notes.is_empty());
}

#[tokio::test]
async fn before_the_swap_rounds_only_learn_how_long_caches_hold() {
    let (authority, cache) = (held(OLD, 60), held(OLD, 3000));
    let mut order = order(&[server(&cache).await], &[server(&authority).await]);
    order.swapped_at = None;
    let mut watch = Watch::new(&sealed(), order);
    let round = watch.round(at(-100)).await.unwrap();
    assert_eq!(why(&round), "it has not been swapped yet");
    assert_eq!(round.longest_ttl.as_ref().unwrap().0, 3000, "somebody lowered the TTL, this cache does not know yet");
    watch.swapped(at(0));
    *authority.lock().unwrap() = (NEW, 60);
    let round = watch.round(at(1)).await.unwrap();
    assert_eq!(round.authoritative[0].class, Class::New);
    assert_eq!(round.resolvers[0].class, Class::Old, "{:?}", round.resolvers);
}

#[tokio::test]
async fn a_dead_name_server_holds_it_up_until_a_person_says_to_ignore_it() {
    let dead = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let good = server(&held(NEW, 60)).await;
    let mut first = order(&[], &[good, dead]);
    first.resolvers = vec![server(&held(NEW, 60)).await.to_string()];
    let mut watch = Watch::new(&sealed(), first.clone());
    for s in [0, 6, 12, 18] {
        let round = watch.round(at(s)).await.unwrap();
        assert!(why(&round).contains(&dead.to_string()), "{}", why(&round));
    }
    let mut watch = Watch::new(&sealed(), Order { ignored: vec![dead.to_string()], ..first });
    let mut round = watch.round(at(0)).await.unwrap();
    for s in [6, 12] {
        round = watch.round(at(s)).await.unwrap();
    }
    assert!(matches!(round.seen, Seen::AllNew { .. }), "{:?}", round.seen);
}

#[tokio::test]
async fn an_alias_is_compared_with_what_its_target_has() {
    let zone = |q: &Message| {
        testing::zone(q, &[a("chat.lab.", 60, NEW), a("lb.lab.", 60, NEW), a("lb.lab.", 60, "192.0.2.3")])
    };
    let cache = testing::server(move |q, _| Some(zone(q))).await;
    let mut order = order(&[cache], &[cache]);
    order.new = Values::AliasOf("lb.lab".to_owned());
    order.ttl_s = None;
    let mut watch = Watch::new(&sealed(), order);
    let round = watch.round(at(1)).await.unwrap();
    assert_eq!((round.authoritative[0].class, round.resolvers[0].class), (Class::New, Class::New), "{round:?}");
}

#[tokio::test]
async fn an_order_that_makes_no_sense_is_refused() {
    for (name, kind) in [("chat..lab", "A"), ("chat.lab", "NONSENSE")] {
        let mut order = order(&[], &[]);
        order.name = name.to_owned();
        order.new = Values::Exact(BTreeMap::from([(kind.to_owned(), Vec::new())]));
        assert!(Watch::new(&sealed(), order).round(at(0)).await.is_err());
    }
}

#[test]
fn a_round_may_run_on_any_thread() {
    fn is_send(_: impl Send) {}
    let mut watch = Watch::new(&sealed(), order(&[], &[]));
    is_send(watch.round(at(0)));
}
