//! The records of one name in Route 53, as one register.
//!
//! A batch of `DELETE exact-before` + `CREATE after` is Route 53's compare-and-swap: all or nothing, and refused when the
//! values in force are others (API reference, ChangeResourceRecordSets). `UPSERT` is not, so it is never used.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_route53::operation::get_change::GetChangeError;
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ChangeStatus};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use self::reading::Others;
use self::value::{Records, Set};
use super::super::aws::{AwsClients, read_error, write_error};
use super::super::{Answers, ProviderError, Ready, Refused, Register, Router, Settled, Split, Trap};
use crate::ids::EnvironmentName;

mod reading;
pub mod survey;
mod target;
mod traps;
pub mod value;

/// What a name leads to in each environment.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// Plain records: values by type.
    Values(BTreeMap<EnvironmentName, BTreeMap<String, Vec<String>>>),
    /// Alias records.
    Aliases(BTreeMap<EnvironmentName, value::Alias>),
    /// Weighted sets that exist, by set identifier.
    Weighted(BTreeMap<EnvironmentName, String>),
}

/// TTL of records that did not exist before, in seconds.
const FIRST_TTL_S: u32 = 60;

/// The records of one name.
#[derive(Debug)]
pub struct Route53 {
    clients: Arc<AwsClients>,
    zone: String,
    private: bool,
    /// Lower case, with the trailing dot, as Route 53 returns it.
    name: String,
    form: Form,
    owner: Option<String>,
    zone_id: OnceCell<String>,
    /// What else the last read found at the name, for who looks for traps next.
    others: Mutex<Option<Others>>,
}

impl Route53 {
    /// The register of `name` in `zone` (a name, or an id). Opens nothing.
    pub fn new(clients: Arc<AwsClients>, zone: (&str, bool), name: &str, form: Form, owner: Option<String>) -> Self {
        let (zone, private) = (zone.0.to_owned(), zone.1);
        let (zone_id, others) = (OnceCell::new(), Mutex::new(None));
        Self { clients, zone, private, name: fully_qualified(name), form, owner, zone_id, others }
    }

    fn call(&self, operation: &str) -> String {
        format!("route53 {operation} of {}", self.name.trim_end_matches('.'))
    }

    fn conflict(&self, expected: &Records, found: &Records) -> ProviderError {
        ProviderError::Conflict { on: Register::key(self), expected: expected.to_string(), found: found.to_string() }
    }

    /// How far a change is; none when Route 53 does not know it (any more).
    async fn status(&self, id: &str) -> Result<Option<ChangeStatus>, ProviderError> {
        let call = self.call("GetChange");
        match self.clients.route53().await?.get_change().id(id).send().await {
            Ok(answer) => Ok(answer.change_info().map(|info| info.status().clone())),
            Err(error) if error.as_service_error().is_some_and(GetChangeError::is_no_such_change) => Ok(None),
            Err(error) => Err(read_error(&call, &error)),
        }
    }

    async fn send(&self, expected: &Records, new: &Records) -> Result<Value, ProviderError> {
        let call = self.call("ChangeResourceRecordSets");
        let bug = |e: aws_smithy_types::error::operation::BuildError| ProviderError::Rejected {
            call: call.clone(),
            why: e.to_string(),
        };
        // DELETE stands before CREATE: Route 53 applies them in order.
        let gone = expected.sets.iter().filter(|set| !new.sets.contains(set)).map(|set| (ChangeAction::Delete, set));
        let come = new.sets.iter().filter(|set| !expected.sets.contains(set)).map(|set| (ChangeAction::Create, set));
        let mut batch = ChangeBatch::builder().comment("modelswap");
        for (action, set) in gone.chain(come) {
            let set = set.to_sdk(&self.name).map_err(bug)?;
            batch = batch.changes(Change::builder().action(action).resource_record_set(set).build().map_err(bug)?);
        }
        let answer = self
            .clients
            .route53()
            .await?
            .change_resource_record_sets()
            .hosted_zone_id(self.zone_id().await?)
            .change_batch(batch.build().map_err(bug)?)
            .customize()
            .config_override(AwsClients::route53_once())
            .send()
            .await
            .map_err(|e| write_error(&call, &e))?;
        Ok(json!({ "change": answer.change_info().map(|info| info.id().trim_start_matches("/change/")) }))
    }
}

#[async_trait]
impl Register for Route53 {
    type Value = Records;

    fn key(&self) -> String {
        format!("route53 {} {}", self.zone, self.name.trim_end_matches('.'))
    }

    async fn read(&self) -> Result<Records, ProviderError> {
        let (ours, found) = tokio::join!(self.clients.check_account(), self.read_name(&self.name));
        ours?;
        let found = found?;
        *self.others.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.others);
        Ok(found.records)
    }

    async fn swap(&self, expected: &Records, new: &Records) -> Result<Value, ProviderError> {
        if expected == new {
            return Ok(Value::Null);
        }
        if new.sets.is_empty() && !expected.sets.is_empty() {
            let why = "it would leave the name without any record".to_owned();
            return Err(ProviderError::Rejected { call: self.call("ChangeResourceRecordSets"), why });
        }
        // The batch compares what it changes. What stays as it is must be compared here, or half of a stale value would pass.
        if expected.sets.iter().any(|set| new.sets.contains(set)) {
            let live = self.read().await?;
            if live == *new {
                return Ok(Value::Null);
            }
            if live != *expected {
                return Err(self.conflict(expected, &live));
            }
        }
        match self.send(expected, new).await {
            // A batch whose answer was lost is refused when it is sent again, although it took effect. So look.
            Err(ProviderError::Rejected { call, why }) if why.contains("InvalidChangeBatch") => {
                let live = self.read().await?;
                if live == *new {
                    return Ok(Value::Null);
                }
                if live != *expected {
                    return Err(self.conflict(expected, &live));
                }
                Err(ProviderError::Rejected { call, why })
            }
            other => other,
        }
    }

    async fn settled(&self, value: &Records, receipt: Option<&Value>) -> Result<Settled, ProviderError> {
        let mut change = receipt.and_then(|r| r.get("change")).and_then(Value::as_str);
        if let Some(id) = change {
            match self.status(id).await? {
                Some(ChangeStatus::Pending) => return Ok(Settled::NotYet(format!("change {id} is PENDING"))),
                Some(_) => {}
                // Route 53 forgets changes in time; what it holds is then all that can be asked.
                None => change = None,
            }
        }
        // The list shows pending changes too, so it proves the value, never its propagation.
        let live = self.read().await?;
        if live != *value {
            return Err(self.conflict(value, &live));
        }
        Ok(match change {
            Some(id) => Settled::Yes(format!("change {id} is INSYNC, read back {live}")),
            None => Settled::CannotTell(format!("read back {live}, but there is no change id to ask for")),
        })
    }

    fn show(&self, value: &Records) -> String {
        value.to_string()
    }
}

#[async_trait]
impl Router for Route53 {
    fn aim(&self, live: &Records, want: &Split) -> Result<Records, Refused> {
        let ttl_s = live.ttl_s().unwrap_or(FIRST_TTL_S);
        let only = || {
            let why = "plain and alias records lead to one environment; use weighted records for a share";
            want.only().ok_or_else(|| Refused(why.to_owned()))
        };
        match &self.form {
            Form::Values(values) => {
                let of = only()?;
                let values = values.get(of).ok_or_else(|| unknown(of))?;
                Ok(Records::plain(values, ttl_s))
            }
            Form::Aliases(aliases) => {
                let of = only()?;
                let alias = aliases.get(of).ok_or_else(|| unknown(of))?;
                let kinds = live.sets.iter().filter(|s| s.alias.is_some()).map(|s| s.kind.clone());
                Ok(Records::alias(kinds.collect(), alias))
            }
            Form::Weighted(ids) => live.weighted(
                |id| {
                    let environment = ids.iter().find(|(_, known)| *known == id).map(|(e, _)| e);
                    // Thousandths to hundredths: 100 stands for everything, and a share that is wanted is never 0.
                    environment.map(|e| (want.share(e) / 10).max(u32::from(want.share(e) > 0)))
                },
                ids.values(),
            ),
        }
    }

    fn split(&self, value: &Records) -> Option<Split> {
        match &self.form {
            Form::Values(values) => {
                let matches = |of: &BTreeMap<String, Vec<String>>| value.same_answers(&Records::plain(of, FIRST_TTL_S));
                values.iter().find(|(_, of)| matches(of)).map(|(e, _)| Split::all_to(e))
            }
            Form::Aliases(aliases) => {
                let matches = |alias: &value::Alias| {
                    !value.sets.is_empty() && value.sets.iter().all(|s| s.alias.as_ref() == Some(alias))
                };
                aliases.iter().find(|(_, alias)| matches(alias)).map(|(e, _)| Split::all_to(e))
            }
            Form::Weighted(ids) => {
                let mut weights: BTreeMap<EnvironmentName, u32> = BTreeMap::new();
                for set in value.sets.iter().filter(|s| s.weight.unwrap_or(0) > 0) {
                    let id = set.set_identifier.as_ref()?;
                    // A set that the plan does not know gets traffic: this split is not ours to explain.
                    let environment = ids.iter().find(|(_, known)| *known == id).map(|(e, _)| e.clone())?;
                    let weight = weights.entry(environment).or_default();
                    *weight = (*weight).max(u32::from(set.weight.unwrap_or(0)));
                }
                Split::of_weights(weights)
            }
        }
    }

    fn ttl_s(&self, value: &Records) -> Option<u32> {
        value.ttl_s()
    }

    fn with_ttl(&self, live: &Records, ttl_s: u32) -> Result<Records, Refused> {
        if live.sets.iter().all(|s| s.alias.is_some()) {
            return Err(Refused(
                "an alias has the TTL of its target: 60 s for a load balancer, and it cannot be set".to_owned(),
            ));
        }
        let with = |set: &Set| Set { ttl_s: set.ttl_s.map(|_| ttl_s), ..set.clone() };
        Ok(Records { sets: live.sets.iter().map(with).collect() })
    }

    async fn ready(&self, environment: &EnvironmentName) -> Result<Ready, ProviderError> {
        match &self.form {
            Form::Aliases(aliases) => match aliases.get(environment) {
                Some(alias) => self.target_ready(alias).await,
                None => Ok(Ready::No(unknown(environment).0)),
            },
            Form::Values(_) | Form::Weighted(_) => Ok(Ready::Yes("a record has no health of its own".to_owned())),
        }
    }

    async fn name_servers(&self) -> Result<Vec<String>, ProviderError> {
        self.delegation().await
    }

    fn answers(&self, value: &Records) -> Option<Answers> {
        let name = self.name.trim_end_matches('.').to_owned();
        let ttl_s = value.ttl_s();
        if let Some(alias) =
            value.sets.first()?.alias.as_ref().filter(|_| value.sets.iter().all(|s| s.weight.is_none()))
        {
            let alias_of = Some(alias.target.trim_end_matches('.').to_owned());
            return Some(Answers { name, by_type: BTreeMap::new(), alias_of, ttl_s });
        }
        // Of several weighted sets one is answered by chance, unless only one has weight.
        let weighty: Vec<_> = value.sets.iter().filter(|s| s.weight.is_none_or(|w| w > 0)).collect();
        let kinds: std::collections::BTreeSet<_> = weighty.iter().map(|s| &s.kind).collect();
        if kinds.len() != weighty.len() || weighty.iter().any(|s| s.alias.is_some()) {
            return None;
        }
        let by_type = weighty.iter().map(|s| (s.kind.clone(), s.values.clone())).collect();
        Some(Answers { name, by_type, alias_of: None, ttl_s })
    }

    async fn traps(&self, live: &Records) -> Result<Vec<Trap>, ProviderError> {
        self.look_for_traps(live).await
    }
}

fn unknown(environment: &EnvironmentName) -> Refused {
    Refused(format!("the record has no value for `{environment}`"))
}

/// As Route 53 returns it: lower case, with the trailing dot, and what is no letter, digit, `-`, `_` or `.` in octal
/// (developer guide, DNS domain name format). A name that was returned stays as it is.
fn fully_qualified(name: &str) -> String {
    let letter = |byte: u8| match byte.to_ascii_lowercase() {
        plain @ (b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'\\') => char::from(plain).to_string(),
        odd => format!("\\{odd:03o}"),
    };
    let name: String = name.trim_end_matches('.').bytes().map(letter).collect();
    format!("{name}.")
}
