//! Rows of the vendor's that could not be read or kept. What such a row says is unknown: a member's day is neither active
//! nor inactive, and a thing it is about is not gone. A row leaves as soon as its list comes without it.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use chrono::{DateTime, Days, NaiveDate, Utc};
use sea_orm::Value;
use sha2::{Digest as _, Sha256};
use tidemark_domain::{
    id::{ConnectionId, RunId},
    quality::{self, QUARANTINED_ROWS},
    rollup::{SHOWN_WINDOWS, SeatState},
    stream::Stream,
};
use uuid::Uuid;

use crate::{
    error::Result,
    seat_lists::PAID,
    statement::{Row, Table, execute, int, placeholders, row, rows},
    store::{Store, Tx},
};

/// So much of a row is kept, in bytes.
const LONGEST_RAW: usize = 2_048;
const LONGEST_PROBLEM: usize = 400;

const ROWS: Table<'static> = Table {
    name: "quarantined_rows",
    key: 3,
    columns: Cow::Borrowed(&[
        "connection_id",
        "stream",
        "row_key",
        "row_id",
        "day_from",
        "day_to",
        "problem",
        "raw",
        "run_id",
        "first_seen_at",
        "last_seen_at",
    ]),
};

/// A row that could not be read or kept.
#[derive(Clone, PartialEq, Eq)]
pub struct QuarantinedRow {
    /// The member of a day of activity, or the row's own id, where it can be told.
    pub id: Option<Uuid>,
    /// The first and the last day that a row of activity may be of.
    pub days: Option<(NaiveDate, NaiveDate)>,
    /// What is wrong, without the value.
    pub problem: String,
    /// As it came, cut to a bound. May hold personal data.
    pub raw: String,
}

/// Without the row itself: it may hold personal data.
impl std::fmt::Debug for QuarantinedRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, days, problem, raw: _ } = self;
        f.debug_struct("QuarantinedRow")
            .field("id", id)
            .field("days", days)
            .field("problem", problem)
            .finish_non_exhaustive()
    }
}

/// What a stream has in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// The stream.
    pub stream: Stream,
    /// How many rows.
    pub rows: u64,
    /// What is wrong with one of them.
    pub problem: String,
    /// When the first of them came.
    pub first_seen_at: DateTime<Utc>,
    /// When one of them last came.
    pub last_seen_at: DateTime<Utc>,
}

impl QuarantinedRow {
    fn key(&self) -> String {
        match (self.id, self.days) {
            (Some(id), None) => id.to_string(),
            (Some(id), Some((from, to))) if from == to => format!("{id}/{from}"),
            _ => {
                let whose = format!("{:?} {:?} {}", self.id, self.days, self.raw);
                hex::encode(&Sha256::digest(whose)[..16])
            }
        }
    }
}

impl Store {
    /// What is in quarantine, by stream.
    pub async fn quarantine(&self, connection: &ConnectionId) -> Result<Vec<Quarantine>> {
        let sql = "select stream, count(*) as row_count, min(problem) as problem, min(first_seen_at) as first_seen_at,
                max(last_seen_at) as last_seen_at
            from quarantined_rows where connection_id = $1 group by stream order by stream";
        let rows = rows(&self.db, "count quarantined rows", sql, [connection.as_str().into()]).await?;
        let read = |row: &Row| {
            // A stream that only a newer version knows is left to that one.
            let Some(stream) = Stream::parse(&row.get::<String>("stream")?) else { return Ok(None) };
            Ok(Some(Quarantine {
                stream,
                rows: row.count("row_count")?,
                problem: row.get("problem")?,
                first_seen_at: row.get("first_seen_at")?,
                last_seen_at: row.get("last_seen_at")?,
            }))
        };
        rows.iter().filter_map(|row| read(row).transpose()).collect()
    }

    /// The rows that a stream has in quarantine, as they came; of so many at most.
    pub async fn quarantined_rows(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        limit: u64,
    ) -> Result<Vec<QuarantinedRow>> {
        let sql = "select row_id, day_from, day_to, problem, raw from quarantined_rows
            where connection_id = $1 and stream = $2 order by row_key limit $3";
        let values = [connection.as_str().into(), stream.as_str().into(), int(limit)];
        let read = |row: &Row| {
            let (from, to): (Option<NaiveDate>, Option<NaiveDate>) =
                (row.get("day_from")?, row.get("day_to")?);
            let days = from.zip(to);
            Ok(QuarantinedRow {
                id: row.get("row_id")?,
                days,
                problem: row.get("problem")?,
                raw: row.get("raw")?,
            })
        };
        rows(&self.db, "read quarantined rows", sql, values).await?.iter().map(read).collect()
    }

    /// The ids of the rows of a stream that a run could not read, as far as they can be told.
    pub async fn quarantined_by(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        run: &RunId,
    ) -> Result<Vec<Option<Uuid>>> {
        let sql = "select row_id from quarantined_rows
            where connection_id = $1 and stream = $2 and run_id = $3";
        let values = [connection.as_str().into(), stream.as_str().into(), run.as_str().into()];
        let rows = rows(&self.db, "list quarantined rows", sql, values).await?;
        rows.iter().map(|row| row.get("row_id")).collect()
    }

    /// Days on which it is unknown what a member did, by member.
    pub async fn unknown_days(
        &self,
        connection: &ConnectionId,
    ) -> Result<BTreeMap<Uuid, BTreeSet<NaiveDate>>> {
        let sql = "select row_id, day_from, day_to from quarantined_rows
            where connection_id = $1 and stream = $2 and row_id is not null and day_from is not null";
        let values = [connection.as_str().into(), Stream::MemberActivities.as_str().into()];
        let mut unknown: BTreeMap<Uuid, BTreeSet<NaiveDate>> = BTreeMap::new();
        for row in rows(&self.db, "list unknown days", sql, values).await? {
            let (from, to): (NaiveDate, NaiveDate) = (row.get("day_from")?, row.get("day_to")?);
            let days = from.iter_days().take_while(|day| *day <= to);
            unknown.entry(row.get("row_id")?).or_default().extend(days);
        }
        Ok(unknown)
    }
}

impl Tx {
    /// Puts rows into quarantine. The days of those of activity are marked for the rollup.
    pub async fn quarantine(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        bad: &[QuarantinedRow],
        run: &RunId,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let bad: BTreeMap<_, _> = bad.iter().map(|row| (row.key(), row)).collect();
        let known = self.first_seen(connection, stream).await?;
        let values = bad.iter().map(|(key, row)| -> Vec<Value> {
            vec![
                connection.as_str().into(),
                stream.as_str().into(),
                key.as_str().into(),
                row.id.into(),
                row.days.map(|(from, _)| from).into(),
                row.days.map(|(_, to)| to).into(),
                bounded(&row.problem, LONGEST_PROBLEM).into(),
                bounded(&row.raw, LONGEST_RAW).into(),
                run.as_str().into(),
                known.get(key).copied().unwrap_or(now).into(),
                now.into(),
            ]
        });
        ROWS.put(&self.tx, "quarantine rows", values).await?;
        let fresh = bad.iter().filter(|(key, _)| !known.contains_key(*key));
        let days = fresh.filter_map(|(_, row)| row.days).flat_map(|(from, to)| [from, to]);
        self.mark(connection, days.collect::<Vec<_>>()).await?;
        self.flag_quarantine(connection, stream, now).await
    }

    /// Says how many rows the stream has in quarantine, or that it has none.
    async fn flag_quarantine(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let sql =
            "select count(*) as row_count, count(*) - count(row_id) as nameless, min(problem) as problem
            from quarantined_rows where connection_id = $1 and stream = $2";
        let values = [connection.as_str().into(), stream.as_str().into()];
        let Some(row) = row(&self.tx, "count quarantined rows", sql, values).await? else { return Ok(()) };
        let problem: Option<String> = row.get("problem")?;
        let (rows, nameless) = (row.count("row_count")?, row.count("nameless")?);
        let detail = problem.map(|problem| quality::quarantined(stream, rows, nameless, &problem));
        let flag = quality::of_list(QUARANTINED_ROWS, stream);
        self.put_data_flag(connection, &flag, detail.as_deref(), now).await
    }

    async fn first_seen(
        &self,
        connection: &ConnectionId,
        stream: Stream,
    ) -> Result<BTreeMap<String, DateTime<Utc>>> {
        let sql =
            "select row_key, first_seen_at from quarantined_rows where connection_id = $1 and stream = $2";
        let values = [connection.as_str().into(), stream.as_str().into()];
        let rows = rows(&self.tx, "read quarantined rows", sql, values).await?;
        rows.iter().map(|row| Ok((row.get("row_key")?, row.get("first_seen_at")?))).collect()
    }

    /// Lets go what a list of the stream that this run has read completely does not have any more.
    pub async fn end_quarantine(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        run: &RunId,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let sql = "delete from quarantined_rows where connection_id = $1 and stream = $2 and run_id <> $3";
        let values = [connection.as_str().into(), stream.as_str().into(), run.as_str().into()];
        if execute(&self.tx, "end a quarantine", sql, values).await? > 0 {
            self.flag_quarantine(connection, stream, now).await?;
        }
        Ok(())
    }

    /// Lets go rows that could be read now, by their ids.
    pub async fn end_quarantine_of(
        &self,
        connection: &ConnectionId,
        stream: Stream,
        ids: &[Uuid],
        now: DateTime<Utc>,
    ) -> Result<()> {
        let sql = "select row_id from quarantined_rows
            where connection_id = $1 and stream = $2 and row_id is not null";
        let key = || [connection.as_str().into(), stream.as_str().into()];
        let known = rows(&self.tx, "read quarantined rows", sql, key()).await?;
        let known = known.iter().map(|row| row.get("row_id")).collect::<Result<BTreeSet<Uuid>>>()?;
        if known.is_empty() {
            return Ok(());
        }
        for id in ids.iter().filter(|id| known.contains(*id)) {
            let sql = "delete from quarantined_rows where connection_id = $1 and stream = $2 and row_id = $3";
            let values = key().into_iter().chain([(*id).into()]);
            execute(&self.tx, "end a quarantine", sql, values).await?;
        }
        self.flag_quarantine(connection, stream, now).await
    }

    /// Lets go rows of activity of these days that this run has not found any more, and marks their days for the rollup.
    pub async fn end_quarantine_of_days(
        &self,
        connection: &ConnectionId,
        days: &[NaiveDate],
        run: &RunId,
        now: DateTime<Utc>,
    ) -> Result<()> {
        if days.is_empty() {
            return Ok(());
        }
        let stream = Stream::MemberActivities;
        let those = placeholders(4, days.len());
        let sql = format!(
            "delete from quarantined_rows where connection_id = $1 and stream = $2 and run_id <> $3
                and day_from in ({those}) and day_to in ({those}) returning day_from, day_to"
        );
        let mut values: Vec<Value> =
            vec![connection.as_str().into(), stream.as_str().into(), run.as_str().into()];
        values.extend(days.iter().map(|day| Value::from(*day)));
        let mut gone = Vec::new();
        for row in rows(&self.tx, "end a quarantine", sql, values).await? {
            gone.extend([row.get::<NaiveDate>("day_from")?, row.get("day_to")?]);
        }
        if gone.is_empty() {
            return Ok(());
        }
        self.mark(connection, gone).await?;
        self.flag_quarantine(connection, stream, now).await
    }

    /// Says that days are not covered: a row of theirs does not say whose it is.
    pub async fn uncover_days(&self, connection: &ConnectionId, days: &BTreeSet<NaiveDate>) -> Result<()> {
        for day in days {
            let sql = "delete from day_coverage where connection_id = $1 and day = $2";
            let values = [connection.as_str().into(), (*day).into()];
            if execute(&self.tx, "uncover a day", sql, values).await? > 0 {
                self.mark(connection, [*day]).await?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// Paid seats without a known active day of whom a day of the window could not be read, per window up to the as-of day
    /// and state: nobody can say whether they are idle.
    pub async fn unknown_seats(
        &self,
        connection: &ConnectionId,
        as_of: NaiveDate,
    ) -> Result<[BTreeMap<SeatState, u32>; 3]> {
        let mut all: [BTreeMap<SeatState, u32>; 3] = Default::default();
        for (window, seats) in SHOWN_WINDOWS.into_iter().zip(&mut all) {
            let sql = format!(
                "select s.state, count(*) as seats from (
                    select distinct row_id from quarantined_rows
                    where connection_id = $1 and stream = $2 and day_from <= $3 and day_to >= $4) q
                join seats s on s.connection_id = $1 and s.member_id = q.row_id
                where s.active_days_{window} = 0 and {PAID} group by s.state"
            );
            let from = as_of - Days::new(u64::from(window) - 1);
            let stream = Stream::MemberActivities.as_str();
            let values = [connection.as_str().into(), stream.into(), as_of.into(), from.into()];
            for row in rows(&self.db, "count seats with unknown days", sql, values).await? {
                seats.insert(row.parsed("state", SeatState::parse)?, row.count("seats")?);
            }
        }
        Ok(all)
    }

    /// How many members of the newest rollup have a role that is not known, by role; disabled ones are left out.
    pub async fn unknown_roles(&self, connection: &ConnectionId) -> Result<Vec<(String, u32)>> {
        let sql = "select role, count(*) as members from seats where connection_id = $1 and not disabled
                and role not in ('admin', 'maker', 'viewer', 'contributor') group by role order by role";
        let rows = rows(&self.db, "count unknown roles", sql, [connection.as_str().into()]).await?;
        rows.iter().map(|row| Ok((row.get("role")?, row.count("members")?))).collect()
    }
}

/// So many bytes of a text at most, for columns that are indexed or of which nothing bounds the number.
pub(crate) fn bounded(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}
