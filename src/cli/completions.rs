//! `modelswap completions SHELL`: what a shell needs to complete verbs and options.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Exit, Failure};

/// Options of `completions`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    #[expect(clippy::unnecessary_wraps, reason = "every verb has this shape")]
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        // Into memory first: clap_complete panics when what it writes to is closed.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "modelswap", &mut script);
        crate::report::show(String::from_utf8_lossy(&script).trim_end());
        Ok(Exit::Done)
    }
}
