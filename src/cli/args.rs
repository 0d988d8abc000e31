//! Options that every verb has.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options that every verb has.
#[derive(Debug, Clone, Args)]
pub(super) struct Common {
    /// Where the journals are kept: a directory, s3://BUCKET/PREFIX, gs://…, az://… [default: what the plan says, else
    /// .modelswap]
    #[arg(long, global = true, value_name = "PLACE", env = "MODELSWAP_STATE")]
    pub(super) state: Option<String>,
    /// What goes to stdout: nothing but results for people, or one JSON object a line
    #[arg(long, global = true, value_enum, default_value_t = Output::Human)]
    pub(super) output: Output,
    /// Colour on stderr
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(super) color: Color,
    /// Never ask, never draw; the same as without a terminal or with CI set
    #[arg(long, global = true)]
    pub(super) non_interactive: bool,
    /// World file of `modelswap lab`: run against the loopback world, and nothing else
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) world: Option<PathBuf>,
}

/// What goes to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Values for a plan's variables.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct VarArgs {
    /// A value for `${var.NAME}`
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) vars: Vec<(String, String)>,
    /// A YAML or JSON file of values for `${var.NAME}`; `--var` wins over it
    #[arg(long, value_name = "FILE")]
    pub(super) vars_file: Option<PathBuf>,
    /// Let the plan read this environment variable as `${env.NAME}`
    #[arg(long = "env", value_name = "NAME")]
    pub(super) env: Vec<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write it as NAME=VALUE".to_owned())
}
