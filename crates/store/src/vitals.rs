//! What waits, and since when: for whoever watches the system. Each question goes through an index and is cheap enough to
//! be asked every few seconds.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, Value};
use tidemark_domain::connection::State;

use crate::{
    dialect,
    error::{Result, failed},
    statement::{Row, corrupt, readable, row, rows},
    store::Store,
};

/// How much of something waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many.
    pub count: u64,
    /// Since when the oldest does; nothing where none waits.
    pub oldest: Option<DateTime<Utc>>,
}

/// What a run that has not ended waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitsFor {
    /// Nothing: a worker has it.
    Nothing,
    /// A worker.
    Worker,
    /// Its next attempt.
    Retry,
    /// A person who reconnects the workspace.
    Reconnect,
}

impl WaitsFor {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nothing, Self::Worker, Self::Retry, Self::Reconnect];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Worker => "worker",
            Self::Retry => "retry",
            Self::Reconnect => "reconnect",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|waits| waits.as_str() == text)
    }
}

/// What the credential service has to do and has not done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overdue {
    /// Grants whose renewal was sent and never answered.
    pub in_doubt: u64,
    /// When the oldest renewal was due.
    pub refresh: Option<DateTime<Utc>>,
    /// When the oldest probe was due.
    pub probe: Option<DateTime<Utc>>,
}

/// Connections to the database that a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// In somebody's hands.
    pub used: u64,
    /// Open and free.
    pub idle: u64,
    /// No more are opened.
    pub most: u64,
}

impl Store {
    /// Messages that nobody has given to the broker yet; those that are set aside are left out.
    pub async fn unsent(&self) -> Result<Backlog> {
        let sql = "select count(*) as count, min(created_at) as oldest from outbox
            where sent_at is null and dead_at is null";
        self.backlog("count unsent messages", sql, []).await
    }

    /// Messages that were set aside because the broker refuses them, since the first was.
    pub async fn dead_outgoing(&self) -> Result<Backlog> {
        let sql = "select count(*) as count, min(dead_at) as oldest from outbox where dead_at is not null";
        self.backlog("count dead messages", sql, []).await
    }

    /// Rows of the vendor's that could not be read, of all connections, since the first came.
    pub async fn quarantined(&self) -> Result<Backlog> {
        let sql = "select count(*) as count, min(first_seen_at) as oldest from quarantined_rows";
        self.backlog("count quarantined rows", sql, []).await
    }

    /// Runs that have not ended, by what they wait for, each since it was asked for.
    pub async fn open_runs(&self) -> Result<BTreeMap<WaitsFor, Backlog>> {
        let sql =
            "select case when claimed_at is not null then 'nothing' when ready_at is not null then 'worker'
                    when state = 'reconnect_required' then 'reconnect' else 'retry' end as waits_for,
                count(*) as count, min(created_at) as oldest
            from runs where finished_at is null group by 1";
        let rows = rows(&self.db, "count open runs", sql, []).await?;
        rows.iter().map(|row| Ok((row.parsed("waits_for", WaitsFor::parse)?, backlog(row)?))).collect()
    }

    /// Runs that a worker could take now, since they could be.
    pub async fn ready_runs(&self) -> Result<Backlog> {
        let sql = "select count(*) as count, min(ready_at) as oldest from runs
            where ready_at is not null and finished_at is null";
        self.backlog("count ready runs", sql, []).await
    }

    /// Runs whose time has come and that no sweeper has looked after.
    pub async fn forgotten_runs(&self, now: DateTime<Utc>) -> Result<Backlog> {
        let sql = "select count(*) as count, min(wake_at) as oldest from runs
            where wake_at <= $1 and finished_at is null";
        self.backlog("count forgotten runs", sql, [now.into()]).await
    }

    /// Connections by their state.
    pub async fn connections_by_state(&self) -> Result<BTreeMap<&'static str, u64>> {
        let sql = "select state, count(*) as count from connections group by state";
        let rows = rows(&self.db, "count connections", sql, []).await?;
        let counted = |row: &Row| {
            let state = row.parsed("state", State::parse)?;
            Ok((state.as_str(), row.count("count")?))
        };
        // Those of a newer version are counted by it.
        Ok(readable(&rows, "connections", counted)?.into_iter().collect())
    }

    /// What the detector has not done.
    pub async fn overdue(&self, now: DateTime<Utc>) -> Result<Overdue> {
        let sql = "select
                (select count(*) from credentials where in_doubt and rejected is null) as count,
                (select min(refresh_due_at) from credentials where refresh_due_at <= $1 and rejected is null)
                    as refresh,
                (select min(next_probe_at) from connections where next_probe_at <= $1
                    and state in ('connected', 'degraded', 'expiring')) as probe";
        let Some(row) = row(&self.db, "count what is overdue", sql, [now.into()]).await? else {
            return Ok(Overdue::default());
        };
        Ok(Overdue { in_doubt: row.count("count")?, refresh: row.get("refresh")?, probe: row.get("probe")? })
    }

    /// Webhooks on their way to enabled endpoints, since the oldest attempt was due.
    pub async fn pending_webhooks(&self, now: DateTime<Utc>) -> Result<Backlog> {
        let sql = "select count(*) as count, min(case when d.next_attempt_at <= $1 then d.next_attempt_at end) as oldest
            from webhook_deliveries d join webhook_endpoints e on e.id = d.endpoint_id
            where d.next_attempt_at is not null and e.disabled_reason is null";
        self.backlog("count pending webhooks", sql, [now.into()]).await
    }

    /// Events that no watcher and no webhook can see yet.
    pub async fn unnumbered_events(&self) -> Result<Backlog> {
        let sql = "select count(*) as count, min(created_at) as oldest from feed where position is null";
        self.backlog("count unnumbered events", sql, []).await
    }

    /// Mails whose attempt is due, since it was.
    pub async fn overdue_mails(&self, now: DateTime<Utc>) -> Result<Backlog> {
        let sql = "select count(*) as count, min(next_attempt_at) as oldest from invitation_mails
            where next_attempt_at <= $1";
        self.backlog("count overdue mails", sql, [now.into()]).await
    }

    /// Workspaces whose newest sync is not in their numbers yet, since it ended.
    pub async fn rollups_behind(&self) -> Result<Backlog> {
        // Without a rollup: days were fetched, and nobody has looked at them since.
        let sql = "select count(*) as count, min(r.finished_at) as oldest from connections c
            join runs r on r.id = (select x.id from runs x where x.connection_id = c.id
                and x.state in ('succeeded', 'partial') order by x.id desc limit 1)
            left join rollup_heads h on h.connection_id = c.id
            left join rollup_marks m on m.connection_id = c.id
            left join rollup_turns t on t.connection_id = c.id
            where c.state <> 'disconnected' and (r.id > h.run_id or h.connection_id is null
                and exists (select 1 from day_coverage d where d.connection_id = c.id)
                and coalesce(m.revision, 0) > coalesce(t.seen_revision, -1))";
        self.backlog("count rollups behind", sql, []).await
    }

    /// Writes something that nobody reads: a database that answers may still be full, or read-only.
    pub async fn try_write(&self, now: DateTime<Utc>) -> Result<()> {
        let tx = self.begin().await?;
        match dialect::idle_write(self.db.get_database_backend()) {
            Some(sql) => {
                tx.tx.execute_unprepared(sql).await.map_err(failed("write"))?;
                tx.commit().await
            }
            // Taken back at the end.
            None => tx.command("probe", "probe", "probe", Vec::new(), now).await,
        }
    }

    /// The database's clock.
    pub async fn clock(&self) -> Result<DateTime<Utc>> {
        let sql = dialect::clock_query(self.db.get_database_backend());
        let row = row(&self.db, "tell the time", sql, []).await?;
        row.ok_or_else(|| corrupt("now"))?.get("now")
    }

    /// The connections of this process.
    pub fn pool(&self) -> Pool {
        dialect::pool(&self.db)
    }

    async fn backlog(
        &self,
        attempted: &'static str,
        sql: &'static str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Backlog> {
        row(&self.db, attempted, sql, values).await?.as_ref().map_or(Ok(Backlog::default()), backlog)
    }
}

fn backlog(row: &Row) -> Result<Backlog> {
    Ok(Backlog { count: row.count("count")?, oldest: row.get("oldest")? })
}
