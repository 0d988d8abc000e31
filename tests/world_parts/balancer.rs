use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::SignedDuration;
use modelswap::clock::Clock;
use modelswap::lab::balancer::Balancers;
use modelswap::lab::state::{Action, Health, Rule, SharedCloud, Target};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{
    ManualClock, Model, answering, client, cloud_with_listener, complete, eventually, forward_to, get, group_of, model,
    nobody, real_time, register, set_rule, target,
};

/// A balancer whose clock stands still: no health check runs but the first, unless the test moves it.
struct Front {
    cloud: SharedCloud,
    clock: Arc<ManualClock>,
    address: SocketAddr,
    _balancers: Balancers,
}

async fn front(cloud: SharedCloud) -> Front {
    let clock = ManualClock::new();
    let balancers = Balancers::start(cloud.clone(), clock.clone()).await.unwrap();
    let address = cloud.lock().listeners["front"].socket;
    Front { cloud, clock, address, _balancers: balancers }
}

/// Groups `a` and `b` with one healthy model server each, behind weights.
async fn a_and_b(weights: (u16, u16)) -> (Front, Model, Model) {
    let cloud = cloud_with_listener(&[("a", weights.0), ("b", weights.1)]);
    let (a, b) = (model("model-a", real_time(), |_| {}).await, model("model-b", real_time(), |_| {}).await);
    register(&cloud, "a", target("10.0.0.1", a.address, Health::Healthy));
    register(&cloud, "b", target("10.0.0.2", b.address, Health::Healthy));
    (front(cloud).await, a, b)
}

fn targets(front: &Front, group: &str) -> Vec<Target> {
    front.cloud.lock().groups[group].targets.clone()
}

#[tokio::test]
async fn requests_are_spread_by_weight_and_zero_gets_none() {
    let (front, _a, _b) = a_and_b((100, 0)).await;
    for _ in 0..20 {
        assert_eq!(answering(front.address).await, "model-a");
    }
    set_rule(&front.cloud, "default", forward_to(&[("a", 3), ("b", 1)], None));
    for _ in 0..200 {
        answering(front.address).await;
    }
    // 3:1 of 200 is 150 with a standard deviation of 6.1; the bounds are six of these away.
    let to_a = targets(&front, "a")[0].requests - 20;
    assert!((113..=187).contains(&to_a), "{to_a} of 200");
    set_rule(&front.cloud, "default", forward_to(&[("a", 0), ("b", 0)], None));
    assert_eq!(answering(front.address).await, "503", "all weights are zero");
}

#[tokio::test]
async fn a_sticky_cookie_outranks_weight_zero_until_it_ends() {
    let (front, _a, _b) = a_and_b((1, 0)).await;
    set_rule(&front.cloud, "default", forward_to(&[("a", 1), ("b", 0)], Some(60)));
    let first = get(front.address, "/v1/models").await;
    let cookies: Vec<String> =
        first.headers().get_all("set-cookie").iter().map(|v| v.to_str().unwrap().to_owned()).collect();
    assert_eq!(cookies.len(), 2, "AWSALBTG and AWSALBTGCORS: {cookies:?}");
    let cookie = cookies[0].split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("AWSALBTG="), "{cookie}");
    set_rule(&front.cloud, "default", forward_to(&[("a", 0), ("b", 1)], Some(60)));
    let model_with_cookie = async || {
        let request =
            client().get(format!("http://{}/v1/models", front.address)).header("cookie", format!("x=1; {cookie}"));
        let models: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
        models["data"][0]["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(model_with_cookie().await, "model-a");
    assert_eq!(answering(front.address).await, "model-b", "without the cookie");
    front.clock.advance(59);
    assert_eq!(model_with_cookie().await, "model-a");
    front.clock.advance(1);
    assert_eq!(model_with_cookie().await, "model-b", "its life is over");
    set_rule(&front.cloud, "default", forward_to(&[("b", 1)], None));
    let plain = get(front.address, "/v1/models").await;
    assert!(plain.headers().get("set-cookie").is_none(), "no stickiness, no cookie");
}

#[tokio::test]
async fn rules_are_obeyed_by_priority_host_path_and_header() {
    let (front, _a, _b) = a_and_b((1, 0)).await;
    let rule = |priority, hosts: &[&str], paths: &[&str], headers: &[(&str, &str)], action| Rule {
        listener: "front".into(),
        priority: Some(priority),
        hosts: hosts.iter().map(|h| (*h).to_owned()).collect(),
        paths: paths.iter().map(|p| (*p).to_owned()).collect(),
        headers: headers.iter().map(|(n, v)| ((*n).to_owned(), vec![(*v).to_owned()])).collect(),
        actions: vec![action],
    };
    let fixed =
        |body: &str| Action::FixedResponse { status: 418, content_type: "text/plain".into(), body: body.into() };
    let to_query = BTreeMap::from([("Host".to_owned(), "other.example.com".to_owned())]);
    let rules = [
        ("r1", rule(10, &["*.example.com"], &["/v1/*"], &[], forward_to(&[("b", 1)], None))),
        ("r2", rule(5, &[], &[], &[("X-Canary", "on*")], fixed("canary"))),
        ("r3", rule(20, &[], &["/v1/mode?s"], &[], fixed("path"))),
        ("r4", rule(30, &[], &["/old/*"], &[], Action::Redirect { status: 301, location: to_query })),
    ];
    front.cloud.lock().rules.extend(rules.map(|(arn, rule)| (arn.to_owned(), rule)));
    let ask = async |host: &str, path: &str, header: (&str, &str)| {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let request =
            client.get(format!("http://{}{path}", front.address)).header("host", host).header(header.0, header.1);
        let response = request.send().await.unwrap();
        let location = response.headers().get("location").map(|l| l.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        (status, location.unwrap_or(response.text().await.unwrap()))
    };
    let (_, by_host) = ask("API.example.com:80", "/v1/models", ("x", "y")).await;
    assert!(by_host.contains("model-b"), "{by_host}");
    assert_eq!(ask("api.example.com", "/v1/models", ("x-canary", "ON-5")).await, (418, "canary".into()));
    assert_eq!(ask("elsewhere.org", "/v1/models", ("x", "y")).await, (418, "path".into()));
    assert_eq!(ask("elsewhere.org", "/version", ("x", "y")).await.0, 200, "the default rule is the last");
    let moved = ask("elsewhere.org", "/old/page?x=1", ("x", "y")).await;
    assert_eq!(moved, (301, "http://other.example.com:80/old/page?x=1".into()));
}

#[tokio::test]
async fn healthy_targets_take_turns_and_without_any_all_get_requests() {
    let cloud = cloud_with_listener(&[("a", 1)]);
    let (one, two) = (model("one", real_time(), |_| {}).await, model("two", real_time(), |_| {}).await);
    let sick = model("sick", real_time(), |o| o.load = Duration::from_hours(1)).await;
    register(&cloud, "a", target("10.0.0.1", one.address, Health::Healthy));
    register(&cloud, "a", target("10.0.0.2", two.address, Health::Healthy));
    register(&cloud, "a", target("10.0.0.3", sick.address, Health::Unhealthy));
    let front = front(cloud).await;
    for _ in 0..10 {
        answering(front.address).await;
    }
    let requests: Vec<u64> = targets(&front, "a").iter().map(|t| t.requests).collect();
    assert_eq!(requests, [5, 5, 0]);
    for target in &mut front.cloud.lock().groups.get_mut("a").unwrap().targets {
        target.health = Health::Unhealthy;
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(answering(front.address).await);
    }
    seen.sort();
    assert_eq!(seen, ["503", "one", "two"], "fail-open: also the one that is still loading");
}

#[tokio::test]
async fn an_empty_group_is_503_and_a_dead_target_502() {
    let cloud = cloud_with_listener(&[("a", 1)]);
    let front = front(cloud).await;
    assert_eq!(get(front.address, "/").await.status(), 503);
    register(&front.cloud, "a", target("10.0.0.1", nobody(), Health::Healthy));
    let refused = get(front.address, "/").await;
    assert_eq!(refused.status(), 502);
    assert_eq!(refused.headers()["server"], "awselb/2.0");
    // A target that accepts, reads and hangs up.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    front.cloud.lock().groups.get_mut("a").unwrap().targets[0].socket = Some(listener.local_addr().unwrap());
    let hangs_up = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
    });
    assert_eq!(get(front.address, "/").await.status(), 502);
    hangs_up.await.unwrap();
    assert_eq!(targets(&front, "a")[0].in_flight, 0);
}

#[tokio::test]
async fn a_target_that_hangs_up_after_its_answer_does_not_cost_the_client_its_connection() {
    let (front, a, _b) = a_and_b((1, 0)).await;
    client().post(format!("http://{}/lab/close?on=true", a.address)).send().await.unwrap();
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200") && !head.contains("connection: close"), "{head}");
    }
}

#[tokio::test]
async fn a_draining_target_gets_no_new_requests_finishes_its_streams_and_is_cut_when_its_delay_is_over() {
    let (front, _a, _b) = a_and_b((1, 0)).await;
    let slow = model("slow", real_time(), |o| o.token_gap = Duration::from_hours(1)).await;
    front
        .cloud
        .lock()
        .groups
        .get_mut("a")
        .unwrap()
        .targets
        .insert(0, target("10.0.0.9", slow.address, Health::Healthy));
    let short = json!({ "stream": true, "max_tokens": 100 });
    let client = client();
    let (one, two) =
        (complete(&client, front.address, short.clone()).await, complete(&client, front.address, short).await);
    let in_flight = |front: &Front| targets(front, "a").iter().map(|t| t.in_flight).collect::<Vec<_>>();
    assert_eq!(in_flight(&front), [1, 1]);
    let until = front.clock.now() + SignedDuration::from_secs(30);
    for target in &mut front.cloud.lock().groups.get_mut("a").unwrap().targets {
        target.draining_until = Some(until);
    }
    assert_eq!(answering(front.address).await, "503", "nobody is left for new requests");
    assert!(two.text().await.unwrap().ends_with("data: [DONE]\n\n"), "the quick stream ends by itself");
    eventually("the quick stream is counted out", async || in_flight(&front) == [1, 0]).await;
    let (broken, ()) = tokio::join!(one.text(), async { front.clock.advance(30) });
    assert!(!broken.expect_err("the endless stream is cut").is_timeout(), "cut, and not given up by its reader");
    eventually("both targets are gone", async || targets(&front, "a").is_empty()).await;
}

#[tokio::test]
async fn tokens_pass_as_they_are_made_and_the_stream_is_in_flight_until_its_reader_hangs_up() {
    let cloud = cloud_with_listener(&[("a", 1)]);
    let clock = ManualClock::new();
    let server = model("model-a", clock.clone(), |o| o.token_gap = Duration::from_secs(10)).await;
    register(&cloud, "a", target("10.0.0.1", server.address, Health::Healthy));
    let front = front(cloud).await;
    let response = complete(&client(), front.address, json!({ "stream": true, "max_tokens": 3 })).await;
    let mut body = response.bytes_stream();
    let first = body.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"data: {"), "the first event comes before any token is made");
    assert_eq!(targets(&front, "a")[0].in_flight, 1);
    // The server's clock stands still: the next event exists only once it is moved.
    eventually("the server waits with the token", async || {
        clock.advance(10);
        futures_util::FutureExt::now_or_never(body.next()).is_some()
    })
    .await;
    drop(body);
    eventually("nothing is in flight", async || targets(&front, "a")[0].in_flight == 0).await;
    let idle = async || {
        let status: serde_json::Value = get(server.address, "/lab/status").await.json().await.unwrap();
        status["in_flight"] == 0
    };
    eventually("the target has been told", idle).await;
}

#[tokio::test]
async fn a_silent_target_is_given_up_after_the_idle_timeout() {
    let cloud = cloud_with_listener(&[("a", 1)]);
    cloud
        .lock()
        .balancers
        .get_mut("alb")
        .unwrap()
        .attributes
        .insert("idle_timeout.timeout_seconds".into(), "40".into());
    let slow = model("slow", real_time(), |o| o.slow_first_token = Duration::from_hours(1)).await;
    register(&cloud, "a", target("10.0.0.1", slow.address, Health::Healthy));
    let front = front(cloud).await;
    let asked = tokio::spawn(async move { answering(front.address).await });
    eventually("the request is under way", async || front.cloud.lock().groups["a"].targets[0].in_flight == 1).await;
    // The sleep may begin a moment after the count: move on until it has.
    eventually("the balancer gives up", async || {
        front.clock.advance(40);
        asked.is_finished()
    })
    .await;
    assert_eq!(asked.await.unwrap(), "504");
}

#[tokio::test]
async fn websockets_pass_in_both_directions() {
    let cloud = cloud_with_listener(&[("a", 1)]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    register(&cloud, "a", target("10.0.0.1", listener.local_addr().unwrap(), Health::Healthy));
    let front = front(cloud).await;
    let echo = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            if !String::from_utf8(head).unwrap().to_ascii_lowercase().contains("upgrade: websocket") {
                continue; // the health checker
            }
            let answer = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await.unwrap();
            break;
        }
    });
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    let asked = b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
    stream.write_all(asked).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream.write_all(b"ping").await.unwrap();
    let mut back = [0; 4];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"ping");
    assert_eq!(targets(&front, "a")[0].in_flight, 1, "for as long as it is open");
    drop(stream);
    echo.await.unwrap();
    eventually("nothing is in flight", async || targets(&front, "a")[0].in_flight == 0).await;
}

#[tokio::test]
async fn a_stale_idle_connection_loses_no_request() {
    let cloud = cloud_with_listener(&[("a", 1)]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    cloud
        .lock()
        .groups
        .insert("a".into(), group_of(vec![target("10.0.0.1", listener.local_addr().unwrap(), Health::Healthy)]));
    let front = front(cloud).await;
    // A target that says keep-alive, and hangs up as soon as it sees the second request.
    let server = tokio::spawn(async move {
        let mut hung_up = 0;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let n = stream.read(&mut buffer).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            if buffer[..n].starts_with(b"GET /last") {
                return hung_up;
            }
            if buffer[..n].starts_with(b"POST") {
                hung_up += u32::from(stream.read(&mut buffer).await.unwrap() > 0);
            }
        }
    });
    let client = client();
    for _ in 0..10 {
        let response = client.post(format!("http://{}/", front.address)).body("x").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.text().await.unwrap(), "ok");
    }
    assert_eq!(client.get(format!("http://{}/last", front.address)).send().await.unwrap().status(), 200);
    assert!(server.await.unwrap() > 0, "no idle connection was ever used again");
}
