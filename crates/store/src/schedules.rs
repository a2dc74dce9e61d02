//! When each connection is synced next without anybody asking.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tidemark_domain::id::ConnectionId;

use crate::{
    error::Result,
    statement::{execute, int, readable, row, rows},
    store::{Store, Tx},
};

/// A connection's own cadence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Time between two syncs; zero is never, nothing is as the deployment says.
    pub every: Option<Duration>,
    /// When it is synced next; nothing where that was not decided yet.
    pub next_at: Option<DateTime<Utc>>,
}

/// A connection whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueConnection {
    /// Which one.
    pub connection_id: ConnectionId,
    /// Its own cadence.
    pub every: Option<Duration>,
}

fn every(seconds: Option<i64>) -> Option<Duration> {
    seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs)
}

impl Store {
    /// Claims live connections that are due; those made before `settled` that have no time yet are. A claim moves the
    /// time ahead to `until`, so that of many schedulers one gets it, and whoever dies with it loses it then.
    pub async fn claim_due_connections(
        &self,
        now: DateTime<Utc>,
        settled: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: u64,
    ) -> Result<Vec<DueConnection>> {
        let sql = "insert into schedules (connection_id, every_s, next_at)
            select c.id, s.every_s, $3 from connections c left join schedules s on s.connection_id = c.id
            where c.state in ('connected', 'degraded', 'expiring') and coalesce(s.every_s, 1) > 0
                and (s.next_at <= $1 or s.next_at is null and c.created_at <= $2)
            order by coalesce(s.next_at, c.created_at), c.id limit $4
            on conflict (connection_id) do update set next_at = excluded.next_at
                where schedules.next_at is null or schedules.next_at <= $1
            returning connection_id, every_s";
        let values = [now.into(), settled.into(), until.into(), int(limit)];
        let rows = rows(&self.db, "claim due connections", sql, values).await?;
        readable(&rows, "schedules", |row| {
            Ok(DueConnection {
                connection_id: row.parsed("connection_id", |text| text.parse().ok())?,
                every: every(row.get("every_s")?),
            })
        })
    }

    /// The connection's schedule.
    pub async fn schedule(&self, connection: &ConnectionId) -> Result<Schedule> {
        let sql = "select every_s, next_at from schedules where connection_id = $1";
        let row = row(&self.db, "read a schedule", sql, [connection.as_str().into()]).await?;
        row.map_or(Ok(Schedule { every: None, next_at: None }), |row| {
            Ok(Schedule { every: every(row.get("every_s")?), next_at: row.get("next_at")? })
        })
    }
}

impl Tx {
    /// Decides when the connection is synced next.
    pub async fn set_next_sync(&self, connection: &ConnectionId, next_at: DateTime<Utc>) -> Result<()> {
        let sql = "insert into schedules (connection_id, next_at) values ($1, $2)
            on conflict (connection_id) do update set next_at = excluded.next_at";
        let values = [connection.as_str().into(), next_at.into()];
        execute(&self.tx, "set the next sync", sql, values).await.map(drop)
    }

    /// Gives the connection a cadence of its own, or takes it away.
    pub async fn set_schedule(&self, connection: &ConnectionId, schedule: Schedule) -> Result<()> {
        let sql = "insert into schedules (connection_id, every_s, next_at) values ($1, $2, $3)
            on conflict (connection_id) do update set every_s = excluded.every_s, next_at = excluded.next_at";
        let every = schedule.every.map(|every| i64::try_from(every.as_secs()).unwrap_or(i64::MAX));
        let values = [connection.as_str().into(), every.into(), schedule.next_at.into()];
        execute(&self.tx, "set a schedule", sql, values).await.map(drop)
    }
}
