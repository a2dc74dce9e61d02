//! What the browser tests need: Chromium with its driver, and axe-core from a locked list.

use anyhow::{Context, Result, bail};

use super::apt;
use crate::command;

const FOLDER: &str = "tests/browser";
const AXE: &str = "node_modules/axe-core/axe.min.js";

pub(super) fn ensure() -> Result<()> {
    program("chromedriver", &["chromium", "chromium-driver"])?;
    let folder = command::root().join(FOLDER);
    if !folder.join(AXE).exists() {
        program("npm", &["npm"])?;
        println!("axe-core is not there and is fetched now");
        let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
        command::run(command::program("npm").args(arguments).current_dir(folder))
            .with_context(|| format!("axe-core could not be fetched: run `npm ci` in {FOLDER}"))?;
    }
    println!("Chromium and axe-core are there");
    Ok(())
}

pub(super) fn program(name: &str, packages: &[&str]) -> Result<()> {
    if command::exists(name) {
        return Ok(());
    }
    let advice =
        format!("`{name}` is missing: install it (Debian: `apt-get install {}`)", packages.join(" "));
    if !apt::usable() {
        bail!("{advice}");
    }
    println!("{name} is not installed: {}", packages.join(" "));
    apt::install(packages).context(advice)
}
