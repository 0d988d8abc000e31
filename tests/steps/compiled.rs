//! What a compiled plan asks before traffic moves, there and back: with nothing that serves, nothing moves.

use std::collections::BTreeMap;
use std::sync::Arc;

use modelswap::clock::SystemClock;
use modelswap::ids::RouterName;
use modelswap::journal::fact::Prepared;
use modelswap::plan::compile::{Backends, compile};
use modelswap::plan::graph::{Graph, Node};
use modelswap::plan::model::Endpoints;
use modelswap::plan::resolve::Resolved;
use modelswap::plan::{Vars, parse};
use modelswap::providers::Ready;
use modelswap::providers::erased::{AnyRegister, AnyRouter};
use modelswap::steps::Verdict;
use modelswap::steps::servers::Servers;
use modelswap::world::AddressMap;
use serde_json::json;

use crate::support::{Memory, Scene, Server, environment, leads, release};

const PLAN: &str = r#"
version: 1
service: chat
aws: {account: "111122223333", region: eu-west-1}
release: {model: chat-v2}
environments:
  a: &environment
    runs: {process: {command: [serve]}}
    serves: {http: {identity: {path: /model, model: /name}}}
    endpoints: [A]
  b: {<<: *environment, endpoints: [B]}
routers:
  balancer:
    alb:
      rule:
        listener: arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/edge/50dc6c495c0c9188/f2f7dc8efc522ab2
        host: chat.example.com
      target_groups: {a: chat-a, b: chat-b}
steps:
  - provision: next
  - check: next
  - swap: {router: balancer}
finalize:
  after: 24h
  steps:
    - teardown: previous
"#;

/// The plan, and the servers of A and B.
async fn compiled(ready: Ready) -> (Graph, [Server; 2]) {
    let servers = [Server::start().await, Server::start().await];
    let text = PLAN.replace("[A]", &format!("[\"{}\"]", servers[0].url));
    let text = text.replace("[B]", &format!("[\"{}\"]", servers[1].url));
    let plan = parse("plan.yaml", &text, &Vars::none()).unwrap_or_else(|e| panic!("{e:?}")).plan;
    let was = Some(release("chat-v1"));
    let resolved = Resolved {
        plan,
        live: environment("a"),
        next: environment("b"),
        was,
        host: String::new(),
        base: std::env::temp_dir(),
    };
    let router: Arc<dyn AnyRouter> = Arc::new(Memory { ready, ..Memory::holding(leads("b")) });
    let asked = resolved.plan.environments.iter().map(|(name, e)| {
        let Endpoints::Urls(_) = &e.endpoints else { panic!("URLs") };
        let (serves, endpoints) = (e.serves.clone(), e.endpoints.clone());
        (name.clone(), Arc::new(Servers::new(name.clone(), serves, endpoints, None, AddressMap::default())))
    });
    let running = || -> Arc<dyn AnyRegister> { Arc::new(Memory::holding(json!({ "state": "stopped" }))) };
    let backends = Backends {
        routers: BTreeMap::from([(RouterName::new("balancer").unwrap(), router)]),
        environments: ["a", "b"].map(|e| (environment(e), running())).into(),
        servers: asked.collect(),
        addresses: AddressMap::default(),
        resolvers: None,
        clock: Arc::new(SystemClock),
    };
    (compile(&resolved, &backends).unwrap_or_else(|e| panic!("{e:?}")), servers)
}

fn node<'g>(graph: &'g Graph, title: &str) -> &'g Node {
    let titles = || graph.nodes.iter().map(|n| n.shape.title.clone()).collect::<Vec<_>>();
    graph.nodes.iter().find(|n| n.shape.title == title).unwrap_or_else(|| panic!("no `{title}` in {:?}", titles()))
}

fn serves(server: &Server, model: &str) {
    server.says("/", "fine");
    server.says("/model", format!("{{\"name\": \"{model}\"}}"));
}

fn moves() -> Prepared {
    Prepared { key: None, before: leads("a"), want: leads("b"), shows: String::new() }
}

async fn forward(node: &Node) -> Verdict {
    node.step.ready(&moves(), &Scene::new().cx()).await.unwrap()
}

async fn back(node: &Node) -> Verdict {
    let mut scene = Scene::new();
    scene.ours = vec![leads("a"), leads("b")];
    node.step.undo_ready(&moves(), &scene.cx()).await.unwrap()
}

fn yes(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Yes { .. })
}

#[tokio::test]
async fn a_group_is_attached_only_when_its_environment_proves_that_it_serves() {
    let (graph, [_a, b]) = compiled(Ready::Yes("1 healthy".to_owned())).await;
    let attach = node(&graph, "attach b to balancer");
    assert!(!yes(&forward(attach).await), "nothing serves in b");
    serves(&b, "chat-v1");
    assert!(!yes(&forward(attach).await), "it serves the old release");
    serves(&b, "chat-v2");
    assert!(yes(&forward(attach).await));
}

#[tokio::test]
async fn traffic_is_swapped_only_when_the_router_sees_its_destination_healthy() {
    let (graph, _servers) = compiled(Ready::No("1 unhealthy".to_owned())).await;
    assert_eq!(forward(node(&graph, "swap balancer to b")).await, Verdict::NotYet("1 unhealthy".to_owned()));
    let (graph, _servers) = compiled(Ready::Yes("1 healthy".to_owned())).await;
    assert!(yes(&forward(node(&graph, "swap balancer to b")).await));
}

#[tokio::test]
async fn traffic_goes_back_only_to_who_proves_that_it_serves_what_it_served() {
    for title in ["attach b to balancer", "swap balancer to b"] {
        let (graph, [a, _b]) = compiled(Ready::Yes("1 healthy".to_owned())).await;
        let step = node(&graph, title);
        assert!(!yes(&back(step).await), "{title}: nothing serves in a");
        serves(&a, "chat-v2");
        assert!(!yes(&back(step).await), "{title}: a serves something else");
        serves(&a, "chat-v1");
        let said = back(step).await;
        assert!(yes(&said), "{title}: {said:?}");
    }
}

/// The router leads to B, so neither B on the way back nor A before it has lost its clients may be stopped under it.
#[tokio::test]
async fn what_a_router_leads_to_is_not_stopped() {
    let (graph, _servers) = compiled(Ready::Yes("1 healthy".to_owned())).await;
    let mut scene = Scene::new();
    let running = json!({ "state": "running", "token": "R1.01-provision" });
    let started = Prepared { before: json!({ "state": "stopped" }), want: running.clone(), ..Prepared::nothing() };
    scene.ours = vec![started.before.clone(), started.want.clone()];
    // What is in its register is neither: it was started.
    let provision = node(&graph, "provision b");
    let said = provision.step.undo_ready(&Prepared { before: json!({ "state": "x" }), ..started }, &scene.cx()).await;
    assert!(matches!(&said, Ok(Verdict::No(why)) if why.contains("still sends traffic to b")), "{said:?}");
}
