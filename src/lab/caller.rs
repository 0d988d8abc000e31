//! Whose connection it is: which process of this host calls the cloud. The kernel knows; nobody has to say it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};

/// The other end of a connection, looked up when somebody first asks.
#[derive(Debug)]
pub struct Caller {
    peer: SocketAddr,
    pid: OnceLock<Option<u32>>,
}

impl Caller {
    /// Whoever has `peer` as its end of a loopback connection.
    pub fn at(peer: SocketAddr) -> Self {
        Self { peer, pid: OnceLock::new() }
    }

    /// Its process; none where the kernel does not tell (only Linux does here) or it is gone already.
    pub fn pid(&self) -> Option<u32> {
        *self.pid.get_or_init(|| owner(&inode(&std::fs::read_to_string("/proc/net/tcp").ok()?, self.peer)?))
    }

    /// Ends it as the kernel's out-of-memory killer would, and says whether that could be done.
    pub fn kill(&self) -> bool {
        let pid = self.pid().filter(|pid| *pid != std::process::id()).and_then(|pid| i32::try_from(pid).ok());
        pid.and_then(Pid::from_raw).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
    }
}

/// The inode of the socket that is bound to `local`, in proc_net_tcp(5): the address as the CPU reads its four bytes, in hex.
fn inode(table: &str, local: SocketAddr) -> Option<String> {
    let SocketAddr::V4(local) = local else { return None };
    let address = format!("{:08X}:{:04X}", u32::from_ne_bytes(local.ip().octets()), local.port());
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.filter(|f| f.get(1) == Some(&address.as_str())).find_map(|f| f.get(9).map(|inode| (*inode).to_owned()))
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
        let caller = Caller::at(stream.local_addr().unwrap());
        assert_eq!(caller.pid(), Some(std::process::id()));
        assert!(!caller.kill());
        let nobody = Caller::at("127.0.0.1:1".parse().unwrap());
        assert_eq!((nobody.pid(), nobody.kill()), (None, false));
    }
}
