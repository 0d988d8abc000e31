//! Linux: `/proc`, as described in proc_pid_stat(5), proc_pid_environ(5).

use std::fs;
use std::io;

use super::{Identity, Seen};

pub(super) fn all() -> io::Result<Vec<Seen>> {
    pids()?.into_iter().filter_map(|pid| seen(pid).transpose()).collect()
}

pub(super) fn carriers(name: &str, value: &str) -> io::Result<Vec<i32>> {
    Ok(pids()?.into_iter().filter(|pid| variable(*pid, name).is_some_and(|found| found == value)).collect())
}

fn pids() -> io::Result<Vec<i32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(pids)
}

pub(super) fn seen(pid: i32) -> io::Result<Option<Seen>> {
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(text) => parse(&String::from_utf8_lossy(&text))
            .map(Some)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat is not understood"))),
        Err(e) if is_gone(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// The name in the second field may hold spaces and parentheses, so the fields are counted from the last `)`.
fn parse(stat: &str) -> Option<Seen> {
    let pid = stat.split(' ').next()?.parse().ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied(); // numbered as in the manual; the first of these is 3
    Some(Seen {
        identity: Identity { pid, start: field(22)?.to_owned() },
        group: field(5)?.parse().ok()?,
        zombie: matches!(field(3)?, "Z" | "X" | "x"),
    })
}

pub(super) fn variable(pid: i32, name: &str) -> Option<String> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut pairs = environ.split(|b| *b == 0).filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

/// Start times are counted from the boot, so they need it beside them.
pub(super) fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_be_called_anything() {
        let fields = "1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 0 0";
        let seen = parse(&format!("77 (a) Z 9 (b) S {fields}")).unwrap();
        assert_eq!(seen, Seen { identity: Identity { pid: 77, start: "987654".into() }, group: 42, zombie: false });
        assert!(parse(&format!("77 (x) Z {fields}")).unwrap().zombie);
        assert!(parse("77 (x) S 1 2").is_none());
    }
}
