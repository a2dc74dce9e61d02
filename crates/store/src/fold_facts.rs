//! Facts as the rollup wants them: pages of members, each with history, days, teams, and what older days have to say.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::LazyLock,
};

use chrono::NaiveDate;
use sea_orm::{ConnectionTrait, StreamTrait, Value};
use tidemark_domain::{
    activity::{COUNTER_TABLE, Counters, Kind},
    id::ConnectionId,
    member::Version,
    rollup::{DayUse, MemberFacts},
};
use tokio::try_join;
use uuid::Uuid;

use crate::{
    dialect,
    error::Result,
    roster::{self, read_standing},
    statement::{Row, corrupt, count, each_row, int, placeholders, rows},
    store::{Store, Tx},
};

/// A member as the fold takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldMember {
    /// The member.
    pub member_id: Uuid,
    /// The day of the first row there is, where it lies before the days.
    pub first_row: Option<NaiveDate>,
    /// The last active day before the days.
    pub active_before: Option<NaiveDate>,
    /// The days that were asked for, oldest first.
    pub days: Vec<DayUse>,
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
        MemberFacts {
            member_id: self.member_id,
            versions: &self.standing.versions,
            days: &self.days,
            teams: &self.standing.teams,
            first_row: self.first_row,
            active_before: self.active_before,
        }
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

/// Whose facts are read.
pub(crate) enum Whose<'a> {
    /// Everybody from one id to another.
    Between(Uuid, Uuid),
    These(&'a [Uuid]),
}

impl Whose<'_> {
    /// The condition on a column, whose first parameter is of that number, and its values.
    fn condition(&self, column: &str, first: usize) -> (String, Vec<Value>) {
        match self {
            Self::Between(from, to) => {
                (format!("{column} between ${first} and ${}", first + 1), vec![(*from).into(), (*to).into()])
            }
            Self::These(ids) => (
                format!("{column} in ({})", placeholders(first, ids.len())),
                ids.iter().map(|id| Value::from(*id)).collect(),
            ),
        }
    }
}

impl Store {
    /// The day of the first listing of members, if there was one.
    pub async fn roster_start(&self, connection: &ConnectionId) -> Result<Option<NaiveDate>> {
        roster::roster_start(&self.db, connection).await
    }

    /// How many cuts the numbers may have: one per team; and for everybody, per role that was ever seen, and per month.
    pub async fn cut_counts(
        &self,
        connection: &ConnectionId,
        days: (NaiveDate, NaiveDate),
    ) -> Result<(u64, u64)> {
        let id = || [Value::from(connection.as_str())];
        let sql = "select count(*) as count from teams where connection_id = $1";
        let teams = count(&self.db, "count teams", sql, id()).await?;
        let sql = "select count(distinct role) as count from member_versions where connection_id = $1";
        let roles = count(&self.db, "count roles", sql, id()).await?;
        let months = u64::try_from((days.1 - days.0).num_days()).unwrap_or(0) / 28 + 2;
        Ok((teams, 1 + roles + months))
    }

    /// Histories and teams of everybody who ever stood on the member list.
    pub async fn histories(&self, connection: &ConnectionId) -> Result<HashMap<Uuid, MemberHistory>> {
        histories_of(&self.db, connection, &Whose::Between(Uuid::nil(), Uuid::max())).await
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
        let keep = |row: &Row| {
            let (member, day) = read_use(row)?;
            days.entry(member).or_default().push(day);
            Ok(())
        };
        each_row(&self.db, "read days of activity", sql, values, keep).await?;
        Ok(days)
    }
}

macro_rules! fold_facts {
    ($($source:ident.$db:ident)*) => { $(
        impl $source {
            /// A page of members by id, each with the days of a range, and two dates that tell of the days before.
            pub async fn fold_members(
                &self,
                connection: &ConnectionId,
                after: Option<Uuid>,
                limit: u64,
                days: (NaiveDate, NaiveDate),
            ) -> Result<Vec<FoldMember>> {
                page_of(&self.$db, connection, after, limit, days).await
            }

            /// These members, in the same way.
            pub async fn fold_these(
                &self,
                connection: &ConnectionId,
                ids: &[Uuid],
                days: (NaiveDate, NaiveDate),
            ) -> Result<Vec<FoldMember>> {
                these(&self.$db, connection, ids, days).await
            }

            /// Who is in one of these teams, by id.
            pub async fn members_of_teams(
                &self,
                connection: &ConnectionId,
                teams: &BTreeSet<Uuid>,
            ) -> Result<BTreeSet<Uuid>> {
                members_of(&self.$db, connection, teams).await
            }
        }
    )* };
}

fold_facts! { Store.db Tx.tx }

async fn members_of(
    db: &impl ConnectionTrait,
    connection: &ConnectionId,
    teams: &BTreeSet<Uuid>,
) -> Result<BTreeSet<Uuid>> {
    let sql = format!(
        "select member_id from team_members where connection_id = $1 and team_id in ({})",
        placeholders(2, teams.len())
    );
    let values = std::iter::once(connection.as_str().into()).chain(teams.iter().map(|id| (*id).into()));
    let rows = rows(db, "list members of teams", sql, values.collect::<Vec<_>>()).await?;
    rows.iter().map(|row| row.get("member_id")).collect()
}

/// A page of ids that the member list ever had.
pub(crate) async fn member_page(
    db: &impl ConnectionTrait,
    connection: &ConnectionId,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Uuid>> {
    let start = if after.is_some() { "and member_id > $3" } else { "" };
    let sql = format!(
        "select distinct member_id from member_versions where connection_id = $1 {start}
        order by member_id limit $2"
    );
    let values = [connection.as_str().into(), int(limit)];
    let values = values.into_iter().chain(after.map(Value::from));
    let rows = rows(db, "list members", sql, values).await?;
    rows.iter().map(|row| row.get("member_id")).collect()
}

async fn page_of(
    db: &(impl ConnectionTrait + StreamTrait),
    connection: &ConnectionId,
    after: Option<Uuid>,
    limit: u64,
    days: (NaiveDate, NaiveDate),
) -> Result<Vec<FoldMember>> {
    let ids = member_page(db, connection, after, limit).await?;
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(Vec::new()) };
    facts_of(db, connection, &Whose::Between(*first, *last), &ids, days).await
}

async fn these(
    db: &(impl ConnectionTrait + StreamTrait),
    connection: &ConnectionId,
    ids: &[Uuid],
    days: (NaiveDate, NaiveDate),
) -> Result<Vec<FoldMember>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    facts_of(db, connection, &Whose::These(ids), ids, days).await
}

async fn facts_of(
    db: &(impl ConnectionTrait + StreamTrait),
    connection: &ConnectionId,
    whose: &Whose<'_>,
    ids: &[Uuid],
    days: (NaiveDate, NaiveDate),
) -> Result<Vec<FoldMember>> {
    let mut uses = uses_of(db, connection, whose, days).await?;
    let mut histories = histories_of(db, connection, whose).await?;
    let mut older = older_days(db, connection, whose, days.0).await?;
    let members = ids.iter().copied().map(|member_id| {
        let (first_row, active_before) = older.remove(&member_id).unwrap_or_default();
        FoldMember {
            member_id,
            first_row,
            active_before,
            days: uses.remove(&member_id).unwrap_or_default(),
            standing: histories.remove(&member_id).unwrap_or_default(),
        }
    });
    Ok(members.collect())
}

pub(crate) async fn histories_of(
    db: &impl ConnectionTrait,
    connection: &ConnectionId,
    whose: &Whose<'_>,
) -> Result<HashMap<Uuid, MemberHistory>> {
    let (versions, teams) =
        try_join!(version_groups(db, connection, whose), team_groups(db, connection, whose))?;
    let mut histories: HashMap<Uuid, MemberHistory> =
        HashMap::with_capacity(versions.iter().map(|(_, members)| members.len()).sum());
    for (version, members) in versions {
        for member in members {
            histories.entry(member).or_default().versions.push(version.clone());
        }
    }
    for (team, members) in teams {
        for member in members {
            if let Some(history) = histories.get_mut(&member) {
                history.teams.push(team);
            }
        }
    }
    Ok(histories)
}

async fn uses_of(
    db: &(impl ConnectionTrait + StreamTrait),
    connection: &ConnectionId,
    whose: &Whose<'_>,
    (from, to): (NaiveDate, NaiveDate),
) -> Result<HashMap<Uuid, Vec<DayUse>>> {
    let (condition, of) = whose.condition("member_id", 4);
    let sql = format!(
        "select {} from member_days where connection_id = $1 and day between $2 and $3 and {condition}
            order by member_id, day",
        use_columns()
    );
    let values = [connection.as_str().into(), from.into(), to.into()].into_iter().chain(of);
    let mut days: HashMap<Uuid, Vec<DayUse>> = HashMap::new();
    let keep = |row: &Row| {
        let (member, day) = read_use(row)?;
        days.entry(member).or_default().push(day);
        Ok(())
    };
    // A row as it comes is many times as large as what is kept of it.
    each_row(db, "read activity of members", sql, values, keep).await?;
    Ok(days)
}

/// The versions of roster histories with whose they are, oldest first: few standings are shared by many.
async fn version_groups(
    db: &impl ConnectionTrait,
    connection: &ConnectionId,
    whose: &Whose<'_>,
) -> Result<Vec<(Version, Vec<Uuid>)>> {
    let (backend, (condition, of)) = (db.get_database_backend(), whose.condition("member_id", 2));
    let sql = format!(
        "select {} as ids, valid_from, role, disabled, pending from member_versions
        where connection_id = $1 and {condition} group by valid_from, role, disabled, pending order by valid_from",
        dialect::ids(backend, "member_id")
    );
    let values = std::iter::once(connection.as_str().into()).chain(of);
    let rows = rows(db, "read member versions", sql, values).await?;
    let group = |row: &Row| {
        let version = Version { valid_from: row.get("valid_from")?, standing: read_standing(row)? };
        Ok((version, dialect::read_ids(backend, row, 0)?))
    };
    rows.iter().map(group).collect()
}

/// Teams with who is in them.
async fn team_groups(
    db: &impl ConnectionTrait,
    connection: &ConnectionId,
    whose: &Whose<'_>,
) -> Result<Vec<(Uuid, Vec<Uuid>)>> {
    let (backend, (condition, of)) = (db.get_database_backend(), whose.condition("member_id", 2));
    let sql = format!(
        "select {} as ids, team_id from team_members where connection_id = $1 and {condition}
        group by team_id order by team_id",
        dialect::ids(backend, "member_id")
    );
    let values = std::iter::once(connection.as_str().into()).chain(of);
    let rows = rows(db, "read teams of members", sql, values).await?;
    rows.iter().map(|row| Ok((row.at(1)?, dialect::read_ids(backend, row, 0)?))).collect()
}

/// First row and last active day of the days before, per member. Each is one step down the key, so that years of
/// history cost no more than a day.
async fn older_days(
    db: &impl ConnectionTrait,
    connection: &ConnectionId,
    whose: &Whose<'_>,
    before: NaiveDate,
) -> Result<BTreeMap<Uuid, (Option<NaiveDate>, Option<NaiveDate>)>> {
    let (active, (condition, of)) = (active_condition(), whose.condition("m.member_id", 3));
    let sql = format!(
        "select m.member_id,
            (select d.day from member_days d where d.connection_id = $1 and d.member_id = m.member_id
                and d.day < $2 order by d.day limit 1) as first_row,
            (select d.day from member_days d where d.connection_id = $1 and d.member_id = m.member_id
                and d.day < $2 and {active} order by d.day desc limit 1) as active_before
        from members m where m.connection_id = $1 and {condition}"
    );
    let values = [connection.as_str().into(), before.into()].into_iter().chain(of);
    let rows = rows(db, "read older activity", sql, values).await?;
    let days = rows
        .iter()
        .map(|row| Ok((row.get("member_id")?, (row.get("first_row")?, row.get("active_before")?))));
    days.collect()
}
