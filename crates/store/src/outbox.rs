//! The outbox: messages are written in the transaction of their cause and published by a relay afterwards.
//!
//! Invariant: of one ordering key only the oldest unsent message can be claimed, so that a connection's messages leave
//! in the order in which they were written, however many relays there are.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::Value;
use tidemark_domain::{event::Event, id::ConnectionId};
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
        })
    }
}

impl Store {
    /// Claims messages for `claim_for`: of each ordering key the oldest unsent one, unless it is claimed. Whoever does
    /// not mark them sent in time loses the claim, and they go out again.
    pub async fn claim_outgoing(
        &self,
        now: DateTime<Utc>,
        limit: u64,
        claim_for: Duration,
    ) -> Result<Vec<Outgoing>> {
        // `materialized`: a planner that repeats the inner query would lock more rows than the limit.
        let sql = format!(
            "with due as materialized (
                select o.id as due_id from outbox o
                where o.sent_at is null and (o.claimed_until is null or o.claimed_until <= $1)
                    and not exists (
                        select 1 from outbox earlier
                        where earlier.ordering_key = o.ordering_key and earlier.sent_at is null
                            and earlier.id < o.id)
                order by o.id limit $2 {})
            update outbox set claimed_until = $3 from due where outbox.id = due.due_id
            returning id, message_id, ordering_key, kind, name, body, traceparent",
            dialect::skip_locked(self.db.get_database_backend()),
        );
        let values = [now.into(), int(limit), (now + claim_for).into()];
        let rows = rows(&self.db, "claim outgoing messages", sql, values).await?;
        let mut claimed = rows.iter().map(Outgoing::read).collect::<Result<Vec<_>>>()?;
        claimed.sort_by_key(|outgoing| outgoing.id);
        Ok(claimed)
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

    /// Forgets some of the messages that were sent before that instant; tells how many.
    pub async fn delete_sent_before(&self, before: DateTime<Utc>, limit: u64) -> Result<u64> {
        let sql = "delete from outbox where id in (
            select id from outbox where sent_at is not null and sent_at < $1 order by sent_at limit $2)";
        execute(&self.db, "delete sent messages", sql, [before.into(), int(limit)]).await
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
        let sql = "select id, message_id, ordering_key, kind, name, body, traceparent from outbox
            where ordering_key = $1 order by id";
        let rows = rows(&self.db, "list messages", sql, [connection.as_str().into()]).await?;
        rows.iter().map(Outgoing::read).collect()
    }
}

impl Tx {
    /// Announces an event, if this transaction commits: on the bus, and in the feed.
    pub async fn emit(&self, event: &Event) -> Result<()> {
        self.feed(event).await?;
        let (id, key) = (event.id.as_str(), event.connection_id.as_str());
        self.enqueue(OutgoingKind::Event, id, key, event.data.kind(), event.encode(), event.time).await
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
        let sql = "insert into outbox (kind, message_id, ordering_key, name, body, created_at, traceparent)
            values ($1, $2, $3, $4, $5, $6, $7)";
        let values: [Value; 7] = [
            kind.as_str().into(),
            message_id.into(),
            ordering_key.into(),
            name.into(),
            body.into(),
            now.into(),
            trace::current().into(),
        ];
        execute(&self.tx, "store a message", sql, values).await.map(drop)
    }
}
