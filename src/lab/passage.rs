//! What happens to the cloud by itself when time passes: changes reach the name servers, answers are forgotten, drained targets
//! are gone.

use jiff::Timestamp;

use super::state::{Cloud, Lingering, RecordSet};

/// Brings the cloud to `now`. Whoever answers from it (API, DNS) calls this first, so that no answer is older than the clock.
pub fn let_time_pass(cloud: &mut Cloud, now: Timestamp) {
    serve_changes(cloud, now);
    for zone in cloud.zones.values_mut() {
        zone.lingering.retain(|lingering| lingering.until > now);
    }
    for group in cloud.groups.values_mut() {
        group.targets.retain(|target| target.draining_until.is_none_or(|until| until > now));
    }
}

/// When something will next happen by itself.
pub fn next_event(cloud: &Cloud) -> Option<Timestamp> {
    let insync = cloud.changes.values().filter(|change| !change.insync).map(|change| change.insync_at);
    let drained = cloud.groups.values().flat_map(|group| &group.targets).filter_map(|target| target.draining_until);
    insync.chain(drained).min()
}

fn serve_changes(cloud: &mut Cloud, now: Timestamp) {
    // Ids count upwards, so of several changes that are due the newest is served last.
    for change in cloud.changes.values_mut().filter(|change| !change.insync && change.insync_at <= now) {
        change.insync = true;
        if let Some(zone) = cloud.zones.get_mut(&change.zone_id) {
            let gone = zone.served.iter().filter(|set| !change.records.contains(set));
            let lingering: Vec<_> = gone.filter_map(|set| lingering(set, change.insync_at)).collect();
            zone.lingering.extend(lingering);
            zone.served.clone_from(&change.records);
        }
    }
}

/// How long an answer given just before `until_then` is kept, by those who obey its TTL. Weight 0 is not answered, and what an
/// alias leads to is the balancer's to say.
fn lingering(set: &RecordSet, until_then: Timestamp) -> Option<Lingering> {
    let handed_out = set.weight != Some(0) && matches!(set.kind.as_str(), "A" | "AAAA");
    let ttl_s = set.ttl_s.filter(|_| handed_out)?;
    Some(Lingering { set: set.clone(), until: until_then + jiff::SignedDuration::from_secs(ttl_s.into()) })
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::super::state::{Change, Health, RecordSet, Target, TargetGroup, Zone};
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s)
    }

    fn change(insync_s: i64, value: &str) -> Change {
        let records = vec![RecordSet { values: vec![value.to_owned()], ..RecordSet::default() }];
        Change { zone_id: "Z1".to_owned(), submitted_at: at(0), insync_at: at(insync_s), records, insync: false }
    }

    #[test]
    fn name_servers_serve_a_change_when_it_is_insync_and_not_before() {
        let mut cloud = Cloud::default();
        cloud.zones.insert("Z1".to_owned(), Zone::default());
        cloud.changes.insert("C1".to_owned(), change(10, "first"));
        cloud.changes.insert("C2".to_owned(), change(10, "second"));
        let_time_pass(&mut cloud, at(9));
        assert!(cloud.zones["Z1"].served.is_empty());
        assert_eq!(next_event(&cloud), Some(at(10)));
        let_time_pass(&mut cloud, at(10));
        assert_eq!(cloud.zones["Z1"].served[0].values, ["second"]);
        assert_eq!(next_event(&cloud), None);
    }

    #[test]
    fn an_answer_is_kept_for_its_old_ttl_and_no_longer() {
        let set = |value: &str, weight| RecordSet {
            kind: "A".to_owned(),
            ttl_s: Some(300),
            weight,
            values: vec![value.to_owned()],
            ..RecordSet::default()
        };
        let mut cloud = Cloud::default();
        let served = vec![set("old", None), set("same", None), set("unasked", Some(0))];
        cloud.zones.insert("Z1".to_owned(), Zone { served, ..Zone::default() });
        let records = vec![set("new", None), set("same", None)];
        let (zone_id, submitted_at, insync_at) = ("Z1".to_owned(), at(0), at(10));
        cloud.changes.insert("C1".to_owned(), Change { zone_id, submitted_at, insync_at, records, insync: false });
        let kept = |cloud: &Cloud| -> Vec<(String, Timestamp)> {
            cloud.zones["Z1"].lingering.iter().map(|l| (l.set.values[0].clone(), l.until)).collect()
        };
        // Brought there late: the last answer was given when the change reached the name servers.
        let_time_pass(&mut cloud, at(50));
        assert_eq!(kept(&cloud), [("old".to_owned(), at(310))]);
        let_time_pass(&mut cloud, at(310));
        assert_eq!(kept(&cloud), []);
    }

    #[test]
    fn a_draining_target_is_gone_when_its_delay_has_passed_and_not_before() {
        let target = Target {
            id: "203.0.113.1".to_owned(),
            port: 80,
            socket: None,
            health: Health::Healthy,
            passes: 0,
            failures: 0,
            draining_until: Some(at(300)),
            in_flight: 0,
            requests: 0,
        };
        let mut cloud = Cloud::default();
        cloud.groups.insert("g".to_owned(), TargetGroup { targets: vec![target], ..TargetGroup::default() });
        let_time_pass(&mut cloud, at(299));
        assert_eq!(cloud.groups["g"].targets.len(), 1);
        let_time_pass(&mut cloud, at(300));
        assert!(cloud.groups["g"].targets.is_empty());
    }
}
