#![doc = include_str!("../README.md")]

mod cli;
mod command;
mod console;
mod cycle;
mod directory;
mod housekeeping;
mod node;
mod operator;
mod portrait;
mod relay;
mod sheet;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::Cli::parse().run().await {
        Ok(code) => code,
        Err(error) => {
            // The chain, each cause on its own line: a person reads this.
            eprintln!("tidemark: {error}");
            error.chain().skip(1).for_each(|cause| eprintln!("  because: {cause}"));
            ExitCode::FAILURE
        }
    }
}
