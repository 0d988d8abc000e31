//! Record sets.
