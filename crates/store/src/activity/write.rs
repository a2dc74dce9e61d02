//! Member days as a sync writes them: over what is there, by the days that were fetched whole.
//!
//! Invariant: what changes a day marks it for the rollup in the same transaction.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::Value;
use tidemark_domain::{
    activity::MemberDay,
    id::{ConnectionId, RunId},
    listing::Listing,
    stream::Stream,
};
use uuid::Uuid;

use super::DAYS;
use crate::{
    error::Result,
    quarantine::QuarantinedRow,
    refused,
    runs::Effect,
    statement::{Table, corrupt, execute, placeholders, rows},
    store::Tx,
};

const COVERAGE: Table<'static> = Table {
    name: "day_coverage",
    key: 2,
    columns: Cow::Borrowed(&["connection_id", "day", "fetched_on", "run_id"]),
};

const DOUBTS: Table<'static> =
    Table { name: "doubted_days", key: 2, columns: Cow::Borrowed(&["connection_id", "day", "run_id"]) };

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
    /// Writes member days over what is there, and says what became of them. A row that the database refuses goes into
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
