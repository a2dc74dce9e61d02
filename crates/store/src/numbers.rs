//! The numbers per cut, window and day: one row each, with five areas side by side.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use chrono::{Days, NaiveDate};
use sea_orm::{ConnectionTrait as _, Value};
use tidemark_domain::{
    activity::Area,
    id::ConnectionId,
    rollup::{AreaUse, Cut, CutSet, Key, WINDOWS, WindowUse},
};
use uuid::Uuid;

use crate::{
    dialect,
    error::Result,
    statement::{Row, Table, corrupt, execute, int, placeholders, rows},
    store::{Store, Tx},
};

/// What makes a row one of a kind within a connection.
const KEY: [&str; 4] = ["cut_kind", "cut_key", "window_days", "day"];

/// Days whose rows are compared at once, and rows, where these are more: what is in memory grows neither with the history
/// nor with the cuts, as long as those of a day are fewer.
const MOST_DAYS: u64 = 14;
const MOST_ROWS: usize = 8_192;

static NUMBERS: LazyLock<Table<'static>> = LazyLock::new(|| {
    // Lives as long as the program: the names of twenty columns.
    let areas = Area::ALL.into_iter().flat_map(|area| {
        ["members", "creators", "openers", "actions"]
            .map(|number| &*Box::leak(format!("{}_{number}", area.as_str()).into_boxed_str()))
    });
    let fixed = [
        "connection_id",
        "cut_kind",
        "cut_key",
        "window_days",
        "day",
        "covered_days",
        "assigned",
        "active_seats",
        "active_members",
        "member_days",
        "daily_actives",
    ];
    Table { name: "rollup_numbers", key: 5, columns: Cow::Owned(fixed.into_iter().chain(areas).collect()) }
});

fn columns() -> String {
    NUMBERS.columns[1..].join(", ")
}

/// What this version computes: rows of other kinds of cuts and of other windows belong to a later one.
fn known() -> String {
    let kinds = Cut::KINDS.map(|kind| format!("'{kind}'")).join(", ");
    let windows = WINDOWS.map(|window| window.to_string()).join(", ");
    format!("cut_kind in ({kinds}) and window_days in ({windows})")
}

/// Reads a row of a known kind; none where its cut cannot be what is written now.
fn read(row: &Row) -> Result<Option<(Key, WindowUse)>> {
    let (kind, key): (String, String) = (row.at(0)?, row.at(1)?);
    let Some(cut) = Cut::parse(&kind, &key) else { return Ok(None) };
    let number = |place: usize| -> Result<u64> {
        u64::try_from(row.at::<i64>(place)?).map_err(|_| corrupt(NUMBERS.columns[place + 1]))
    };
    let count = |place: usize| -> Result<u32> {
        u32::try_from(number(place)?).map_err(|_| corrupt(NUMBERS.columns[place + 1]))
    };
    let mut areas = [AreaUse::default(); 5];
    for (at, area) in areas.iter_mut().enumerate() {
        let place = 10 + at * 4;
        *area = AreaUse {
            members: count(place)?,
            creators: count(place + 1)?,
            openers: count(place + 2)?,
            actions: number(place + 3)?,
        };
    }
    let numbers = WindowUse {
        covered_days: count(4)?,
        assigned: count(5)?,
        active_seats: count(6)?,
        active_members: count(7)?,
        member_days: count(8)?,
        daily_actives: count(9)?,
        areas,
    };
    Ok(Some(((cut, row.at(3)?, count(2)?), numbers)))
}

/// The columns of the key behind the connection, as they stand.
fn raw_key(row: &Row) -> Result<Vec<Value>> {
    let (kind, key): (String, String) = (row.at(0)?, row.at(1)?);
    Ok(vec![kind.into(), key.into(), row.at::<i64>(2)?.into(), row.at::<NaiveDate>(3)?.into()])
}

fn values(connection: &ConnectionId, (cut, day, window): &Key, numbers: &WindowUse) -> Vec<Value> {
    let mut values: Vec<Value> = vec![
        connection.as_str().into(),
        cut.kind().into(),
        cut.key().into(),
        int(*window),
        (*day).into(),
        int(numbers.covered_days),
        int(numbers.assigned),
        int(numbers.active_seats),
        int(numbers.active_members),
        int(numbers.member_days),
        int(numbers.daily_actives),
    ];
    for AreaUse { members, creators, openers, actions } in numbers.areas {
        values.extend([int(members), int(creators), int(openers), int(actions)]);
    }
    values
}

impl Store {
    /// The windows of everybody that end on that day, by length.
    pub async fn windows_on(
        &self,
        connection: &ConnectionId,
        day: NaiveDate,
    ) -> Result<Vec<(u32, WindowUse)>> {
        let rows = self.numbers_between(connection, day, day, Some("all")).await?;
        Ok(rows.into_iter().map(|((_, _, window), numbers)| (window, numbers)).collect())
    }

    /// All numbers of the windows that end on those days, of every cut or of cuts of one kind.
    pub async fn numbers_between(
        &self,
        connection: &ConnectionId,
        from: NaiveDate,
        to: NaiveDate,
        kind: Option<&str>,
    ) -> Result<BTreeMap<Key, WindowUse>> {
        let only = if kind.is_some() { "and cut_kind = $4" } else { "" };
        let sql = format!(
            "select {} from rollup_numbers where connection_id = $1 and day between $2 and $3 and {} {only}",
            columns(),
            known()
        );
        let mut values: Vec<Value> = vec![connection.as_str().into(), from.into(), to.into()];
        values.extend(kind.map(Value::from));
        rows(&self.db, "read numbers", sql, values)
            .await?
            .iter()
            .filter_map(|row| read(row).transpose())
            .collect()
    }

    /// The numbers of one cut and window length on those days, oldest first.
    pub async fn trend(
        &self,
        connection: &ConnectionId,
        cut: &Cut,
        window: u32,
        (from, to): (NaiveDate, NaiveDate),
    ) -> Result<Vec<(NaiveDate, WindowUse)>> {
        let sql = format!(
            "select {} from rollup_numbers where connection_id = $1 and cut_kind = $2 and cut_key = $3
            and window_days = $4 and day between $5 and $6 order by day",
            columns()
        );
        let (kind, key) = (cut.kind(), cut.key());
        let values =
            [connection.as_str().into(), kind.into(), key.into(), int(window), from.into(), to.into()];
        let rows = rows(&self.db, "read a trend", sql, values).await?;
        let known = rows.iter().filter_map(|row| read(row).transpose());
        known.map(|row| row.map(|((_, day, _), numbers)| (day, numbers))).collect()
    }
}

impl Tx {
    /// The teams that there are, and those that have numbers although they are gone.
    pub async fn teams_with_numbers(&self, connection: &ConnectionId) -> Result<BTreeSet<Uuid>> {
        let sql = "select team_id from teams where connection_id = $1";
        let known = rows(&self.tx, "list teams", sql, [connection.as_str().into()]).await?;
        let mut teams: BTreeSet<Uuid> = known.iter().map(|row| row.at(0)).collect::<Result<_>>()?;
        // From key to key: each has thousands of rows.
        let sql = "with recursive keys (cut_key) as (
                select min(cut_key) from rollup_numbers where connection_id = $1 and cut_kind = 'team'
                union all
                select (select min(n.cut_key) from rollup_numbers n
                    where n.connection_id = $1 and n.cut_kind = 'team' and n.cut_key > keys.cut_key)
                from keys where keys.cut_key is not null)
            select cut_key from keys where cut_key is not null";
        let counted = rows(&self.tx, "list teams with numbers", sql, [connection.as_str().into()]).await?;
        for row in counted {
            let key: String = row.at(0)?;
            // What no version can read goes when all cuts are written at once.
            teams.extend(Uuid::parse_str(&key).ok());
        }
        Ok(teams)
    }

    /// Makes the rows of those days and cuts what the rollup says; gives how many were not so already. To be called under
    /// the lock of the head.
    pub async fn put_numbers(
        &self,
        connection: &ConnectionId,
        (first, last): (NaiveDate, NaiveDate),
        cuts: &CutSet,
        wanted: &BTreeMap<Key, WindowUse>,
    ) -> Result<u64> {
        let mut by_day: BTreeMap<NaiveDate, Vec<(&Key, &WindowUse)>> = BTreeMap::new();
        for row in wanted {
            by_day.entry(row.0.1).or_default().push(row);
        }
        let most = by_day.values().map(Vec::len).max().unwrap_or(1);
        let at_once = ((MOST_ROWS / most.max(1)) as u64).clamp(1, MOST_DAYS);
        let (mut changed, mut from) = (0, first);
        while from <= last {
            let to = last.min(from + Days::new(at_once - 1));
            let block = by_day.range(from..=to).flat_map(|(_, rows)| rows.iter().copied()).collect();
            changed += self.put_block(connection, (from, to), cuts, &block).await?;
            from = to + Days::new(1);
        }
        Ok(changed)
    }

    async fn put_block(
        &self,
        connection: &ConnectionId,
        (from, to): (NaiveDate, NaiveDate),
        cuts: &CutSet,
        wanted: &BTreeMap<&Key, &WindowUse>,
    ) -> Result<u64> {
        let (only, keys) = match cuts {
            CutSet::Whole => (String::new(), Vec::new()),
            CutSet::WithoutTeams => ("and cut_kind <> 'team'".to_owned(), Vec::new()),
            CutSet::Teams(teams) => {
                let keys: Vec<_> = teams.iter().map(|team| Cut::Team(*team).key()).collect();
                (format!("and cut_kind = 'team' and cut_key in ({})", placeholders(4, keys.len())), keys)
            }
        };
        let sql = format!(
            "select {} from rollup_numbers where connection_id = $1 and day between $2 and $3 and {} {only}",
            columns(),
            known()
        );
        let mut of: Vec<Value> = vec![connection.as_str().into(), from.into(), to.into()];
        of.extend(keys.into_iter().map(Value::from));
        let (mut there, mut gone) = (BTreeMap::new(), Vec::new());
        for row in rows(&self.tx, "read numbers", sql, of).await? {
            match read(&row)? {
                Some((key, numbers)) if wanted.contains_key(&key) => drop(there.insert(key, numbers)),
                _ => gone.push(raw_key(&row)?),
            }
        }
        let (mut fresh, mut other) = (Vec::new(), Vec::new());
        for (key, numbers) in wanted {
            match there.get(*key) {
                None => fresh.push(values(connection, key, numbers)),
                Some(old) if old != *numbers => other.push(values(connection, key, numbers)),
                Some(_) => {}
            }
        }
        let changed = fresh.len() + other.len() + gone.len();
        NUMBERS.insert(&self.tx, "write numbers", fresh).await?;
        NUMBERS.put(&self.tx, "write numbers", other).await?;
        let backend = self.tx.get_database_backend();
        for some in gone.chunks(dialect::delete_size(backend, KEY.len())) {
            let of = [connection.as_str().into(), from.into(), to.into()];
            let table = ("connection_id", "day", &KEY[..]);
            let (sql, values) =
                dialect::delete(backend, NUMBERS.name, table, some.len(), of, some.iter().cloned());
            execute(&self.tx, "delete numbers", sql, values).await?;
        }
        Ok(changed as u64)
    }
}
