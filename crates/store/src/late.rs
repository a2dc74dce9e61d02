//! Runs that should have moved and have not, and why: for `doctor`, health and alarms.

use chrono::{DateTime, Utc};

use crate::{
    error::Result,
    runs::KNOWN,
    statement::{Row, int, readable, rows},
    store::Store,
};

/// A run or one of its streams that waits as long as the vendor asked, or for its next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pausing {
    /// The run, as its id stands in the database.
    pub run: String,
    /// Its connection.
    pub connection: String,
    /// The stream; nothing where the whole run waits.
    pub stream: Option<String>,
    /// Until when.
    pub until: DateTime<Utc>,
    /// Why, for a person.
    pub reason: Option<String>,
}

/// A run that nobody has taken although its time has come, or that this version cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// The run, as its id stands in the database.
    pub run: String,
    /// Its connection.
    pub connection: String,
    /// Its state, as it stands in the database.
    pub state: String,
    /// Since when it is due; for one that cannot be read, when it was asked for.
    pub since: DateTime<Utc>,
}

fn stuck(row: &Row) -> Result<Stuck> {
    Ok(Stuck {
        run: row.get("id")?,
        connection: row.get("connection_id")?,
        state: row.get("state")?,
        since: row.get("since")?,
    })
}

impl Store {
    /// Open runs and their streams that wait for longer than until `from`, the longest first.
    pub async fn pausing(&self, from: DateTime<Utc>, limit: u64) -> Result<Vec<Pausing>> {
        let sql =
            "select r.id as id, r.connection_id as connection_id, s.stream as stream, s.retry_at as until,
                s.detail as reason
            from runs r join run_streams s on s.run_id = r.id
            where r.finished_at is null and s.state in ('pending', 'running') and s.retry_at > $1
            union all
            select r.id, r.connection_id, null, r.wake_at, r.reason from runs r
            where r.finished_at is null and r.wake_at > $1 and r.claimed_at is null and r.ready_at is null
                and r.state in ('queued', 'running')
            order by 4 desc limit $2";
        let rows = rows(&self.db, "find what pauses", sql, [from.into(), int(limit)]).await?;
        readable(&rows, "runs", |row| {
            Ok(Pausing {
                run: row.get("id")?,
                connection: row.get("connection_id")?,
                stream: row.get("stream")?,
                until: row.get("until")?,
                reason: row.get("reason")?,
            })
        })
    }

    /// Open runs whose time came before that and that no worker has taken, the longest waiting first. Those that wait for
    /// a worker are among them.
    pub async fn late_runs(&self, before: DateTime<Utc>, limit: u64) -> Result<Vec<Stuck>> {
        let sql = "select id, connection_id, state, coalesce(ready_at, wake_at) as since from runs
            where finished_at is null and (ready_at <= $1 or wake_at <= $1)
            order by since, id limit $2";
        let rows = rows(&self.db, "find late runs", sql, [before.into(), int(limit)]).await?;
        readable(&rows, "runs", stuck)
    }

    /// Open runs that this version leaves to another, the oldest first.
    pub async fn unknown_runs(&self, limit: u64) -> Result<Vec<Stuck>> {
        let sql = format!(
            "select id, connection_id, state, created_at as since from runs
            where finished_at is null and not ({KNOWN}) order by created_at, id limit $1"
        );
        let rows = rows(&self.db, "find runs of another version", sql, [int(limit)]).await?;
        readable(&rows, "runs", stuck)
    }
}
