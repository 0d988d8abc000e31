//! A long journal is read in one go.

use std::time::Instant;

use modelswap::journal::store::Store;
use modelswap::journal::store::local::Local;

use super::support::{attempt, chain, put, scratch, service, started};

/// How long it takes is printed, not judged: that depends on the machine.
#[tokio::test]
async fn a_long_journal_is_read_whole() {
    for records in [1_000, 10_000] {
        let state = scratch();
        let facts = std::iter::once(started()).chain((1..records).map(|n| attempt(&format!("s{}", n % 50), false)));
        let bytes = chain(facts).concat();
        put(state.path(), &bytes);
        let began = Instant::now();
        let (log, read) = Local::new(state.path(), &service()).load().await.unwrap();
        println!("{records} records, {} kB: {:?}", bytes.len() / 1000, began.elapsed());
        assert_eq!((read.len(), log.head.seq), (records, records as u64));
        assert_eq!(log.newest().unwrap().steps.len(), 50);
    }
}
