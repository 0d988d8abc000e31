//! `modelswap lab`: the loopback world, kept up for trying plans.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::args::{Common, VarArgs};
use super::{Exit, Failure};

pub(super) mod demo_plan;
mod down;
pub(super) use down::end;
mod model_server;
pub(super) mod order;
mod serve;
pub(super) mod up;

/// The loopback world: a cloud API, DNS, a balancer and model servers on 127.0.0.1.
#[derive(Debug, Args)]
pub(super) struct Lab {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build the world that a plan names and keep it up; prints what to type next
    Up(Up),
    /// End the world and the model servers in it
    Down(File),
    /// What runs, where traffic goes, and what the oracle found
    Status(File),
    /// Carry a world in this process (what `up` starts)
    #[command(hide = true)]
    Serve(serve::Serve),
    /// One model server (what `provision` starts here)
    #[command(hide = true)]
    ModelServer(model_server::ModelServer),
}

/// Options of `lab up`.
#[derive(Debug, Args)]
pub(super) struct Up {
    /// The plan whose world is built [default: the demo's]
    #[arg(long = "for", value_name = "PLAN")]
    pub(super) plan: Option<PathBuf>,
    #[command(flatten)]
    pub(super) vars: VarArgs,
    /// How many times faster than real time it runs: 60x
    #[arg(long, value_name = "N", default_value = "10x", value_parser = scale)]
    pub(super) time: f64,
    /// How long a model takes to load, in the world's time
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(super) load: crate::units::Span,
    #[command(flatten)]
    pub(super) file: File,
}

/// Which world.
#[derive(Debug, Clone, Args)]
pub(super) struct File {
    /// The world file
    #[arg(long, value_name = "FILE", default_value = ".modelswap/lab/world.json")]
    pub(super) file: PathBuf,
}

fn scale(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('x').unwrap_or(text).parse::<f64>();
    number.ok().filter(|n| (1.0..=3600.0).contains(n)).ok_or_else(|| "write it as 60x: 1x to 3600x".to_owned())
}

impl Lab {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::Up(up) => up.run(common).await,
            Verb::Down(file) => down::down(&file.file, common).await,
            Verb::Status(file) => down::status(&file.file, common).await,
            Verb::Serve(serve) => serve.run().await,
            Verb::ModelServer(server) => server.run().await,
        }
    }
}
