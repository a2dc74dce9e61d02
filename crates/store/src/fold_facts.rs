//! Facts as the rollup wants them: pages of members, each with history, days, teams, and what older days have to say.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use chrono::NaiveDate;
use sea_orm::Value;
use tidemark_domain::{
    activity::{COUNTER_TABLE, Counters, Kind},
    id::ConnectionId,
    member::Version,
    rollup::{DayUse, MemberFacts, Recent},
};
use uuid::Uuid;

use crate::{
    error::Result,
    statement::{Row, corrupt, row, rows},
    store::Store,
};

/// A member as the fold takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldMember {
    /// The member's days.
    pub recent: Recent,
    /// The roster history and the teams.
    pub standing: MemberHistory,
}

/// How a member stood and stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberHistory {
    /// The roster history, oldest first.
    pub versions: Vec<Version>,
    /// The teams the member is in.
    pub teams: Vec<Uuid>,
}

impl FoldMember {
    /// As the fold takes it.
    pub fn borrowed(&self) -> MemberFacts<'_> {
        self.recent.facts(&self.standing.versions, &self.standing.teams)
    }
}

/// The columns of a member day that a rollup adds up, behind id, day and flag.
static COUNTED: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let counted = COUNTER_TABLE.iter().enumerate().filter(|(_, counter)| counter.kind != Kind::VendorTotal);
    counted.map(|(place, _)| place).collect()
});

fn use_columns() -> String {
    let counted: Vec<_> = COUNTED.iter().map(|place| COUNTER_TABLE[*place].column).collect();
    format!("member_id, day, active_flag, {}", counted.join(", "))
}

/// A row of [`use_columns`].
fn read_use(row: &Row) -> Result<(Uuid, DayUse)> {
    let mut counters = Counters::default();
    for (at, place) in COUNTED.iter().enumerate() {
        let value: Option<i64> = row.at(at + 3)?;
        let value = value.map(u32::try_from).transpose();
        counters.0[*place] = value.map_err(|_| corrupt(COUNTER_TABLE[*place].column))?;
    }
    Ok((row.at(0)?, DayUse::of(row.at(1)?, row.at(2)?, &counters)))
}

/// "Active" in SQL, by the domain's table of counters.
pub(crate) fn active_condition() -> String {
    let counted = COUNTER_TABLE.iter().filter(|counter| counter.kind != Kind::VendorTotal);
    let any = counted.map(|counter| format!("d.{} > 0", counter.column)).collect::<Vec<_>>().join(" or ");
    format!("(d.active_flag or {any})")
}

impl Store {
    /// The day of the first listing of members, if there was one.
    pub async fn roster_start(&self, connection: &ConnectionId) -> Result<Option<NaiveDate>> {
        let sql = "select min(valid_from) as first from member_versions where connection_id = $1";
        let found = row(&self.db, "find the first listing", sql, [connection.as_str().into()]).await?;
        found.map_or(Ok(None), |row| row.get("first"))
    }

    /// A page of members by id, each with the days of a range, and two dates that tell of the days before.
    pub async fn fold_members(
        &self,
        connection: &ConnectionId,
        after: Option<Uuid>,
        limit: u64,
        days: (NaiveDate, NaiveDate),
    ) -> Result<Vec<FoldMember>> {
        let ids = self.member_page(connection, after, limit).await?;
        self.members_of(connection, ids, days).await
    }

    /// One member, in the same way.
    pub async fn fold_member(
        &self,
        connection: &ConnectionId,
        member: Uuid,
        days: (NaiveDate, NaiveDate),
    ) -> Result<Option<FoldMember>> {
        Ok(self.members_of(connection, vec![member], days).await?.pop())
    }

    /// Members whose ids follow each other.
    async fn members_of(
        &self,
        connection: &ConnectionId,
        ids: Vec<Uuid>,
        days: (NaiveDate, NaiveDate),
    ) -> Result<Vec<FoldMember>> {
        let (Some(first), Some(last)) = (ids.first().copied(), ids.last().copied()) else {
            return Ok(Vec::new());
        };
        let mut uses = self.uses_between(connection, (first, last), days).await?;
        let mut histories = self.histories_between(connection, first, last).await?;
        let mut older = self.older_days(connection, first, last, days.0).await?;
        let members = ids.into_iter().map(|member_id| {
            let (first_row, active_before) = older.remove(&member_id).unwrap_or_default();
            let days = uses.remove(&member_id).unwrap_or_default();
            FoldMember {
                recent: Recent { member_id, first_row, active_before, days },
                standing: histories.remove(&member_id).unwrap_or_default(),
            }
        });
        Ok(members.collect())
    }

    /// Histories and teams of everybody who ever stood on the member list.
    pub async fn histories(&self, connection: &ConnectionId) -> Result<BTreeMap<Uuid, MemberHistory>> {
        self.histories_between(connection, Uuid::nil(), Uuid::max()).await
    }

    async fn histories_between(
        &self,
        connection: &ConnectionId,
        first: Uuid,
        last: Uuid,
    ) -> Result<BTreeMap<Uuid, MemberHistory>> {
        let mut teams = self.teams_between(connection, first, last).await?;
        let versions = self.versions_between(connection, first, last).await?;
        let histories = versions.into_iter().map(|(id, versions)| {
            (id, MemberHistory { versions, teams: teams.remove(&id).unwrap_or_default() })
        });
        Ok(histories.collect())
    }

    /// What everybody did on those days, by member and oldest first; also of ids that the member list never had.
    pub async fn uses_on(
        &self,
        connection: &ConnectionId,
        (from, to): (NaiveDate, NaiveDate),
    ) -> Result<HashMap<Uuid, Vec<DayUse>>> {
        let sql = format!(
            "select {} from member_days where connection_id = $1 and day between $2 and $3 order by day",
            use_columns()
        );
        let values = [connection.as_str().into(), from.into(), to.into()];
        let mut days: HashMap<Uuid, Vec<DayUse>> = HashMap::new();
        for row in rows(&self.db, "read days of activity", sql, values).await? {
            let (member, day) = read_use(&row)?;
            days.entry(member).or_default().push(day);
        }
        Ok(days)
    }

    async fn uses_between(
        &self,
        connection: &ConnectionId,
        (first, last): (Uuid, Uuid),
        (from, to): (NaiveDate, NaiveDate),
    ) -> Result<HashMap<Uuid, Vec<DayUse>>> {
        let sql = format!(
            "select {} from member_days where connection_id = $1 and member_id between $2 and $3
                and day between $4 and $5 order by member_id, day",
            use_columns()
        );
        let values = [connection.as_str().into(), first.into(), last.into(), from.into(), to.into()];
        let mut days: HashMap<Uuid, Vec<DayUse>> = HashMap::new();
        for row in rows(&self.db, "read activity of members", sql, values).await? {
            let (member, day) = read_use(&row)?;
            days.entry(member).or_default().push(day);
        }
        Ok(days)
    }

    async fn teams_between(
        &self,
        connection: &ConnectionId,
        first: Uuid,
        last: Uuid,
    ) -> Result<BTreeMap<Uuid, Vec<Uuid>>> {
        let sql = "select member_id, team_id from team_members
            where connection_id = $1 and member_id between $2 and $3 order by team_id";
        let mut teams: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        let values = [connection.as_str().into(), first.into(), last.into()];
        for row in rows(&self.db, "read teams of members", sql, values).await? {
            teams.entry(row.get("member_id")?).or_default().push(row.get("team_id")?);
        }
        Ok(teams)
    }

    /// First row and last active day of the days before, per member. Each is one step down the key, so that years of
    /// history cost no more than a day.
    async fn older_days(
        &self,
        connection: &ConnectionId,
        first: Uuid,
        last: Uuid,
        before: NaiveDate,
    ) -> Result<BTreeMap<Uuid, (Option<NaiveDate>, Option<NaiveDate>)>> {
        let active = active_condition();
        let sql = format!(
            "select m.member_id,
                (select d.day from member_days d where d.connection_id = $1 and d.member_id = m.member_id
                    and d.day < $4 order by d.day limit 1) as first_row,
                (select d.day from member_days d where d.connection_id = $1 and d.member_id = m.member_id
                    and d.day < $4 and {active} order by d.day desc limit 1) as active_before
            from members m where m.connection_id = $1 and m.member_id between $2 and $3"
        );
        let values: [Value; 4] = [connection.as_str().into(), first.into(), last.into(), before.into()];
        let rows = rows(&self.db, "read older activity", sql, values).await?;
        let days = rows
            .iter()
            .map(|row| Ok((row.get("member_id")?, (row.get("first_row")?, row.get("active_before")?))));
        days.collect()
    }
}
