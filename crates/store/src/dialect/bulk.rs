//! Statements that write many rows at once.

use sea_orm::{DbBackend, Value, sea_query::ArrayType};

use crate::statement::{Bulk, placeholders};

/// Of values in one parameter.
const LONGEST_LIST: usize = 10_000;
/// Of an insert into SQLite.
const MOST_TUPLES: usize = 256;
/// Of an upsert into SQLite.
const MOST_UPSERTED: usize = 500;
/// Of an update on PostgreSQL.
const UPDATED_AT_ONCE: usize = 2_048;
/// Rows from which on it is worth it to send once what many of them share: with fewer, all keep to one statement.
const SHARED_FROM: usize = 256;
/// Of different texts that are sent once.
const SHARED_TEXTS: usize = 16;

/// A tuple of parameters of a bulk insert. SQLite looks a named parameter up among all the others, which makes thousands
/// of them slow; PostgreSQL knows no parameter without a number.
pub(crate) fn tuple(backend: DbBackend, first: usize, width: usize) -> String {
    match backend {
        DbBackend::Postgres => format!("({})", placeholders(first, width)),
        _ => format!("({})", vec!["?"; width].join(", ")),
    }
}

/// How many of so many rows the next insert takes; none, where there are none.
///
/// PostgreSQL takes a list per column, of any length. SQLite takes tuples: powers of two make few statements.
pub(crate) fn insert_size(backend: DbBackend, rows: usize) -> Option<usize> {
    match backend {
        DbBackend::Postgres => (rows > 0).then_some(rows.min(LONGEST_LIST)),
        _ => rows.checked_ilog2().map(|power| 1 << power.min(MOST_TUPLES.ilog2())),
    }
}

/// How many rows of that many columns an upsert takes.
pub(crate) fn upsert_size(backend: DbBackend, columns: usize) -> usize {
    match backend {
        DbBackend::Postgres => LONGEST_LIST,
        // At most 32,766 parameters; and more rows make it no faster.
        _ => MOST_UPSERTED.min(30_000 / columns),
    }
}

/// An insert of that many rows, whose columns are of the types of the first row's values.
pub(crate) fn insert(
    backend: DbBackend,
    table: &str,
    columns: &[&str],
    size: usize,
    rows: impl Iterator<Item = Vec<Value>>,
) -> Bulk {
    let names = columns.join(", ");
    if backend != DbBackend::Postgres {
        let tuples = vec![tuple(backend, 1, columns.len()); size].join(", ");
        return (format!("insert into {table} ({names}) values {tuples}"), rows.flatten().collect());
    }
    let (rows, lists) = unnested(columns, size, rows, 1);
    (format!("insert into {table} ({names}) {rows}"), lists)
}

/// How many rows of that many columns an update takes.
pub(crate) fn update_size(backend: DbBackend, columns: usize) -> usize {
    match backend {
        DbBackend::Postgres => UPDATED_AT_ONCE,
        _ => upsert_size(backend, columns),
    }
}

/// An update of those of that many rows that are there; `key` columns make the key, the first of which is the same for all
/// rows, and the second of which says in which order they come: PostgreSQL looks at no rows but those between the first and
/// the last one.
pub(crate) fn update(
    backend: DbBackend,
    table: &str,
    (key, columns): (usize, &[&str]),
    size: usize,
    of: Value,
    rows: impl Iterator<Item = Vec<Value>>,
) -> Bulk {
    let (owner, columns) = (columns[0], &columns[1..]);
    let (keys, rest) = columns.split_at(key - 1);
    let each = |of: &[&str], one: &dyn Fn(&str) -> String, between: &str| {
        of.iter().map(|column| one(column)).collect::<Vec<_>>().join(between)
    };
    let set = each(rest, &|column| format!("{column} = n.{column}"), ", ");
    let same = each(keys, &|column| format!("{table}.{column} = n.{column}"), " and ");
    if backend != DbBackend::Postgres {
        let tuples = vec![tuple(backend, 1, columns.len()); size].join(", ");
        let names = columns.iter().enumerate().map(|(at, column)| format!("column{} as {column}", at + 1));
        let names = names.collect::<Vec<_>>().join(", ");
        let sql = format!(
            "update {table} set {set} from (select {names} from (values {tuples})) n
                where {table}.{owner} = ? and {same}"
        );
        return (sql, rows.flatten().chain([of]).collect());
    }
    let ordered = keys[0];
    let (rows, mut lists) = unnested(columns, size, rows, 2);
    lists.insert(0, of);
    let sql = format!(
        "update {table} set {set} from ({rows}) n where {table}.{owner} = $1
            and {table}.{ordered} between $2[1] and $2[cardinality($2)] and {same}"
    );
    (sql, lists)
}

/// How many rows with keys of that many columns a delete takes.
pub(crate) fn delete_size(backend: DbBackend, columns: usize) -> usize {
    match backend {
        DbBackend::Postgres => LONGEST_LIST,
        _ => 30_000 / columns,
    }
}

/// A delete of the rows with those keys, among those of one owner whose `ordered` column lies between two values: of a
/// table without statistics, too, PostgreSQL looks at no others.
pub(crate) fn delete(
    backend: DbBackend,
    table: &str,
    (owner, ordered, key): (&str, &str, &[&str]),
    size: usize,
    [of, from, to]: [Value; 3],
    rows: impl Iterator<Item = Vec<Value>>,
) -> Bulk {
    let names = key.join(", ");
    if backend != DbBackend::Postgres {
        let tuples = vec![tuple(backend, 1, key.len()); size].join(", ");
        let sql = format!(
            "delete from {table} where {owner} = ? and {ordered} between ? and ? and ({names}) in (values {tuples})"
        );
        return (sql, [of, from, to].into_iter().chain(rows.flatten()).collect());
    }
    let (rows, lists) = unnested(key, size, rows, 4);
    let sql = format!(
        "delete from {table} where {owner} = $1 and {ordered} between $2 and $3 and ({names}) in ({rows})"
    );
    (sql, [of, from, to].into_iter().chain(lists).collect())
}

/// A `select` that gives the rows, from lists of parameters of which the first has that number.
///
/// Only lists of texts and the like, which are of any length, are unnested: of all others, PostgreSQL finds the nth value
/// at once, four times as fast as it makes a set of them. Few texts that many rows share are such a list, too, and what
/// all of many rows share is one value.
fn unnested(columns: &[&str], size: usize, rows: impl Iterator<Item = Vec<Value>>, first: usize) -> Bulk {
    let mut lists: Vec<Vec<Value>> = columns.iter().map(|_| Vec::with_capacity(size)).collect();
    for row in rows {
        lists.iter_mut().zip(row).for_each(|(list, value)| list.push(value));
    }
    let (mut sources, mut others, mut shown) = (Vec::new(), Vec::new(), Vec::with_capacity(columns.len()));
    let behind = first + columns.len();
    let mut add = |value: Value| {
        others.push(value);
        behind + others.len() - 1
    };
    let parameters = lists.into_iter().zip(columns).enumerate().map(|(at, (mut list, column))| {
        let parameter = first + at;
        if size >= SHARED_FROM && list.windows(2).all(|two| two[0] == two[1]) {
            shown.push(format!("${parameter} as {column}"));
            return list.swap_remove(0);
        }
        let mut kind = list.first().map_or(ArrayType::String, Value::array_type);
        // A list knows no null: what is null is told beside it, by a list of its own.
        let mut null = None;
        if list.iter().any(|value| !value.is_some()) {
            let absent = list.iter().map(|value| Value::from(!value.is_some())).collect();
            null = Some(add(array(ArrayType::Bool, absent)));
            list.iter_mut().filter(|value| !value.is_some()).for_each(|value| *value = value.dummy_value());
        }
        let value = if is_of_one_size(&kind) {
            format!("${parameter}[place]")
        } else if let Some((texts, places)) = shared(&list) {
            list = places;
            kind = ArrayType::Int;
            format!("${}[${parameter}[place]]", add(array(ArrayType::String, texts)))
        } else {
            sources.push(parameter);
            format!("c{parameter}")
        };
        shown.push(match null {
            Some(null) => format!("case when ${null}[place] then null else {value} end as {column}"),
            None => format!("{value} as {column}"),
        });
        array(kind, list)
    });
    let parameters: Vec<_> = parameters.collect();
    let places = if sources.is_empty() {
        format!("generate_series(1, ${}) as rows (place)", add((size as i32).into()))
    } else {
        let each = |name: &str| {
            let names: Vec<_> = sources.iter().map(|number| format!("{name}{number}")).collect();
            names.join(", ")
        };
        format!("unnest({}) with ordinality as rows ({}, place)", each("$"), each("c"))
    };
    let sql = format!("select {} from {places}", shown.join(", "));
    (sql, parameters.into_iter().chain(others).collect())
}

/// Different texts of a long list, and for each value its text's place among them, from 1 on; none, where they are many.
fn shared(list: &[Value]) -> Option<(Vec<Value>, Vec<Value>)> {
    if list.len() < SHARED_FROM {
        return None;
    }
    let (mut texts, mut places) = (Vec::<&str>::new(), Vec::with_capacity(list.len()));
    for value in list {
        let Value::String(Some(text)) = value else { return None };
        let place = texts.iter().position(|known| known == text).unwrap_or_else(|| {
            texts.push(text);
            texts.len() - 1
        });
        if texts.len() > SHARED_TEXTS {
            return None;
        }
        places.push(Value::from(place as i32 + 1));
    }
    Some((texts.into_iter().map(Value::from).collect(), places))
}

/// A delete of some rows, at most as many as the parameter of that number says. Rows are named by their place: by their
/// keys it would be a join of the table with itself, which without statistics has no sure plan.
pub(crate) fn delete_some(backend: DbBackend, table: &str, condition: &str, limit: usize) -> String {
    match backend {
        // The parts of a partitioned table have the same places: hence the condition once more.
        DbBackend::Postgres => format!(
            "delete from {table} where ({condition})
                and ctid = any(array(select ctid from {table} where {condition} limit ${limit}))"
        ),
        _ => format!(
            "delete from {table} where rowid in (select rowid from {table} where {condition} limit ${limit})"
        ),
    }
}

/// Settings of a transaction that wants a few of many rows. PostgreSQL expects few matching rows in a table without
/// statistics, and would collect all of them before it takes the first.
pub(crate) fn few_rows(backend: DbBackend) -> Option<&'static str> {
    (backend == DbBackend::Postgres).then_some("set local enable_bitmapscan = off")
}

fn array(kind: ArrayType, values: Vec<Value>) -> Value {
    Value::Array(kind, Some(Box::new(values)))
}

/// Whether PostgreSQL keeps all values of that type in as many bytes.
fn is_of_one_size(kind: &ArrayType) -> bool {
    use ArrayType::{BigInt, Bool, ChronoDate, ChronoDateTimeUtc, Int, Uuid};
    matches!(kind, Bool | Int | BigInt | Uuid | ChronoDate | ChronoDateTimeUtc)
}
