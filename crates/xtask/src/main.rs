#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, reason = "a command-line tool answers on standard output")]

mod architecture;
mod command;
mod deploy;
mod nightly;
mod proto;
mod services;
mod suite;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Everything a change must pass, in order; stops at the first failure.
    Test,
    /// What takes too long for every change: more cases, more seeds, larger numbers.
    Nightly {
        /// Only those whose name has this in it.
        ring: Option<String>,
    },
    /// Holds the crates' dependencies against the table of the design.
    Check,
    /// Finds PostgreSQL, RabbitMQ and Redis for the tests, or installs and starts them.
    Services,
    /// Renders the chart, and checks the alarms and the compose file.
    CheckDeploy,
    /// Lints the gRPC contracts, and holds them against those of the last release.
    LintProto,
    /// Makes the present gRPC contracts those of the last release.
    ReleaseProto,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Test => suite::run(),
        Task::Nightly { ring } => nightly::run(ring.as_deref().unwrap_or_default()),
        Task::Check => architecture::check(),
        Task::Services => services::ensure(),
        Task::CheckDeploy => deploy::check(),
        Task::LintProto => proto::lint(),
        Task::ReleaseProto => proto::release(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
