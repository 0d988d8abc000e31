//! What is asked, read-only: health, identity, propagation, requests in flight, and the witness at the front door.
