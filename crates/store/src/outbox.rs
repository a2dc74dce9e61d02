//! The outbox: messages are written in the transaction of their cause and published by a relay afterwards.
//!
//! Invariant: a connection's messages leave in the order of their commits, however many writers and relays there are. Who
//! writes a message holds its ordering key until the end of the transaction, so that ids of one key are committed in their
//! order (over all keys they are not: see `feed`); and of one key only the oldest message that waits can be claimed. A
//! message that is set aside (`dead_at`) waits no more, and one of a kind that this version does not know is left to one
//! that does: neither holds up its key.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, Value};
use tidemark_domain::{
    event::{Data, Event},
    id::ConnectionId,
};
use tidemark_runtime::trace;

use crate::{
    dialect,
    error::Result,
    statement::{Row, execute, int, placeholders, row, rows},
    store::{Store, Tx},
};

/// Ids per statement.
const BATCH: usize = 500;

/// What an outgoing message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutgoingKind {
    /// Asks one service to do something.
    Command,
    /// Tells whoever listens that something happened.
    Event,
}

impl OutgoingKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Event => "event",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Command, Self::Event].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What waits to be sent by this version.
pub(crate) const WAITING: &str = "sent_at is null and dead_at is null and kind in ('command', 'event')";

/// A message that waits to be published, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its place in the order.
    pub id: i64,
    /// Stable across redeliveries; consumers deduplicate by it.
    pub message_id: String,
    /// Messages of one key leave in order: the connection's id.
    pub ordering_key: String,
    /// Command or event.
    pub kind: OutgoingKind,
    /// The routing key.
    pub name: String,
    /// The payload.
    pub body: Vec<u8>,
    /// The trace that it belongs to, as a W3C `traceparent`.
    pub traceparent: Option<String>,
    /// How often the broker refused it.
    pub attempts: u32,
}

const COLUMNS: &str = "id, message_id, ordering_key, kind, name, body, traceparent, attempts";

/// A message that the broker did not take, through no fault of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedMessage {
    /// Which one.
    pub id: i64,
    /// Why, in a word.
    pub failure: &'static str,
    /// When it is tried again; nothing sets it aside.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// A message that does not leave as it should, for operators. Its content is left out: it may be large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StuckMessage {
    /// Its place in the order.
    pub id: i64,
    /// Its id on the bus.
    pub message_id: String,
    /// Whose order it is in: the connection's id.
    pub ordering_key: String,
    /// `command`, `event`, or what another version calls it.
    pub kind: String,
    /// The routing key.
    pub name: String,
    /// How many bytes it has.
    pub size: u64,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// How often the broker refused it.
    pub attempts: u32,
    /// Why, the last time.
    pub failure: Option<String>,
    /// When it is tried again.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Since when it is set aside.
    pub dead_at: Option<DateTime<Utc>>,
}

impl Outgoing {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            message_id: row.get("message_id")?,
            ordering_key: row.get("ordering_key")?,
            kind: row.parsed("kind", OutgoingKind::parse)?,
            name: row.get("name")?,
            body: row.get("body")?,
            traceparent: row.get("traceparent")?,
            attempts: row.count("attempts")?,
        })
    }
}

impl StuckMessage {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            message_id: row.get("message_id")?,
            ordering_key: row.get("ordering_key")?,
            kind: row.get("kind")?,
            name: row.get("name")?,
            size: row.count("size")?,
            created_at: row.get("created_at")?,
            attempts: row.count("attempts")?,
            failure: row.get("failure")?,
            next_attempt_at: row.get("next_attempt_at")?,
            dead_at: row.get("dead_at")?,
        })
    }
}

impl Store {
    /// Claims messages for `claim_for`: of each ordering key the oldest one that waits, unless it is claimed or its next
    /// attempt is not due. Whoever does not mark them sent in time loses the claim, and they go out again. A row that
    /// cannot be read is set aside.
    pub async fn claim_outgoing(
        &self,
        now: DateTime<Utc>,
        limit: u64,
        claim_for: Duration,
    ) -> Result<Vec<Outgoing>> {
        // Heads by one pass over what waits, not by a join of the table with itself, which has no sure plan without
        // statistics. `materialized`: a planner that repeats the inner query would lock more rows than the limit.
        let sql = format!(
            "with heads as materialized (
                select min(id) as head_id from outbox where {WAITING} group by ordering_key),
            due as materialized (
                select o.id as due_id from outbox o
                where o.id in (select head_id from heads) and o.sent_at is null and o.dead_at is null
                    and (o.claimed_until is null or o.claimed_until <= $1)
                    and (o.next_attempt_at is null or o.next_attempt_at <= $1)
                order by o.id limit $2 {})
            update outbox set claimed_until = $3 from due where outbox.id = due.due_id
            returning {COLUMNS}",
            dialect::skip_locked(self.db.get_database_backend()),
        );
        let values = [now.into(), int(limit), (now + claim_for).into()];
        let (mut claimed, mut unread) = (Vec::new(), Vec::new());
        for row in rows(&self.db, "claim outgoing messages", sql, values).await? {
            match Outgoing::read(&row) {
                Ok(outgoing) => claimed.push(outgoing),
                Err(_) => {
                    let id = row.get("id")?;
                    unread.push(RefusedMessage { id, failure: "unreadable", next_attempt_at: None });
                }
            }
        }
        self.refuse_outgoing(&unread, now).await?;
        claimed.sort_by_key(|outgoing| outgoing.id);
        Ok(claimed)
    }

    /// Writes down that messages were refused: each waits for its next attempt, or is set aside.
    pub async fn refuse_outgoing(&self, refused: &[RefusedMessage], now: DateTime<Utc>) -> Result<()> {
        for message in refused {
            let sql =
                "update outbox set attempts = attempts + 1, failure = $2, next_attempt_at = $3, dead_at = $4,
                    claimed_until = null
                where id = $1 and sent_at is null";
            let dead_at = message.next_attempt_at.is_none().then_some(now);
            let values =
                [message.id.into(), message.failure.into(), message.next_attempt_at.into(), dead_at.into()];
            execute(&self.db, "write down that a message was refused", sql, values).await?;
        }
        Ok(())
    }

    /// Messages that were refused, are set aside, or are of a kind that this version does not know; the oldest first.
    pub async fn stuck_outgoing(&self, limit: u64) -> Result<Vec<StuckMessage>> {
        let sql = "select id, message_id, ordering_key, kind, name, cast(length(body) as bigint) as size, created_at,
                attempts, failure, next_attempt_at, dead_at
            from outbox
            where sent_at is null and (attempts > 0 or dead_at is not null or kind not in ('command', 'event'))
            order by id limit $1";
        let rows = rows(&self.db, "list stuck messages", sql, [int(limit)]).await?;
        rows.iter().map(StuckMessage::read).collect()
    }

    /// Lets an unsent message leave at once, as if it were new; `false` where there is none of that id.
    pub async fn retry_outgoing(&self, id: i64) -> Result<bool> {
        let sql = "update outbox
            set attempts = 0, failure = null, next_attempt_at = null, dead_at = null, claimed_until = null
            where id = $1 and sent_at is null";
        Ok(execute(&self.db, "retry a message", sql, [id.into()]).await? == 1)
    }

    /// Throws an unsent message away; `false` where there is none of that id.
    pub async fn drop_outgoing(&self, id: i64) -> Result<bool> {
        let sql = "delete from outbox where id = $1 and sent_at is null";
        Ok(execute(&self.db, "drop a message", sql, [id.into()]).await? == 1)
    }

    /// Remembers that the broker has these messages.
    pub async fn mark_sent(&self, ids: &[i64], now: DateTime<Utc>) -> Result<()> {
        for ids in ids.chunks(BATCH) {
            let sql = format!("update outbox set sent_at = $1 where id in ({})", placeholders(2, ids.len()));
            let values = std::iter::once(Value::from(now)).chain(ids.iter().map(|id| (*id).into()));
            execute(&self.db, "mark messages as sent", sql, values).await?;
        }
        Ok(())
    }

    /// Gives up claims, so that the messages go out at once and not when the claims expire.
    pub async fn release_outgoing(&self, ids: &[i64]) -> Result<()> {
        for ids in ids.chunks(BATCH) {
            let list = placeholders(1, ids.len());
            let sql =
                format!("update outbox set claimed_until = null where sent_at is null and id in ({list})");
            execute(&self.db, "release messages", sql, ids.iter().map(|id| (*id).into())).await?;
        }
        Ok(())
    }

    /// The trace of the newest command of that name to go on with a connection, where it has one.
    pub async fn trace_of(&self, connection: &ConnectionId, command: &str) -> Result<Option<String>> {
        let sql = "select traceparent from outbox where ordering_key = $1 and kind = 'command' and name = $2
            order by id desc limit 1";
        let found = row(&self.db, "find a trace", sql, [connection.as_str().into(), command.into()]).await?;
        found.map_or(Ok(None), |row| row.get("traceparent"))
    }

    /// A connection's messages, sent ones too, in order; for operators and tests.
    pub async fn outgoing_of(&self, connection: &ConnectionId) -> Result<Vec<Outgoing>> {
        let sql = format!("select {COLUMNS} from outbox where ordering_key = $1 order by id");
        let rows = rows(&self.db, "list messages", sql, [connection.as_str().into()]).await?;
        rows.iter().map(Outgoing::read).collect()
    }
}

impl Tx {
    /// Announces an event, if this transaction commits: on the bus, and in the feed. The end of a sync makes the rollup due,
    /// so that one is made although the event is lost.
    pub async fn emit(&self, event: &Event) -> Result<()> {
        if matches!(event.data, Data::SyncCompleted(_)) {
            self.ask_for_rollup(&event.connection_id).await?;
        }
        let (id, key) = (event.id.as_str(), event.connection_id.as_str());
        self.enqueue(OutgoingKind::Event, id, key, event.data.kind(), event.encode(), event.time).await?;
        // Afterwards: while the key is held, the feed has the events of a connection in the same order.
        self.feed(event).await
    }

    /// Sends a command, if this transaction commits.
    pub async fn command(
        &self,
        message_id: &str,
        ordering_key: &str,
        name: &str,
        body: Vec<u8>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.enqueue(OutgoingKind::Command, message_id, ordering_key, name, body, now).await
    }

    async fn enqueue(
        &self,
        kind: OutgoingKind,
        message_id: &str,
        ordering_key: &str,
        name: &str,
        body: Vec<u8>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let sql = format!(
            "insert into outbox (ordering_key, kind, message_id, name, body, created_at, traceparent)
            select $1, $2, $3, $4, $5, $6, $7 from {}",
            dialect::in_order(self.tx.get_database_backend())
        );
        let values: [Value; 7] = [
            ordering_key.into(),
            kind.as_str().into(),
            message_id.into(),
            name.into(),
            body.into(),
            now.into(),
            trace::current().into(),
        ];
        execute(&self.tx, "store a message", sql, values).await.map(drop)
    }
}

#[cfg(test)]
mod tests;
