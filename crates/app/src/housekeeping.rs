//! Forgets what is kept no longer, table by table and some rows at a time, so that nobody waits behind a long statement.
//!
//! Any number of processes may do it: what one has deleted, the other does not find. How long what is kept stands in
//! `store/src/retention.rs`.

use std::{sync::Arc, time::Duration};

use tidemark_domain::Clock;
use tidemark_runtime::{Config, Shutdown, tasks::caught};
use tidemark_store::{Aging, Retention, Store};

use crate::cause::chain;

const EVERY: Duration = Duration::from_secs(3600);
const BATCH: u64 = 1_000;
const BETWEEN_BATCHES: Duration = Duration::from_millis(50);

/// How long the configuration says that things are kept.
pub(crate) fn retention(config: &Config) -> Retention {
    Retention {
        messages_days: config.events.keep_days,
        links_days: config.retention.links_days,
        invitations_days: config.retention.invitations_days,
        history_days: config.retention.history_days,
    }
}

/// Runs until the shutdown.
pub(crate) async fn run(store: Store, retention: Retention, clock: Arc<dyn Clock>, shutdown: Shutdown) {
    loop {
        for aging in Aging::all() {
            // A table that cannot be tidied keeps none of the others from it.
            let error = match caught(forget(&store, aging, &retention, &*clock, &shutdown)).await {
                Some(outcome) => outcome.err().map(|error| chain(&error)),
                None => Some("it crashed".to_owned()),
            };
            if let Some(error) = error {
                tracing::warn!(table = aging.table, error, "old rows not deleted, trying again in an hour");
            }
        }
        if !shutdown.pause(EVERY).await {
            return;
        }
    }
}

async fn forget(
    store: &Store,
    aging: Aging,
    retention: &Retention,
    clock: &dyn Clock,
    shutdown: &Shutdown,
) -> tidemark_store::Result<()> {
    loop {
        let deleted = store.forget_old(aging, clock.now(), retention, BATCH).await?;
        if deleted < BATCH || !shutdown.pause(BETWEEN_BATCHES).await {
            return Ok(());
        }
    }
}
