//! Reading a name: the zone that holds it, and its record sets page by page.

use aws_sdk_route53::types::RrType;

use super::super::super::ProviderError;
use super::super::super::aws::read_error;
use super::value::{KINDS, Records, Set};
use super::{Route53, fully_qualified};

/// Types and values of what stands at a name beside what moves.
pub(super) type Others = Vec<(String, Vec<String>)>;

/// Record sets in a page: more than stand at one name, and far from a whole zone.
const PAGE: i32 = 100;

/// Everything at a name.
pub(super) struct AtName {
    /// What moves.
    pub(super) records: Records,
    /// Other types that stand there: `TXT "heritage=..."`.
    pub(super) others: Others,
}

impl Route53 {
    /// The zone's id, looked up once by name.
    pub(super) async fn zone_id(&self) -> Result<&str, ProviderError> {
        let id = self.zone_id.get_or_try_init(|| async {
            // Ids have no dots and names have at least one, but for `com.` and its like, which nobody hosts.
            if !self.zone.contains('.') {
                return Ok(self.zone.trim_start_matches("/hostedzone/").to_owned());
            }
            let call = format!("route53 ListHostedZonesByName {}", self.zone);
            let wanted = fully_qualified(&self.zone);
            let answer = self.clients.route53().await?.list_hosted_zones_by_name().dns_name(&wanted).send().await;
            let answer = answer.map_err(|e| read_error(&call, &e))?;
            let zones = answer.hosted_zones().iter();
            let fits = |z: &&aws_sdk_route53::types::HostedZone| {
                z.name() == wanted
                    && z.config().is_some_and(aws_sdk_route53::types::HostedZoneConfig::private_zone) == self.private
            };
            let found: Vec<_> =
                zones.filter(fits).map(|z| z.id().trim_start_matches("/hostedzone/").to_owned()).collect();
            let kind = if self.private { "private" } else { "public" };
            match found.as_slice() {
                [one] => Ok(one.clone()),
                [] => {
                    Err(ProviderError::Rejected { call, why: format!("this account has no {kind} zone of that name") })
                }
                several => {
                    let why = format!(
                        "there are {} {kind} zones of that name ({}); name one by its id",
                        several.len(),
                        several.join(", ")
                    );
                    Err(ProviderError::Rejected { call, why })
                }
            }
        });
        Ok(id.await?.as_str())
    }

    /// Host names of the zone's servers.
    pub(super) async fn delegation(&self) -> Result<Vec<String>, ProviderError> {
        let call = format!("route53 GetHostedZone {}", self.zone);
        let answer = self.clients.route53().await?.get_hosted_zone().id(self.zone_id().await?).send().await;
        let answer = answer.map_err(|e| read_error(&call, &e))?;
        Ok(answer.delegation_set().map(|d| d.name_servers().to_vec()).unwrap_or_default())
    }

    /// Every record set at `name`.
    pub(super) async fn read_name(&self, name: &str) -> Result<AtName, ProviderError> {
        let call = self.call("ListResourceRecordSets");
        let zone = self.zone_id().await?;
        let client = self.clients.route53().await?;
        let (mut records, mut others) = (Records::default(), Vec::new());
        let mut from: (String, Option<RrType>, Option<String>) = (name.to_owned(), None, None);
        loop {
            let answer = client
                .list_resource_record_sets()
                .hosted_zone_id(zone)
                .max_items(PAGE)
                .start_record_name(&from.0)
                .set_start_record_type(from.1.clone())
                .set_start_record_identifier(from.2.clone())
                .send()
                .await
                .map_err(|e| read_error(&call, &e))?;
            for set in answer.resource_record_sets() {
                if fully_qualified(set.name()) != name {
                    records.sets.sort();
                    return Ok(AtName { records, others });
                }
                if KINDS.contains(&set.r#type().as_str()) {
                    let set = Set::from_sdk(set).map_err(|why| ProviderError::Rejected { call: call.clone(), why })?;
                    records.sets.push(set);
                } else {
                    let values = set.resource_records().iter().map(|r| r.value().to_owned()).collect();
                    others.push((set.r#type().as_str().to_owned(), values));
                }
            }
            if !answer.is_truncated() {
                records.sets.sort();
                return Ok(AtName { records, others });
            }
            let next = (answer.next_record_name(), answer.next_record_type(), answer.next_record_identifier());
            let (Some(next_name), next_type, next_id) = next else {
                // What is left out is not known to be nothing.
                let why = "the list goes on, and does not say where".to_owned();
                return Err(ProviderError::Busy { call, why });
            };
            let next = (next_name.to_owned(), next_type.cloned(), next_id.map(str::to_owned));
            if next == from {
                // A server that repeats itself must not hold us for ever.
                return Err(ProviderError::Busy {
                    call,
                    why: "the list does not get on: the same page came twice".to_owned(),
                });
            }
            from = next;
        }
    }
}
