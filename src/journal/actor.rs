//! Who acts: recorded with every record, and enough to tell whether that process still lives.

use serde::{Deserialize, Serialize};

/// A process, and the person or job behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Login name.
    pub user: String,
    /// Host name.
    pub host: String,
    /// Which boot of the host; a pid means nothing in another.
    pub boot_id: String,
    /// Which set of pids the pid is one of: containers of one host have their own, under one name and one boot.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pid_space: String,
    /// Process id.
    pub pid: u32,
    /// When the process started, in the kernel's own unit; a pid may be used again, with another start.
    pub started: String,
    /// The CI job's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci_url: Option<String>,
    /// Version of modelswap.
    pub version: String,
}

/// Whether a process is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alive {
    /// It runs.
    Yes,
    /// It is gone for certain.
    No,
    /// It ran on another host, or in another container of this one.
    #[default]
    CannotTell,
}

impl Actor {
    /// This process. `ci_url` and `user` come from the caller, who may read the environment.
    pub fn here(user: String, ci_url: Option<String>) -> Self {
        let pid = std::process::id();
        Self {
            user,
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            boot_id: boot_id(),
            pid_space: pid_space(),
            pid,
            started: start_of(pid).unwrap_or_default(),
            ci_url,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Whether the actor's process still runs, as far as this host can tell.
    pub fn alive(&self) -> Alive {
        if self.host != rustix::system::uname().nodename().to_string_lossy() {
            return Alive::CannotTell;
        }
        if self.boot_id != boot_id() {
            return Alive::No;
        }
        if self.pid_space != pid_space() {
            return Alive::CannotTell;
        }
        match start_of(self.pid) {
            Some(started) if started == self.started => Alive::Yes,
            Some(_) | None => Alive::No,
        }
    }
}

/// `dana@laptop`.
impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.user, self.host)
    }
}

/// Linux names each boot; elsewhere the time of the boot has to do.
fn boot_id() -> String {
    if let Ok(id) = std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        return id.trim().to_owned();
    }
    output_of("sysctl", &["-n", "kern.boottime"]).unwrap_or_default()
}

/// Linux names each pid namespace: `pid:[4026531836]`; elsewhere there is one only.
fn pid_space() -> String {
    std::fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default()
}

/// When process `pid` started; `None` when there is no such process, or only its zombie.
fn start_of(pid: u32) -> Option<String> {
    if let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The command's name stands in parentheses and may contain anything, so count from the last one.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        // Field 22 of proc(5); `state` is field 3.
        return if matches!(state, "Z" | "X") { None } else { fields.nth(18).map(str::to_owned) };
    }
    if std::path::Path::new("/proc/self/stat").exists() {
        return None;
    }
    output_of("ps", &["-o", "lstart=", "-p", &pid.to_string()]).filter(|text| !text.is_empty())
}

fn output_of(program: &str, args: &[&str]) -> Option<String> {
    let out = std::process::Command::new(program).args(args).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_its_pid_with_another_start_is_not() {
        let me = Actor::here("dana".into(), None);
        assert_eq!(me.alive(), Alive::Yes);
        assert_eq!(Actor { started: "1".into(), ..me.clone() }.alive(), Alive::No);
        assert_eq!(Actor { boot_id: "another".into(), ..me.clone() }.alive(), Alive::No);
        assert_eq!(Actor { host: "elsewhere".into(), ..me }.alive(), Alive::CannotTell);
    }

    #[test]
    fn a_pid_of_another_container_of_this_host_says_nothing() {
        let me = Actor::here("dana".into(), None);
        assert_eq!(Actor { pid_space: "pid:[1]".into(), started: "1".into(), ..me }.alive(), Alive::CannotTell);
    }
}
