//! Environments: running or stopped.
