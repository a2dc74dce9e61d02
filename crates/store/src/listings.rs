//! Where a run stands in the lists that it reads, and how far a stream has come over all runs.
//!
//! Invariant: a list's place is written in the transaction of the rows before it, so that whoever goes on from there
//! has had them all.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use sea_orm::Value;
use tidemark_domain::{
    id::{ConnectionId, RunId},
    stream::{Capture, Stream},
};
use uuid::Uuid;

use crate::{
    error::Result,
    statement::{Row, Table, execute, int, row, rows},
    store::{Store, Tx},
};

const LISTINGS: Table<'static> = Table {
    name: "listings",
    key: 3,
    columns: Cow::Borrowed(&[
        "connection_id",
        "stream",
        "part",
        "run_id",
        "updated_from",
        "begun_at",
        "next_cursor",
        "newest",
        "is_done",
        "capture",
        "faults",
        "way",
    ]),
};

const LISTED: Table<'static> = Table {
    name: "listed",
    key: 3,
    columns: Cow::Borrowed(&["connection_id", "stream", "resource_id", "document"]),
};

/// One list of a stream that a run reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Which of the stream's lists.
    pub part: String,
    /// Whose place this is: another run begins anew.
    pub run_id: RunId,
    /// Where changes are asked for from; nothing for a whole list.
    pub updated_from: Option<DateTime<Utc>>,
    /// When the first page was asked for.
    pub begun_at: DateTime<Utc>,
    /// The next page's cursor; nothing before the first page.
    pub next_cursor: Option<String>,
    /// The latest change that was received.
    pub newest: Option<DateTime<Utc>>,
    /// Whether the last page was written.
    pub is_done: bool,
    /// How much is kept of what it has.
    pub capture: Capture,
    /// How often its answers could not be used.
    pub faults: u32,
    /// The way to that cursor, which the next reader goes on with.
    pub way: Option<String>,
}

/// How far a stream has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    /// All changes up to here are in.
    pub watermark: Option<DateTime<Utc>>,
    /// When the last whole list was begun that was believed.
    pub swept_at: Option<DateTime<Utc>>,
    /// How much is kept of what is in.
    pub capture: Capture,
    /// Whether the next list is believed however much it lost.
    pub accepts_shrink: bool,
    /// Since when, where it is.
    pub accepted_at: Option<DateTime<Utc>>,
}

impl Mark {
    /// Whether a list that was begun then is believed however much it lost. One that was under way when somebody accepted
    /// the next one is not.
    pub fn accepts(&self, begun_at: DateTime<Utc>) -> bool {
        self.accepts_shrink && self.accepted_at.is_none_or(|at| at <= begun_at)
    }
}

impl Listing {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            part: row.get("part")?,
            run_id: row.parsed("run_id", |text| text.parse().ok())?,
            updated_from: row.get("updated_from")?,
            begun_at: row.get("begun_at")?,
            next_cursor: row.get("next_cursor")?,
            newest: row.get("newest")?,
            is_done: row.get("is_done")?,
            capture: row.parsed("capture", Capture::parse)?,
            faults: row.count("faults")?,
            way: row.get("way")?,
        })
    }

    fn values(&self, connection: &ConnectionId, stream: Stream) -> Vec<Value> {
        vec![
            connection.as_str().into(),
            stream.as_str().into(),
            self.part.clone().into(),
            self.run_id.as_str().into(),
            self.updated_from.into(),
            self.begun_at.into(),
            self.next_cursor.clone().into(),
            self.newest.into(),
            self.is_done.into(),
            self.capture.as_str().into(),
            int(self.faults),
            self.way.clone().into(),
        ]
    }
}

fn key(connection: &ConnectionId, stream: Stream) -> [Value; 2] {
    [connection.as_str().into(), stream.as_str().into()]
}

impl Store {
    /// The stream's lists that are being read, by name.
    pub async fn listings(&self, connection: &ConnectionId, stream: Stream) -> Result<Vec<Listing>> {
        let sql = format!(
            "select {} from listings where connection_id = $1 and stream = $2 order by part",
            LISTINGS.columns[2..].join(", ")
        );
        let rows = rows(&self.db, "read listings", sql, key(connection, stream)).await?;
        rows.iter().map(Listing::read).collect()
    }

    /// What the list that is being read has had, by id, with the rows that were kept.
    pub async fn listed(
        &self,
        connection: &ConnectionId,
        stream: Stream,
    ) -> Result<Vec<(Uuid, Option<String>)>> {
        let sql = "select resource_id, document from listed where connection_id = $1 and stream = $2
            order by resource_id";
        let rows = rows(&self.db, "read what was listed", sql, key(connection, stream)).await?;
        rows.iter().map(|row| Ok((row.get("resource_id")?, row.get("document")?))).collect()
    }

    /// How far the stream has come.
    pub async fn mark(&self, connection: &ConnectionId, stream: Stream) -> Result<Mark> {
        let sql = "select watermark, swept_at, capture, accepts_shrink, accepted_at from stream_marks
            where connection_id = $1 and stream = $2";
        let Some(row) = row(&self.db, "read a mark", sql, key(connection, stream)).await? else {
            return Ok(Mark::default());
        };
        Ok(Mark {
            watermark: row.get("watermark")?,
            swept_at: row.get("swept_at")?,
            capture: row.parsed("capture", Capture::parse)?,
            accepts_shrink: row.get("accepts_shrink")?,
            accepted_at: row.get("accepted_at")?,
        })
    }
}

impl Tx {
    /// Puts these lists in the place of all that the stream had, with nothing listed yet.
    pub async fn begin_listings(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        listings: &[Listing],
    ) -> Result<()> {
        self.end_listings(connection, stream).await?;
        let rows = listings.iter().map(|listing| listing.values(connection, stream));
        LISTINGS.put(&self.tx, "begin listings", rows).await.map(drop)
    }

    /// Writes how far a list was read.
    pub async fn put_listing(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        listing: &Listing,
    ) -> Result<()> {
        LISTINGS.put(&self.tx, "write a listing", [listing.values(connection, stream)]).await.map(drop)
    }

    /// Notes what a list had; an id may come again.
    pub async fn add_listed(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        listed: impl IntoIterator<Item = (Uuid, Option<String>)>,
    ) -> Result<()> {
        let listed: std::collections::BTreeMap<_, _> = listed.into_iter().collect();
        let rows = listed.into_iter().map(|(id, document)| -> Vec<Value> {
            vec![connection.as_str().into(), stream.as_str().into(), id.into(), document.into()]
        });
        LISTED.put(&self.tx, "note what was listed", rows).await.map(drop)
    }

    /// Forgets the stream's lists and what they had.
    pub async fn end_listings(&self, connection: &ConnectionId, stream: Stream) -> Result<()> {
        for table in ["listings", "listed"] {
            let sql = format!("delete from {table} where connection_id = $1 and stream = $2");
            execute(&self.tx, "end listings", sql, key(connection, stream)).await?;
        }
        Ok(())
    }

    /// Writes how far the stream has come. What somebody accepted meanwhile stays accepted.
    pub async fn put_mark(&self, connection: &ConnectionId, stream: Stream, mark: &Mark) -> Result<()> {
        let sql =
            "insert into stream_marks (connection_id, stream, watermark, swept_at, capture, accepts_shrink)
            values ($1, $2, $3, $4, $5, $6)
            on conflict (connection_id, stream) do update set
                watermark = excluded.watermark, swept_at = excluded.swept_at, capture = excluded.capture";
        let [connection, stream] = key(connection, stream);
        let (watermark, swept_at) = (mark.watermark.into(), mark.swept_at.into());
        let values = [connection, stream, watermark, swept_at, mark.capture.as_str().into(), false.into()];
        execute(&self.tx, "write a mark", sql, values).await.map(drop)
    }

    /// The stream's next list is believed, however much it lost.
    pub async fn accept_shrink(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let sql = "insert into stream_marks (connection_id, stream, capture, accepts_shrink, accepted_at)
            values ($1, $2, $3, $4, $5)
            on conflict (connection_id, stream) do update set
                accepts_shrink = excluded.accepts_shrink, accepted_at = excluded.accepted_at";
        let [connection, stream] = key(connection, stream);
        let values = [connection, stream, Capture::default().as_str().into(), true.into(), now.into()];
        execute(&self.tx, "accept a shrunken list", sql, values).await.map(drop)
    }

    /// A list that was begun then was believed: the one after it has to be believable without help. What was accepted
    /// while it was under way is for the next one.
    pub async fn forget_acceptance(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        begun_at: DateTime<Utc>,
    ) -> Result<()> {
        let sql = "update stream_marks set accepts_shrink = $3, accepted_at = null
            where connection_id = $1 and stream = $2 and accepts_shrink
                and (accepted_at is null or accepted_at <= $4)";
        let [connection, stream] = key(connection, stream);
        let values = [connection, stream, false.into(), begun_at.into()];
        execute(&self.tx, "end an acceptance", sql, values).await.map(drop)
    }
}
