//! Seats of the newest rollup with their evidence, and what is recommended for them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    num::NonZeroU64,
};

use sea_orm::{ConnectionTrait, DbBackend, Value};
use tidemark_domain::{
    exemption::Exemption,
    id::ConnectionId,
    member::{Role, Standing},
    recommendation::{Acceptance, Action, Recommendation, Tier},
    rollup::{Seat, SeatState, SeatUse},
};
use uuid::Uuid;

use crate::{
    acceptances, dialect,
    error::Result,
    exemptions,
    recent::BLOCK,
    statement::{Bulk, Row, Table, each_row, execute, int, placeholders, row, rows},
    store::{Store, Tx},
};

/// Rows that one statement deletes.
const DELETED_AT_ONCE: usize = 500;

const SEATS: Table<'static> = Table {
    name: "seats",
    key: 2,
    columns: Cow::Borrowed(&[
        "connection_id",
        "member_id",
        "role",
        "disabled",
        "pending",
        "state",
        "first_seen_day",
        "last_active_day",
        "pending_since",
        "active_days_7",
        "active_days_28",
        "active_days_90",
        "areas_7",
        "areas_28",
        "areas_90",
        "actions_7",
        "actions_28",
        "actions_90",
        "views_7",
        "views_28",
        "views_90",
        "maker_actions_7",
        "maker_actions_28",
        "maker_actions_90",
        "notes_7",
        "notes_28",
        "notes_90",
        "areas_used",
    ]),
};

const RECOMMENDATIONS: Table<'static> = Table {
    name: "recommendations",
    key: 2,
    columns: Cow::Borrowed(&["connection_id", "member_id", "tier", "action"]),
};

/// A seat with everything that is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatRow {
    /// The seat.
    pub seat: Seat,
    /// As the vendor shows it.
    pub name: Option<String>,
    /// As the vendor shows it.
    pub email: Option<String>,
    /// What is recommended, where something is.
    pub recommendation: Option<(Tier, Action)>,
    /// Who took it on, where somebody did.
    pub acceptance: Option<Acceptance>,
    /// The member's exemption, whether it holds or not.
    pub exemption: Option<Exemption>,
}

fn read_seat(row: &Row) -> Result<Seat> {
    let role: String = row.get("role")?;
    let window = |days: u32| -> Result<SeatUse> {
        let column = |name: &str| format!("{name}_{days}");
        Ok(SeatUse {
            active_days: row.count(&column("active_days"))?,
            areas: row.count(&column("areas"))?,
            actions: row.count(&column("actions"))?,
            views: row.count(&column("views"))?,
            maker_actions: row.count(&column("maker_actions"))?,
            notes: row.count(&column("notes"))?,
        })
    };
    Ok(Seat {
        member_id: row.get("member_id")?,
        standing: Standing {
            role: Role::from(role.as_str()),
            disabled: row.get("disabled")?,
            pending: row.get("pending")?,
        },
        state: row.parsed("state", SeatState::parse)?,
        first_seen_day: row.get("first_seen_day")?,
        last_active_day: row.get("last_active_day")?,
        pending_since: row.get("pending_since")?,
        uses: [window(7)?, window(28)?, window(90)?],
        areas_used: row.json("areas_used")?,
    })
}

/// The columns of a seat behind the connection.
fn seat_values(seat: &Seat) -> Vec<Value> {
    let mut values: Vec<Value> = vec![
        seat.member_id.into(),
        seat.standing.role.as_str().into(),
        seat.standing.disabled.into(),
        seat.standing.pending.into(),
        seat.state.as_str().into(),
        seat.first_seen_day.into(),
        seat.last_active_day.into(),
        seat.pending_since.into(),
    ];
    let each = |number: fn(&SeatUse) -> u64| seat.uses.map(|window| int(number(&window)));
    values.extend(each(|window| window.active_days.into()));
    values.extend(each(|window| window.areas.into()));
    values.extend(each(|window| window.actions));
    values.extend(each(|window| window.views));
    values.extend(each(|window| window.maker_actions));
    values.extend(each(|window| window.notes));
    let areas: Vec<_> = seat.areas_used.iter().map(|area| format!("\"{}\"", area.as_str())).collect();
    values.push(format!("[{}]", areas.join(",")).into());
    values
}

fn read_recommendation(row: &Row) -> Result<Recommendation> {
    Ok(Recommendation {
        member_id: row.get("member_id")?,
        tier: row.parsed("tier", Tier::parse)?,
        action: row.parsed("action", Action::parse)?,
    })
}

fn select_seats() -> String {
    format!("select {} from seats where connection_id = $1 order by member_id", SEATS.columns[1..].join(", "))
}

const SELECT_RECOMMENDATIONS: &str = "select member_id, tier, action from recommendations where connection_id = $1 order by tier, action, member_id";

impl Store {
    /// The seats of the newest rollup, by member.
    pub async fn seats(&self, connection: &ConnectionId) -> Result<Vec<Seat>> {
        let rows = rows(&self.db, "read seats", select_seats(), [connection.as_str().into()]).await?;
        rows.iter().map(read_seat).collect()
    }

    /// Makes statements of the connection's seats.
    pub fn seat_writer(&self, connection: &ConnectionId) -> SeatWriter {
        SeatWriter { backend: self.db.get_database_backend(), connection: connection.clone() }
    }

    /// What the newest rollup recommends, surest first.
    pub async fn recommendations(&self, connection: &ConnectionId) -> Result<Vec<Recommendation>> {
        let values = [connection.as_str().into()];
        let rows = rows(&self.db, "read recommendations", SELECT_RECOMMENDATIONS, values).await?;
        rows.iter().map(read_recommendation).collect()
    }
}

/// The columns of a seat `s`, as [`read_seat_row`] wants them.
pub(crate) fn seat_columns() -> String {
    let columns: Vec<_> = SEATS.columns[1..].iter().map(|column| format!("s.{column}")).collect();
    columns.join(", ")
}

pub(crate) fn read_seat_row(row: &Row) -> Result<SeatRow> {
    let tier: Option<String> = row.get("tier")?;
    let recommendation = match tier {
        Some(_) => read_recommendation(row).map(|it| Some((it.tier, it.action)))?,
        None => None,
    };
    let reason: Option<String> = row.get("reason")?;
    Ok(SeatRow {
        seat: read_seat(row)?,
        name: row.get("name")?,
        email: row.get("email")?,
        recommendation,
        acceptance: acceptances::read(row)?,
        exemption: reason.map(|_| exemptions::read(row)).transpose()?,
    })
}

/// What a seat says, as a number to compare: another number, another seat. None where there is no seat. The next version of
/// the program may have other numbers for the same seats, and finds them changed once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeatDigest(Option<NonZeroU64>);

impl SeatDigest {
    /// Of a row that this version cannot read: other than any seat.
    const UNREAD: Self = Self(Some(NonZeroU64::MAX));

    /// Of that seat.
    pub fn of(seat: Option<&Seat>) -> Self {
        let digest = |seat: &Seat| {
            let mut hasher = DefaultHasher::new();
            seat.hash(&mut hasher);
            NonZeroU64::new(hasher.finish() >> 1).unwrap_or(NonZeroU64::MIN)
        };
        Self(seat.map(digest))
    }

    pub(crate) fn to_bytes(self) -> [u8; 8] {
        self.0.map_or(0, NonZeroU64::get).to_le_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(NonZeroU64::new(u64::from_le_bytes(bytes)))
    }
}

/// Makes statements of the seats of a connection, where the database is still busy with others.
#[derive(Debug)]
pub struct SeatWriter {
    backend: DbBackend,
    connection: ConnectionId,
}

/// How some seats are written.
#[derive(Debug)]
pub struct SeatStatements {
    updates: Vec<Bulk>,
    updated: u64,
    fresh: Vec<Vec<Value>>,
    gone: Vec<Uuid>,
}

impl SeatStatements {
    /// How many seats these are.
    pub fn seats(&self) -> u64 {
        self.updated + self.fresh.len() as u64 + self.gone.len() as u64
    }
}

impl SeatWriter {
    /// Members with the seats that they had and that they have now; what stays the same is left out.
    pub fn statements<'a>(
        &self,
        seats: impl Iterator<Item = (Uuid, SeatDigest, Option<&'a Seat>)>,
    ) -> SeatStatements {
        let (mut changed, mut fresh, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (member, before, seat) in seats.filter(|(_, before, seat)| *before != SeatDigest::of(*seat)) {
            match seat {
                Some(seat) if before.0.is_some() => changed.push(seat),
                Some(seat) => fresh.push(seat),
                None => gone.push(member),
            }
        }
        changed.sort_by_key(|seat| seat.member_id);
        let id = Value::from(self.connection.as_str());
        let with_id = |seat: &Seat| std::iter::once(id.clone()).chain(seat_values(seat)).collect();
        SeatStatements {
            updates: SEATS.updates(self.backend, &id, &changed, |seat| seat_values(seat)),
            updated: changed.len() as u64,
            fresh: fresh.into_iter().map(with_id).collect(),
            gone,
        }
    }
}

impl Tx {
    /// Makes the seats what the rollup says; gives how many were not so already.
    pub(crate) async fn put_seats(&self, connection: &ConnectionId, seats: &[Seat]) -> Result<u64> {
        let writer = SeatWriter { backend: self.tx.get_database_backend(), connection: connection.clone() };
        let mut before = HashMap::new();
        let keep = |row: &Row| {
            let digest = read_seat(row).map_or(SeatDigest::UNREAD, |seat| SeatDigest::of(Some(&seat)));
            before.insert(row.get("member_id")?, digest);
            Ok(())
        };
        each_row(&self.tx, "read seats", select_seats(), [connection.as_str().into()], keep).await?;
        let mut changed = 0;
        // As many at a time as a block has, so that the values of no more are in memory.
        for some in seats.chunks(BLOCK) {
            let some = some
                .iter()
                .map(|seat| (seat.member_id, before.remove(&seat.member_id).unwrap_or_default(), Some(seat)));
            changed += self.write_seats(connection, writer.statements(some)).await?;
        }
        let gone: Vec<_> = before.into_keys().collect();
        Ok(changed + self.delete_of("seats", connection, &gone).await?)
    }

    /// Writes some seats; gives how many, which is fewer than they are where one was not as it was said to be.
    pub async fn write_seats(&self, connection: &ConnectionId, seats: SeatStatements) -> Result<u64> {
        let mut written = 0;
        for (sql, values) in seats.updates {
            written += execute(&self.tx, "write seats", sql, values).await?;
        }
        written += SEATS.put(&self.tx, "add seats", seats.fresh).await?;
        Ok(written + self.delete_of("seats", connection, &seats.gone).await?)
    }

    /// Makes the recommendations what the rollup says; gives how many were not so already.
    pub(crate) async fn put_recommendations(
        &self,
        connection: &ConnectionId,
        wanted: &[Recommendation],
    ) -> Result<u64> {
        let wanted: BTreeMap<_, _> = wanted.iter().map(|it| (it.member_id, it)).collect();
        let rows = wanted.values().map(|it| {
            let (tier, action) = (it.tier.as_str(), it.action.as_str());
            vec![connection.as_str().into(), it.member_id.into(), tier.into(), action.into()]
        });
        let changed = RECOMMENDATIONS.put(&self.tx, "write recommendations", rows).await?;
        let mut gone = self.recommended(connection).await?;
        gone.retain(|member| !wanted.contains_key(member));
        let gone = self.delete_of("recommendations", connection, &gone).await?;
        self.end_acceptances(connection).await?;
        Ok(changed + gone)
    }

    /// Members of whom something is recommended.
    async fn recommended(&self, connection: &ConnectionId) -> Result<Vec<Uuid>> {
        let backend = self.tx.get_database_backend();
        let ids = dialect::ids(backend, "member_id");
        let sql = format!("select coalesce({ids}, '') from recommendations where connection_id = $1");
        let there = row(&self.tx, "list what is recommended", sql, [connection.as_str().into()]).await?;
        there.map_or_else(|| Ok(Vec::new()), |row| dialect::read_ids(backend, &row, 0))
    }

    /// Deletes the rows of these members; gives how many.
    async fn delete_of(
        &self,
        table: &'static str,
        connection: &ConnectionId,
        members: &[Uuid],
    ) -> Result<u64> {
        let mut gone = 0;
        for some in members.chunks(DELETED_AT_ONCE) {
            let these = placeholders(2, some.len());
            let sql = format!("delete from {table} where connection_id = $1 and member_id in ({these})");
            let values = std::iter::once(connection.as_str().into());
            let values = values.chain(some.iter().map(|member| (*member).into()));
            gone += execute(&self.tx, "delete what is no more", sql, values).await?;
        }
        Ok(gone)
    }
}
