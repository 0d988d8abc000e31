//! The plans of the demo: files like any other, carried along so that the demo needs no checkout.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::super::{Exit, Failure};

/// What moves the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Swap {
    /// An ALB rule and a Route 53 record, in one run.
    Both,
    /// An ALB rule.
    Alb,
    /// A Route 53 record.
    Dns,
}

/// Writes the plan beside a world file.
pub(in crate::cli) fn plan_file(beside: &Path, swap: Swap) -> Result<PathBuf, Failure> {
    let text = match swap {
        Swap::Both => include_str!("../../../plans/demo.yaml"),
        Swap::Alb => include_str!("../../../plans/demo-alb.yaml"),
        Swap::Dns => include_str!("../../../plans/demo-dns.yaml"),
    };
    let directory = beside.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let path = directory.join("demo.yaml");
    let written = std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&path, text));
    written.map_err(|e| Failure::new(Exit::Usage, format!("cannot write {}: {e}", path.display())))?;
    Ok(path)
}
