//! One file per verb: what a person types, sees, and gets as an exit code.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod args;
mod ask;
mod backends;
mod check;
mod claims;
mod commands;
mod completions;
mod demo;
mod deploy;
mod desk;
mod ending;
mod events;
mod failure;
mod finalize;
mod history;
mod init;
mod keeping;
mod lab;
mod opening;
mod past;
mod place;
mod plan;
mod preview;
mod resume;
mod rollback;
mod schema;
mod situation;
mod standing;
mod state;
mod status;
mod stop;
mod unfenced;
mod untouched;
mod validate;
mod verify;
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
    /// What a deploy would do, against the live world: now, afterwards, how long, and the way back; changes nothing
    Plan(plan::Plan),
    /// Reach the plan's release, step by step; each step records its way back before it acts
    Deploy(deploy::Deploy),
    /// Run the recorded finalize steps: what burns the quick way back
    Finalize(finalize::Finalize),
    /// Undo the newest run that changed something, from its record alone; traffic first
    Rollback(rollback::Rollback),
    /// Go on after a crash or an interruption
    Resume(resume::Resume),
    /// What runs where, who holds it, what is left running, and what to type next
    Status(status::Status),
    /// Past runs, a line each; `--verify` checks that the journal is the one that was written
    History(history::History),
    /// A run again, fact by fact, as it was told
    Events(events::Events),
    /// Whether a place can keep journals, and moving them to another
    State(state::State),
    /// Let a run's `approve` step pass
    Approve(ask::Approve),
    /// Ask a run to stop and hold; what was done stays in place
    Abort(ask::Abort),
    /// Ask an environment's servers and the plan's gates, once or for a while; changes nothing
    Check(check::Check),
    /// Ask the name servers and resolvers what they answer for the plan's records; changes nothing
    Verify(verify::Verify),
    /// Drain and stop an environment that no router sends traffic to
    Stop(stop::Stop),
    /// Write a first plan, commented, from an existing listener or record if one is named
    Init(init::Init),
    /// The whole story on loopback, with no account: A serves, clients send, B takes over, nothing is lost; then back
    Demo(demo::Demo),
    /// The loopback world, kept up for trying plans
    Lab(lab::Lab),
    /// Check a plan file alone: no network, no credentials, nothing is run
    Validate(validate::Validate),
    /// The plan language as JSON Schema, for editors
    Schema,
    /// Completions for a shell
    Completions(completions::Completions),
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
        Verb::Plan(verb) => verb.run(common).await,
        Verb::Deploy(verb) => verb.run(common).await,
        Verb::Finalize(verb) => verb.run(common).await,
        Verb::Rollback(verb) => verb.run(common).await,
        Verb::Resume(verb) => verb.run(common).await,
        Verb::Demo(verb) => Box::pin(verb.run(common)).await,
        Verb::Lab(verb) => Box::pin(verb.run(common)).await,
        Verb::Validate(verb) => verb.run(common),
        Verb::Check(verb) => verb.run(common).await,
        Verb::Verify(verb) => verb.run(common).await,
        Verb::Stop(verb) => verb.run(common).await,
        Verb::Init(verb) => verb.run(common).await,
        Verb::Status(verb) => verb.run(common).await,
        Verb::History(verb) => verb.run(common).await,
        Verb::Events(verb) => verb.run(common).await,
        Verb::State(verb) => verb.run(common).await,
        Verb::Approve(verb) => verb.run(common).await,
        Verb::Abort(verb) => verb.run(common).await,
        Verb::Schema => schema::run(),
        Verb::Completions(verb) => verb.run(),
    }
}
