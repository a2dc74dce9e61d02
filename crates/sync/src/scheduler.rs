//! Begins the syncs that nobody asked for: each connection has its time in the database, and its next one lies a cadence
//! later, give or take a tenth, so that connections made together do not stay together.
//!
//! Any number of processes may schedule: a claim moves the time ahead in one statement. A connection without a time gets
//! one, so that a lost `connection.connected` heals.

use std::time::Duration;

use tidemark_runtime::tasks::item;
use tidemark_store::{Result, Schedule};

use crate::{context::Context, start};

const CONNECTIONS_AT_ONCE: u64 = 100;
/// Whoever dies with a claim loses it after this long.
const CLAIM: Duration = Duration::from_secs(60);
/// No cadence is longer: nobody can ask for one, and a column may hold anything.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// So long a new connection is left to its own event.
const SETTLES: Duration = Duration::from_secs(120);

/// Begins what is due.
pub(crate) async fn round(cx: &Context) -> Result<()> {
    let Some(usual) = cx.settings.sync_every else { return Ok(()) };
    let now = cx.now();
    let due = cx.store.claim_due_connections(now, now - SETTLES, now + CLAIM, CONNECTIONS_AT_ONCE).await?;
    for connection in due {
        let every = connection.every.unwrap_or(usual);
        let next_at = cx.after(spread(cx, every));
        // What fails comes again when its claim has run out, and keeps no other connection from its sync.
        let id = &connection.connection_id;
        item("schedule", id, start::scheduled(cx, id, next_at)).await;
    }
    Ok(())
}

/// How often a connection is synced, where it is: as it was given, or as the deployment says. Without a cadence of the
/// deployment nothing is scheduled at all.
pub(crate) fn cadence(cx: &Context, schedule: Schedule) -> Option<Duration> {
    let usual = cx.settings.sync_every?;
    Some(schedule.every.unwrap_or(usual)).filter(|every| !every.is_zero())
}

/// A cadence, give or take a tenth.
pub(crate) fn spread(cx: &Context, every: Duration) -> Duration {
    let every = every.min(LONGEST);
    every.mul_f64(0.9) + cx.jitter(every / 5)
}
