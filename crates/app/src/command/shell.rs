//! `tidemark completions` and `tidemark man`: the command line, for shells and for readers.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;

#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// For which shell. To be sourced, or put where that shell looks for completions.
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// Write a page for each command into this folder. Without, the page of `tidemark` goes to standard output.
    #[arg(long)]
    folder: Option<PathBuf>,
}

pub(crate) fn completions(args: &Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tidemark", &mut script);
    print(&script)
}

pub(crate) fn man(args: &Man) -> Result<ExitCode> {
    if let Some(folder) = &args.folder {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        clap_mangen::generate_to(Cli::command(), folder).context("the pages cannot be written")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page).context("the page cannot be written")?;
    print(&page)
}

fn print(bytes: &[u8]) -> Result<ExitCode> {
    std::io::stdout().write_all(bytes).context("standard output takes nothing")?;
    Ok(ExitCode::SUCCESS)
}
