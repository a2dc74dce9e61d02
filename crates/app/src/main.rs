#![doc = include_str!("../README.md")]

#[macro_use]
mod output;

mod cause;
mod cli;
mod command;
mod console;
mod cycle;
mod directory;
mod health;
mod housekeeping;
mod node;
mod operator;
mod portrait;
mod relay;
mod required;
mod role_tokens;
mod roles;
mod sheet;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let ended = Box::pin(cli::Cli::parse().run()).await;
    // The runtime must go on meanwhile: it is what sends them.
    if tokio::task::spawn_blocking(tidemark_runtime::trace::finish).await.is_err() {
        eprintln!("tidemark: the last spans were not sent");
    }
    match ended {
        Ok(code) => code,
        Err(error) => {
            // The chain, each cause on its own line: a person reads this.
            eprintln!("tidemark: {error}");
            error.chain().skip(1).for_each(|cause| eprintln!("  because: {cause}"));
            ExitCode::FAILURE
        }
    }
}
