use serde_json::json;

use super::*;
use crate::plan::model::{Access, Serves, Tcp};
use crate::probes::health::{identity, prove as climb};
use crate::probes::testing::{self, Reply};

fn serves(identity: Option<HttpIdentity>) -> Serves {
    Serves::Http(PlainHttp { health: "/up".to_owned(), identity, access: Access::default() })
}

fn place() -> HttpIdentity {
    HttpIdentity { path: "/about".to_owned(), model: "/app/name".to_owned(), revision: Some("/build".to_owned()) }
}

fn want(model: &str, revision: Option<&str>) -> Release {
    Release { model: model.to_owned(), revision: revision.map(str::to_owned) }
}

async fn server(health: u16) -> Url {
    testing::server(move |asked| match asked.path.as_str() {
        "/up" => Reply::Whole(health, String::new()),
        "/about" => testing::json(&json!({"app": {"name": "shop"}, "build": 7})),
        _ => Reply::Whole(404, String::new()),
    })
    .await
}

#[tokio::test]
async fn the_place_that_the_plan_knows_decides() {
    let (asker, url) = (testing::asker().await, server(204).await);
    let proof = climb(&asker, &url, &serves(Some(place())), &want("shop", Some("7"))).await;
    assert!(matches!(&proof, Proof::Serves { identity, .. } if *identity == want("shop", Some("7"))), "{proof:?}");
    let proof = climb(&asker, &url, &serves(Some(place())), &want("shop", Some("8"))).await;
    assert!(matches!(proof, Proof::Wrong { rung: Rung::Identity, .. }), "{proof:?}");
    let proof = climb(&asker, &url, &serves(Some(place())), &want("blog", None)).await;
    assert!(matches!(proof, Proof::Wrong { rung: Rung::Identity, .. }), "{proof:?}");
    let nowhere = Some(HttpIdentity { revision: Some("/nothing".to_owned()), ..place() });
    let proof = climb(&asker, &url, &serves(nowhere), &want("shop", Some("7"))).await;
    assert!(matches!(proof, Proof::CannotTell { rung: Rung::Identity, .. }), "{proof:?}");
    assert_eq!(identity(&asker, &url, &serves(Some(place()))).await, Ok(want("shop", Some("7"))));
}

#[tokio::test]
async fn what_is_not_proven_is_said() {
    let (asker, url) = (testing::asker().await, server(200).await);
    let unknown = [serves(None), Serves::Tcp(Tcp {})];
    for serves in unknown {
        let Proof::Serves { evidence, .. } = climb(&asker, &url, &serves, &want("shop", None)).await else { panic!() };
        assert!(evidence.contains("not proven"), "{evidence}");
        assert!(identity(&asker, &url, &serves).await.is_err());
    }
    let proof = climb(&asker, &server(302).await, &serves(None), &want("shop", None)).await;
    assert!(matches!(proof, Proof::Wrong { rung: Rung::Healthy, .. }), "{proof:?}");
    let proof = climb(&asker, &server(500).await, &serves(None), &want("shop", None)).await;
    assert!(matches!(proof, Proof::NotYet { rung: Rung::Healthy, .. }), "{proof:?}");
}
