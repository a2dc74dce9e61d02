//! The feed: every event in one order, for watchers and webhooks. Needs no broker.
//!
//! Invariant: whoever sees a position sees all before it, now and later. Ids cannot give that, they become visible in the
//! order of commits; nor can PostgreSQL's snapshots without waiting for the longest transaction of the server. So a
//! position is given after the event's transaction, while the one row of `feed_head` is locked until the number is
//! committed: positions become visible in their order, on both databases. A late commit gets a later position.

use chrono::{DateTime, Utc};
use sea_orm::Value;
use tidemark_domain::{
    event::Event,
    id::{ConnectionId, EventId, OrganizationId},
};

use crate::{
    error::Result,
    statement::{Row, execute, int, readable, row, rows},
    store::{Store, Tx},
};

/// An event with its place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEvent {
    /// Its place.
    pub position: i64,
    /// Its id.
    pub event_id: EventId,
    /// Whose connection it happened to.
    pub organization_id: OrganizationId,
    /// The connection it happened to.
    pub connection_id: ConnectionId,
    /// Its type.
    pub kind: String,
    /// The event as CloudEvents JSON.
    pub body: Vec<u8>,
}

/// How far the feed reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedHead {
    /// The last position that was given.
    pub position: i64,
    /// The last position whose event may be gone.
    pub forgotten: i64,
}

impl FeedEvent {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            position: row.get("position")?,
            event_id: row.parsed("event_id", |text| text.parse().ok())?,
            organization_id: row.parsed("organization_id", |text| text.parse().ok())?,
            connection_id: row.parsed("connection_id", |text| text.parse().ok())?,
            kind: row.get("kind")?,
            body: row.get("body")?,
        })
    }
}

impl Store {
    /// How far the feed reaches.
    pub async fn feed_head(&self) -> Result<FeedHead> {
        let sql = "select position, forgotten from feed_head where id = 1";
        let Some(row) = row(&self.db, "read the head of the feed", sql, []).await? else {
            return Ok(FeedHead { position: 0, forgotten: 0 });
        };
        Ok(FeedHead { position: row.get("position")?, forgotten: row.get("forgotten")? })
    }

    /// Whether there are events without a position.
    pub async fn feed_waits(&self) -> Result<bool> {
        let sql = "select id from feed where position is null order by id limit 1";
        Ok(row(&self.db, "look for new events", sql, []).await?.is_some())
    }

    /// Events behind a position, of one organization or of all, in order.
    pub async fn feed_after(
        &self,
        position: i64,
        organization: Option<&OrganizationId>,
        limit: u64,
    ) -> Result<Vec<FeedEvent>> {
        let of = if organization.is_some() { "and organization_id = $3" } else { "" };
        let sql = format!(
            "select position, event_id, organization_id, connection_id, kind, body from feed
            where position > $1 {of} order by position limit $2"
        );
        let mut values: Vec<Value> = vec![position.into(), int(limit)];
        values.extend(organization.map(|organization| Value::from(organization.as_str())));
        let rows = rows(&self.db, "read the feed", sql, values).await?;
        rows.iter().map(FeedEvent::read).collect()
    }

    /// A connection's events before a position, or its newest ones, newest first.
    pub async fn feed_of(
        &self,
        connection: &ConnectionId,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<FeedEvent>> {
        let sql = "select position, event_id, organization_id, connection_id, kind, body from feed
            where connection_id = $1 and position < $2 order by position desc limit $3";
        let values = [connection.as_str().into(), before.unwrap_or(i64::MAX).into(), int(limit)];
        let rows = rows(&self.db, "read the feed of a connection", sql, values).await?;
        rows.iter().map(FeedEvent::read).collect()
    }

    /// Forgets some of the events that were written before that instant, the first ones first; tells how many. The head
    /// remembers how far, so that nobody takes up the thread where it was cut.
    pub async fn forget_feed_before(&self, before: DateTime<Utc>, limit: u64) -> Result<u64> {
        let attempted = "forget old events";
        let tx = self.begin().await?;
        // Ends at the first event that is to be kept: what is forgotten is a beginning of the feed, not a sieve.
        let sql = "with old as (
                select max(position) as position from (
                    select position from feed
                    where position is not null and position < coalesce(
                        (select min(kept.position) from feed kept
                            where kept.position is not null and kept.created_at >= $1),
                        (select position + 1 from feed_head where id = 1))
                    order by position limit $2) as oldest)
            update feed_head set forgotten = old.position from old
            where feed_head.id = 1 and old.position > feed_head.forgotten
            returning forgotten";
        let Some(head) = row(&tx.tx, attempted, sql, [before.into(), int(limit)]).await? else {
            return Ok(0);
        };
        let forgotten: i64 = head.get("forgotten")?;
        let deleted =
            execute(&tx.tx, attempted, "delete from feed where position <= $1", [forgotten.into()]).await?;
        tx.commit().await?;
        Ok(deleted)
    }
}

impl Tx {
    /// Writes an event for watchers and webhooks. One that is of no known connection is nobody's to see.
    pub(crate) async fn feed(&self, event: &Event) -> Result<()> {
        let sql = "insert into feed (event_id, organization_id, connection_id, kind, body, created_at)
            select $1, organization_id, id, $2, $3, $4 from connections where id = $5";
        let values: [Value; 5] = [
            event.id.as_str().into(),
            event.data.kind().into(),
            event.encode().into(),
            event.time.into(),
            event.connection_id.as_str().into(),
        ];
        execute(&self.tx, "store an event", sql, values).await.map(drop)
    }

    /// Gives the next positions to events that have none, and those events. Others that do the same wait for the end of
    /// this transaction; what belongs to the events' becoming visible is written in it.
    pub async fn number_feed(&self, limit: u64) -> Result<Vec<FeedEvent>> {
        let attempted = "give events their positions";
        let lock = "update feed_head set position = position where id = 1 returning position";
        let Some(head) = row(&self.tx, attempted, lock, []).await? else { return Ok(Vec::new()) };
        let head: i64 = head.get("position")?;
        let sql = "with due as (
                select newest.id as due_id, row_number() over (order by newest.id) as place
                from (select id from feed where position is null order by id limit $1) as newest)
            update feed set position = $2 + due.place from due where feed.id = due.due_id
            returning position, event_id, organization_id, connection_id, kind, body";
        let rows = rows(&self.tx, attempted, sql, [int(limit), head.into()]).await?;
        let mut events = readable(&rows, "feed", FeedEvent::read)?;
        events.sort_by_key(|event| event.position);
        if !rows.is_empty() {
            let sql = "update feed_head set position = $1 where id = 1";
            let last = head.saturating_add(i64::try_from(rows.len()).unwrap_or(i64::MAX));
            execute(&self.tx, attempted, sql, [last.into()]).await?;
        }
        Ok(events)
    }
}
