//! `modelswap events RUN`: a run of the journal again, through the same reporters that told it.

use clap::Args;

use super::args::{Common, Output};
use super::desk::Desk;
use super::failure::colour;
use super::{Exit, Failure};
use crate::ids::ServiceName;
use crate::journal::record::Record;
use crate::journal::state::RunState;
use crate::report::Reporter;
use crate::report::jsonl::JsonLines;
use crate::report::words::line;
use crate::units::date_time;

/// Options of `events`.
#[derive(Debug, Args)]
pub(super) struct Events {
    /// The run, or a service for its newest run; needed when the state directory holds several services
    what: Option<String>,
}

impl Events {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let desk = Desk::new(common, None)?.or_mirror().await?;
        let records = self.records(&desk).await?;
        let mut state: Option<RunState> = None;
        let mut json = JsonLines;
        for record in &records {
            match &mut state {
                Some(state) => state.fold(record.at, &record.fact),
                None => state = RunState::begin(record).ok(),
            }
            let Some(state) = &state else { continue };
            match common.output {
                Output::Json => json.record(record, state),
                Output::Human => {
                    if let Some(said) = line(record, state) {
                        let (on, off) = said.mark.colour(colour(common));
                        desk.show(&format!("{} {on}{}{off} {}", date_time(said.at), said.mark.sign(), said.text));
                    }
                }
            }
        }
        Ok(Exit::Done)
    }

    /// The records of the run that is meant, oldest first.
    async fn records(&self, desk: &Desk) -> Result<Vec<Record>, Failure> {
        let known = desk.known().await?;
        let mut runs = Vec::new();
        for service in &known {
            let records = load(service, desk).await?;
            let meant = |r: &&Record| self.what.as_deref() == Some(r.run.as_str());
            if records.iter().any(|r| meant(&r)) {
                return Ok(records.into_iter().filter(|r| meant(&r)).collect());
            }
            runs.extend(records.last().map(|r| r.run.to_string()));
        }
        if let Some(what) = self.what.as_deref().filter(|what| !known.iter().any(|s| s.as_str() == *what)) {
            let failure =
                Failure::new(Exit::Usage, format!("there is no run and no service `{what}` in {}", desk.place));
            return Err(match runs.as_slice() {
                [] => failure
                    .detail("it holds no journal at all")
                    .hint("name the state directory with --state DIR or MODELSWAP_STATE"),
                runs => failure
                    .detail(format!("newest runs: {}", runs.join(", ")))
                    .hint(format!("modelswap history{}   lists all", desk.state_option)),
            });
        }
        let records = load(&desk.service(self.what.as_deref()).await?, desk).await?;
        let newest = records.iter().map(|r| r.run.clone()).max();
        Ok(records.into_iter().filter(|r| Some(&r.run) == newest.as_ref()).collect())
    }
}

async fn load(service: &ServiceName, desk: &Desk) -> Result<Vec<Record>, Failure> {
    let loaded = desk.records(service).await;
    let (_, records) = loaded.map_err(|e| desk.cannot_keep(&e))?;
    Ok(records.into_iter().map(|(record, _)| record).collect())
}
