//! The oracle's port: JSON for tests, `modelswap lab` and the curious.
//!
//! | request | what |
//! | --- | --- |
//! | `GET /calls`, `/findings`, `/faults`, `/cloud` | call log, broken promises, ordered faults with where they fired, the whole state |
//! | `GET /ended` | where servers served and do so no more |
//! | `POST /faults` `{"op": "ModifyRule", "nth": 1, "times": 1, "kind": "reset_after"}` | orders a fault; answers its id |
//! | `POST /mend` | takes back every fault that was ordered and has not fired as often as it was to |
//! | `POST /cloud` | replaces the whole state |
//! | `POST /edit` `{"set_record": {...}}` | changes it as a person in the console would |
//! | `POST /throttle` `{"on": true}` | Route 53's five requests a second |
//! | `POST /serving` `["203.0.113.10:8000"]` | a model server says where it serves; never answered: the connection lasts as long as it does |

use std::net::SocketAddr;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::Api;
use super::super::call::Raw;
use super::answer::{self, Body};
use crate::lab::faults::FaultOrder;
use crate::lab::oracle::edit::Edit;
use crate::lab::passage::let_time_pass;
use crate::lab::state::Cloud;
use hyper::Response;

const HELP: &str = "GET /calls /findings /faults /cloud /ended; POST /faults /mend /cloud /edit /throttle /serving";

/// Where model servers say that they serve.
pub(super) const SERVING: &str = "/serving";

/// Notes that somebody serves at these sockets, and that he does so no more when the connection ends, however it does:
/// the kernel closes it for a process that was killed.
pub(super) async fn serving(api: &Arc<Api>, raw: &Raw) -> Response<Body> {
    match read::<Vec<SocketAddr>>(&raw.body) {
        Ok(sockets) => {
            let _until_it_ends = Serving::begin(api, &sockets);
            std::future::pending().await
        }
        Err(why) => answer::json(400, &json!({ "error": why })),
    }
}

struct Serving {
    api: Arc<Api>,
    addresses: Vec<String>,
}

impl Serving {
    fn begin(api: &Arc<Api>, sockets: &[SocketAddr]) -> Self {
        let known = api.parts.stand_ins.all();
        let at =
            |socket: &SocketAddr| known.iter().find(|(_, here)| *here == socket).map(|(address, _)| address.clone());
        let addresses: Vec<_> = sockets.iter().filter_map(at).collect();
        api.parts.oracle.serves(&addresses);
        Self { api: Arc::clone(api), addresses }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let parts = &self.api.parts;
        let by_hooks = parts.oracle.ask_of_end(&self.addresses);
        let mut cloud = parts.cloud.lock();
        let now = parts.clock.now();
        let_time_pass(&mut cloud, now);
        parts.oracle.ended(now, &cloud, &parts.stand_ins, &self.addresses, by_hooks);
    }
}

pub(super) fn answer(api: &Api, raw: &Raw) -> Response<Body> {
    match (raw.method.as_str(), raw.path.trim_end_matches('/')) {
        ("GET", "") => answer::json(200, &json!({ "help": HELP })),
        ("GET", "/calls") => answer::json(200, &api.parts.oracle.calls()),
        ("GET", "/findings") => answer::json(200, &api.parts.oracle.findings()),
        ("GET", "/ended") => answer::json(200, &api.parts.oracle.all_ended()),
        ("GET", "/faults") => answer::json(200, &api.parts.faults.list()),
        ("GET", "/cloud") => {
            let mut cloud = api.parts.cloud.lock();
            let_time_pass(&mut cloud, api.parts.clock.now());
            answer::json(200, &*cloud)
        }
        ("POST", path @ ("/faults" | "/mend" | "/cloud" | "/edit" | "/throttle")) => match change(api, path, &raw.body)
        {
            Ok(said) => answer::json(200, &said),
            Err(why) => answer::json(400, &json!({ "error": why })),
        },
        (method, path) => answer::json(404, &json!({ "error": format!("no {method} {path}"), "help": HELP })),
    }
}

fn change(api: &Api, path: &str, body: &[u8]) -> Result<Value, String> {
    match path {
        "/faults" => Ok(json!({ "id": api.parts.faults.order(read::<FaultOrder>(body)?) })),
        "/mend" => {
            api.parts.faults.mend();
            Ok(json!({ "mended": true }))
        }
        "/throttle" => {
            let on = read::<Value>(body)?.get("on").and_then(Value::as_bool).ok_or("`on` must be true or false")?;
            api.throttle().switch(on);
            Ok(json!({ "on": on }))
        }
        "/cloud" => {
            *api.parts.cloud.lock() = read::<Cloud>(body)?;
            api.due.notify_one();
            Ok(json!({ "replaced": true }))
        }
        _ => {
            let edit = read::<Edit>(body)?;
            edit.make(&mut api.parts.cloud.lock())?;
            Ok(json!({ "edited": true }))
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|e| format!("the body cannot be read: {e}"))
}
