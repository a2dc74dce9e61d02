//! Member days: what each member did on each date, which dates are covered, and both as the rollup wants them. How they are
//! written is in [`write`].

mod write;

use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

use chrono::NaiveDate;
use sea_orm::Value;
use tidemark_domain::{
    activity::{COUNTER_TABLE, Counters, MemberDay},
    id::{ConnectionId, RunId},
    member::{Role, Version},
};
use uuid::Uuid;

use crate::{
    error::Result,
    fold_facts::{Whose, active_condition, histories_of},
    statement::{Row, Table, corrupt, count, int, row, rows},
    store::Store,
};

pub use write::Vanished;

static DAYS: LazyLock<Table<'static>> = LazyLock::new(|| {
    let mut columns = vec!["connection_id", "member_id", "day", "role", "active_flag"];
    columns.extend(COUNTER_TABLE.iter().map(|counter| counter.column));
    Table { name: "member_days", key: 3, columns: Cow::Owned(columns) }
});

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
        let mut values: Vec<Value> = vec![connection.as_str().into(), from.into(), to.into(), int(limit)];
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
