//! Facts as the rollup wants them: pages of members, each with history, days, teams, and what older days have to say.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use sea_orm::Value;
use tidemark_domain::{
    activity::{COUNTER_TABLE, Kind},
    id::ConnectionId,
    rollup::MemberFacts,
};
use uuid::Uuid;

use crate::{
    activity::OwnedMemberFacts,
    error::Result,
    statement::{row, rows},
    store::Store,
};

/// What [`MemberFacts`] borrows from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldMember {
    /// The member with history and days.
    pub facts: OwnedMemberFacts,
    /// The teams the member is in.
    pub teams: Vec<Uuid>,
    /// The day of the first row there is.
    pub first_row: Option<NaiveDate>,
    /// The last active day before the days that were asked for.
    pub active_before: Option<NaiveDate>,
}

impl FoldMember {
    /// As the fold takes it.
    pub fn borrowed(&self) -> MemberFacts<'_> {
        let OwnedMemberFacts { member_id, versions, days } = &self.facts;
        let Self { teams, first_row, active_before, .. } = self;
        MemberFacts {
            member_id: *member_id,
            versions,
            days,
            teams,
            first_row: *first_row,
            active_before: *active_before,
        }
    }
}

/// "Active" in SQL, by the domain's table of counters.
fn active_condition() -> String {
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

    /// A page of members by id, each with the member days from that day on, and two dates that tell of the days before.
    pub async fn fold_members(
        &self,
        connection: &ConnectionId,
        after: Option<Uuid>,
        limit: u64,
        from: NaiveDate,
    ) -> Result<Vec<FoldMember>> {
        let page = self.member_facts(connection, after, limit, from).await?;
        let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(Vec::new()) };
        let (first, last) = (first.member_id, last.member_id);
        let mut teams = self.teams_between(connection, first, last).await?;
        let mut older = self.older_days(connection, first, last, from).await?;
        let members = page.into_iter().map(|facts| {
            let teams = teams.remove(&facts.member_id).unwrap_or_default();
            let (first_row, active_before) = older.remove(&facts.member_id).unwrap_or_default();
            FoldMember { facts, teams, first_row, active_before }
        });
        Ok(members.collect())
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
