//! Changes that do not come through the API: a person in the console, another tool, a health check that turned.

use serde::{Deserialize, Serialize};

use crate::lab::cloud::names;
use crate::lab::state::{Action, Cloud, Health, RecordSet};

/// A change by hand. It takes effect at once, name servers included, and is not judged: it is not the deployer's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// Writes a record set, over the one with its name, type and identifier if there is one.
    SetRecord { zone: String, set: RecordSet },
    /// Removes a record set.
    RemoveRecord { zone: String, name: String, kind: String, set_identifier: Option<String> },
    /// Protects a name and type against every change.
    Protect { zone: String, name: String, kind: String },
    /// Replaces the actions of a rule.
    SetActions { rule: String, actions: Vec<Action> },
    /// Says what the health check of a target finds.
    SetHealth { group: String, id: String, port: u16, health: Health },
    /// Sets an attribute of a group or balancer, unchecked.
    SetAttribute { arn: String, key: String, value: String },
    /// Sets a tag.
    SetTag { arn: String, key: String, value: String },
}

impl Edit {
    /// Makes the change.
    ///
    /// # Errors
    /// When what it names is not there.
    pub fn make(self, cloud: &mut Cloud) -> Result<(), String> {
        match self {
            Self::SetRecord { zone, set } => {
                let set = names::normal_set(set);
                let zone = cloud.zones.get_mut(&zone).ok_or_else(|| format!("no zone {zone}"))?;
                for records in [&mut zone.records, &mut zone.served] {
                    records.retain(|r| {
                        (&r.name, &r.kind, &r.set_identifier) != (&set.name, &set.kind, &set.set_identifier)
                    });
                    records.push(set.clone());
                    names::sort(records);
                }
            }
            Self::RemoveRecord { zone, name, kind, set_identifier } => {
                let name = names::normal(&name);
                let zone = cloud.zones.get_mut(&zone).ok_or_else(|| format!("no zone {zone}"))?;
                let held = zone.records.len();
                for records in [&mut zone.records, &mut zone.served] {
                    records.retain(|r| (&r.name, &r.kind, &r.set_identifier) != (&name, &kind, &set_identifier));
                }
                if zone.records.len() == held {
                    return Err(format!("no record set {kind} {name}"));
                }
            }
            Self::Protect { zone, name, kind } => {
                let zone = cloud.zones.get_mut(&zone).ok_or_else(|| format!("no zone {zone}"))?;
                zone.protected.push((names::normal(&name), kind));
            }
            Self::SetActions { rule, actions } => {
                cloud.rules.get_mut(&rule).ok_or_else(|| format!("no rule {rule}"))?.actions = actions;
            }
            Self::SetHealth { group, id, port, health } => {
                let found = cloud.groups.get_mut(&group).ok_or_else(|| format!("no group {group}"))?;
                let target = found.targets.iter_mut().find(|t| t.id == id && t.port == port);
                target.ok_or_else(|| format!("no target {id}:{port} in {group}"))?.health = health;
            }
            Self::SetAttribute { arn, key, value } => {
                let group = cloud.groups.get_mut(&arn).map(|group| &mut group.attributes);
                let found = group.or(cloud.balancers.get_mut(&arn).map(|balancer| &mut balancer.attributes));
                found.ok_or_else(|| format!("no group or balancer {arn}"))?.insert(key, value);
            }
            Self::SetTag { arn, key, value } => {
                cloud.tags.entry(arn).or_default().insert(key, value);
            }
        }
        Ok(())
    }
}
