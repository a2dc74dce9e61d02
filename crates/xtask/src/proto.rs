//! Lints the gRPC contracts, and holds them against those of the last release, with buf, which comes as an npm package: nothing to install but node.

use anyhow::{Context, Result, bail};

use crate::{command, services::apt};

/// Raise it together with a look at the new rules.
const BUF: &str = "@bufbuild/buf@1.75.0";
/// The contracts as they were released last.
const RELEASED: &str = "tests/fixtures/contracts.binpb";

pub(crate) fn lint() -> Result<()> {
    if !command::exists("npx") {
        if !apt::usable() {
            bail!("npx is missing, and buf comes through it: install node and npm (https://nodejs.org)");
        }
        apt::install(&["nodejs", "npm"])?;
    }
    buf(&["lint", "proto"])?;
    buf(&["breaking", "proto", "--against", RELEASED])
        .context("a caller of the last release would not understand this; see proto/README.md")
}

/// Makes the present contracts those that later ones must not break.
pub(crate) fn release() -> Result<()> {
    lint()?;
    buf(&["build", "proto", "--output", RELEASED, "--exclude-source-info"])
}

fn buf(arguments: &[&str]) -> Result<()> {
    command::run(command::program("npx").args(["--yes", BUF]).args(arguments))
}
