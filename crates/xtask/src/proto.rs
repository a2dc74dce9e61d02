//! Lints the gRPC contracts with buf, which comes as an npm package: nothing to install but node.

use anyhow::{Result, bail};

use crate::{command, services::apt};

/// Raise it together with a look at the new rules.
const BUF: &str = "@bufbuild/buf@1.75.0";

pub(crate) fn lint() -> Result<()> {
    if !command::exists("npx") {
        if !apt::usable() {
            bail!("npx is missing, and buf comes through it: install node and npm (https://nodejs.org)");
        }
        apt::install(&["nodejs", "npm"])?;
    }
    command::run(command::program("npx").args(["--yes", BUF, "lint", "proto"]))
}
