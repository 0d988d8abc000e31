//! Whose connection it is: which process of this host calls the cloud. The kernel knows; nobody has to say it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};

/// How often the kernel's table is read before a caller is taken to be gone.
const LOOKS: u32 = 5;

/// The other end of a connection, looked up when somebody first asks.
#[derive(Debug)]
pub struct Caller {
    peer: SocketAddr,
    here: SocketAddr,
    pid: OnceLock<u32>,
}

impl Caller {
    /// Whoever has `peer` as its end of a loopback connection to `here`.
    pub fn at(peer: SocketAddr, here: SocketAddr) -> Self {
        Self { peer, here, pid: OnceLock::new() }
    }

    /// Its process; none where the kernel does not tell (only Linux does here) or it is gone already.
    pub fn pid(&self) -> Option<u32> {
        if let Some(pid) = self.pid.get() {
            return Some(*pid);
        }
        // The table is read while others change it, so a line may be missed.
        let look = |_| owner(&inode(&std::fs::read_to_string("/proc/net/tcp").ok()?, (self.peer, self.here))?);
        (0..LOOKS).find_map(look).map(|pid| *self.pid.get_or_init(|| pid))
    }

    /// Ends it as the kernel's out-of-memory killer would, and says whether that could be done.
    pub fn kill(&self) -> bool {
        let pid = self.pid().filter(|pid| *pid != std::process::id()).and_then(|pid| i32::try_from(pid).ok());
        pid.and_then(Pid::from_raw).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
    }
}

/// The inode of the socket between two addresses, in proc_net_tcp(5): each as the CPU reads its four bytes, in hex. A local
/// address alone would not do: it may be in use towards several others, and by connections that are over.
fn inode(table: &str, (local, remote): (SocketAddr, SocketAddr)) -> Option<String> {
    let hex = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(v4.ip().octets()), v4.port())),
        SocketAddr::V6(_) => None,
    };
    let (local, remote) = (hex(local)?, hex(remote)?);
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let between = |f: &Vec<&str>| f.get(1) == Some(&local.as_str()) && f.get(2) == Some(&remote.as_str());
    fields.filter(between).filter_map(|f| f.get(9).map(|inode| (*inode).to_owned())).find(|inode| inode != "0")
}

/// The process that has the socket open.
fn owner(inode: &str) -> Option<u32> {
    let socket = format!("socket:[{inode}]");
    let has = |process: &Path| {
        let open = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|link| link.as_os_str() == socket.as_str())
    };
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .find_map(|(pid, path): (u32, _)| has(&path).then_some(pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_at_the_other_end_is_found_and_is_never_killed_when_it_is_this_one() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let caller = Caller::at(stream.local_addr().unwrap(), listener.local_addr().unwrap());
        assert_eq!(caller.pid(), Some(std::process::id()));
        assert!(!caller.kill());
        let nobody = Caller::at("127.0.0.1:1".parse().unwrap(), listener.local_addr().unwrap());
        assert_eq!((nobody.pid(), nobody.kill()), (None, false));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_port_that_is_in_use_towards_others_is_not_mistaken() {
        let table = "  0: 0100007F:1234 0100007F:0050 06 0:0 00:0 0 0 0 0 3\n\
                       1: 0100007F:1234 0100007F:0051 01 0:0 00:0 0 0 0 77 1\n\
                       2: 0100007F:1234 0100007F:0050 01 0:0 00:0 0 0 0 88 1\n";
        let between = ("127.0.0.1:4660".parse().unwrap(), "127.0.0.1:80".parse().unwrap());
        assert_eq!(inode(table, between).as_deref(), Some("88"));
    }
}
