//! What is asked, read-only: health, identity, propagation, requests in flight, and the witness at the front door.
//!
//! Nothing here waits for something to become true; whoever asks asks again. Only the witness runs along.

mod dial; //           which addresses may be asked at all
#[cfg(any(fuzzing, test))]
pub mod fuzzing; //    doors for the fuzzer
pub mod health; //     the ladder: connects, healthy, identity, completion
pub mod http; //       one bounded request on a fresh connection
pub mod in_flight; //  how much a server has under way, from its metrics
pub mod propagation; // which DNS servers answer the old, which the new
pub mod secret; //     a secret's value, when it is needed
mod servers; //        the habits of each kind of server
mod sse; //            server-sent events
#[cfg(test)]
mod testing; //        small servers that lie
pub mod witness; //    a client at the front door during the whole run
