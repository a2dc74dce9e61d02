//! `tidemark migrate`

use std::process::ExitCode;

use anyhow::{Context, Result};
use tidemark_runtime::Config;
use tidemark_store::Store;

pub(crate) async fn run(config: &Config) -> Result<ExitCode> {
    let store = Store::connect(&config.database).await.context("the database cannot be used")?;
    let applied = store
        .migrate()
        .await
        .context("the database was not migrated; nothing of the failed step was kept")?;
    match applied.len() {
        0 => eprintln!("the database is up to date"),
        count => eprintln!("applied {count} migration(s): {}", applied.join(", ")),
    }
    Ok(ExitCode::SUCCESS)
}
