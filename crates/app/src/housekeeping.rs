//! Forgets messages that were sent or seen long ago, some at a time, so that nobody waits behind a long statement.
//!
//! Any number of processes may do it: what one has deleted, the other does not find.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tidemark_domain::Clock;
use tidemark_runtime::Shutdown;
use tidemark_store::Store;

const EVERY: Duration = Duration::from_secs(3600);
const BATCH: u64 = 1_000;
const BETWEEN_BATCHES: Duration = Duration::from_millis(50);

/// Runs until the shutdown.
pub(crate) async fn run(store: Store, keep_days: u32, clock: Arc<dyn Clock>, shutdown: Shutdown) {
    loop {
        let before = clock.now() - TimeDelta::days(keep_days.into());
        if let Err(error) = forget(&store, before, &shutdown).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "old messages not deleted, trying again later"
            );
        }
        if !shutdown.pause(EVERY).await {
            return;
        }
    }
}

async fn forget(store: &Store, before: DateTime<Utc>, shutdown: &Shutdown) -> tidemark_store::Result<()> {
    loop {
        let sent = store.delete_sent_before(before, BATCH).await?;
        let seen = store.delete_seen_before(before, BATCH).await?;
        if sent.max(seen) < BATCH || !shutdown.pause(BETWEEN_BATCHES).await {
            return Ok(());
        }
    }
}
