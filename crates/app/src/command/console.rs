//! `tidemark console`: the console alone. It needs no database, no broker and no keys.

use std::process::ExitCode;

use anyhow::Result;
use tidemark_runtime::{Config, Shutdown};
use tokio::task::JoinSet;

use crate::{console, node};

pub(crate) async fn run(config: &Config) -> Result<ExitCode> {
    node::check_token(config)?;
    let shutdown = Shutdown::on_signals()?;
    let mut tasks = JoinSet::new();
    console::start(config, console::apart(config)?, &shutdown, &mut tasks).await?;
    node::finish(tasks, &shutdown).await
}
