use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::Values;
use super::super::testing::{self, a};
use super::*;

fn exact(address: &str) -> Side {
    Side::of(&Values::Exact(BTreeMap::from([("A".to_owned(), vec![address.to_owned()])])))
}

async fn class_of(
    reply: impl Fn(&hickory_proto::op::Message) -> hickory_proto::op::Message + Send + Sync + 'static,
) -> ServerLine {
    let address = testing::server(move |q, _| Some(reply(q))).await;
    let (old, new) = (exact("192.0.2.1"), exact("192.0.2.2"));
    let kinds = [("A".to_owned(), RecordType::A)];
    let name = testing::name("chat.lab.");
    let wanted = Wanted { name: &name, kinds: &kinds, old: &old, new: &new, ttl_s: Some(60) };
    let server = NameServer { name: "ns1.lab".to_owned(), address };
    look(&Dns::default(), &[server], &wanted, 3).await.pop().unwrap().line
}

#[tokio::test]
async fn a_name_server_must_have_the_values_and_the_ttl() {
    let line = class_of(|q| testing::answer(q, &[a("Chat.LAB.", 60, "192.0.2.2")])).await;
    assert_eq!((line.class, line.answered.as_str(), line.ttl_s), (Class::New, "A 192.0.2.2", Some(60)));
    let line = class_of(|q| testing::answer(q, &[a("chat.lab.", 60, "192.0.2.1")])).await;
    assert_eq!(line.class, Class::Old);
    let line = class_of(|q| testing::answer(q, &[a("chat.lab.", 300, "192.0.2.2")])).await;
    assert_eq!(line.answered, "A 192.0.2.2, but with TTL 300, not 60");
    assert_eq!(line.class, Class::Old);
    let line = class_of(|q| testing::answer(q, &[a("chat.lab.", 60, "192.0.2.3")])).await;
    assert_eq!(line.class, Class::Other);
    let line = class_of(|q| testing::answer(q, &[])).await;
    assert_eq!((line.class, line.answered.as_str()), (Class::Other, "no such records"));
}

#[tokio::test]
async fn a_resolver_in_the_place_of_a_name_server_is_not_believed() {
    let line = class_of(|q| {
        let mut answer = testing::answer(q, &[a("chat.lab.", 60, "192.0.2.2")]);
        answer.metadata.authoritative = false;
        answer.metadata.recursion_available = true;
        answer
    })
    .await;
    assert_eq!(line.class, Class::Error);
    assert!(line.answered.contains("as a resolver, not as an authority"), "{}", line.answered);
}

#[tokio::test]
async fn the_worst_of_three_answers_counts() {
    let asked = AtomicU32::new(0);
    let line = class_of(move |q| {
        let lagging = asked.fetch_add(1, Ordering::SeqCst) == 1;
        testing::answer(q, &[a("chat.lab.", 60, if lagging { "192.0.2.1" } else { "192.0.2.2" })])
    })
    .await;
    assert_eq!(line.class, Class::Old);
}
