//! Which resolvers are asked.

use std::net::{IpAddr, SocketAddr};

/// Public resolvers that are asked when the plan names none: Cloudflare, Google, Quad9, OpenDNS, two addresses each.
pub const PUBLIC: [&str; 8] =
    ["1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "149.112.112.112", "208.67.222.222", "208.67.220.220"];

/// Others that are known to be many caches behind one address.
const ANYCAST_TOO: [&str; 5] = ["77.88.8.8", "185.228.168.168", "64.6.64.6", "156.154.70.1", "45.90.28.0"];

/// A resolver to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Where it is asked.
    pub address: SocketAddr,
    /// What it is called in reports.
    pub label: String,
}

impl Chosen {
    /// Whether there are many caches behind the address, of which each question meets one by chance.
    pub(super) fn is_anycast(&self) -> bool {
        let ip = self.address.ip().to_string();
        PUBLIC.iter().chain(&ANYCAST_TOO).any(|known| *known == ip)
    }

    /// Whether the way to it leads through networks that may answer in its place.
    pub(super) fn is_public(&self) -> bool {
        match self.address.ip() {
            IpAddr::V4(ip) => !(ip.is_loopback() || ip.is_private() || ip.is_link_local()),
            IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
        }
    }
}

/// Reads `IP`, `IP:PORT`, `[IP]:PORT` or `system`; nothing written means the public ones and the system's.
///
/// # Errors
/// All texts that are none of these, one fragment each.
pub fn choose(written: &[String]) -> Result<Vec<Chosen>, Vec<String>> {
    let mut chosen: Vec<Chosen> = Vec::new();
    let mut wrong = Vec::new();
    let default: Vec<String> = PUBLIC.iter().map(|&ip| ip.to_owned()).chain(["system".to_owned()]).collect();
    for text in if written.is_empty() { &default } else { written } {
        let found = match text.as_str() {
            "system" => system(),
            other => {
                let Some(address) = address(other) else {
                    wrong.push(format!("`{other}` is no resolver: write IP, IP:PORT or system"));
                    continue;
                };
                vec![Chosen { address, label: other.to_owned() }]
            }
        };
        for one in found {
            if !chosen.iter().any(|c| c.address == one.address) {
                chosen.push(one);
            }
        }
    }
    if wrong.is_empty() { Ok(chosen) } else { Err(wrong) }
}

fn address(text: &str) -> Option<SocketAddr> {
    let bare = || text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53));
    text.parse().ok().or_else(bare)
}

/// What this machine's programs use; none when that cannot be read.
fn system() -> Vec<Chosen> {
    let Ok((config, _)) = hickory_resolver::system_conf::read_system_conf() else { return Vec::new() };
    let named = |ip: IpAddr| Chosen { address: SocketAddr::new(ip, 53), label: format!("system {ip}") };
    config.name_servers().iter().map(|server| named(server.ip)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Result<Vec<Chosen>, Vec<String>> {
        choose(&texts.iter().map(|&t| t.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn resolvers_are_written_as_addresses_with_or_without_a_port() {
        let found = of(&["10.0.0.2", "127.0.0.1:5301", "2001:db8::1", "[2001:db8::2]:5353", "10.0.0.2:53"]).unwrap();
        let addresses: Vec<String> = found.iter().map(|c| c.address.to_string()).collect();
        assert_eq!(addresses, ["10.0.0.2:53", "127.0.0.1:5301", "[2001:db8::1]:53", "[2001:db8::2]:5353"]);
        assert_eq!(of(&["dns.google", "1.1.1"]).unwrap_err().len(), 2);
    }

    #[test]
    fn nothing_written_means_the_public_ones_first() {
        let found = of(&[]).unwrap();
        assert!(found.len() >= 8 && found[..8].iter().all(|c| c.is_anycast() && c.is_public()));
        let own = of(&["10.0.0.2", "127.0.0.53"]).unwrap();
        assert!(own.iter().all(|c| !c.is_anycast() && !c.is_public()));
    }
}
