//! What there is of a server: its first process and all that belong to it.

use std::io;
use std::path::Path;

use rustix::process::Signal;

use super::os::{self, Identity, Seen};
use super::record::{Phase, Record};
use super::{Running, launch};

/// What is there of a server.
#[derive(Debug)]
pub(super) struct Found {
    /// What was recorded on this boot.
    pub(super) record: Option<Record>,
    /// The first process, if it is alive.
    pub(super) leader: Option<Seen>,
    pub(super) members: Vec<Member>,
}

/// A live process of the server, and under which token it was started.
#[derive(Debug)]
pub(super) struct Member {
    seen: Seen,
    token: String,
}

impl Found {
    /// Looks for the process of `record`, its group, what was seen with it when it was told to stop, and all that carry `mark`,
    /// the record's path: these are found without a record too.
    pub(super) fn look(record: Option<Record>, mark: &Path) -> io::Result<Self> {
        let token = record.as_ref().map(|r| r.token.clone());
        let leader = match record.as_ref().and_then(|r| r.process.as_ref()) {
            // A server that renames itself overwrites its environment: no token there is no contradiction, another one is.
            Some(identity) => os::alive(identity)?
                .filter(|s| os::variable(s.identity.pid, launch::TOKEN).is_none_or(|found| Some(found) == token)),
            None => None,
        };
        let marked = os::carriers(launch::RECORD, &mark.to_string_lossy())?;
        let mut members = Vec::new();
        for seen in os::all()?.into_iter().filter(|s| !s.zombie) {
            let grouped = leader.as_ref().is_some_and(|l| l.leads_group() && l.group == seen.group);
            let remembered = record.as_ref().is_some_and(|r| r.others.contains(&seen.identity));
            let token = if grouped || remembered { token.clone() } else { None };
            let own = || {
                marked.contains(&seen.identity.pid).then(|| os::variable(seen.identity.pid, launch::TOKEN)).flatten()
            };
            if let Some(token) = token.or_else(own) {
                members.push(Member { seen, token });
            }
        }
        // Whoever started it may have died before the pid was recorded; then the first process is the one that leads its group.
        let leader = leader.or_else(|| members.iter().map(|m| &m.seen).find(|s| s.leads_group()).cloned());
        Ok(Self { record, leader, members })
    }

    /// What was told to stop counts as stopped, as a DNS change that is pending counts as made: `settled` says when it is true.
    pub(super) fn value(&self) -> Running {
        let told = self.told_to_stop().map(|r| &r.token);
        match self.members.iter().find(|m| Some(&m.token) != told) {
            Some(member) => Running::with(member.token.clone()),
            None => Running::Stopped,
        }
    }

    /// The record, if it says that this was told to stop.
    pub(super) fn told_to_stop(&self) -> Option<&Record> {
        self.record.as_ref().filter(|r| r.phase == Phase::Stopping)
    }

    /// What was started under `token`.
    pub(super) fn under<'a>(&'a self, token: &'a str) -> impl Iterator<Item = &'a Seen> + Clone {
        self.members.iter().filter(move |m| m.token == token).map(|m| &m.seen)
    }

    /// `pid 12, 14`.
    pub(super) fn pids(&self) -> String {
        let pids: Vec<_> = self.members.iter().map(|m| m.seen.identity.pid.to_string()).collect();
        format!("pid {}", pids.join(", "))
    }
}

/// To groups whose first process is among `members`, and one by one to those in other groups: a group whose number was reused is not hit.
pub(super) fn send<'a>(members: impl Iterator<Item = &'a Seen> + Clone, signal: Signal) -> io::Result<()> {
    let groups: Vec<i32> = members.clone().filter(|s| s.leads_group()).map(|s| s.group).collect();
    for group in &groups {
        os::signal_group(*group, signal)?;
    }
    for Seen { identity: Identity { pid, .. }, group, .. } in members {
        if !groups.contains(group) {
            os::signal(*pid, signal)?;
        }
    }
    Ok(())
}
