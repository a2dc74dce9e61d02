//! The command line.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};
use tidemark_rpc::trace::{Hooks, carry};
use tidemark_runtime::{Config, no_core_dumps, trace};

use crate::{
    command::{
        audit, config, connections, console, demo, doctor, export, keys, migrate, queue, report, shell,
        simulator, sync, token, vendor_check,
    },
    node,
    roles::Roles,
};

/// Keeps Productboard connections alive, syncs the workspaces, and tells which seats are used.
#[derive(Debug, Parser)]
#[command(name = "tidemark", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// A TOML file over the defaults; the environment (TIDEMARK_…) goes over both.
    #[arg(long, global = true, env = "TIDEMARK_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the credential service: connections, keys, expiry.
    Credentials,
    /// Runs a sync worker and the sync service.
    Worker,
    /// Runs the aggregator and the utilization service.
    Aggregator,
    /// Runs the console, the pages for people, or makes a link into it.
    Console(console::Args),
    /// Runs all services in one process, and the console where `console.public_url` is set.
    All,
    /// Brings the database to this version's schema.
    Migrate(migrate::Args),
    /// Shows and rotates the key-encryption keys.
    Keys(keys::Args),
    /// Makes, lists and revokes the service tokens of callers.
    Token(token::Args),
    /// Checks and shows the audit log.
    Audit(audit::Args),
    /// Tells how the connections stand.
    Connections(connections::Args),
    /// Starts, follows and stops syncs, and sets how often a connection is synced.
    Sync(sync::Args),
    /// Shows what died in the queues or cannot leave the outbox, sends it again or drops it.
    Queue(queue::Args),
    /// Asks every server for an answer and tells what to do where there is none.
    Doctor(doctor::Args),
    /// Checks the configuration, and tells what can be set.
    Config(config::Args),
    /// Writes a table of a connection as CSV or Parquet.
    Export(export::Args),
    /// The whole system in one process, against a simulated vendor.
    Demo(demo::Args),
    /// The seat report of one real workspace; the token is read from PRODUCTBOARD_TOKEN.
    Report(report::Args),
    /// Holds what is assumed of Productboard against one real workspace; the token is read from PRODUCTBOARD_TOKEN.
    VendorCheck(vendor_check::Args),
    /// Serves simulated workspaces over HTTP, for any client.
    Simulator(simulator::Args),
    /// Prints the completions of a shell.
    Completions(shell::Completions),
    /// Prints the manual.
    Man(shell::Man),
}

impl Command {
    /// What the process is called in a trace.
    fn service(&self) -> &'static str {
        match self {
            Self::Credentials => "tidemark-credentials",
            Self::Worker => "tidemark-worker",
            Self::Aggregator => "tidemark-aggregator",
            Self::Console(_) => "tidemark-console",
            _ => "tidemark",
        }
    }
}

impl Cli {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let service = self.command.service();
        let load = |overrides: &[(&str, String)]| -> Result<Config> {
            let config = Config::load(self.config.as_deref(), overrides)?;
            trace::init(&config.log, config.traces.as_ref(), service);
            if trace::is_on() {
                carry(Hooks { current: trace::current, follow: trace::follow });
            }
            no_core_dumps();
            Ok(config)
        };
        match self.command {
            Command::Credentials => node::run(load(&[])?, Roles::CREDENTIALS).await,
            Command::Worker => node::run(load(&[])?, Roles::WORKER).await,
            Command::Aggregator => node::run(load(&[])?, Roles::AGGREGATOR).await,
            Command::Console(args) => console::run(&load(&[])?, args).await,
            Command::All => node::run(load(&[])?, Roles::ALL).await,
            Command::Migrate(args) => migrate::run(&load(&[])?, &args).await,
            Command::Keys(args) => keys::run(&load(&[])?, &args).await,
            Command::Token(args) => token::run(&load(&[])?, args).await,
            Command::Audit(args) => audit::run(&load(&[])?, args).await,
            Command::Connections(args) => connections::run(&load(&[])?, args).await,
            Command::Sync(args) => sync::run(&load(&[])?, args).await,
            Command::Queue(args) => queue::run(&load(&[])?, args).await,
            Command::Doctor(args) => Box::pin(doctor::run(&load(&[])?, &args)).await,
            Command::Export(args) => export::run(&load(&[])?, args).await,
            Command::Demo(args) => demo::run(args, load).await,
            Command::Report(args) => report::run(args, load).await,
            Command::VendorCheck(args) => vendor_check::run(args, load).await,
            Command::Simulator(args) => simulator::run(args, load).await,
            Command::Config(args) => config::run(self.config.as_deref(), &args),
            Command::Completions(args) => shell::completions(&args),
            Command::Man(args) => shell::man(&args),
        }
    }
}
