//! The whole observation of one swap: who is asked, what they said so far, and when the next round is due.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use hickory_proto::rr::{Name, RecordType};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::authoritative::{self, Look, Wanted};
use super::query::Dns;
use super::records::{self, Heard, Match, Side};
use super::recursive::{Honest, Resolver, Said, Sample};
use super::{Class, NameServer, Round, Seen, Values, canary, discover, resolvers};
use crate::world::AddressMap;

/// What is watched.
#[derive(Debug, Clone)]
pub struct Order {
    /// The name whose records are edited (the owner, not what clients type when that is a CNAME to it).
    pub name: String,
    /// What it held before.
    pub old: Values,
    /// What it holds now.
    pub new: Values,
    /// The exact TTL of the new records; none for an alias.
    pub ttl_s: Option<u32>,
    /// The TTL of the old records when they were swapped, where it is known.
    pub old_ttl_s: Option<u32>,
    /// When it was swapped; none: not yet, and rounds only learn what caches hold.
    pub swapped_at: Option<Timestamp>,
    /// As [`resolvers::choose`] reads them. In the loopback world: the world file's, which stand in for the plan's own.
    pub resolvers: Vec<String>,
    /// Names of the authoritative servers, where the provider tells them; else they are discovered.
    pub name_servers: Vec<String>,
    /// Addresses of authoritative servers, where these are known.
    pub name_server_addresses: Vec<SocketAddr>,
    /// Name servers (as reports call them) that a person said may be left out.
    pub ignored: Vec<String>,
    /// Addresses where nobody must answer; none: the three test networks, outside the loopback world.
    pub nobody: Option<Vec<SocketAddr>>,
    /// How often and how much.
    pub pace: Pace,
}

/// How often and how much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Rounds in a row in which a resolver must answer only the new records.
    pub clean_rounds: u32,
    /// The least time between two that count.
    pub clean_gap: Duration,
    /// Between two rounds of questions to a resolver that foretells nothing.
    pub every: Duration,
    /// Questions to an address with many caches behind it in the last round: 21 meet each of 4 caches but for 1 %.
    pub anycast_last: u32,
    /// ... and in the rounds before.
    pub anycast_first: u32,
    /// Questions to an authoritative server's address in a round.
    pub authoritative: u32,
}

impl Default for Pace {
    fn default() -> Self {
        let five = Duration::from_secs(5);
        Self { clean_rounds: 3, clean_gap: five, every: five, anycast_last: 21, anycast_first: 4, authoritative: 3 }
    }
}

/// Name servers are asked often at first, because most are quick, ...
const SOON: SignedDuration = SignedDuration::from_millis(500);
const SOON_FOR: SignedDuration = SignedDuration::from_secs(10);
/// ... then less often.
const LATER: SignedDuration = SignedDuration::from_secs(2);

/// Watches one swap, round by round. It never waits: it says when the next round is due.
#[derive(Debug)]
pub struct Watch {
    dns: Dns,
    order: Order,
    old: Side,
    new: Side,
    /// None until the first round.
    scene: Option<Scene>,
    authoritative_since: Option<Timestamp>,
    longest_ttl: Option<(u32, String)>,
}

/// Who is asked about what.
#[derive(Debug)]
struct Scene {
    name: Name,
    kinds: Vec<(String, RecordType)>,
    servers: Vec<NameServer>,
    resolvers: Vec<Resolver>,
    intercepted: Option<String>,
    notes: Vec<String>,
}

impl Watch {
    /// Nothing is asked yet.
    pub fn new(addresses: &AddressMap, order: Order) -> Self {
        let (old, new) = (Side::of(&order.old), Side::of(&order.new));
        let dns = Dns::new(addresses);
        Self { dns, order, old, new, scene: None, authoritative_since: None, longest_ttl: None }
    }

    /// The swap was made. What was learnt about the caches before stays.
    pub fn swapped(&mut self, at: Timestamp) {
        self.order.swapped_at = Some(at);
        for resolver in self.scene.iter_mut().flat_map(|s| &mut s.resolvers) {
            resolver.restart(at);
        }
    }

    /// Asks everybody who is due, once.
    ///
    /// # Errors
    /// A fragment when the order itself is wrong: a name or a type that is none.
    pub async fn round(&mut self, now: Timestamp) -> Result<Round, String> {
        let began = Instant::now();
        // Only the time that the network takes is measured here; `now` is the caller's clock.
        let clock = || now + SignedDuration::try_from(began.elapsed()).unwrap_or(SignedDuration::ZERO);
        let mut scene = match self.scene.take() {
            Some(scene) => scene,
            None => self.prepare().await?,
        };
        if scene.servers.is_empty() {
            self.find_servers(&mut scene).await;
        }
        self.learn_aliases(&scene).await;
        let looks = self.ask_authoritative(&scene, clock()).await;
        // Asking for a name that does not exist yet would make a cache remember that it does not.
        let nothing = !self.new.is_empty() && looks.iter().any(|l| l.nothing);
        if nothing {
            scene.notes.push("resolvers were not asked: a name server does not have the records yet".to_owned());
        } else {
            self.ask_resolvers(&mut scene, &clock, now).await;
        }
        let round = self.tell(&scene, &looks, nothing, now);
        scene.notes.retain(|n| !n.starts_with("resolvers were not asked"));
        self.scene = Some(scene);
        Ok(round)
    }

    async fn prepare(&self) -> Result<Scene, String> {
        let name = discover::parse(&self.order.name)?;
        let kinds: BTreeSet<String> = self.order.old.kinds().union(&self.order.new.kinds()).cloned().collect();
        let kinds = kinds
            .into_iter()
            .map(|kind| {
                let code = kind.parse::<RecordType>().map_err(|_| format!("`{kind}` is no type of DNS record"))?;
                Ok((kind, code))
            })
            .collect::<Result<Vec<_>, String>>()?;
        let chosen = resolvers::choose(&self.order.resolvers).map_err(|wrong| wrong.join("; "))?;
        let nobody = match &self.order.nobody {
            Some(addresses) => addresses.clone(),
            None if self.dns.addresses.is_lab() => Vec::new(),
            None => canary::NOBODY.iter().filter_map(|a| a.parse().ok()).collect(),
        };
        let intercepted = canary::intercepted(&self.dns, &nobody, &name).await;
        let mut resolvers: Vec<Resolver> = chosen.into_iter().map(Resolver::new).collect();
        if intercepted.is_some() {
            for resolver in resolvers.iter_mut().filter(|r| r.chosen.is_public()) {
                resolver.leave_out("not asked: the network answers DNS itself");
            }
        }
        Ok(Scene { name, kinds, servers: Vec::new(), resolvers, intercepted, notes: Vec::new() })
    }

    async fn find_servers(&self, scene: &mut Scene) {
        let known = self.order.name_server_addresses.iter();
        let mut servers: Vec<_> = known.map(|a| NameServer { name: String::new(), address: *a }).collect();
        let ask: Vec<SocketAddr> = scene.resolvers.iter().filter(|r| r.is_usable()).map(|r| r.chosen.address).collect();
        scene.notes.clear();
        if servers.is_empty() && !self.order.name_servers.is_empty() {
            (servers, scene.notes) = discover::addresses(&self.dns, &ask, &self.order.name_servers).await;
        } else if servers.is_empty() {
            match discover::discover(&self.dns, &ask, &self.order.name).await {
                Ok(found) => (servers, scene.notes) = (found.servers, found.notes),
                Err(why) => scene.notes = vec![why],
            }
        }
        scene.servers = servers;
    }

    /// An alias is compared with what its target has now.
    async fn learn_aliases(&mut self, scene: &Scene) {
        for (values, side) in [(&self.order.old, &mut self.old), (&self.order.new, &mut self.new)] {
            let Values::AliasOf(target) = values else { continue };
            let Ok(target) = discover::parse(target) else { continue };
            let asked = scene.resolvers.iter().filter(|r| r.is_usable()).flat_map(|resolver| {
                let target = &target;
                let dns = &self.dns;
                [("A", RecordType::A), ("AAAA", RecordType::AAAA)].map(|(kind, code)| async move {
                    let answer = dns.ask(resolver.chosen.address, target, code, true).await.ok()?;
                    let found = records::addresses(&answer).into_iter().map(|ip| ip.to_string()).collect();
                    Some((kind, found))
                })
            });
            for (kind, found) in join_all(asked).await.into_iter().flatten() {
                side.learn(kind, found);
            }
        }
    }

    async fn ask_authoritative(&mut self, scene: &Scene, at: Timestamp) -> Vec<Look> {
        let wanted =
            Wanted { name: &scene.name, kinds: &scene.kinds, old: &self.old, new: &self.new, ttl_s: self.order.ttl_s };
        // Once all have it, a look is enough.
        let times = if self.authoritative_since.is_some() { 1 } else { self.order.pace.authoritative };
        let looks = authoritative::look(&self.dns, &scene.servers, &wanted, times).await;
        for look in &looks {
            self.note_ttl(look.old_ttl_s, &look.line.server);
        }
        if self.order.swapped_at.is_some() && self.authoritative_since.is_none() {
            let mut counted = looks.iter().filter(|l| !self.is_ignored(&l.line.server)).peekable();
            if counted.peek().is_some() && counted.all(|l| l.line.class == Class::New) {
                self.authoritative_since = Some(at);
            }
        }
        looks
    }

    async fn ask_resolvers(&mut self, scene: &mut Scene, clock: &(dyn Fn() -> Timestamp + Sync), now: Timestamp) {
        let pace = self.order.pace;
        let swapped = self.order.swapped_at.is_some();
        let honest = self.honest(scene);
        let (dns, old, new) = (&self.dns, &self.old, &self.new);
        let (name, kinds) = (&scene.name, &scene.kinds);
        let due = scene.resolvers.iter_mut().filter(|r| r.is_usable() && r.due.is_none_or(|due| due <= now));
        let asked = due.map(|resolver| async move {
            let mut samples = Vec::new();
            for _ in 0..resolver.questions(&pace, swapped) {
                let heard = ask(dns, resolver.chosen.address, name, kinds).await;
                let sample = sample(clock(), heard, old, new);
                // A server that does not answer costs patience each time; once is enough.
                let failed = sample.said == Said::Failed;
                samples.push(sample);
                if failed {
                    break;
                }
            }
            resolver.take(&samples, honest, &pace);
        });
        join_all(asked).await;
        for resolver in &scene.resolvers {
            let ttl = resolver.longest_ttl_s;
            if ttl.is_some_and(|ttl| self.longest_ttl.as_ref().is_none_or(|(longest, _)| ttl > *longest)) {
                self.longest_ttl = ttl.map(|ttl| (ttl, resolver.chosen.label.clone()));
            }
        }
    }

    /// What caches that keep their promise may do, once it is known since when no name server gives the old records.
    fn honest(&self, scene: &Scene) -> Option<Honest> {
        let ttl_s = self.order.old_ttl_s.or(self.longest_ttl.as_ref().map(|(ttl, _)| *ttl))?;
        // Where no name server can be asked, the swap itself has to do.
        let since = self.authoritative_since.or(self.order.swapped_at.filter(|_| scene.servers.is_empty()))?;
        Some(Honest { since, until: since + SignedDuration::from_secs(i64::from(ttl_s) + 1) })
    }

    fn note_ttl(&mut self, ttl: Option<u32>, who: &str) {
        let Some(ttl) = ttl else { return };
        if self.longest_ttl.as_ref().is_none_or(|(longest, _)| ttl > *longest) {
            self.longest_ttl = Some((ttl, who.to_owned()));
        }
    }

    fn is_ignored(&self, server: &str) -> bool {
        self.order.ignored.iter().any(|i| server == i || server.split(' ').any(|part| part == i))
    }

    fn tell(&self, scene: &Scene, looks: &[Look], nothing: bool, now: Timestamp) -> Round {
        let usable = || scene.resolvers.iter().filter(|r| r.is_usable());
        Round {
            at: now,
            seen: self.seen(scene, looks),
            authoritative: looks.iter().map(|l| l.line.clone()).collect(),
            resolvers: scene.resolvers.iter().map(|r| r.line.clone()).collect(),
            authoritative_since: self.authoritative_since,
            old_until: usable().filter_map(|r| r.line.old_until).max(),
            longest_ttl: self.longest_ttl.clone(),
            intercepted: scene.intercepted.clone(),
            notes: scene.notes.clone(),
            next_due: self.next_due(scene, nothing, now),
        }
    }

    fn next_due(&self, scene: &Scene, nothing: bool, now: Timestamp) -> Timestamp {
        let usable = scene.resolvers.iter().filter(|r| r.is_usable());
        let resolvers = usable.filter_map(|r| r.due).min().filter(|_| !nothing);
        let servers = match (self.order.swapped_at, self.authoritative_since) {
            (Some(at), None) if now.duration_since(at) < SOON_FOR => Some(now + SOON),
            (Some(_), None) => Some(now + LATER),
            (Some(_), Some(_)) | (None, _) => None,
        };
        let every = now + SignedDuration::try_from(self.order.pace.every).unwrap_or(LATER);
        // Never at once: even a round without a single answer is followed by a pause.
        resolvers.into_iter().chain(servers).min().unwrap_or(every).max(now + SOON)
    }

    fn seen(&self, scene: &Scene, looks: &[Look]) -> Seen {
        if self.order.swapped_at.is_none() {
            return Seen::NotYet { why: "it has not been swapped yet".to_owned() };
        }
        let pace = &self.order.pace;
        let counted: Vec<_> = looks.iter().filter(|l| !self.is_ignored(&l.line.server)).collect();
        let usable: Vec<_> = scene.resolvers.iter().filter(|r| r.is_usable()).collect();
        if counted.is_empty() && usable.is_empty() {
            let why = scene.intercepted.clone().unwrap_or_else(|| "no DNS server is known".to_owned());
            return Seen::CannotTell { why };
        }
        let missing: Vec<String> = counted
            .iter()
            .filter(|l| l.line.class != Class::New)
            .map(|l| format!("{} answers {}", l.line.server, l.line.answered))
            .chain(usable.iter().filter(|r| !r.is_done(pace)).map(|r| match r.line.class {
                Class::New => format!("{} {} of {} rounds", r.line.server, r.line.clean_rounds, pace.clean_rounds),
                Class::Old | Class::OldPast | Class::Mixed | Class::Other | Class::Error | Class::Unusable => {
                    format!("{} {}: {}", r.line.server, r.line.class, r.line.answered)
                }
            }))
            .collect();
        if !missing.is_empty() {
            return Seen::NotYet { why: missing.join("; ") };
        }
        let authority = match counted.len() {
            0 => "no name server is known".to_owned(),
            n => format!("{n} name server addresses"),
        };
        let left_out = match scene.resolvers.len() - usable.len() {
            0 => String::new(),
            n => format!("; {n} resolvers cannot be asked, for their clients only the time bound counts"),
        };
        let rounds = pace.clean_rounds;
        let evidence = format!(
            "{authority} and {} resolvers answer only the new records, {rounds} rounds in a row{left_out}",
            usable.len()
        );
        Seen::AllNew { evidence }
    }
}

async fn ask(
    dns: &Dns,
    server: SocketAddr,
    name: &Name,
    kinds: &[(String, RecordType)],
) -> Result<BTreeMap<String, Heard>, String> {
    let mut all = BTreeMap::new();
    for (kind, code) in kinds {
        let answer = dns.ask(server, name, *code, true).await?;
        all.insert(kind.clone(), records::heard(&answer, name, *code)?);
    }
    Ok(all)
}

fn sample(at: Timestamp, heard: Result<BTreeMap<String, Heard>, String>, old: &Side, new: &Side) -> Sample {
    let heard = match heard {
        Ok(heard) => heard,
        Err(why) => return Sample { at, said: Said::Failed, shows: why },
    };
    let ttl_s = heard.values().filter_map(|h| h.ttl_s).max();
    let said = match records::compare(&heard, old, new) {
        Match::New => Said::New { ttl_s },
        Match::Old => Said::Old { ttl_s: ttl_s.unwrap_or(0) },
        Match::Mixed => Said::Mixed { ttl_s: ttl_s.unwrap_or(0) },
        Match::Neither => Said::Other,
    };
    Sample { at, said, shows: records::show(&heard) }
}

#[cfg(test)]
mod tests;
