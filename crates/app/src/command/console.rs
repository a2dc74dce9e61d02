//! `tidemark console`: the console alone. It needs no database, no broker and no keys.

use std::process::ExitCode;

use anyhow::Result;
use tidemark_runtime::{Config, Shutdown};
use tokio::task::JoinSet;

use crate::{console, node, vitals};

pub(crate) async fn run(config: &Config) -> Result<ExitCode> {
    node::check_token(config)?;
    let shutdown = Shutdown::on_signals()?;
    let mut tasks = JoinSet::new();
    if let Some(health) = vitals::open_port(config, &shutdown, &mut tasks).await? {
        let stop = shutdown.clone();
        tasks.spawn(async move {
            vitals::of_console(&health, &stop).await;
            Ok(())
        });
    }
    console::start(config, console::apart(config)?, &shutdown, &mut tasks).await?;
    node::finish(tasks, &shutdown).await
}
