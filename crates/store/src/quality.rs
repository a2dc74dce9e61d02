//! What is odd about a workspace's data: fields that this version does not know, and flags.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use tidemark_domain::{
    activity::{COUNTER_TABLE, Kind},
    id::ConnectionId,
    stream::Stream,
};

use crate::{
    error::Result,
    statement::{execute, int, row, rows},
    store::{Store, Tx},
};

/// So many days with the same sums are no accident.
const REPEATED_DAYS: u64 = 5;
/// The name of the flag for repeated totals.
const REPEATED_TOTALS: &str = "repeated_totals";

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
        let sql = "select flag, since, detail from data_flags where connection_id = $1 order by flag";
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
                path.as_str().into(),
                int(*count),
                now.into(),
            ];
            execute(&self.tx, "count a drift", sql, values).await?;
        }
        Ok(())
    }

    /// Sets or takes away the flag for repeated totals, by the days from that one on: it is set where on each day with
    /// two or more active members all of them carry the same sum.
    pub async fn flag_repeated_totals(
        &self,
        connection: &ConnectionId,
        from: NaiveDate,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let named = COUNTER_TABLE.iter().filter(|counter| counter.kind != Kind::VendorTotal);
        let sum: Vec<_> = named.map(|counter| format!("coalesce({}, 0)", counter.column)).collect();
        let sql = format!(
            "select count(*) as days, coalesce(sum(case when least = most then 1 else 0 end), 0) as repeated from (
                select min(total) as least, max(total) as most from (
                    select day, {} as total from member_days where connection_id = $1 and day >= $2) as totals
                where total > 0 group by day having count(*) >= 2) as sums",
            sum.join(" + ")
        );
        let values = [connection.as_str().into(), from.into()];
        let Some(row) = row(&self.tx, "look for repeated totals", sql, values).await? else { return Ok(()) };
        let (days, repeated): (u64, u64) = (row.count("days")?, row.count("repeated")?);
        if days < REPEATED_DAYS || repeated < days {
            let sql = "delete from data_flags where connection_id = $1 and flag = $2";
            let values = [connection.as_str().into(), REPEATED_TOTALS.into()];
            return execute(&self.tx, "take a data flag away", sql, values).await.map(drop);
        }
        let detail = format!(
            "On each of {days} days all active members carry the same sum of actions: these are the workspace's \
             totals, repeated, and say nothing about one member."
        );
        let sql = "insert into data_flags (connection_id, flag, since, detail) values ($1, $2, $3, $4)
            on conflict (connection_id, flag) do update set detail = excluded.detail
            where data_flags.detail <> excluded.detail";
        let values = [connection.as_str().into(), REPEATED_TOTALS.into(), now.into(), detail.into()];
        execute(&self.tx, "set a data flag", sql, values).await.map(drop)
    }
}
