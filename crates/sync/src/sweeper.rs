//! Finds runs whose time has come and sends them off: retries that are due, and runs whose message or worker got lost.
//! Any number of processes may sweep; claiming a run is a compare-and-set. Connections whose time has come are found on
//! the same rounds.

use std::{error::Error, time::Duration};

use tidemark_domain::id::{ConnectionId, RunId};
use tidemark_runtime::{Shutdown, tasks::item};
use tidemark_store::Result;

use crate::{context::Context, scheduler};

const RUNS_AT_ONCE: u64 = 100;
/// A run in the queue has its message; after this long the message is sent again, should it be lost.
const QUEUED: Duration = Duration::from_secs(300);
/// What failed comes again after this long, or twice as long.
const FAILED: Duration = Duration::from_secs(15);

pub(crate) async fn sweep(cx: &Context, shutdown: &Shutdown) {
    let mut is_failing = false;
    while shutdown.pause(cx.settings.sweep).await {
        // One after the other, whatever became of the first.
        let (swept, scheduled) = (round(cx).await, scheduler::round(cx).await);
        match swept.and(scheduled) {
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
    for (run, connection) in cx.store.due_runs(cx.now(), RUNS_AT_ONCE).await? {
        if item("sweep", &run, send_off(cx, &run, &connection)).await.is_none() {
            // To the end of the line, so that a hundred of its kind are not looked at for ever. Should this fail as
            // well, the next round begins with it.
            let tx = cx.store.begin().await?;
            tx.postpone_run(&run, None, cx.after(FAILED + cx.jitter(FAILED)), cx.now()).await?;
            tx.commit().await?;
        }
    }
    Ok(())
}

async fn send_off(cx: &Context, run: &RunId, connection: &ConnectionId) -> Result<()> {
    let tx = cx.store.begin().await?;
    if tx.claim_due_run(run, cx.now(), cx.rescue_at(), cx.after(QUEUED)).await? {
        cx.send_off(&tx, run, connection).await?;
        tx.commit().await?;
        tracing::debug!(%run, %connection, "a due run was sent off");
    }
    Ok(())
}
