//! macOS and other Unix systems: ps(1). Its start times are dates, so they need no boot beside them.

use std::io;
use std::process::Command;

use super::{Identity, Seen};

/// With it `ps` appends the environment to the command line.
const WITH_ENVIRONMENT: &str = if cfg!(target_os = "macos") { "-Eww" } else { "eww" };
/// The same for all processes.
const ALL_WITH_ENVIRONMENT: &str = if cfg!(target_os = "macos") { "-AEww" } else { "axeww" };

pub(super) fn all() -> io::Result<Vec<Seen>> {
    table(&["-A"])
}

pub(super) fn seen(pid: i32) -> io::Result<Option<Seen>> {
    Ok(table(&["-p", &pid.to_string()])?.into_iter().find(|s| s.identity.pid == pid))
}

fn table(which: &[&str]) -> io::Result<Vec<Seen>> {
    let text = ps(&[which, &["-o", "pid=,pgid=,stat=,lstart="]].concat())?;
    let lines = text.lines().filter(|l| !l.trim().is_empty());
    lines
        .map(|l| parse(l).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("ps said {l:?}"))))
        .collect()
}

/// `  501   501 Ss   Mon Nov 16 09:12:44 2026`
fn parse(line: &str) -> Option<Seen> {
    let mut words = line.split_ascii_whitespace();
    let (pid, group) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let zombie = words.next()?.starts_with(['Z', 'X']);
    let start = words.collect::<Vec<_>>().join(" ");
    (!start.is_empty()).then_some(Seen { identity: Identity { pid, start }, group, zombie })
}

/// Values with spaces cannot be told from what follows them; ours have none.
pub(super) fn variable(pid: i32, name: &str) -> Option<String> {
    let text = ps(&[WITH_ENVIRONMENT, "-p", &pid.to_string(), "-o", "command="]).ok()?;
    let prefix = format!("{name}=");
    text.split_ascii_whitespace().find_map(|word| word.strip_prefix(&prefix)).map(str::to_owned)
}

pub(super) fn carriers(name: &str, value: &str) -> io::Result<Vec<i32>> {
    let text = ps(&[ALL_WITH_ENVIRONMENT, "-o", "pid=,command="])?;
    let pair = format!(" {name}={value} ");
    let lines = text.lines().filter(|line| format!("{line} ").contains(&pair));
    Ok(lines.filter_map(|line| line.split_ascii_whitespace().next()?.parse().ok()).collect())
}

#[expect(clippy::unnecessary_wraps, reason = "where boots have names, reading one can fail")]
pub(super) fn boot() -> io::Result<String> {
    Ok(String::new())
}

fn ps(args: &[&str]) -> io::Result<String> {
    let output = Command::new("ps").args(args).env("LC_ALL", "C").env("TZ", "UTC").output()?;
    // It exits 1 with nothing to say when there is no such process.
    if output.status.success() || output.stderr.is_empty() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ps failed: {}", super::super::text::escape(why.trim()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ps_is_understood() {
        let seen = parse("  501   500 Z+   Mon Nov 16 09:12:44 2026").unwrap();
        assert_eq!(seen.identity, Identity { pid: 501, start: "Mon Nov 16 09:12:44 2026".into() });
        assert_eq!((seen.group, seen.zombie), (500, true));
        assert!(parse("501 500").is_none());
    }

    #[test]
    fn ps_finds_this_process_and_no_other_under_a_pid_that_is_free() {
        let me = i32::try_from(std::process::id()).unwrap();
        let found = seen(me).unwrap().unwrap();
        assert!(all().unwrap().contains(&found));
        assert_eq!(seen(i32::MAX).unwrap(), None);
    }

    #[test]
    fn ps_tells_what_a_process_was_given() {
        let mut child = Command::new("sleep").arg("60").env("MODELSWAP_TOKEN", "t-1").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let told = variable(pid, "MODELSWAP_TOKEN");
        let carriers = carriers("MODELSWAP_TOKEN", "t-1").unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(told.as_deref(), Some("t-1"));
        assert!(carriers.contains(&pid), "{carriers:?}");
    }
}
