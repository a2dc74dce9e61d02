//! How long each table's rows are kept: the one place that says so. Nothing grows for ever.
//!
//! What is old is deleted by its age (`forget_old`); what belongs to a workspace goes when it is disconnected and its
//! facts are to be deleted (`purge_facts`), and only its bare connection and the audit log remember it. Both go a batch at
//! a time: however much there is, no statement is long and nobody waits for it.
//!
//! A new table needs a line here; a test compares the lines with the schema, and with what the credential service, which
//! does both, may delete.

use chrono::{DateTime, TimeDelta, Utc};
use tidemark_domain::id::ConnectionId;

use crate::{
    error::Result,
    statement::{delete_some, execute},
    store::Store,
};

/// For how many days things are kept whose end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Events, sent messages, deliveries of webhooks: within them a watcher can resume.
    pub messages_days: u32,
    /// Links and sessions that have ended: their holders still learn how.
    pub links_days: u32,
    /// Invitations that have ended, with the names and addresses in them.
    pub invitations_days: u32,
    /// What happened: runs, alerts, interruptions, tokens that were revoked, connections whose facts are deleted.
    pub history_days: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    Messages,
    Links,
    Invitations,
    History,
}

impl Retention {
    fn days(&self, period: Period) -> u32 {
        match period {
            Period::Messages => self.messages_days,
            Period::Links => self.links_days,
            Period::Invitations => self.invitations_days,
            Period::History => self.history_days,
        }
    }
}

/// How long the rows of one table are kept. In conditions, `$1` is the instant before which something has ended, or the
/// connection.
pub(crate) struct Table {
    name: &'static str,
    old: &'static [(Period, &'static str)],
    of_connection: &'static str,
}

/// Facts of a workspace: as long as its connection.
const fn facts(name: &'static str) -> Table {
    Table { name, old: &[], of_connection: "connection_id = $1" }
}

const fn aging(
    name: &'static str,
    old: &'static [(Period, &'static str)],
    of_connection: &'static str,
) -> Table {
    Table { name, old, of_connection }
}

/// Rows that neither grow old nor belong to a connection, and why that may be.
const fn kept(name: &'static str, _why: &'static str) -> Table {
    Table { name, old: &[], of_connection: "" }
}

const ENDED_INVITATION: &str =
    "state not in ('created', 'sent', 'delivery_failed', 'opened') and updated_at < $1";
/// The newest run of a connection says when it was last synced.
const OLD_RUN: &str = "finished_at < $1
    and id <> (select max(newest.id) from runs newest where newest.connection_id = runs.connection_id)";

/// Every table. What refers to another table's rows stands before it.
pub(crate) const TABLES: &[Table] = &[
    facts("acceptances"),
    facts("recommendations"),
    facts("exemptions"),
    facts("contracts"),
    facts("rollup_numbers"),
    facts("rollup_marks"),
    facts("rollup_team_marks"),
    facts("rollup_turns"),
    facts("seats"),
    facts("activity_pages"),
    facts("activity_windows"),
    facts("activity_blocks"),
    facts("rollup_heads"),
    facts("member_days"),
    facts("day_coverage"),
    facts("doubted_days"),
    facts("team_members"),
    facts("teams"),
    facts("member_versions"),
    facts("members"),
    facts("resources"),
    facts("configurations"),
    facts("listed"),
    facts("listings"),
    facts("stream_marks"),
    facts("schema_drift"),
    facts("data_flags"),
    facts("vendor_findings"),
    facts("quarantined_rows"),
    facts("sync_options"),
    facts("schedules"),
    facts("credentials"),
    aging("alerts", &[(Period::History, "ended_at < $1")], "connection_id = $1"),
    aging("reconnect_episodes", &[(Period::History, "closed_at < $1")], "connection_id = $1"),
    aging(
        "run_streams",
        &[(
            Period::History,
            "run_id in (select id from runs where finished_at < $1
                and id <> (select max(newest.id) from runs newest where newest.connection_id = runs.connection_id))",
        )],
        "run_id in (select id from runs where connection_id = $1)",
    ),
    aging("runs", &[(Period::History, OLD_RUN)], "connection_id = $1"),
    aging("consents", &[(Period::Links, "expires_at < $1")], "connection_id = $1"),
    aging(
        "connect_links",
        &[(
            Period::Links,
            "expires_at < $1 and (session_expires_at is null or session_expires_at < $1)",
        )],
        "connection_id = $1 or made_connection_id = $1",
    ),
    aging(
        "invitation_tokens",
        &[(
            Period::Links,
            "invitation_id in (select id from invitations
                where state not in ('created', 'sent', 'delivery_failed', 'opened') and updated_at < $1)",
        )],
        "invitation_id in (select id from invitations where connection_id = $1 or made_connection_id = $1)",
    ),
    aging(
        "invitation_mails",
        &[(Period::Links, "give_up_at < $1")],
        "invitation_id in (select id from invitations where connection_id = $1 or made_connection_id = $1)",
    ),
    aging(
        "invitations",
        &[(Period::Invitations, ENDED_INVITATION)],
        "connection_id = $1 or made_connection_id = $1",
    ),
    aging("invitation_quotas", &[(Period::Links, "day < $1")], ""),
    aging(
        "console_sessions",
        &[(
            Period::Links,
            "expires_at < $1 and (session_expires_at is null or session_expires_at < $1)",
        )],
        "",
    ),
    // Who waits for the news of a connection's end gets it.
    aging(
        "outbox",
        &[(Period::Messages, "sent_at < $1"), (Period::Messages, "dead_at < $1")],
        "ordering_key = $1 and name <> 'connection.disconnected'",
    ),
    aging("inbox", &[(Period::Messages, "seen_at < $1")], ""),
    aging(
        "webhook_attempts",
        &[],
        "delivery_id in (select id from webhook_deliveries where event_id in (
            select event_id from feed where connection_id = $1 and kind <> 'connection.disconnected'))",
    ),
    aging(
        "webhook_deliveries",
        &[(Period::Messages, "created_at < $1")],
        "event_id in (
            select event_id from feed where connection_id = $1 and kind <> 'connection.disconnected')",
    ),
    aging(
        FEED,
        &[(Period::Messages, "created_at < $1")],
        "connection_id = $1 and kind <> 'connection.disconnected'",
    ),
    aging("webhook_secrets", &[(Period::Links, "signs_until < $1")], ""),
    aging("service_tokens", &[(Period::History, "revoked_at < $1"), (Period::History, "expires_at < $1")], ""),
    // Its bare row is kept after a purge, to say that it was disconnected.
    aging("connections", &[(Period::History, "purge = 'done' and updated_at < $1")], ""),
    aging(
        "fences",
        &[(
            Period::History,
            "(held_until is null or held_until < $1)
                and not exists (select 1 from connections where connections.id = fences.connection_id)",
        )],
        "",
    ),
    kept("webhook_endpoints", "as long as its owner wants it: deleted through the API"),
    kept("audit", "nobody may change it: an operator prunes it before an anchor (`tidemark audit prune`)"),
    kept("audit_heads", "one row per organization"),
    kept("feed_head", "one row"),
    kept("seaql_migrations", "one row per migration"),
];

/// Its head remembers how far it was forgotten.
const FEED: &str = "feed";

/// Something that grows old: a table, and one of the ways in which it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aging {
    /// The table.
    pub table: &'static str,
    period: Period,
    condition: &'static str,
}

impl Aging {
    /// All there is, in the order in which it is deleted.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLES.iter().flat_map(|table| {
            table.old.iter().map(|(period, condition)| Self { table: table.name, period: *period, condition })
        })
    }
}

impl Store {
    /// Deletes at most `limit` rows that are kept no longer; gives how many.
    pub async fn forget_old(
        &self,
        aging: Aging,
        now: DateTime<Utc>,
        retention: &Retention,
        limit: u64,
    ) -> Result<u64> {
        let days = TimeDelta::try_days(retention.days(aging.period).into());
        // So long ago that no row is from before.
        let Some(before) = days.and_then(|days| now.checked_sub_signed(days)) else { return Ok(0) };
        if aging.table == FEED {
            return self.forget_feed_before(before, limit).await;
        }
        let old = (aging.table, aging.condition);
        delete_some(&self.db, "delete what is old", old, [before.into()], limit).await
    }

    /// Deletes at most `batch` rows of a workspace. None left makes the purge done: of the connection itself only remains
    /// that there was one.
    pub async fn purge_facts(&self, connection: &ConnectionId, batch: u32) -> Result<u64> {
        for table in TABLES.iter().filter(|table| !table.of_connection.is_empty()) {
            let of = (table.name, table.of_connection);
            let values = [connection.as_str().into()];
            let deleted = delete_some(&self.db, "delete facts", of, values, batch.into()).await?;
            if deleted > 0 {
                return Ok(deleted);
            }
        }
        let sql = "update connections
            set purge = 'done', workspace = null, anchors = '[]', capabilities = '[]', lost = '[]',
                revision = revision + 1
            where id = $1 and purge = 'asked'";
        execute(&self.db, "finish a purge", sql, [connection.as_str().into()]).await?;
        Ok(0)
    }
}

#[cfg(test)]
mod tests;
