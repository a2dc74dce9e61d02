//! Consumes `sync.run`: first a free slot, then a delivery, then a task with the slot moved in. Every delivery is
//! acknowledged; a run that has to come again has its time in the database.

use std::sync::Arc;

use tidemark_domain::command::SyncRun;
use tidemark_ports::{Delivery, Verdict, topology::SYNC_RUN};
use tidemark_runtime::Shutdown;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{attempt, context::Context};

/// Works until the soft stop, then waits for the deliveries in hand.
pub(crate) async fn consume(cx: &Arc<Context>, shutdown: &Shutdown) {
    let soft = shutdown.soft();
    let concurrency = cx.settings.concurrency.max(1);
    let slots = Arc::new(Semaphore::new(concurrency as usize));
    // No more than there are slots: what this process cannot begin is for the others.
    let prefetch = u16::try_from(concurrency).unwrap_or(u16::MAX);
    let Some(mut runs) = soft.run_until_cancelled(cx.bus.subscribe(&SYNC_RUN, prefetch)).await else {
        return;
    };
    let tasks = TaskTracker::new();
    loop {
        let slot = soft.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await;
        let Some(slot) = slot else { break };
        let Some(delivery) = soft.run_until_cancelled(runs.next()).await else { break };
        let (cx, shutdown) = (Arc::clone(cx), shutdown.clone());
        tasks.spawn(async move {
            let _slot = slot;
            handle(&cx, delivery, &shutdown).await;
        });
    }
    tasks.close();
    tasks.wait().await;
    // Until here: an adapter may need its subscription to settle what came from it.
    drop(runs);
}

async fn handle(cx: &Arc<Context>, delivery: Delivery, shutdown: &Shutdown) {
    let verdict = match serde_json::from_slice::<SyncRun>(&delivery.message.body) {
        Ok(command) => {
            attempt::deliver(cx, &command.run_id, shutdown).await;
            Verdict::Ack
        }
        Err(error) => {
            let id = &delivery.message.id;
            tracing::error!(id, %error, "a message in sync.run is no such command, it goes to the dead letters");
            Verdict::DeadLetter
        }
    };
    if let Err(error) = delivery.settle(verdict).await {
        tracing::warn!(%error, "a sync.run message was not settled");
    }
}
