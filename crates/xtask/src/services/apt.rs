//! Debian's packages, where this process may install them.

use std::{path::Path, process::Command};

use anyhow::{Context, Result};

use crate::command;

/// Whether packages can be installed here: Debian's tool is there, and this is root.
pub(crate) fn usable() -> bool {
    let root = command::output(command::program("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    root && command::exists("apt-get")
}

/// Installs packages without questions.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let arguments = ["install", "--yes", "--no-install-recommends"];
    if command::run(apt().args(arguments).args(packages)).is_ok() {
        return Ok(());
    }
    // Fresh images come without lists, old ones with lists of versions that are gone.
    command::run(apt().arg("update"))?;
    command::run(apt().args(arguments).args(packages))
}

/// Fetches a package and unpacks it into a folder; nothing is installed.
pub(crate) fn unpack(package: &str, folder: &Path) -> Result<()> {
    let download = || command::run(apt().args(["download", package]).current_dir(folder));
    if download().is_err() {
        command::run(apt().arg("update"))?;
        download()?;
    }
    let file = std::fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "deb"));
    let file = file.context("apt-get left no package")?;
    command::run(command::program("dpkg").arg("--extract").args([file.as_path(), folder]))
}

fn apt() -> Command {
    let mut apt = command::program("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet");
    apt
}
