//! Debian's packages, where this process may install them.

use std::process::Command;

use anyhow::Result;

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

fn apt() -> Command {
    let mut apt = command::program("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet");
    apt
}
