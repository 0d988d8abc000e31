//! `modelswap history`: past runs, a line each; and whether the journal is the one that was written.

use clap::Args;
use serde_json::json;

use super::args::Common;
use super::desk::Desk;
use super::{Exit, Failure};
use crate::ids::ServiceName;
use crate::journal::log::{BadLog, Log};
use crate::journal::state::RunState;
use crate::journal::store::StoreError;
use crate::units::{date_time, rounded};

/// Options of `history`.
#[derive(Debug, Args)]
pub(super) struct History {
    /// The service [default: all of the state directory]
    service: Option<String>,
    /// Check that each record follows from the one before it; prints the last one's place and hash, to compare with a copy
    #[arg(long)]
    verify: bool,
}

impl History {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let desk = Desk::new(common, None)?.or_mirror().await?;
        for service in desk.services(self.service.as_deref()).await? {
            // Asked for proof, the copy on this host is no witness.
            let loaded = if self.verify { desk.records_there(&service).await } else { desk.records(&service).await };
            let (log, records) = loaded.map_err(|e| broken(&service, &e, &desk))?;
            if self.verify {
                let head = &log.head;
                desk.show(&format!(
                    "{service}   {} records, each follows from the one before it; head {} {}",
                    records.len(),
                    head.seq,
                    head.hash
                ));
                desk.result(&json!({ "type": "verified", "service": service, "records": records.len(), "seq": head.seq, "hash": head.hash }));
                continue;
            }
            tell(&service, &log, &desk);
        }
        Ok(Exit::Done)
    }
}

fn tell(service: &ServiceName, log: &Log, desk: &Desk) {
    for run in &log.runs {
        let release = &run.started.resolved["plan"]["release"];
        let (model, revision) = (release["model"].as_str().unwrap_or("?"), release["revision"].as_str());
        let release = revision.map_or_else(|| model.to_owned(), |r| format!("{model} @{r}"));
        let ways = |name: &str| run.started.resolved[name].as_str().unwrap_or("?").to_owned();
        let took = rounded(run.last_at.duration_since(run.began.0)).to_string();
        let (from, to, end) = (ways("live"), ways("next"), end(run, log));
        desk.show(&format!(
            "{}  {}  {service}  {from} -> {to}  {release}  {}  {took}  {end}",
            date_time(run.began.0),
            run.run,
            run.began.1
        ));
        desk.result(&json!({
            "type": "run", "service": service, "run": run.run, "began": run.began.0, "last": run.last_at, "by": run.began.1,
            "from": from, "to": to, "model": model, "revision": revision, "plan": run.started.plan_name, "digest": run.started.digest,
            "end": end, "outcome": run.outcome,
        }));
    }
}

/// How a run ended, in one phrase.
pub(super) fn end(run: &RunState, log: &Log) -> String {
    use crate::journal::actor::Alive;
    use crate::journal::fact::Outcome;
    match (&run.outcome, &run.interrupted) {
        (Some(Outcome::Deployed), _) => "deployed".to_owned(),
        (Some(Outcome::Finalized), _) => "finalized".to_owned(),
        (Some(Outcome::RolledBack { why, to: None }), _) => format!("rolled back ({why})"),
        (Some(Outcome::RolledBack { why, to: Some(step) }), _) => {
            format!("rolled back to `{step}`, which stays ({why})")
        }
        (Some(Outcome::RollbackIncomplete { traffic_restored: true, left, .. }), _) => {
            format!("rollback incomplete: traffic is restored, {} left", left.len())
        }
        (Some(Outcome::RollbackIncomplete { traffic_restored: false, .. }), _) => {
            "rollback incomplete: TRAFFIC IS NOT RESTORED".to_owned()
        }
        (Some(Outcome::Held { why, .. }), _) => format!("held: {why}"),
        (None, Some(by)) => format!("interrupted by {by}"),
        (None, None) if log.touched.as_ref() != Some(&run.run) => "ended without saying how".to_owned(),
        (None, None) => match super::ask::alive(log) {
            Alive::Yes => "under way".to_owned(),
            Alive::No => "its process is gone".to_owned(),
            Alive::CannotTell => "under way on another host, as far as the journal says".to_owned(),
        },
    }
}

/// A journal that cannot be trusted: how far it can.
fn broken(service: &ServiceName, error: &StoreError, desk: &Desk) -> Failure {
    let StoreError::Bad { bad, .. } = error else { return desk.cannot_keep(error) };
    let (BadLog::BrokenChain { seq } | BadLog::Unreadable { seq, .. } | BadLog::Foreign { seq, .. }) = bad;
    Failure::new(Exit::Journal, format!("the journal of {service} breaks at record {seq}: {error}"))
        .detail(format!("{} records before it follow from each other; nothing was changed", seq.saturating_sub(1)))
        .hint("compare it with a copy; until it is put right, no verb changes anything on its word")
}
