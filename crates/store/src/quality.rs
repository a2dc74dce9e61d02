//! What is odd about a workspace's data: fields that this version does not know, and flags.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::Value;
use tidemark_domain::{id::ConnectionId, quality::ASSUMPTION, rollup::Flag, stream::Stream};

use crate::{
    error::Result,
    quarantine::bounded,
    statement::{execute, int, rows},
    store::{Store, Tx},
};

/// So much of a field's place in a row is kept, in bytes: it is part of a key.
const LONGEST_PATH: usize = 400;

/// A field that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Where it was received.
    pub stream: Stream,
    /// Its place in the row.
    pub path: String,
    /// In how many received rows it was.
    pub rows: u64,
    /// When it first came.
    pub first_seen_at: DateTime<Utc>,
    /// When it last came.
    pub last_seen_at: DateTime<Utc>,
}

/// Something that is wrong with a workspace's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFlag {
    /// Its name, such as `repeated_totals`.
    pub flag: String,
    /// When it was first found.
    pub since: DateTime<Utc>,
    /// What it means, for a person.
    pub detail: String,
}

impl Store {
    /// The fields that were received and not known, by stream and path.
    pub async fn drift(&self, connection: &ConnectionId) -> Result<Vec<Drift>> {
        let sql = "select stream, path, row_count, first_seen_at, last_seen_at from schema_drift
            where connection_id = $1 order by stream, path";
        let rows = rows(&self.db, "read the drift", sql, [connection.as_str().into()]).await?;
        let read = |row: &crate::statement::Row| {
            Ok(Drift {
                stream: row.parsed("stream", Stream::parse)?,
                path: row.get("path")?,
                rows: row.count("row_count")?,
                first_seen_at: row.get("first_seen_at")?,
                last_seen_at: row.get("last_seen_at")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// What is wrong with the workspace's data, as far as it was found.
    pub async fn data_flags(&self, connection: &ConnectionId) -> Result<Vec<DataFlag>> {
        let sql = format!(
            "select flag, since, detail from data_flags where connection_id = $1
            union all
            select '{ASSUMPTION}.' || assumption, since, detail from vendor_findings
                where connection_id = $1 and not holds
            order by flag"
        );
        let rows = rows(&self.db, "read data flags", sql, [connection.as_str().into()]).await?;
        let read = |row: &crate::statement::Row| {
            Ok(DataFlag { flag: row.get("flag")?, since: row.get("since")?, detail: row.get("detail")? })
        };
        rows.iter().map(read).collect()
    }
}

impl Tx {
    /// Counts rows with fields that are not known, by path.
    pub async fn add_drift(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        paths: &BTreeMap<String, u64>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let sql = "insert into schema_drift (connection_id, stream, path, row_count, first_seen_at, last_seen_at)
            values ($1, $2, $3, $4, $5, $5)
            on conflict (connection_id, stream, path) do update set
                row_count = schema_drift.row_count + excluded.row_count, last_seen_at = excluded.last_seen_at";
        for (path, count) in paths {
            let values = [
                connection.as_str().into(),
                stream.as_str().into(),
                bounded(path, LONGEST_PATH).into(),
                int(*count),
                now.into(),
            ];
            execute(&self.tx, "count a drift", sql, values).await?;
        }
        Ok(())
    }

    /// Makes one flag say that, or takes it away. What was flagged before stays so since then.
    pub async fn put_data_flag(
        &self,
        connection: &ConnectionId,
        flag: &str,
        detail: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let mut values: Vec<Value> = vec![connection.as_str().into(), flag.into()];
        let sql = if let Some(detail) = detail {
            values.extend([now.into(), detail.into()]);
            "insert into data_flags (connection_id, flag, since, detail) values ($1, $2, $3, $4)
                on conflict (connection_id, flag) do update set detail = excluded.detail"
        } else {
            "delete from data_flags where connection_id = $1 and flag = $2"
        };
        execute(&self.tx, "write a data flag", sql, values).await.map(drop)
    }

    /// Makes the flags what a rollup found. What was flagged before stays so since then.
    pub(crate) async fn put_data_flags(
        &self,
        connection: &ConnectionId,
        flags: &[Flag],
        now: DateTime<Utc>,
    ) -> Result<()> {
        for flag in Flag::ALL {
            let mut values: Vec<Value> = vec![connection.as_str().into(), flag.as_str().into()];
            let sql = if flags.contains(&flag) {
                values.extend([now.into(), flag.sentence().into()]);
                "insert into data_flags (connection_id, flag, since, detail) values ($1, $2, $3, $4)
                    on conflict (connection_id, flag) do nothing"
            } else {
                "delete from data_flags where connection_id = $1 and flag = $2"
            };
            execute(&self.tx, "write data flags", sql, values).await?;
        }
        Ok(())
    }
}
