//! Which rules name a target group: health checks, deletion and association hang on it.

use std::collections::BTreeSet;

use crate::lab::state::{Action, Cloud, Health};

/// Whether a rule of a listener names the group, at whatever weight: only then its targets are health-checked.
pub(crate) fn in_use(cloud: &Cloud, group: &str) -> bool {
    cloud.rules.values().flat_map(|rule| &rule.actions).any(|action| named(action).any(|arn| arn == group))
}

/// The groups that an action forwards to.
pub(super) fn named(action: &Action) -> impl Iterator<Item = &str> {
    let groups = match action {
        Action::Forward { groups, .. } => groups.as_slice(),
        Action::FixedResponse { .. } | Action::Redirect { .. } | Action::Authenticate { .. } => &[],
    };
    groups.iter().map(|(arn, _)| arn.as_str())
}

/// The balancers whose rules name the group.
pub(super) fn balancers_of<'a>(cloud: &'a Cloud, group: &str) -> BTreeSet<&'a str> {
    let naming = cloud.rules.values().filter(|rule| rule.actions.iter().flat_map(named).any(|arn| arn == group));
    naming.filter_map(|rule| Some(cloud.listeners.get(&rule.listener)?.balancer.as_str())).collect()
}

/// All groups that are in use.
pub(super) fn used(cloud: &Cloud) -> BTreeSet<String> {
    let actions = cloud.rules.values().flat_map(|rule| &rule.actions);
    actions.flat_map(named).map(str::to_owned).collect()
}

/// A group that has come into use is checked from the beginning: what was found in an earlier use counts no more.
pub(super) fn restart_checks(cloud: &mut Cloud, used_before: &BTreeSet<String>) {
    let changed: Vec<String> = used(cloud).symmetric_difference(used_before).cloned().collect();
    for arn in changed {
        for target in cloud.groups.get_mut(&arn).into_iter().flat_map(|group| &mut group.targets) {
            target.health = Health::Initial;
            target.passes = 0;
            target.failures = 0;
        }
    }
}
