//! What the operating system says about processes, and signals to those that are proven to be meant.

use std::io;

use rustix::process::{Pid, Signal, WaitOptions};
use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(test, not(target_os = "linux")))]
#[cfg_attr(target_os = "linux", expect(dead_code, reason = "compiled here for its tests"))]
mod ps;

#[cfg(target_os = "linux")]
use linux as here;
#[cfg(not(target_os = "linux"))]
use ps as here;

/// A process beyond doubt, on one boot of one machine: a pid alone is reused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) pid: i32,
    /// When it started, as the system says it.
    pub(super) start: String,
}

/// A process as it was just seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) identity: Identity,
    /// Its process group.
    pub(super) group: i32,
    /// It has ended and only its parent has not asked yet.
    pub(super) zombie: bool,
}

impl Seen {
    /// Whether its group bears its number.
    pub(super) fn leads_group(&self) -> bool {
        self.group == self.identity.pid
    }
}

/// All processes that can be seen.
pub(super) fn all() -> io::Result<Vec<Seen>> {
    here::all()
}

/// One process; none when there is no such pid.
pub(super) fn seen(pid: i32) -> io::Result<Option<Seen>> {
    here::seen(pid)
}

/// The value that a process was given for an environment variable; none when it has none or does not let us look.
/// A server that renames itself overwrites this place, so its absence proves nothing.
pub(super) fn variable(pid: i32, name: &str) -> Option<String> {
    here::variable(pid, name)
}

/// The pids of those who were given the environment variable with this value, as far as they let us look.
pub(super) fn carriers(name: &str, value: &str) -> io::Result<Vec<i32>> {
    here::carriers(name, value)
}

/// Which boot this is.
pub(super) fn boot() -> io::Result<String> {
    here::boot()
}

/// The machine's name.
pub(super) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Whether this very process is still there and has not ended. If it is a child of ours that has ended, it is buried.
pub(super) fn alive(identity: &Identity) -> io::Result<Option<Seen>> {
    let Some(seen) = seen(identity.pid)?.filter(|s| s.identity == *identity) else { return Ok(None) };
    if !seen.zombie {
        return Ok(Some(seen));
    }
    bury(identity.pid);
    Ok(None)
}

/// Takes note of the end of a child; nothing happens when it is the child of another.
fn bury(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // An error says that it is not our child: then its parent, or init, buries it.
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

/// Sends `signal` to one process; it may have ended meanwhile.
pub(super) fn signal(pid: i32, signal: Signal) -> io::Result<()> {
    gone_is_fine(Pid::from_raw(pid).map_or(Ok(()), |pid| rustix::process::kill_process(pid, signal)))
}

/// Sends `signal` to a whole process group; it may have ended meanwhile.
pub(super) fn signal_group(group: i32, signal: Signal) -> io::Result<()> {
    // 1 would be every process we may signal.
    gone_is_fine(
        Pid::from_raw(group).filter(|_| group > 1).map_or(Ok(()), |g| rustix::process::kill_process_group(g, signal)),
    )
}

fn gone_is_fine(sent: rustix::io::Result<()>) -> io::Result<()> {
    match sent {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        other => Ok(other?),
    }
}
