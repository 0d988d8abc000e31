//! Where a name really lives: its CNAME chain, its zone, and every address of every name server of that zone.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use serde::{Deserialize, Serialize};

use super::NameServer;
use super::query::Dns;
use super::records;

/// More links than this are a loop or a mistake; resolvers give up at about the same number.
const CHAIN_MAX: usize = 16;

/// A link of a CNAME chain; each has its own TTL, and only the link that is edited matters for a swap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The name, without trailing dot.
    pub name: String,
    /// Where it leads, without trailing dot.
    pub to: String,
    /// What is left of its TTL at the resolver that was asked, in seconds.
    pub ttl_s: u32,
}

/// What was found about a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The links from the name to the one that holds addresses; empty when that is the name itself.
    pub chain: Vec<Link>,
    /// The zone that holds the name, without trailing dot.
    pub zone: String,
    /// Every address of every name server that the parent or the zone itself names.
    pub servers: Vec<NameServer>,
    /// What could not be found out, or does not fit together.
    pub notes: Vec<String>,
}

/// Follows the name from the given resolvers; the first that answers is used.
///
/// # Errors
/// A fragment when no resolver answers or no zone is found.
pub async fn discover(dns: &Dns, resolvers: &[SocketAddr], name: &str) -> Result<Found, String> {
    let name = parse(name)?;
    let mut why = "no resolver is known".to_owned();
    for resolver in resolvers {
        let walk = Walk { dns, resolver: *resolver };
        match walk.all(&name).await {
            Ok(found) => return Ok(found),
            Err(said) => why = format!("{resolver}: {said}"),
        }
    }
    Err(format!("cannot find the name servers of {}: {why}", shown(&name)))
}

/// The addresses of name servers that are known by name (Route 53's delegation set), and what could not be found.
pub async fn addresses(dns: &Dns, resolvers: &[SocketAddr], names: &[String]) -> (Vec<NameServer>, Vec<String>) {
    let (mut servers, mut notes) = (BTreeSet::new(), Vec::new());
    for name in names {
        let bare = name.trim_end_matches('.');
        // The loopback world may know the server by its name.
        if let Ok(Some(address)) = dns.addresses.to(bare, 53) {
            servers.insert(NameServer { name: bare.to_owned(), address });
            continue;
        }
        let found = match parse(bare) {
            Ok(host) => resolve(dns, resolvers, &host).await,
            Err(why) => Err(why),
        };
        match found {
            Ok(found) => servers.extend(found.into_iter().map(|address| NameServer { name: bare.to_owned(), address })),
            Err(why) => notes.push(format!("{bare}: {why}")),
        }
    }
    (servers.into_iter().collect(), notes)
}

async fn resolve(dns: &Dns, resolvers: &[SocketAddr], host: &Name) -> Result<Vec<SocketAddr>, String> {
    let mut why = "no resolver is known".to_owned();
    for resolver in resolvers {
        match (Walk { dns, resolver: *resolver }).addresses_of(host).await {
            Ok(found) if found.is_empty() => "it has no address".clone_into(&mut why),
            Ok(found) => return Ok(found),
            Err(said) => why = said,
        }
    }
    Err(why)
}

struct Walk<'a> {
    dns: &'a Dns,
    resolver: SocketAddr,
}

impl Walk<'_> {
    async fn all(&self, name: &Name) -> Result<Found, String> {
        let chain = self.chain(name).await?;
        let zone = self.zone_of(name).await?;
        let mut notes = Vec::new();
        let mut names = self.name_servers(&zone).await?;
        if names.is_empty() {
            return Err(format!("{} has no name servers", shown(&zone)));
        }
        // The parent decides who is asked; where it names others than the zone does, somebody is asked that nobody updates.
        match self.delegated(&zone).await {
            Ok(delegated) if delegated.is_empty() => notes.push("the parent's delegation was not seen".to_owned()),
            Ok(delegated) => {
                if delegated != names {
                    let list = |set: &BTreeSet<Name>| set.iter().map(shown).collect::<Vec<_>>().join(" ");
                    notes.push(format!("the parent names {}, the zone {}", list(&delegated), list(&names)));
                }
                names.extend(delegated);
            }
            Err(why) => notes.push(format!("the parent's delegation was not seen: {why}")),
        }
        let mut servers = BTreeSet::new();
        for host in &names {
            match self.addresses_of(host).await {
                Ok(found) if !found.is_empty() => {
                    servers.extend(found.into_iter().map(|address| NameServer { name: shown(host), address }));
                }
                Ok(_) => notes.push(format!("{} has no address", shown(host))),
                Err(why) => notes.push(format!("{}: {why}", shown(host))),
            }
        }
        Ok(Found { chain, zone: shown(&zone), servers: servers.into_iter().collect(), notes })
    }

    async fn chain(&self, name: &Name) -> Result<Vec<Link>, String> {
        let answer = self.ask(name, RecordType::A).await?;
        let (mut chain, mut at) = (Vec::new(), name.clone());
        while chain.len() < CHAIN_MAX {
            let next = answer.answers.iter().filter(|r| r.name == at).find_map(|r| {
                let RData::CNAME(to) = &r.data else { return None };
                Some((r.ttl, to.0.clone()))
            });
            let Some((ttl_s, to)) = next else { return Ok(chain) };
            chain.push(Link { name: shown(&at), to: shown(&to), ttl_s });
            at = to;
        }
        Err(format!("{} leads through more than {CHAIN_MAX} names", shown(name)))
    }

    /// The zone cut above a name: the nearest name that has an SOA record.
    async fn zone_of(&self, name: &Name) -> Result<Name, String> {
        let mut at = name.clone();
        loop {
            let answer = self.ask(&at, RecordType::SOA).await?;
            if answer.answers.iter().any(|r| r.record_type() == RecordType::SOA && r.name == at) {
                return Ok(at);
            }
            // A denial carries the SOA of the zone that denies (RFC 2308); at a CNAME there is none, so climb.
            let denied = answer.authorities.iter().find(|r| r.record_type() == RecordType::SOA);
            if let Some(soa) = denied.filter(|r| r.name.zone_of(name)) {
                return Ok(soa.name.clone());
            }
            if at.is_root() {
                return Err(format!("no zone holds {}", shown(name)));
            }
            at = at.base_name();
        }
    }

    async fn name_servers(&self, zone: &Name) -> Result<BTreeSet<Name>, String> {
        Ok(names_in(&self.ask(zone, RecordType::NS).await?.answers, zone))
    }

    /// Whom the parent names: asked without recursion, it answers with a referral.
    async fn delegated(&self, zone: &Name) -> Result<BTreeSet<Name>, String> {
        if zone.is_root() {
            return Ok(BTreeSet::new());
        }
        let parent = self.zone_of(&zone.base_name()).await?;
        let mut why = format!("{} has no name server that answers", shown(&parent));
        for host in self.name_servers(&parent).await? {
            for server in self.addresses_of(&host).await.unwrap_or_default() {
                match self.dns.ask(server, zone, RecordType::NS, false).await {
                    Ok(answer) => {
                        let mut names = names_in(&answer.authorities, zone);
                        names.extend(names_in(&answer.answers, zone));
                        return Ok(names);
                    }
                    Err(said) => why = format!("{}: {said}", shown(&host)),
                }
            }
        }
        Err(why)
    }

    async fn addresses_of(&self, host: &Name) -> Result<Vec<SocketAddr>, String> {
        if let Ok(Some(address)) = self.dns.addresses.to(&shown(host), 53) {
            return Ok(vec![address]);
        }
        let mut found = Vec::new();
        for kind in [RecordType::A, RecordType::AAAA] {
            let answer = self.ask(host, kind).await?;
            found.extend(records::addresses(&answer).into_iter().map(|ip| SocketAddr::new(ip, 53)));
        }
        Ok(found)
    }

    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Message, String> {
        self.dns.ask(self.resolver, name, kind, true).await
    }
}

fn names_in(records: &[Record], zone: &Name) -> BTreeSet<Name> {
    let host = |r: &Record| {
        let RData::NS(host) = &r.data else { return None };
        Some(host.0.to_lowercase())
    };
    records.iter().filter(|r| r.name == *zone).filter_map(host).collect()
}

/// A name as DNS wants it: with the trailing dot.
pub(super) fn parse(name: &str) -> Result<Name, String> {
    let mut parsed = Name::from_ascii(name).map_err(|e| format!("`{name}` is no DNS name: {e}"))?;
    parsed.set_fqdn(true);
    Ok(parsed)
}

/// A name as people write it: without the trailing dot.
pub(super) fn shown(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    if name.is_root() { text } else { text.trim_end_matches('.').to_owned() }
}

#[cfg(test)]
mod tests;
