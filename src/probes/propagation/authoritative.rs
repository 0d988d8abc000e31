//! What each address of each name server answers: every one must have the new records, exactly, with their TTL.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use hickory_proto::rr::{Name, RecordType};

use super::query::Dns;
use super::records::{self, Heard, Match, Side};
use super::{Class, NameServer, ServerLine};

/// What is wanted of a name server.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a Name,
    pub(super) kinds: &'a [(String, RecordType)],
    pub(super) old: &'a Side,
    pub(super) new: &'a Side,
    /// The exact TTL of the new records; none for an alias, whose TTL is its target's.
    pub(super) ttl_s: Option<u32>,
}

/// What one name server's answers amount to.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) line: ServerLine,
    /// It says that the name has none of the records.
    pub(super) nothing: bool,
    /// The TTL with which it gives the old records.
    pub(super) old_ttl_s: Option<u32>,
}

/// Asks all name servers at once, each `times` times.
pub(super) async fn look(dns: &Dns, servers: &[NameServer], wanted: &Wanted<'_>, times: u32) -> Vec<Look> {
    join_all(servers.iter().map(|server| one(dns, server, wanted, times))).await
}

async fn one(dns: &Dns, server: &NameServer, wanted: &Wanted<'_>, times: u32) -> Look {
    let mut worst: Option<Look> = None;
    for _ in 0..times {
        let look = judge(server, ask(dns, server, wanted).await, wanted);
        let done = look.line.class == Class::Error; // it will not be better a moment later, and costs patience
        if worst.as_ref().is_none_or(|w| w.line.class < look.line.class) {
            worst = Some(look);
        }
        if done {
            break;
        }
    }
    worst.unwrap_or_else(|| judge(server, Err("was not asked".to_owned()), wanted))
}

async fn ask(dns: &Dns, server: &NameServer, wanted: &Wanted<'_>) -> Result<BTreeMap<String, Heard>, String> {
    let mut all = BTreeMap::new();
    for (kind, code) in wanted.kinds {
        let answer = dns.ask(server.address, wanted.name, *code, false).await?;
        all.insert(kind.clone(), records::heard(&answer, wanted.name, *code)?);
    }
    Ok(all)
}

fn judge(server: &NameServer, heard: Result<BTreeMap<String, Heard>, String>, wanted: &Wanted<'_>) -> Look {
    let line = |class, answered, ttl_s| ServerLine {
        server: server.to_string(),
        answered,
        ttl_s,
        class,
        clean_rounds: 0,
        flip_backs: 0,
        violations: 0,
        old_until: None,
    };
    let heard = match heard {
        Ok(heard) => heard,
        Err(why) => return Look { line: line(Class::Error, why, None), nothing: false, old_ttl_s: None },
    };
    let ttl_s = heard.values().filter_map(|h| h.ttl_s).max();
    let mut answered = records::show(&heard);
    let nothing = heard.values().all(|h| h.values.is_empty() && h.cname.is_none());
    if let Some(not) = heard.values().find(|h| !h.authoritative) {
        // A recursive answer where authority was expected is another sign of a network that answers DNS itself.
        answered += if not.recursive { ", but as a resolver, not as an authority" } else { ", but without authority" };
        return Look { line: line(Class::Error, answered, ttl_s), nothing: false, old_ttl_s: None };
    }
    let mut class = match records::compare(&heard, wanted.old, wanted.new) {
        Match::New => Class::New,
        Match::Old => Class::Old,
        Match::Mixed => Class::Mixed,
        Match::Neither => Class::Other,
    };
    if let (Class::New, Some(want)) = (class, wanted.ttl_s) {
        let other = heard.values().filter_map(|h| h.ttl_s).find(|ttl| *ttl != want);
        if let Some(other) = other {
            answered = format!("{answered}, but with TTL {other}, not {want}");
            class = Class::Old;
        }
    }
    let old_ttl_s = ttl_s.filter(|_| matches!(class, Class::Old | Class::Mixed));
    Look { line: line(class, answered, ttl_s), nothing, old_ttl_s }
}

#[cfg(test)]
mod tests;
