//! The times in which a connection needed a person.
//!
//! Invariant: a connection has at most one open episode; a partial unique index holds it against every race.

use chrono::{DateTime, Utc};
use tidemark_domain::{connection::Reason, id::ConnectionId};

use crate::{
    error::{Error, Result},
    statement::{execute, rows},
    store::{Store, Tx},
};

/// One time in which a connection needed a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// Why.
    pub reason: Reason,
    /// Which credential was refused.
    pub generation: i64,
    /// Since when.
    pub opened_at: DateTime<Utc>,
    /// Until when; it is open where there is none.
    pub closed_at: Option<DateTime<Utc>>,
}

impl Store {
    /// A connection's episodes, oldest first.
    pub async fn episodes(&self, connection: &ConnectionId) -> Result<Vec<Episode>> {
        let sql = "select reason, generation, opened_at, closed_at from reconnect_episodes
            where connection_id = $1 order by id";
        let rows = rows(&self.db, "list episodes", sql, [connection.as_str().into()]).await?;
        let read = |row: &crate::statement::Row| {
            Ok::<_, Error>(Episode {
                reason: row.parsed("reason", Reason::parse)?,
                generation: row.get("generation")?,
                opened_at: row.get("opened_at")?,
                closed_at: row.get("closed_at")?,
            })
        };
        rows.iter().map(read).collect()
    }
}

impl Tx {
    /// Opens an episode; `false` where one is open, and nothing was written.
    pub async fn open_episode(
        &self,
        connection: &ConnectionId,
        reason: Reason,
        generation: i64,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let sql = "insert into reconnect_episodes (connection_id, reason, generation, opened_at)
            values ($1, $2, $3, $4) on conflict do nothing";
        let values = [connection.as_str().into(), reason.as_str().into(), generation.into(), now.into()];
        Ok(execute(&self.tx, "open an episode", sql, values).await? == 1)
    }

    /// Closes the open episode, if there is one.
    pub async fn close_episode(&self, connection: &ConnectionId, now: DateTime<Utc>) -> Result<()> {
        let sql =
            "update reconnect_episodes set closed_at = $2 where connection_id = $1 and closed_at is null";
        execute(&self.tx, "close an episode", sql, [connection.as_str().into(), now.into()]).await.map(drop)
    }
}
