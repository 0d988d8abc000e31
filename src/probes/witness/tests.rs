use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Semaphore;

use super::*;
use crate::plan::model::Access;
use crate::probes::testing::{self, Asked, Reply};
use crate::units::Span;

/// A clock whose waits end when the test says so: one permit, one wait.
#[derive(Debug)]
struct Steps {
    permits: Semaphore,
    now_ms: AtomicU64,
}

impl Steps {
    fn new() -> Arc<Self> {
        Arc::new(Self { permits: Semaphore::new(0), now_ms: AtomicU64::new(0) })
    }
}

#[async_trait]
impl Clock for Steps {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(i64::try_from(self.now_ms.load(Ordering::SeqCst)).unwrap()).unwrap()
    }
    async fn sleep(&self, length: Duration) {
        self.permits.acquire().await.unwrap().forget();
        self.now_ms.fetch_add(u64::try_from(length.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

fn order(url: &str, streams_every: Option<Span>) -> Order {
    let witness = Witness {
        url: Url::parse(url).unwrap(),
        every: Span::from_millis(200),
        streams_every,
        stream_tokens: 3,
        access: Access::default(),
    };
    Order { witness, model: Some("chat".to_owned()), resolver: None }
}

fn completion(model: &str) -> Reply {
    let choice = json!({"index": 0, "message": {"content": "one"}, "finish_reason": "length"});
    testing::json(&json!({"model": model, "system_fingerprint": format!("fp-{model}"), "choices": [choice]}))
}

fn stream() -> Vec<String> {
    let chunk = |text: &str, finish: Option<&str>| {
        json!({"model": "chat", "choices": [{"delta": {"content": text}, "finish_reason": finish}]}).to_string()
    };
    vec![chunk("one", None), chunk("", Some("length")), "[DONE]".to_owned()]
}

/// Waits, without a clock, until the witness has counted as many requests as `enough` says.
async fn until(handle: &Handle, enough: impl Fn(&WitnessReport) -> bool) -> WitnessReport {
    loop {
        let report = handle.onlooker().report();
        if enough(&report) {
            return report;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn every_request_is_counted_and_none_is_retried() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    let url = testing::server(move |asked: &Asked| {
        let mut heard = ears.lock().unwrap();
        heard.push(asked.body.clone());
        match heard.len() {
            1 | 2 => completion("chat-v1"),
            3 => Reply::Whole(503, "draining".to_owned()),
            4 => Reply::Nothing,
            5 => testing::json(&json!({"model": "chat-v2", "choices": []})),
            _ => completion("chat-v2"),
        }
    })
    .await;
    let clock = Steps::new();
    let url = format!("{url}v1/chat/completions");
    let handle = start(&AddressMap::default(), testing::asker().await, order(&url, None), Arc::<Steps>::clone(&clock));
    for n in 1..=6 {
        until(&handle, |r| r.answered + r.lost == n).await;
        if n < 6 {
            clock.permits.add_permits(1);
        }
    }
    let report = handle.finish().await;
    assert_eq!((report.sent, report.answered, report.lost), (6, 3, 3));
    assert_eq!(report.by_model, BTreeMap::from([("chat-v1".to_owned(), 2), ("chat-v2".to_owned(), 1)]));
    assert_eq!(report.by_fingerprint["fp-chat-v2"], 1);
    assert_eq!(report.longest_gap_ms, 800, "from the second answer at 200 to the sixth request's at 1000");
    assert!(report.reasons.keys().any(|r| r.contains("503: draining")), "{:?}", report.reasons);
    assert!(report.reasons.keys().any(|r| r.contains("without a completion")), "{:?}", report.reasons);
    assert_eq!(heard.lock().unwrap().len(), 6, "nothing was asked twice");
    assert!(heard.lock().unwrap()[0].contains("\"model\":\"chat\""));
}

#[tokio::test]
async fn streams_that_break_off_are_told_from_those_that_end() {
    let streams = AtomicU64::new(0);
    let url = testing::server(move |asked: &Asked| {
        if !asked.body.contains("\"stream\":true") {
            return completion("chat");
        }
        match streams.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::Events(stream()),
            1 => Reply::CutEvents(stream()[..1].to_vec()),
            _ => Reply::Hang,
        }
    })
    .await;
    let clock = Steps::new();
    let order = order(&format!("{url}v1/chat/completions"), Some(Span::from_millis(200)));
    let handle = start(&AddressMap::default(), testing::asker().await, order, Arc::<Steps>::clone(&clock));
    until(&handle, |r| r.streams_ended == 1).await;
    clock.permits.add_permits(2);
    until(&handle, |r| r.streams_cut == 1).await;
    clock.permits.add_permits(2);
    until(&handle, |r| r.streams_begun == 3).await;
    let report = handle.finish().await;
    assert_eq!((report.streams_begun, report.streams_ended, report.streams_cut), (3, 1, 1), "one still ran");
    assert!(report.reasons.keys().any(|r| r.starts_with("stream: ")), "{:?}", report.reasons);
    assert_eq!((report.sent, report.lost), (report.answered, 0));
}

#[tokio::test]
async fn each_connection_goes_where_the_resolver_leads_now() {
    use crate::probes::propagation::testing as dns;
    let blue = testing::server_at(|_| completion("blue")).await;
    let green = testing::server_at(|_| completion("green")).await;
    // Two environments on one port, told apart by address, as in the loopback world.
    let world = crate::world::WorldFile {
        version: 1,
        origin: Timestamp::UNIX_EPOCH,
        scale: 1.0,
        cloud: "http://127.0.0.1:1".to_owned(),
        oracle: "http://127.0.0.1:1".to_owned(),
        resolvers: Vec::new(),
        addresses: BTreeMap::from([("192.0.2.1:80".to_owned(), blue), ("192.0.2.2:80".to_owned(), green)]),
        runs: BTreeMap::new(),
        pid: 0,
    };
    let swapped = Arc::new(AtomicU64::new(0));
    let zone = Arc::clone(&swapped);
    let resolver = dns::server(move |q, _| {
        let address = ["192.0.2.1", "192.0.2.2", "192.0.2.3"][usize::try_from(zone.load(Ordering::SeqCst)).unwrap()];
        Some(dns::answer(q, &[dns::cname("chat.lab.", 60, "front.lab."), dns::a("front.lab.", 60, address)]))
    })
    .await;
    let addresses = AddressMap::of(&world);
    let asker = Asker::new(&addresses, &Access::default()).await.unwrap();
    let clock = Steps::new();
    let order = Order { resolver: Some(resolver), ..order("http://chat.lab/v1/chat/completions", None) };
    let handle = start(&addresses, asker, order, Arc::<Steps>::clone(&clock));
    until(&handle, |r| r.by_model.contains_key("blue")).await;
    swapped.store(1, Ordering::SeqCst);
    clock.permits.add_permits(1);
    until(&handle, |r| r.by_model.contains_key("green")).await;
    swapped.store(2, Ordering::SeqCst); // an address where nobody is
    clock.permits.add_permits(1);
    until(&handle, |r| r.lost == 1).await;
    let report = handle.finish().await;
    assert_eq!((report.sent, report.share("blue"), report.share("green")), (3, Some(500), Some(500)));
}

#[tokio::test]
async fn a_plain_url_is_fetched_and_needs_no_completion() {
    let url = testing::server(|asked: &Asked| {
        assert_eq!((asked.path.as_str(), asked.body.as_str()), ("/shop", ""));
        Reply::Whole(200, "hello".to_owned())
    })
    .await;
    let order = order(&format!("{url}shop"), Some(Span::from_millis(200)));
    let handle = start(&AddressMap::default(), testing::asker().await, order, Steps::new());
    until(&handle, |r| r.answered == 1).await;
    let report = handle.finish().await;
    assert_eq!((report.by_model["?"], report.streams_begun), (1, 0));
}

#[tokio::test]
async fn dropping_the_handle_stops_the_witness() {
    let url = testing::server(|_| completion("chat")).await;
    let clock = Steps::new();
    let order = order(&format!("{url}v1/chat/completions"), None);
    let handle = start(&AddressMap::default(), testing::asker().await, order, Arc::<Steps>::clone(&clock));
    until(&handle, |r| r.answered == 1).await;
    let counts = Arc::clone(&handle.counts);
    let Handle { stop, running, .. } = handle;
    drop(stop);
    running.await.unwrap();
    clock.permits.add_permits(10);
    assert_eq!(counts.report(clock.now()).sent, 1);
}
