//! Member days: what each member did on each date, which dates are covered, and both as the rollup wants them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::Value;
use tidemark_domain::{
    activity::{COUNTER_TABLE, Counters, MemberDay},
    id::{ConnectionId, RunId},
    listing::Listing,
    member::{Role, Version},
    stream::Stream,
};
use uuid::Uuid;

use crate::{
    error::Result,
    fold_facts::{Whose, active_condition, histories_of},
    quarantine::QuarantinedRow,
    refused,
    runs::Effect,
    statement::{Row, Table, corrupt, count, execute, placeholders, row, rows},
    store::{Store, Tx},
};

static DAYS: LazyLock<Table<'static>> = LazyLock::new(|| {
    let mut columns = vec!["connection_id", "member_id", "day", "role", "active_flag"];
    columns.extend(COUNTER_TABLE.iter().map(|counter| counter.column));
    Table { name: "member_days", key: 3, columns: Cow::Owned(columns) }
});

const COVERAGE: Table<'static> = Table {
    name: "day_coverage",
    key: 2,
    columns: Cow::Borrowed(&["connection_id", "day", "fetched_on", "run_id"]),
};

const DOUBTS: Table<'static> =
    Table { name: "doubted_days", key: 2, columns: Cow::Borrowed(&["connection_id", "day", "run_id"]) };

/// A day that was fetched whole on a later date than itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoveredDay {
    /// The day.
    pub day: NaiveDate,
    /// When it was last fetched.
    pub fetched_on: NaiveDate,
    /// By which run.
    pub run_id: RunId,
}

/// Which days are covered, in short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayRange {
    /// The first covered day.
    pub first: Option<NaiveDate>,
    /// The last one.
    pub last: Option<NaiveDate>,
    /// How many there are; there may be gaps.
    pub count: u32,
}

/// A member with history and days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedMemberFacts {
    /// The member.
    pub member_id: Uuid,
    /// The roster history, oldest first.
    pub versions: Vec<Version>,
    /// The member days, oldest first.
    pub days: Vec<MemberDay>,
}

/// The columns of a member day without the connection: the same for every reader.
pub(crate) fn day_columns() -> String {
    DAYS.columns[1..].join(", ")
}

/// A row of [`day_columns`]. By place, because there are many of them.
pub(crate) fn read_day(row: &Row) -> Result<MemberDay> {
    let mut counters = Counters::default();
    for (place, counter) in counters.0.iter_mut().enumerate() {
        let value: Option<i64> = row.at(place + 4)?;
        *counter = value
            .map(|value| u32::try_from(value).map_err(|_| corrupt(COUNTER_TABLE[place].column)))
            .transpose()?;
    }
    Ok(MemberDay {
        member_id: row.at(0)?,
        day: row.at(1)?,
        role: Role::from(row.at::<String>(2)?.as_str()),
        active_flag: row.at(3)?,
        counters,
    })
}

fn day_values(connection: &ConnectionId, day: &MemberDay) -> Vec<Value> {
    let mut values: Vec<Value> = vec![
        connection.as_str().into(),
        day.member_id.into(),
        day.day.into(),
        day.role.as_str().into(),
        day.active_flag.into(),
    ];
    values.extend(day.counters.0.iter().map(|counter| Value::from(counter.map(i64::from))));
    values
}

/// The condition on a connection's rows of these days, of which there is one at least, and its values.
fn on_days<'a>(
    connection: &ConnectionId,
    days: impl IntoIterator<Item = &'a NaiveDate>,
) -> (String, Vec<Value>) {
    let mut values = vec![Value::from(connection.as_str())];
    values.extend(days.into_iter().map(|day| Value::from(*day)));
    (format!("connection_id = $1 and day in ({})", placeholders(2, values.len() - 1)), values)
}

impl Store {
    /// The covered days, oldest first.
    pub async fn coverage(&self, connection: &ConnectionId) -> Result<Vec<CoveredDay>> {
        let sql = "select day, fetched_on, run_id from day_coverage where connection_id = $1 order by day";
        let rows = rows(&self.db, "read the coverage", sql, [connection.as_str().into()]).await?;
        let days = rows.iter().map(|row| {
            Ok(CoveredDay {
                day: row.get("day")?,
                fetched_on: row.get("fetched_on")?,
                run_id: row.parsed("run_id", |text| text.parse().ok())?,
            })
        });
        days.collect()
    }

    /// Days whose last answer was not believed, each with the run that got it, oldest first.
    pub async fn doubted_days(&self, connection: &ConnectionId) -> Result<Vec<(NaiveDate, RunId)>> {
        let sql = "select day, run_id from doubted_days where connection_id = $1 order by day";
        let rows = rows(&self.db, "read doubted days", sql, [connection.as_str().into()]).await?;
        rows.iter()
            .map(|row| Ok((row.get("day")?, row.parsed("run_id", |text| text.parse().ok())?)))
            .collect()
    }

    /// The covered days in short.
    pub async fn covered_days(&self, connection: &ConnectionId) -> Result<DayRange> {
        let sql = "select min(day) as first_day, max(day) as last_day, count(*) as days from day_coverage
            where connection_id = $1";
        let row = row(&self.db, "count covered days", sql, [connection.as_str().into()]).await?;
        row.map_or(Ok(DayRange::default()), |row| {
            Ok(DayRange {
                first: row.get("first_day")?,
                last: row.get("last_day")?,
                count: row.count("days")?,
            })
        })
    }

    /// How many member days there are.
    pub async fn member_day_count(&self, connection: &ConnectionId) -> Result<u64> {
        let sql = "select count(*) as count from member_days where connection_id = $1";
        count(&self.db, "count member days", sql, [connection.as_str().into()]).await
    }

    /// Whether any member did anything on that day or later.
    pub async fn has_member_days_since(&self, connection: &ConnectionId, from: NaiveDate) -> Result<bool> {
        let sql = "select 1 as found from member_days where connection_id = $1 and day >= $2 limit 1";
        Ok(row(&self.db, "look for member days", sql, [connection.as_str().into(), from.into()])
            .await?
            .is_some())
    }

    /// Active rows in a paid role of those days, by member.
    pub async fn maker_rows(
        &self,
        connection: &ConnectionId,
        (from, to): (NaiveDate, NaiveDate),
    ) -> Result<BTreeMap<Uuid, u64>> {
        let sql = format!(
            "select d.member_id, count(*) as days from member_days d
            where d.connection_id = $1 and d.day between $2 and $3 and d.role in ('admin', 'maker') and {}
            group by d.member_id",
            active_condition()
        );
        let values = [connection.as_str().into(), from.into(), to.into()];
        let rows = rows(&self.db, "count activity of makers", sql, values).await?;
        rows.iter().map(|row| Ok((row.get("member_id")?, row.count("days")?))).collect()
    }

    /// A page of the member days of a range, by member and day.
    pub async fn member_days(
        &self,
        connection: &ConnectionId,
        (from, to): (NaiveDate, NaiveDate),
        after: Option<(Uuid, NaiveDate)>,
        limit: u64,
    ) -> Result<Vec<MemberDay>> {
        let start = if after.is_some() { "and (member_id, day) > ($5, $6)" } else { "" };
        let sql = format!(
            "select {} from member_days where connection_id = $1 and day between $2 and $3 {start}
            order by member_id, day limit $4",
            day_columns()
        );
        let mut values: Vec<Value> =
            vec![connection.as_str().into(), from.into(), to.into(), crate::statement::int(limit)];
        values.extend(after.into_iter().flat_map(|(member, day)| [Value::from(member), day.into()]));
        rows(&self.db, "read member days", sql, values).await?.iter().map(read_day).collect()
    }

    /// A page of members with a roster history, by id, each with the member days from that day on.
    pub async fn member_facts(
        &self,
        connection: &ConnectionId,
        after: Option<Uuid>,
        limit: u64,
        from: NaiveDate,
    ) -> Result<Vec<OwnedMemberFacts>> {
        let ids = self.member_page(connection, after, limit).await?;
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(Vec::new()) };
        let mut histories = histories_of(&self.db, connection, &Whose::Between(*first, *last)).await?;
        let mut days = self.days_between(connection, *first, *last, from).await?;
        let facts = ids.into_iter().map(|member_id| OwnedMemberFacts {
            member_id,
            versions: histories.remove(&member_id).unwrap_or_default().versions,
            // Days of ids the member list never had stay behind.
            days: days.remove(&member_id).unwrap_or_default(),
        });
        Ok(facts.collect())
    }

    pub(crate) async fn member_page(
        &self,
        connection: &ConnectionId,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<Uuid>> {
        crate::fold_facts::member_page(&self.db, connection, after, limit).await
    }

    async fn days_between(
        &self,
        connection: &ConnectionId,
        first: Uuid,
        last: Uuid,
        from: NaiveDate,
    ) -> Result<BTreeMap<Uuid, Vec<MemberDay>>> {
        let sql = format!(
            "select {} from member_days
            where connection_id = $1 and member_id between $2 and $3 and day >= $4 order by member_id, day",
            day_columns(),
        );
        let values = [connection.as_str().into(), first.into(), last.into(), from.into()];
        let mut days: BTreeMap<Uuid, Vec<MemberDay>> = BTreeMap::new();
        for row in rows(&self.db, "read member days", sql, values).await? {
            let day = read_day(&row)?;
            days.entry(day.member_id).or_default().push(day);
        }
        Ok(days)
    }
}

/// What became of days that were fetched whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vanished {
    /// Rows that the days had before and no longer have; they are removed.
    pub removed: u64,
    /// Days that lost more rows than is believed: nothing was removed from them.
    pub doubted: Vec<NaiveDate>,
}

/// Keys of vanished rows per statement.
const VANISHED_AT_ONCE: usize = 500;

impl Tx {
    /// Writes member days over what is there, and tells what became of them. A row that the database refuses goes into
    /// quarantine.
    pub async fn write_member_days(
        &self,
        connection: &ConnectionId,
        rows: &[MemberDay],
        run: &RunId,
        now: DateTime<Utc>,
    ) -> Result<Effect> {
        let days: BTreeSet<_> = rows.iter().map(|row| row.day).collect();
        let covered = self.covered_among(connection, &days.into_iter().collect::<Vec<_>>()).await?;
        let (late, new): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(|row| covered.contains(&row.day));
        let (late_written, mut refused) = self.put_member_days(connection, &late).await?;
        let (new_written, others) = self.put_member_days(connection, &new).await?;
        refused.extend(others);
        if !refused.is_empty() {
            self.quarantine(connection, Stream::MemberActivities, &refused, run, now).await?;
        }
        let written = late_written + new_written;
        let unchanged = (rows.len() as u64).saturating_sub(written);
        Ok(Effect { written, unchanged, removed: 0, late: late_written })
    }

    /// Removes what vanished from days that were fetched whole, given who was on each of them; unless so much vanished
    /// from a day that it is doubted.
    pub async fn remove_vanished(
        &self,
        connection: &ConnectionId,
        fetched: &BTreeMap<NaiveDate, BTreeSet<Uuid>>,
        accepts_shrink: bool,
    ) -> Result<Vanished> {
        let days: Vec<_> = fetched.keys().copied().collect();
        let mut known: BTreeMap<NaiveDate, Vec<Uuid>> = BTreeMap::new();
        for (day, member) in self.days_keys(connection, &days).await? {
            known.entry(day).or_default().push(member);
        }
        let (mut outcome, mut changed) = (Vanished::default(), Vec::new());
        for (day, members) in known {
            let fetched = &fetched[&day];
            let vanished: Vec<_> =
                members.iter().copied().filter(|member| !fetched.contains(member)).collect();
            let (known, missing) = (members.len() as u64, vanished.len() as u64);
            let listing = Listing { known, missing, listed: fetched.len() as u64 };
            if listing.doubt("rows").is_some() && !accepts_shrink {
                outcome.doubted.push(day);
            } else if !vanished.is_empty() {
                outcome.removed += self.remove_days(connection, day, &vanished).await?;
                changed.push(day);
            }
        }
        self.mark(connection, changed).await?;
        Ok(outcome)
    }

    async fn covered_among(
        &self,
        connection: &ConnectionId,
        days: &[NaiveDate],
    ) -> Result<BTreeSet<NaiveDate>> {
        if days.is_empty() {
            return Ok(BTreeSet::new());
        }
        let (condition, values) = on_days(connection, days);
        let sql = format!("select day from day_coverage where {condition}");
        let rows = rows(&self.tx, "read the coverage", sql, values).await?;
        rows.iter().map(|row| row.get("day")).collect()
    }

    async fn days_keys(
        &self,
        connection: &ConnectionId,
        days: &[NaiveDate],
    ) -> Result<Vec<(NaiveDate, Uuid)>> {
        if days.is_empty() {
            return Ok(Vec::new());
        }
        let (condition, values) = on_days(connection, days);
        let sql = format!("select day, member_id from member_days where {condition}");
        let rows = rows(&self.tx, "read member days", sql, values).await?;
        rows.iter().map(|row| Ok((row.get("day")?, row.get("member_id")?))).collect()
    }

    async fn remove_days(&self, connection: &ConnectionId, day: NaiveDate, members: &[Uuid]) -> Result<u64> {
        let mut removed = 0;
        for members in members.chunks(VANISHED_AT_ONCE) {
            let sql = format!(
                "delete from member_days where connection_id = $1 and day = $2 and member_id in ({})",
                placeholders(3, members.len())
            );
            let mut values: Vec<Value> = vec![connection.as_str().into(), day.into()];
            values.extend(members.iter().map(|member| Value::from(*member)));
            removed += execute(&self.tx, "remove member days", sql, values).await?;
        }
        Ok(removed)
    }

    /// Writes member days over what is there; gives how many were new or other than before. Of several for one member
    /// and date, the last counts. Their days are marked for the rollup.
    pub async fn upsert_member_days(&self, connection: &ConnectionId, days: &[MemberDay]) -> Result<u64> {
        let (written, refused) = self.put_member_days(connection, days).await?;
        match refused.is_empty() {
            true => Ok(written),
            false => Err(corrupt("a member day that was refused")),
        }
    }

    /// How many were written, and those that the database refused.
    async fn put_member_days(
        &self,
        connection: &ConnectionId,
        days: &[MemberDay],
    ) -> Result<(u64, Vec<QuarantinedRow>)> {
        let days: BTreeMap<_, _> = days.iter().map(|day| ((day.member_id, day.day), day)).collect();
        let days: Vec<_> = days.into_values().collect();
        let rows = days.iter().map(|day| day_values(connection, day)).collect();
        let written = self.put_most(&DAYS, "write member days", "day", rows).await?;
        let (changed, refused): (Vec<NaiveDate>, _) = written;
        let count = changed.len() as u64;
        self.mark(connection, changed).await?;
        let quarantined = refused.into_iter().map(|place| {
            let MemberDay { member_id, day, role, .. } = days[place];
            QuarantinedRow {
                id: Some(*member_id),
                days: Some((*day, *day)),
                problem: refused::PROBLEM.to_owned(),
                raw: serde_json::json!({ "memberId": member_id, "date": day, "role": role }).to_string(),
            }
        });
        Ok((count, quarantined.collect()))
    }

    /// Marks days as not believed in what this run got for them.
    pub async fn doubt_days(&self, connection: &ConnectionId, days: &[NaiveDate], run: &RunId) -> Result<()> {
        let values = days.iter().map(|day| -> Vec<Value> {
            vec![connection.as_str().into(), (*day).into(), run.as_str().into()]
        });
        DOUBTS.put(&self.tx, "mark days as doubted", values).await.map(drop)
    }

    /// Marks days as fetched whole, and believed.
    pub async fn cover_days(
        &self,
        connection: &ConnectionId,
        days: &[NaiveDate],
        fetched_on: NaiveDate,
        run: &RunId,
    ) -> Result<()> {
        let days: BTreeSet<_> = days.iter().copied().collect();
        let sql = "select day from day_coverage where connection_id = $1";
        let known = rows(&self.tx, "read the coverage", sql, [connection.as_str().into()]).await?;
        let known = known.iter().map(|row| row.get("day")).collect::<Result<BTreeSet<NaiveDate>>>()?;
        let values = days.iter().map(|day| -> Vec<Value> {
            vec![connection.as_str().into(), (*day).into(), fetched_on.into(), run.as_str().into()]
        });
        COVERAGE.put(&self.tx, "mark days as covered", values).await?;
        self.believe_days(connection, &days).await?;
        self.mark(connection, days.difference(&known).copied()).await
    }

    async fn believe_days(&self, connection: &ConnectionId, days: &BTreeSet<NaiveDate>) -> Result<()> {
        if days.is_empty() {
            return Ok(());
        }
        let (condition, values) = on_days(connection, days);
        let sql = format!("delete from doubted_days where {condition}");
        execute(&self.tx, "believe days", sql, values).await.map(drop)
    }
}
