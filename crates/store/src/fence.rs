//! The fence: a number per workspace that only grows. Who takes the workspace takes the next number, and every write
//! of a sync begins with [`Tx::guard`], so that a worker that lost its lease without noticing cannot write any more.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::Value;
use tidemark_domain::id::ConnectionId;

use crate::{
    error::{Error, Result},
    statement::{execute, row},
    store::{Store, Tx},
};

/// The right to write a workspace's facts, until a higher number is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The workspace.
    pub connection_id: ConnectionId,
    /// Grows with every holder; never goes back.
    pub number: i64,
}

const TAKE: &str = "insert into fences (connection_id, number, holder, held_until) values ($1, 1, $2, $3)
    on conflict (connection_id) do update set
        number = fences.number + 1, holder = excluded.holder, held_until = excluded.held_until
    returning number";

impl Store {
    /// Takes the next number, whoever holds the workspace. For the one who has the lease elsewhere.
    pub async fn take_fence(
        &self,
        connection: &ConnectionId,
        holder: &str,
        now: DateTime<Utc>,
        ttl: Duration,
    ) -> Result<Fence> {
        let values = [connection.as_str().into(), holder.into(), (now + ttl).into()];
        let fence = self.taken(connection, TAKE, values).await?;
        fence.ok_or_else(|| Error::Corrupt { what: "no fence just after it was taken".to_owned() })
    }

    /// Takes the next number only when nobody holds the workspace: the database's own lease, for when there is no
    /// other.
    pub async fn take_fence_if_free(
        &self,
        connection: &ConnectionId,
        holder: &str,
        now: DateTime<Utc>,
        ttl: Duration,
    ) -> Result<Option<Fence>> {
        let sql = "insert into fences (connection_id, number, holder, held_until) values ($1, 1, $2, $3)
            on conflict (connection_id) do update set
                number = fences.number + 1, holder = excluded.holder, held_until = excluded.held_until
                where fences.held_until is null or fences.held_until <= $4
            returning number";
        let values = [connection.as_str().into(), holder.into(), (now + ttl).into(), now.into()];
        self.taken(connection, sql, values).await
    }

    async fn taken(
        &self,
        connection: &ConnectionId,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Option<Fence>> {
        let Some(row) = row(&self.db, "take a fence", sql, values).await? else { return Ok(None) };
        Ok(Some(Fence { connection_id: connection.clone(), number: row.get("number")? }))
    }

    /// Says that the holder is done. A number that is no longer the highest changes nothing.
    pub async fn release_fence(&self, fence: &Fence) -> Result<()> {
        let sql = "update fences set held_until = null where connection_id = $1 and number = $2";
        let values = [fence.connection_id.as_str().into(), fence.number.into()];
        execute(&self.db, "release a fence", sql, values).await.map(drop)
    }
}

impl Tx {
    /// Takes the next number for nobody, with this transaction: whoever holds the workspace writes nothing more.
    pub async fn break_fence(
        &self,
        connection: &ConnectionId,
        holder: &str,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let values = [connection.as_str().into(), holder.into(), now.into()];
        execute(&self.tx, "break a fence", TAKE, values).await.map(drop)
    }

    /// The first statement of every write of a sync: refuses with [`Error::FenceLost`] who no longer holds the
    /// workspace, and makes whoever wants to take it wait for the end of this transaction.
    pub async fn guard(&self, fence: &Fence, now: DateTime<Utc>, ttl: Duration) -> Result<()> {
        let sql = "update fences set held_until = $3 where connection_id = $1 and number = $2";
        let values = [fence.connection_id.as_str().into(), fence.number.into(), (now + ttl).into()];
        match execute(&self.tx, "check a fence", sql, values).await? {
            1 => Ok(()),
            _ => {
                tidemark_runtime::metrics::sync::stale_commit_refused();
                Err(Error::FenceLost)
            }
        }
    }
}
