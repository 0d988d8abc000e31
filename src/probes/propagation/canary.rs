//! Whether the network answers DNS itself. Where it does, "a resolver answered" proves nothing about that resolver.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use hickory_proto::rr::{Name, RecordType};

use super::query::{Dns, Patience};

/// Addresses that belong to nobody (TEST-NET-1, -2 and -3, RFC 5737): whoever answers there stands in between.
pub(super) const NOBODY: [&str; 3] = ["192.0.2.53:53", "198.51.100.53:53", "203.0.113.53:53"];

/// Nobody is not waited for long.
const PATIENCE: Patience = Patience { udp: Duration::from_secs(1), tries: 1, tcp: None };

/// How it is known that DNS is intercepted; none when nobody answers.
pub(super) async fn intercepted(dns: &Dns, nobody: &[SocketAddr], name: &Name) -> Option<String> {
    let dns = dns.patient(PATIENCE);
    let asked =
        nobody.iter().map(|at| {
            let dns = &dns;
            async move {
                dns.ask(*at, name, RecordType::A, true).await.ok().map(|answer| (at, answer.metadata.response_code))
            }
        });
    let (at, code) = join_all(asked).await.into_iter().flatten().next()?;
    Some(format!("{}, which belongs to nobody, answered ({code}): the network answers DNS itself", at.ip()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, a};
    use super::*;

    #[tokio::test]
    async fn an_answer_from_nobody_is_interception_whatever_it_says() {
        let name = testing::name("chat.lab.");
        let liar = testing::server(|q, _| Some(testing::answer(q, &[a("chat.lab.", 60, "192.0.2.1")]))).await;
        let refusing = testing::server(|q, _| {
            let mut answer = testing::answer(q, &[]);
            answer.metadata.response_code = hickory_proto::op::ResponseCode::NXDomain;
            Some(answer)
        })
        .await;
        for server in [liar, refusing] {
            assert!(intercepted(&Dns::default(), &[server], &name).await.unwrap().contains("belongs to nobody"));
        }
        let silent = testing::server(|_, _| None).await;
        assert_eq!(intercepted(&Dns::default(), &[silent], &name).await, None);
    }
}
