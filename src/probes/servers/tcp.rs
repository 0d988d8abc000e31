//! Anything that accepts TCP connections: nothing but that can be proven.

use crate::plan::model::Release;
use crate::probes::health::Proof;

/// What a connection proves.
pub(in crate::probes) fn proof(want: &Release) -> Proof {
    let evidence = format!("accepts TCP connections; that it serves {} is not proven, TCP cannot say", want.model);
    Proof::Serves { identity: want.clone(), evidence }
}
