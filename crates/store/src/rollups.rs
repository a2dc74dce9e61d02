//! Rollups: the numbers per day and window, the seats of the newest day, and what they speak for.

use std::{borrow::Cow, collections::BTreeMap};

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectionTrait, Value};
use tidemark_domain::{
    activity::Area,
    id::{ConnectionId, RunId},
    member::{Role, Standing},
    rollup::{AreaUse, Rollup, Seat, SeatState, WindowUse},
};

use crate::{
    error::Result,
    statement::{Row, Table, execute, int, row, rows},
    store::{Store, Tx},
};

const HEADS: Table<'static> = Table {
    name: "rollup_heads",
    key: 1,
    columns: Cow::Borrowed(&[
        "connection_id",
        "as_of",
        "history_start",
        "definition_version",
        "run_id",
        "members",
        "computed_at",
    ]),
};

const WINDOWS: Table<'static> = Table {
    name: "rollup_windows",
    key: 3,
    columns: Cow::Borrowed(&[
        "connection_id",
        "day",
        "window_days",
        "covered_days",
        "assigned",
        "active_seats",
        "active_members",
        "member_days",
    ]),
};

const AREAS: Table<'static> = Table {
    name: "rollup_areas",
    key: 4,
    columns: Cow::Borrowed(&[
        "connection_id",
        "day",
        "window_days",
        "area",
        "members",
        "creators",
        "openers",
        "actions",
    ]),
};

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
        "active_days_7",
        "active_days_28",
        "active_days_90",
        "areas_used",
    ]),
};

/// Numbers per day and window length.
pub(crate) type Windows = BTreeMap<(NaiveDate, u32), WindowUse>;

/// What the newest rollup of a workspace speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollupHead {
    /// The day the numbers are as of.
    pub as_of: NaiveDate,
    /// The first covered day: "never seen" means "not since then".
    pub history_start: NaiveDate,
    /// By which definitions.
    pub definition_version: u32,
    /// The run whose facts it saw.
    pub run_id: RunId,
    /// Members that went into it.
    pub members: u64,
    /// When it was made.
    pub computed_at: DateTime<Utc>,
}

impl Store {
    /// What the newest rollup speaks for.
    pub async fn rollup_head(&self, connection: &ConnectionId) -> Result<Option<RollupHead>> {
        let sql = "select as_of, history_start, definition_version, run_id, members, computed_at
            from rollup_heads where connection_id = $1";
        let values = [connection.as_str().into()];
        let Some(row) = row(&self.db, "read a rollup's head", sql, values).await? else { return Ok(None) };
        Ok(Some(RollupHead {
            as_of: row.get("as_of")?,
            history_start: row.get("history_start")?,
            definition_version: row.count("definition_version")?,
            run_id: row.parsed("run_id", |text| text.parse().ok())?,
            members: row.count("members")?,
            computed_at: row.get("computed_at")?,
        }))
    }

    /// The windows that end on that day, by length.
    pub async fn windows_on(
        &self,
        connection: &ConnectionId,
        day: NaiveDate,
    ) -> Result<Vec<(u32, WindowUse)>> {
        let windows = self.windows(connection, Some(day)).await?;
        Ok(windows.into_iter().map(|((_, window), numbers)| (window, numbers)).collect())
    }

    /// The windows that end on that day, or on any.
    pub(crate) async fn windows(&self, connection: &ConnectionId, day: Option<NaiveDate>) -> Result<Windows> {
        let only = if day.is_some() { "and day = $2" } else { "" };
        let values = || [connection.as_str().into()].into_iter().chain(day.map(Value::from));
        let sql = format!(
            "select day, window_days, covered_days, assigned, active_seats, active_members, member_days
            from rollup_windows where connection_id = $1 {only}"
        );
        let mut windows = Windows::new();
        for row in rows(&self.db, "read rollup windows", sql, values()).await? {
            windows.insert((row.get("day")?, row.count("window_days")?), read_window(&row)?);
        }
        let sql = format!(
            "select day, window_days, area, members, creators, openers, actions
            from rollup_areas where connection_id = $1 {only}"
        );
        for row in rows(&self.db, "read rollup areas", sql, values()).await? {
            if let Some(window) = windows.get_mut(&(row.get("day")?, row.count("window_days")?)) {
                window.areas[row.parsed("area", Area::parse)? as usize] = read_area(&row)?;
            }
        }
        Ok(windows)
    }

    /// The seats of the newest rollup, by member.
    pub async fn seats(&self, connection: &ConnectionId) -> Result<Vec<Seat>> {
        let sql = format!(
            "select {} from seats where connection_id = $1 order by member_id",
            SEATS.columns[1..].join(", ")
        );
        let rows = rows(&self.db, "read seats", sql, [connection.as_str().into()]).await?;
        rows.iter().map(read_seat).collect()
    }
}

fn read_window(row: &Row) -> Result<WindowUse> {
    Ok(WindowUse {
        covered_days: row.count("covered_days")?,
        assigned: row.count("assigned")?,
        active_seats: row.count("active_seats")?,
        active_members: row.count("active_members")?,
        member_days: row.count("member_days")?,
        ..WindowUse::default()
    })
}

fn read_area(row: &Row) -> Result<AreaUse> {
    Ok(AreaUse {
        members: row.count("members")?,
        creators: row.count("creators")?,
        openers: row.count("openers")?,
        actions: row.count("actions")?,
    })
}

fn read_seat(row: &Row) -> Result<Seat> {
    let role: String = row.get("role")?;
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
        active_days: [
            row.count("active_days_7")?,
            row.count("active_days_28")?,
            row.count("active_days_90")?,
        ],
        areas_used: row.json("areas_used")?,
    })
}

impl Tx {
    /// Writes the windows of the days in the rollup over those that are there, and the seats and the head in the place
    /// of the old ones. Windows of other days stay: they are the history of the charts.
    ///
    /// False, with nothing written, where the rollup of a newer day stands already: the head goes first, so that of
    /// two writers the second waits for the first and then sees its day.
    pub async fn replace_rollup(
        &self,
        connection: &ConnectionId,
        head: &RollupHead,
        rollup: &Rollup,
    ) -> Result<bool> {
        let upsert = HEADS.upsert(self.tx.get_database_backend(), 1);
        let newest = format!("{upsert} where rollup_heads.as_of <= excluded.as_of");
        let values = head_values(connection, head);
        if execute(&self.tx, "write a rollup's head", newest, values).await? == 0 {
            return Ok(false);
        }
        let windows = rollup.windows.iter();
        let rows = windows.clone().map(|(key, numbers)| window_values(connection, *key, numbers));
        WINDOWS.put(&self.tx, "write rollup windows", rows).await?;
        let rows = windows.flat_map(|(key, numbers)| {
            Area::ALL.map(|area| area_values(connection, *key, area, &numbers.areas[area as usize]))
        });
        AREAS.put(&self.tx, "write rollup areas", rows).await?;
        let sql = "delete from seats where connection_id = $1";
        execute(&self.tx, "delete old seats", sql, [connection.as_str().into()]).await?;
        let seats: BTreeMap<_, _> = rollup.seats.iter().map(|seat| (seat.member_id, seat)).collect();
        let rows = seats.into_values().map(|seat| seat_values(connection, seat));
        SEATS.put(&self.tx, "write seats", rows).await?;
        Ok(true)
    }
}

fn head_values(connection: &ConnectionId, head: &RollupHead) -> Vec<Value> {
    vec![
        connection.as_str().into(),
        head.as_of.into(),
        head.history_start.into(),
        int(head.definition_version),
        head.run_id.as_str().into(),
        int(head.members),
        head.computed_at.into(),
    ]
}

fn window_values(
    connection: &ConnectionId,
    (day, window): (NaiveDate, u32),
    numbers: &WindowUse,
) -> Vec<Value> {
    vec![
        connection.as_str().into(),
        day.into(),
        int(window),
        int(numbers.covered_days),
        int(numbers.assigned),
        int(numbers.active_seats),
        int(numbers.active_members),
        int(numbers.member_days),
    ]
}

fn area_values(
    connection: &ConnectionId,
    (day, window): (NaiveDate, u32),
    area: Area,
    numbers: &AreaUse,
) -> Vec<Value> {
    vec![
        connection.as_str().into(),
        day.into(),
        int(window),
        area.as_str().into(),
        int(numbers.members),
        int(numbers.creators),
        int(numbers.openers),
        int(numbers.actions),
    ]
}

fn seat_values(connection: &ConnectionId, seat: &Seat) -> Vec<Value> {
    let [days_7, days_28, days_90] = seat.active_days;
    vec![
        connection.as_str().into(),
        seat.member_id.into(),
        seat.standing.role.as_str().into(),
        seat.standing.disabled.into(),
        seat.standing.pending.into(),
        seat.state.as_str().into(),
        seat.first_seen_day.into(),
        seat.last_active_day.into(),
        int(days_7),
        int(days_28),
        int(days_90),
        serde_json::json!(seat.areas_used).to_string().into(),
    ]
}
