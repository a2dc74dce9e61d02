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

const COLUMNS: &str = "position, event_id, organization_id, connection_id, kind, body";

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

    /// Events behind a position, of one organization or of all, in order. Those that cannot be read are passed by.
    pub async fn feed_after(
        &self,
        position: i64,
        organization: Option<&OrganizationId>,
        limit: u64,
    ) -> Result<Vec<FeedEvent>> {
        let of = if organization.is_some() { "and organization_id = $3" } else { "" };
        let sql = format!("select {COLUMNS} from feed where position > $1 {of} order by position limit $2");
        let of = organization.map(|organization| Value::from(organization.as_str()));
        self.feed_page("read the feed", &sql, (position, limit), of).await
    }

    /// A connection's events before a position, or its newest ones, newest first. Those that cannot be read are passed by.
    pub async fn feed_of(
        &self,
        connection: &ConnectionId,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<FeedEvent>> {
        let sql = format!(
            "select {COLUMNS} from feed where connection_id = $3 and position < $1 order by position desc limit $2"
        );
        let of = Some(connection.as_str().into());
        self.feed_page("read the feed of a connection", &sql, (before.unwrap_or(i64::MAX), limit), of).await
    }

    /// Goes on for events that were passed by: a short page would be taken for the last one.
    async fn feed_page(
        &self,
        attempted: &'static str,
        sql: &str,
        (mut behind, limit): (i64, u64),
        of: Option<Value>,
    ) -> Result<Vec<FeedEvent>> {
        let mut page = Vec::new();
        while (page.len() as u64) < limit {
            let rest = limit - page.len() as u64;
            let values = [behind.into(), int(rest)].into_iter().chain(of.clone());
            let rows = rows(&self.db, attempted, sql, values).await?;
            page.extend(readable(&rows, "feed", FeedEvent::read)?);
            let Some(last) = rows.last().filter(|_| rows.len() as u64 == rest) else { break };
            behind = last.get("position")?;
        }
        Ok(page)
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

#[cfg(test)]
mod tests {
    use tidemark_runtime::metrics;

    use super::*;
    use crate::test_databases::on_both_databases;

    fn passed_by() -> f64 {
        let text = metrics::text(&metrics::registry());
        let name = "tidemark_database_unreadable_rows_total{table=\"feed\"} ";
        text.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).unwrap_or(0.0)
    }

    async fn events_that_cannot_be_read_are_passed_by(store: &Store) {
        let organization: OrganizationId = "org_01jd0000000000000000000000".parse().unwrap();
        let connection: ConnectionId = "conn_01jd0000000000000000000000".parse().unwrap();
        for position in 1..=6_i64 {
            let event = match position {
                // In the words of another version, and of nobody.
                2 => "event-2".to_owned(),
                3 => String::new(),
                6 => "evt_6".to_owned(),
                _ => format!("evt_{position:026}"),
            };
            let sql = "insert into feed (event_id, organization_id, connection_id, kind, body, created_at, position)
                values ($1, $2, $3, 'x', $4, $5, $6)";
            let body = Vec::<u8>::new();
            let values: [Value; 6] = [
                event.into(),
                organization.as_str().into(),
                connection.as_str().into(),
                body.into(),
                DateTime::UNIX_EPOCH.into(),
                position.into(),
            ];
            execute(&store.db, "a test", sql, values).await.unwrap();
        }
        let before = passed_by();
        let places = |page: Vec<FeedEvent>| page.iter().map(|event| event.position).collect::<Vec<_>>();
        assert_eq!(places(store.feed_after(0, None, 2).await.unwrap()), [1, 4], "a whole page");
        assert_eq!(places(store.feed_after(4, Some(&organization), 10).await.unwrap()), [5]);
        assert_eq!(places(store.feed_of(&connection, None, 2).await.unwrap()), [5, 4]);
        assert_eq!(places(store.feed_of(&connection, Some(4), 10).await.unwrap()), [1]);
        assert!(passed_by() >= before + 6.0, "each is counted each time");
    }

    on_both_databases! {
        events_that_cannot_be_read_are_passed_by,
    }
}
