//! Finds runs whose time has come and sends them off: retries that are due, and runs whose message or worker got lost.
//! Any number of processes may sweep; claiming a run is a compare-and-set. Connections whose time has come are found on
//! the same rounds.

use std::{error::Error, time::Duration};

use tidemark_runtime::Shutdown;
use tidemark_store::Result;

use crate::{context::Context, scheduler};

const RUNS_AT_ONCE: u64 = 100;
/// A run in the queue has its message; after this long the message is sent again, should it be lost.
const QUEUED: Duration = Duration::from_secs(300);

pub(crate) async fn sweep(cx: &Context, shutdown: &Shutdown) {
    let mut is_failing = false;
    while shutdown.pause(cx.settings.sweep).await {
        let round = async {
            round(cx).await?;
            scheduler::round(cx).await
        };
        match round.await {
            Ok(()) if is_failing => {
                tracing::info!("the sweeper works again");
                is_failing = false;
            }
            Ok(()) => {}
            // Once per outage: it comes round every second.
            Err(error) if !is_failing => {
                tracing::error!(
                    error = &error as &dyn Error,
                    "the sweeper cannot look for due runs, trying again"
                );
                is_failing = true;
            }
            Err(_) => {}
        }
    }
}

async fn round(cx: &Context) -> Result<()> {
    for run in cx.store.due_runs(cx.now(), RUNS_AT_ONCE).await? {
        let tx = cx.store.begin().await?;
        if tx.claim_due_run(&run.id, cx.now(), cx.rescue_at(), cx.now() + QUEUED).await? {
            cx.send_off(&tx, &run).await?;
            tx.commit().await?;
            tracing::debug!(run = %run.id, connection = %run.connection_id, "a due run was sent off");
        }
    }
    Ok(())
}
