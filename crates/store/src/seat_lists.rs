//! Seats as lists: filtered, sorted, counted and cut into pages by the database, so that a page costs what a page shows.

use std::collections::HashMap;

use chrono::NaiveDate;
use sea_orm::Value;
use tidemark_domain::{
    id::ConnectionId,
    recommendation::{Action, Tier},
    rollup::SeatState,
};
use uuid::Uuid;

use crate::{
    error::Result,
    fold_facts::active_condition,
    marks,
    seats::{SeatRow, read_seat_row, seat_columns},
    statement::{Row, int, row, rows},
    store::Store,
};

pub(crate) const PAID: &str = "s.role in ('admin', 'maker') and not s.disabled and not s.pending";
const MEMBERS: &str =
    "left join members m on m.connection_id = s.connection_id and m.member_id = s.member_id";
const RECOMMENDATIONS: &str =
    "left join recommendations r on r.connection_id = s.connection_id and r.member_id = s.member_id";
/// As [`Exemption::holds`](tidemark_domain::exemption::Exemption::holds) says.
const EXEMPT: &str =
    "exists (select 1 from exemptions e join rollup_heads h on h.connection_id = e.connection_id
    where e.connection_id = s.connection_id and e.member_id = s.member_id
        and e.ended_at is null and e.until_day > h.as_of)";

/// Which seats; without anything, all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SeatFilter {
    /// In one of these states.
    pub states: Vec<SeatState>,
    /// Of one of these roles.
    pub roles: Vec<String>,
    /// Of members of this team.
    pub team: Option<Uuid>,
    /// Of this member.
    pub member: Option<Uuid>,
    /// Paid ones.
    pub paid_only: bool,
    /// Whose exemption holds for the newest rollup.
    pub exempt_only: bool,
    /// With something recommended.
    pub recommended_only: bool,
    /// With something recommended in one of these tiers.
    pub tiers: Vec<Tier>,
    /// Whose name or e-mail address contains this, in any case. SQLite knows the case of ASCII letters only.
    pub text: String,
}

/// By what seats are sorted; those who are equal in it, by member id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SeatOrder {
    /// By member id.
    #[default]
    Member,
    /// By name, in any case.
    Name,
    /// By the last active day, never first.
    LastActive,
    /// By active days in 28.
    ActiveDays,
    /// By state, in the order of its definition.
    State,
    /// By the first seen day.
    FirstSeen,
    /// By tier and action, the surest first.
    Recommendation,
}

/// A list of seats.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SeatList {
    /// Which.
    pub filter: SeatFilter,
    /// In which order.
    pub order: SeatOrder,
    /// The other way around.
    pub descending: bool,
}

/// Paid seats in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatCount {
    /// The state.
    pub state: SeatState,
    /// How many.
    pub seats: u32,
    /// Of them, without an active day in 7, 28 and 90 days.
    pub idle: [u32; 3],
}

/// A statement's conditions with their values, the connection being `$1`.
struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    fn new(connection: &ConnectionId, filter: &SeatFilter) -> Self {
        let mut all =
            Self { sql: "s.connection_id = $1".to_owned(), values: vec![connection.as_str().into()] };
        all.any("s.state", filter.states.iter().map(|state| state.as_str().into()));
        all.any("s.role", filter.roles.iter().map(|role| role.as_str().into()));
        all.any("r.tier", filter.tiers.iter().map(|tier| tier.as_str().into()));
        if let Some(member) = filter.member {
            let member = all.bind(member.into());
            all.and(&format!("s.member_id = {member}"));
        }
        if filter.paid_only {
            all.and(PAID);
        }
        if filter.exempt_only {
            all.and(EXEMPT);
        }
        if filter.recommended_only {
            all.and("r.tier is not null");
        }
        if let Some(team) = filter.team {
            let team = all.bind(team.into());
            all.and(&format!(
                "exists (select 1 from team_members t where t.connection_id = s.connection_id
                    and t.team_id = {team} and t.member_id = s.member_id)"
            ));
        }
        if !filter.text.is_empty() {
            let escaped =
                filter.text.to_lowercase().replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
            let text = all.bind(format!("%{escaped}%").into());
            let like = |column: &str| format!(r"lower({column}) like {text} escape '\'");
            all.and(&format!("({} or {})", like("m.name"), like("m.email")));
        }
        all
    }

    fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn and(&mut self, condition: &str) {
        self.sql.push_str(&format!(" and {condition}"));
    }

    fn any(&mut self, column: &str, of: impl Iterator<Item = Value>) {
        let names: Vec<_> = of.map(|value| self.bind(value)).collect();
        if !names.is_empty() {
            self.and(&format!("{column} in ({})", names.join(", ")));
        }
    }
}

impl SeatList {
    /// The tables that the filter and the order need.
    fn tables(&self) -> String {
        let Self { filter, order, .. } = self;
        let mut tables = "seats s".to_owned();
        if *order == SeatOrder::Name {
            // Every seat has a member: an outer join would keep the database from beginning at the index of names.
            tables = format!("{tables} {}", MEMBERS.trim_start_matches("left "));
        } else if !filter.text.is_empty() {
            tables = format!("{tables} {MEMBERS}");
        }
        if !filter.tiers.is_empty() || filter.recommended_only || *order == SeatOrder::Recommendation {
            tables = format!("{tables} {RECOMMENDATIONS}");
        }
        tables
    }

    /// What is sorted by; never null.
    fn key(&self) -> String {
        let ranks = |column: &str, names: Vec<&str>| {
            let each = names.iter().enumerate().map(|(rank, name)| format!("when '{name}' then {rank}"));
            let each = each.collect::<Vec<_>>().join(" ");
            format!("cast(case {column} {each} else {} end as bigint)", names.len())
        };
        match self.order {
            SeatOrder::Member => "cast(0 as bigint)".to_owned(),
            SeatOrder::Name => "substr(coalesce(lower(m.name), ''), 1, 200)".to_owned(),
            SeatOrder::LastActive => format!("coalesce(s.last_active_day, '{}')", marks::BEGINNING),
            SeatOrder::ActiveDays => "s.active_days_28".to_owned(),
            SeatOrder::State => ranks("s.state", SeatState::ALL.map(SeatState::as_str).to_vec()),
            SeatOrder::FirstSeen => "s.first_seen_day".to_owned(),
            SeatOrder::Recommendation => ranks("r.action", Action::ALL.map(Action::as_str).to_vec()),
        }
    }

    /// What tells those who are equal in it apart: in the table whose index gives the order.
    fn id(&self) -> &'static str {
        if self.order == SeatOrder::Name { "m.member_id" } else { "s.member_id" }
    }

    /// The key of one seat, as a value to compare with; none where there is no such seat.
    fn read_key(&self, row: &Row) -> Result<Value> {
        Ok(match self.order {
            SeatOrder::Name => row.at::<String>(0)?.into(),
            SeatOrder::LastActive | SeatOrder::FirstSeen => row.at::<NaiveDate>(0)?.into(),
            _ => row.at::<i64>(0)?.into(),
        })
    }
}

impl Store {
    /// A page of a list: behind a member, or, where that one is gone, behind so many seats.
    pub async fn seat_page(
        &self,
        connection: &ConnectionId,
        list: &SeatList,
        after: Option<(u64, Uuid)>,
        limit: u64,
    ) -> Result<Vec<SeatRow>> {
        let mut conditions = Conditions::new(connection, &list.filter);
        let (tables, key, id) = (list.tables(), list.key(), list.id());
        let (direction, beyond) = if list.descending { ("desc", "<") } else { ("asc", ">") };
        let mut skipped = 0;
        if let Some((place, member)) = after {
            if let Some(of) = self.seat_key(connection, list, member).await? {
                let (of, member) = (conditions.bind(of), conditions.bind(member.into()));
                conditions.and(&format!("({key}, {id}) {beyond} ({of}, {member})"));
            } else {
                skipped = place;
            }
        }
        let (limit, skipped) = (conditions.bind(int(limit)), conditions.bind(int(skipped)));
        let sql = format!(
            "with page as (
                select s.member_id as page_member, {key} as page_key from {tables} where {}
                order by page_key {direction}, {id} {direction} limit {limit} offset {skipped})
            select {}, m.name, m.email, r.tier, r.action, a.accepted_by, a.accepted_at,
                x.reason, x.until_day, x.set_at, x.ended_at
            from page join seats s on s.connection_id = $1 and s.member_id = page_member {MEMBERS} {RECOMMENDATIONS}
            left join acceptances a on a.connection_id = r.connection_id and a.member_id = r.member_id
                and a.action = r.action
            left join exemptions x on x.connection_id = s.connection_id and x.member_id = s.member_id
            order by page_key {direction}, page_member {direction}",
            conditions.sql,
            seat_columns()
        );
        rows(&self.db, "list seats", sql, conditions.values).await?.iter().map(read_seat_row).collect()
    }

    /// One member's seat, with everything beside it.
    pub async fn seat_row(&self, connection: &ConnectionId, member: Uuid) -> Result<Option<SeatRow>> {
        let filter = SeatFilter { member: Some(member), ..SeatFilter::default() };
        let list = SeatList { filter, ..SeatList::default() };
        Ok(self.seat_page(connection, &list, None, 1).await?.pop())
    }

    /// The key that a seat has in a list, where there is such a seat.
    async fn seat_key(
        &self,
        connection: &ConnectionId,
        list: &SeatList,
        member: Uuid,
    ) -> Result<Option<Value>> {
        let list = SeatList { filter: SeatFilter::default(), ..list.clone() };
        let sql = format!(
            "select {} from {} where s.connection_id = $1 and s.member_id = $2",
            list.key(),
            list.tables()
        );
        let values = [connection.as_str().into(), member.into()];
        let found = row(&self.db, "look for a seat", sql, values).await?;
        found.map(|row| list.read_key(&row)).transpose()
    }

    /// How many seats the pages of a list have.
    pub async fn seat_count(&self, connection: &ConnectionId, filter: &SeatFilter) -> Result<u64> {
        let conditions = Conditions::new(connection, filter);
        let tables = SeatList { filter: filter.clone(), ..SeatList::default() }.tables();
        let sql = format!("select count(*) as count from {tables} where {}", conditions.sql);
        let counted = row(&self.db, "count seats", sql, conditions.values).await?;
        counted.map_or(Ok(0), |row| row.count("count"))
    }

    /// The paid seats of the newest rollup by state, in order of precedence. States that nobody is in are left out.
    pub async fn seat_counts(&self, connection: &ConnectionId) -> Result<Vec<SeatCount>> {
        let idle =
            |days: u32| format!("sum(case when s.active_days_{days} = 0 then 1 else 0 end) as idle_{days}");
        let sql = format!(
            "select s.state, count(*) as seats, {}, {}, {} from seats s
            where s.connection_id = $1 and {PAID} group by s.state",
            idle(7),
            idle(28),
            idle(90)
        );
        let rows = rows(&self.db, "count seats by state", sql, [connection.as_str().into()]).await?;
        let counts = rows.iter().map(|row| {
            Ok(SeatCount {
                state: row.parsed("state", SeatState::parse)?,
                seats: row.count("seats")?,
                idle: [row.count("idle_7")?, row.count("idle_28")?, row.count("idle_90")?],
            })
        });
        let mut counts = counts.collect::<Result<Vec<_>>>()?;
        counts.sort_by_key(|count| count.state);
        Ok(counts)
    }

    /// How many seats the newest rollup recommends something for, by tier.
    pub async fn recommendation_counts(&self, connection: &ConnectionId) -> Result<[u32; 3]> {
        let sql =
            "select tier, count(*) as seats from recommendations where connection_id = $1 group by tier";
        let mut counts = [0; 3];
        for row in rows(&self.db, "count recommendations", sql, [connection.as_str().into()]).await? {
            let tier = row.parsed("tier", Tier::parse)?;
            counts[tier as usize] = row.count("seats")?;
        }
        Ok(counts)
    }

    /// How many assigned seats can be taken back: disabled and pending members hold none.
    pub async fn reclaimable_seats(&self, connection: &ConnectionId) -> Result<u32> {
        let sql = format!(
            "select count(*) as count from seats s {RECOMMENDATIONS}
            where s.connection_id = $1 and {PAID} and r.tier in ('certain', 'probable')"
        );
        let counted = row(&self.db, "count seats to take back", sql, [connection.as_str().into()]).await?;
        counted.map_or(Ok(0), |row| row.count("count"))
    }

    /// The days of a range on which these members were active.
    pub async fn active_days(
        &self,
        connection: &ConnectionId,
        members: &[Uuid],
        (from, to): (NaiveDate, NaiveDate),
    ) -> Result<HashMap<Uuid, Vec<NaiveDate>>> {
        let mut days: HashMap<Uuid, Vec<NaiveDate>> = HashMap::new();
        if members.is_empty() {
            return Ok(days);
        }
        let sql = format!(
            "select d.member_id, d.day from member_days d where d.connection_id = $1 and d.day between $2 and $3
                and d.member_id in ({}) and {}",
            crate::statement::placeholders(4, members.len()),
            active_condition()
        );
        let mut values: Vec<Value> = vec![connection.as_str().into(), from.into(), to.into()];
        values.extend(members.iter().map(|member| Value::from(*member)));
        for row in rows(&self.db, "read active days", sql, values).await? {
            days.entry(row.at(0)?).or_default().push(row.at(1)?);
        }
        Ok(days)
    }
}
