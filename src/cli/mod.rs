//! One file per verb: what a person types, sees, and gets as an exit code.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod args;
mod backends;
mod demo;
mod deploy;
mod desk;
mod ending;
mod failure;
mod finalize;
mod lab;
mod opening;
mod past;
mod resume;
mod rollback;
mod situation;
mod validate;
mod witness;

pub use failure::{Exit, Failure};

/// Swap a live model service from one environment to another without losing a request.
#[derive(Debug, Parser)]
#[command(name = "modelswap", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    common: args::Common,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Reach the plan's release, step by step; each step records its way back before it acts
    Deploy(deploy::Deploy),
    /// Run the recorded finalize steps: what burns the quick way back
    Finalize(finalize::Finalize),
    /// Undo the newest run that changed something, from its record alone; traffic first
    Rollback(rollback::Rollback),
    /// Go on after a crash or an interruption
    Resume(resume::Resume),
    /// The whole story on loopback, with no account: A serves, clients send, B takes over, nothing is lost; then back
    Demo(demo::Demo),
    /// The loopback world, kept up for trying plans
    Lab(lab::Lab),
    /// Check a plan file alone: no network, no credentials, nothing is run
    Validate(validate::Validate),
}

/// Parses, runs, prints one error, chooses one exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap prints help to stdout and mistakes to stderr; a closed pipe is not our problem.
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { Exit::Done.code() });
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(run(&cli));
            // A look-up or a child that is still being waited for must not hold the exit back.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Failure::new(Exit::Bug, format!("cannot start: {error}"))),
    };
    match outcome {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            failure.print(&cli.common);
            ExitCode::from(failure.exit.code())
        }
    }
}

async fn run(cli: &Cli) -> Result<Exit, Failure> {
    let common = &cli.common;
    match &cli.verb {
        Verb::Deploy(verb) => verb.run(common).await,
        Verb::Finalize(verb) => verb.run(common).await,
        Verb::Rollback(verb) => verb.run(common).await,
        Verb::Resume(verb) => verb.run(common).await,
        Verb::Demo(verb) => Box::pin(verb.run(common)).await,
        Verb::Lab(verb) => Box::pin(verb.run(common)).await,
        Verb::Validate(verb) => verb.run(common),
    }
}
