//! The health checker: asks the targets of every group that some rule names, and of no other.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::patterns::is_healthy_code;
use super::proxy::Proxy;
use crate::clock::Clock;
use crate::lab::state::{Action, Cloud, Health, SharedCloud, Target, TargetGroup};

/// How often is looked whether a check is due, in world time; ELBv2's shortest interval is 5 s.
const TICK: Duration = Duration::from_millis(250);
/// The same in real time, at least: a fast world must not turn this into a busy loop.
const TICK_REAL_MIN: Duration = Duration::from_millis(20);
/// ELBv2's default, in world time.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The same in real time, at least: two shared cores need this much however fast the world runs.
const TIMEOUT_REAL_MIN: Duration = Duration::from_secs(1);

/// Checks for ever.
pub(super) async fn check(proxy: Arc<Proxy>, cloud: SharedCloud, clock: Arc<dyn Clock>) {
    let timeout = clock.real(TIMEOUT).max(TIMEOUT_REAL_MIN);
    let real = clock.real(TICK).max(Duration::from_micros(1));
    let tick = if real < TICK_REAL_MIN { TICK.mul_f64(TICK_REAL_MIN.div_duration_f64(real)) } else { TICK };
    let mut due_at = HashMap::new();
    let mut asked = JoinSet::new();
    loop {
        let due = {
            let mut cloud = cloud.lock();
            deregister_drained(&mut cloud, clock.now());
            proxy.cut_unregistered(&cloud);
            due(&mut cloud, &mut due_at, clock.now())
        };
        while asked.try_join_next().is_some() {}
        for check in due {
            let cloud = cloud.clone();
            // Each on its own: a target that hangs must not delay the checks of the others.
            asked.spawn(async move {
                let passed = tokio::time::timeout(timeout, check.passes()).await.unwrap_or(false);
                check.note(&mut cloud.lock(), passed);
            });
        }
        clock.sleep(tick).await;
    }
}

/// One target that is to be asked.
struct Check {
    group: String,
    id: String,
    port: u16,
    socket: Option<SocketAddr>,
    path: String,
    codes: String,
}

impl Check {
    async fn passes(&self) -> bool {
        let Some(socket) = self.socket else { return false };
        match ask(socket, &self.path, &format!("{}:{}", self.id, self.port)).await {
            Ok(status) => is_healthy_code(&self.codes, status),
            Err(_) => false,
        }
    }

    fn note(&self, cloud: &mut Cloud, passed: bool) {
        let Some(group) = cloud.groups.get_mut(&self.group) else { return };
        let (healthy, unhealthy) = (group.healthy_threshold, group.unhealthy_threshold);
        if let Some(target) = group.targets.iter_mut().find(|t| t.id == self.id && t.port == self.port) {
            note(target, passed, healthy, unhealthy);
        }
    }
}

/// A target that was just registered needs one pass; later it takes as many in a row as the thresholds say.
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html>
fn note(target: &mut Target, passed: bool, healthy: u32, unhealthy: u32) {
    (target.passes, target.failures) = if passed { (target.passes + 1, 0) } else { (0, target.failures + 1) };
    target.health = match target.health {
        Health::Initial if passed => Health::Healthy,
        Health::Unhealthy if target.passes >= healthy.max(1) => Health::Healthy,
        Health::Initial | Health::Healthy if target.failures >= unhealthy.max(1) => Health::Unhealthy,
        same @ (Health::Initial | Health::Healthy | Health::Unhealthy) => same,
    };
}

/// The checks that are due now. A group that no rule names is forgotten: named again, it begins as `initial`.
fn due(cloud: &mut Cloud, due_at: &mut HashMap<(String, String, u16), Timestamp>, now: Timestamp) -> Vec<Check> {
    let named = named(cloud);
    let mut due = Vec::new();
    due_at.retain(|(group, id, port), _| {
        let targets = cloud.groups.get(group).map(|g| g.targets.as_slice()).unwrap_or_default();
        named.contains(group) && targets.iter().any(|t| t.id == *id && t.port == *port)
    });
    for (arn, group) in &mut cloud.groups {
        if !named.contains(arn) {
            group.targets.iter_mut().for_each(forget);
            continue;
        }
        let TargetGroup { targets, health_path, health_codes, health_interval_s, .. } = group;
        let interval = SignedDuration::try_from_secs_f64(*health_interval_s).unwrap_or(SignedDuration::from_secs(30));
        for target in targets.iter() {
            let at = due_at.entry((arn.clone(), target.id.clone(), target.port)).or_insert(now);
            if *at > now {
                continue;
            }
            *at = now + interval;
            due.push(Check {
                group: arn.clone(),
                id: target.id.clone(),
                port: target.port,
                socket: target.socket,
                path: health_path.clone(),
                codes: health_codes.clone(),
            });
        }
    }
    due
}

fn forget(target: &mut Target) {
    (target.health, target.passes, target.failures) = (Health::Initial, 0, 0);
}

fn named(cloud: &Cloud) -> BTreeSet<String> {
    let actions = cloud.rules.values().flat_map(|rule| &rule.actions);
    let groups =
        actions.filter_map(|action| if let Action::Forward { groups, .. } = action { Some(groups) } else { None });
    groups.flatten().map(|(group, _)| group.clone()).collect()
}

/// Targets whose deregistration delay is over are no longer there.
fn deregister_drained(cloud: &mut Cloud, now: Timestamp) {
    for group in cloud.groups.values_mut() {
        group.targets.retain(|target| target.draining_until.is_none_or(|until| now < until));
    }
}

async fn ask(socket: SocketAddr, path: &str, host: &str) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(socket).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let request = Request::get(if path.is_empty() { "/" } else { path })
        .header("host", host)
        .header("user-agent", "ELB-HealthChecker/2.0")
        .header("connection", "close")
        .body(Full::<Bytes>::default())?;
    let asked = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        response.into_body().collect().await?;
        Ok(status)
    };
    tokio::pin!(connection);
    let mut asked = std::pin::pin!(asked);
    tokio::select! {
        status = &mut asked => status,
        // The connection may be done before the answer is looked at.
        ended = &mut connection => { ended?; asked.await }
    }
}
