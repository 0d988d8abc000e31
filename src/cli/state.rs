//! `modelswap state`: whether a place can keep journals, and moving them from one to another.

use clap::{Args, Subcommand};
use serde_json::json;

use super::args::Common;
use super::desk::Desk;
use super::place::Place;
use super::{Exit, Failure};
use crate::ids::ServiceName;
use crate::journal::actor::Alive;
use crate::journal::record::blobs_of;
use crate::journal::store::object::self_check;
use crate::journal::store::{Appended, Store, StoreError};

/// Options of `state`.
#[derive(Debug, Args)]
pub(super) struct State {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Whether a place can keep journals, and whether those in it are whole; writes a marker there and nothing else
    Check {
        /// A directory, s3://BUCKET/PREFIX, gs://…, az://…
        place: String,
    },
    /// Copy the journals of one place to another, check every byte, and leave word where they went
    Move {
        /// Where they are
        from: String,
        /// Where they shall be; empty, or with the beginning of the same journals
        to: String,
        /// Only this service
        #[arg(long)]
        service: Option<String>,
    },
}

impl State {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let desk = Desk::new(common, None)?;
        match &self.verb {
            Verb::Check { place } => check(&parsed(place)?, &desk).await,
            Verb::Move { from, to, service } => {
                let (from, to) = (parsed(from)?, parsed(to)?);
                if from == to {
                    return Err(Failure::new(Exit::Usage, format!("{from} is there already; nothing was done")));
                }
                move_all(&from, &to, service.as_deref(), &desk).await
            }
        }
    }
}

fn parsed(text: &str) -> Result<Place, Failure> {
    text.parse().map_err(|why| Failure::new(Exit::Usage, format!("`{text}` is no place for journals: {why}")))
}

async fn check(place: &Place, desk: &Desk) -> Result<Exit, Failure> {
    let cannot = |error: &StoreError| Failure::new(Exit::Journal, error.to_string()).detail("nothing was changed");
    if let Place::Bucket(url) = place {
        let bucket = desk.bucket(url).await.map_err(|e| cannot(&e))?;
        self_check(&bucket).await.map_err(|e| cannot(&e))?;
        desk.show(&format!("{place}   keeps conditions: a second create is refused, of eight racers one wins"));
    }
    let services = desk.known_at(place).await.map_err(|e| cannot(&e))?;
    for service in &services {
        let mut store = desk.at(place, service).await.map_err(|e| cannot(&e))?;
        let (log, records) = store.load().await.map_err(|e| cannot(&e))?;
        let moved = store.moved_to().await.map_err(|e| cannot(&e))?;
        let moved = moved.map(|to| format!("; moved to {to}")).unwrap_or_default();
        desk.show(&format!(
            "{service}   {} records, each follows from the one before it; head {}{moved}",
            records.len(),
            log.head.hash
        ));
        desk.result(&json!({ "type": "state_checked", "version": 1, "place": place.to_string(), "service": service, "records": records.len(), "hash": log.head.hash }));
    }
    if services.is_empty() {
        desk.show(&format!("{place}   holds no journal yet"));
        desk.result(&json!({ "type": "state_checked", "version": 1, "place": place.to_string(), "service": null, "records": 0 }));
    }
    Ok(Exit::Done)
}

async fn move_all(from: &Place, to: &Place, named: Option<&str>, desk: &Desk) -> Result<Exit, Failure> {
    let cannot =
        |error: &StoreError| Failure::new(Exit::Journal, error.to_string()).detail("the journal stays where it was");
    let known = desk.known_at(from).await.map_err(|e| cannot(&e))?;
    let services: Vec<_> = known.into_iter().filter(|service| named.is_none_or(|n| n == service.as_str())).collect();
    if services.is_empty() {
        let what = named.map_or_else(|| "no journal".to_owned(), |n| format!("no journal of `{n}`"));
        return Err(Failure::new(Exit::Usage, format!("there is {what} in {from}; nothing was done")));
    }
    for service in &services {
        let mut source = desk.at(from, service).await.map_err(|e| cannot(&e))?;
        let mut target = desk.at(to, service).await.map_err(|e| cannot(&e))?;
        let records = move_one(service, (source.as_mut(), from), (target.as_mut(), to), desk).await?;
        desk.show(&format!("{service}   {records} records are in {to}, byte for byte as they were in {from}"));
        desk.result(&json!({ "type": "moved", "version": 1, "service": service, "records": records, "from": from.to_string(), "to": to.to_string() }));
    }
    desk.show(&format!("from now on: --state {}, MODELSWAP_STATE, or `state:` in the plan", to.typed()));
    Ok(Exit::Done)
}

async fn move_one(
    service: &ServiceName,
    (source, from): (&mut dyn Store, &Place),
    (target, to): (&mut dyn Store, &Place),
    desk: &Desk,
) -> Result<usize, Failure> {
    let cannot =
        |error: StoreError| Failure::new(Exit::Journal, error.to_string()).detail("the journal stays where it was");
    let refuse = |exit, why: String| Failure::new(exit, why).detail("nothing was moved");
    let (log, records) = source.load().await.map_err(cannot)?;
    if log.alive() != Alive::No {
        let who = log.holder.as_ref().map(ToString::to_string).unwrap_or_default();
        let failure = refuse(Exit::Busy, format!("{who} is at work on {service}, or may be"));
        return Err(failure.hint(format!("modelswap status {service} --state {}", from.typed())));
    }
    if let Some(went) = source.moved_to().await.map_err(cannot)?.filter(|went| *went != to.to_string()) {
        return Err(refuse(Exit::Usage, format!("the journal of {service} in {from} was moved to {went} before")));
    }
    let there = target.load().await.map_err(cannot)?.1;
    let begins = there.len() <= records.len() && there.iter().zip(&records).all(|(there, here)| there.1 == here.1);
    if !begins {
        let failure = refuse(Exit::Usage, format!("{to} holds another journal of {service}: {} records", there.len()));
        return Err(failure.hint(format!("modelswap history {service} --state {}", to.typed())));
    }
    for (after, (_, payload)) in (0u64..).zip(&records).skip(there.len()) {
        for name in blobs_of(payload) {
            let bytes = source.fetch(&name).map_err(cannot)?;
            target.keep(&name, &bytes).await.map_err(cannot)?;
        }
        match target.append(after, payload).await.map_err(cannot)? {
            Appended::Yes => {}
            Appended::Behind(others) if others.first() == Some(payload) => {}
            Appended::Behind(_) => return Err(refuse(Exit::Busy, format!("somebody writes to {to} meanwhile"))),
        }
    }
    // Read again, as whoever comes next will read it: each record is checked against the one before it.
    let (moved, copied) = target.load().await.map_err(cannot)?;
    let same = copied.len() == records.len() && copied.iter().zip(&records).all(|(copy, record)| copy.1 == record.1);
    if !same || moved.head != log.head {
        return Err(refuse(Exit::Journal, format!("what arrived in {to} is not what is in {from}")));
    }
    // This host's own copy of the target goes on as that.
    if *from != Place::Directory(desk.mirror_of(to)) {
        source.leave_word(&to.to_string()).await.map_err(cannot)?;
    }
    Ok(records.len())
}
