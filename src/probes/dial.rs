//! Which addresses may be asked at all. Link-local ones hold a cloud's metadata and its credentials, never a model.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The metadata service of EC2 over IPv6 (AWS: "Access instance metadata", `fd00:ec2::254`).
const EC2_METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254);

/// Whether no probe may ever connect to `ip`: 169.254.0.0/16, fe80::/10 and fd00:ec2::254, in any spelling.
pub(super) fn is_forbidden(ip: IpAddr) -> bool {
    let v4 = |v4: Ipv4Addr| v4.is_link_local();
    match ip {
        IpAddr::V4(ip) => v4(ip),
        IpAddr::V6(ip) => {
            // ::ffff:a.b.c.d, ::a.b.c.d and 64:ff9b::a.b.c.d all lead to an IPv4 address.
            let embedded = ip.to_ipv4().or_else(|| nat64(ip));
            ip.is_unicast_link_local() || ip == EC2_METADATA_V6 || embedded.is_some_and(v4)
        }
    }
}

/// The IPv4 address inside the well-known prefix 64:ff9b::/96 (RFC 6052).
fn nat64(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = ip.segments() else { return None };
    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

/// The refusal, for people.
pub(super) fn refusal(ip: IpAddr) -> String {
    format!("{ip} is a link-local or metadata address, which is never asked")
}

/// Resolves as the system does and refuses forbidden addresses, or leads every name to one address.
#[derive(Debug)]
pub(super) struct Dialled {
    /// The one address for every name.
    pub(super) pin: Option<SocketAddr>,
}

impl Resolve for Dialled {
    fn resolve(&self, name: Name) -> Resolving {
        let pin = self.pin;
        Box::pin(async move {
            let found: Vec<SocketAddr> = match pin {
                Some(pin) => vec![pin],
                None => tokio::net::lookup_host((name.as_str(), 0)).await?.collect(),
            };
            if let Some(bad) = found.iter().find(|a| is_forbidden(a.ip())) {
                return Err(refusal(bad.ip()).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_addresses_are_refused_in_every_spelling() {
        for bad in [
            "169.254.169.254",
            "169.254.170.2",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
        ] {
            assert!(is_forbidden(bad.parse().unwrap()), "{bad} was allowed");
        }
        for good in ["127.0.0.1", "10.0.0.1", "::1", "fd00:ec2::253", "169.253.0.1", "2001:db8::1", "64:ff9b::a00:1"] {
            assert!(!is_forbidden(good.parse().unwrap()), "{good} was refused");
        }
    }
}
