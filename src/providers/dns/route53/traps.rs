//! What is known to go wrong with records, looked up before the first effect.

use std::sync::PoisonError;

use super::super::super::{ProviderError, Trap};
use super::Route53;
use super::reading::Others;
use super::value::Records;

impl Route53 {
    pub(super) async fn look_for_traps(&self, live: &Records) -> Result<Vec<Trap>, ProviderError> {
        let name = self.name.trim_end_matches('.').to_owned();
        let mut traps = Vec::new();
        if live.sets.iter().any(|s| s.alias.is_some()) {
            traps.push(Trap {
                code: "alias-ttl".to_owned(),
                must_acknowledge: false,
                says: format!(
                    "{name} is an alias: its TTL is 60 s for a load balancer, fixed; clients that keep a connection stay on the old \
                     balancer for its `client_keep_alive.seconds`, 3600 unless it was changed"
                ),
                hint: "no `lower_ttl` is possible; lower that attribute before the swap, and drain by measurement".to_owned(),
            });
        }
        if live.sets.iter().filter_map(|s| s.alias.as_ref()).any(|a| a.evaluate_target_health) {
            traps.push(Trap {
                code: "evaluate-target-health".to_owned(),
                must_acknowledge: false,
                says: format!("{name} asks its target's health: one target group without healthy targets takes the whole load balancer out of DNS"),
                hint: "A leaves every rule before it is deregistered, and B is attached only when it serves; keep it so".to_owned(),
            });
        }
        let mut ttls: Vec<_> = live.sets.iter().filter_map(|s| s.ttl_s).collect();
        ttls.dedup();
        if ttls.len() > 1 && live.sets.iter().any(|s| s.weight.is_some()) {
            traps.push(Trap {
                code: "unlike-ttls".to_owned(),
                must_acknowledge: true,
                says: format!("the weighted records of {name} have unlike TTLs ({ttls:?}); Route 53 gives all of them the last one written"),
                hint: "give them one TTL first".to_owned(),
            });
        }
        // The value came from a read of the same name a moment ago; what it found beside the value need not be asked for again.
        let known = self.others.lock().unwrap_or_else(PoisonError::into_inner).take();
        let others = match known {
            Some(others) => others,
            None => self.read_name(&self.name).await?.others,
        };
        if let Some((kind, _)) = others.iter().find(|(kind, _)| matches!(kind.as_str(), "HTTPS" | "SVCB")) {
            traps.push(Trap {
                code: "https-record".to_owned(),
                must_acknowledge: true,
                says: format!(
                    "{name} has an {kind} record; its address hints would go on leading clients to the old place"
                ),
                hint: format!("remove the hints or the {kind} record, or acknowledge it"),
            });
        }
        if self.owner.is_none()
            && let Some(owner) = self.external_dns(others).await?
        {
            traps.push(Trap {
                code: "owner".to_owned(),
                must_acknowledge: true,
                says: format!("{name} belongs to external-dns ({owner}); it will put the record back"),
                hint: "annotate the source with `external-dns.alpha.kubernetes.io/controller: none`, then state `owner: external-dns`".to_owned(),
            });
        }
        Ok(traps)
    }

    /// external-dns marks what is its own with a TXT record at the name, or at the name behind a prefix of the type.
    async fn external_dns(&self, at_name: Others) -> Result<Option<String>, ProviderError> {
        let marks = |others: Others| {
            let texts = others.into_iter().filter(|(kind, _)| kind == "TXT").flat_map(|(_, values)| values);
            texts.into_iter().find(|text| text.contains("heritage=external-dns"))
        };
        if let Some(mark) = marks(at_name) {
            return Ok(Some(mark));
        }
        let names = ["a-", "cname-"].map(|prefix| format!("{prefix}{}", self.name));
        let (a, cname) = tokio::join!(self.read_name(&names[0]), self.read_name(&names[1]));
        Ok(marks(a?.others).or(marks(cname?.others)))
    }
}
