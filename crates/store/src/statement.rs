//! Parameterised statements: one text for both databases, values only ever as parameters, rows read with their fault
//! named. `$1` means the same to both.

use std::{
    borrow::Cow,
    pin::{Pin, pin},
};

use futures::TryStreamExt as _;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, QueryResult, Statement, StreamTrait,
    TransactionTrait as _, TryGetable, Value,
};

use uuid::Uuid;

use crate::{
    dialect,
    error::{Error, Result, failed},
};

/// Runs a statement; tells how many rows it touched.
pub(crate) async fn execute(
    db: &impl ConnectionTrait,
    attempted: &'static str,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(db.execute_raw(statement).await.map_err(failed(attempted))?.rows_affected())
}

/// Runs a statement that gives rows.
pub(crate) async fn rows(
    db: &impl ConnectionTrait,
    attempted: &'static str,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<Row>> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let rows = db.query_all_raw(statement).await.map_err(failed(attempted))?;
    Ok(rows.into_iter().map(Row).collect())
}

/// Runs a statement that gives many rows, each of which is read while the others are on their way.
pub(crate) async fn each_row(
    db: &impl StreamTrait,
    attempted: &'static str,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
    mut read: impl FnMut(&Row) -> Result<()>,
) -> Result<()> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let mut rows = pin!(db.stream_raw(statement).await.map_err(failed(attempted))?);
    while let Some(row) = rows.try_next().await.map_err(failed(attempted))? {
        read(&Row(row))?;
    }
    Ok(())
}

/// Runs a statement that gives one row or none.
pub(crate) async fn row(
    db: &impl ConnectionTrait,
    attempted: &'static str,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<Row>> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(db.query_one_raw(statement).await.map_err(failed(attempted))?.map(Row))
}

/// Runs a `select count(*) as count …`.
pub(crate) async fn count(
    db: &impl ConnectionTrait,
    attempted: &'static str,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64> {
    row(db, attempted, sql, values).await?.map_or(Ok(0), |row| row.count("count"))
}

/// Deletes at most `limit` rows of a table for which the condition holds; gives how many. A transaction of its own, so
/// that nobody waits for more than a batch.
pub(crate) async fn delete_some(
    db: &DatabaseConnection,
    attempted: &'static str,
    (table, condition): (&str, &str),
    values: impl IntoIterator<Item = Value>,
    limit: u64,
) -> Result<u64> {
    let tx = db.begin().await.map_err(failed(attempted))?;
    let backend = ConnectionTrait::get_database_backend(&tx);
    if let Some(settings) = dialect::few_rows(backend) {
        tx.execute_unprepared(settings).await.map_err(failed(attempted))?;
    }
    let mut values: Vec<Value> = values.into_iter().collect();
    values.push(int(limit));
    let sql = dialect::delete_some(backend, table, condition, values.len());
    let deleted = execute(&tx, attempted, sql, values).await?;
    tx.commit().await.map_err(failed(attempted))?;
    Ok(deleted)
}

/// Ids that one statement deletes.
const DELETED_AT_ONCE: usize = 500;

/// Deletes the rows of these ids among those for which the condition holds; gives how many. The condition names the key's
/// columns before the one with the ids, so that each is found by the key.
pub(crate) async fn delete_these(
    db: &impl ConnectionTrait,
    attempted: &'static str,
    (table, condition): (&str, &str),
    of: &[Value],
    (column, ids): (&str, &[Uuid]),
) -> Result<u64> {
    let mut deleted = 0;
    for ids in ids.chunks(DELETED_AT_ONCE) {
        let these = placeholders(of.len() + 1, ids.len());
        let sql = format!("delete from {table} where {condition} and {column} in ({these})");
        let values = of.iter().cloned().chain(ids.iter().map(|id| Value::from(*id)));
        deleted += execute(db, attempted, sql, values.collect::<Vec<_>>()).await?;
    }
    Ok(deleted)
}

/// A number as both databases keep it.
pub(crate) fn int(number: impl Into<u64>) -> Value {
    i64::try_from(number.into()).unwrap_or(i64::MAX).into()
}

/// `$first, $first+1, …`, that many.
pub(crate) fn placeholders(first: usize, count: usize) -> String {
    let names: Vec<_> = (first..first + count).map(|number| format!("${number}")).collect();
    names.join(", ")
}

/// A row of an answer.
pub(crate) struct Row(QueryResult);

impl Row {
    /// A column of a plain type.
    pub(crate) fn get<T: TryGetable>(&self, column: &str) -> Result<T> {
        self.0.try_get("", column).map_err(|_| corrupt(column))
    }

    /// A column by its place, for rows with many.
    pub(crate) fn at<T: TryGetable>(&self, place: usize) -> Result<T> {
        self.0.try_get_by_index(place).map_err(|_| corrupt(&format!("column {place}")))
    }

    /// Counts the row as one that this version does not know.
    pub(crate) fn is_passed_by(&self, table: &'static str, what: &str) {
        let ids = ["id", "event_id", "connection_id"];
        let id = ids.into_iter().find_map(|column| self.get::<String>(column).ok());
        tidemark_runtime::metrics::record::unreadable(table, &id.unwrap_or_default(), what);
    }

    /// A column of text that `parse` understands.
    pub(crate) fn parsed<T>(&self, column: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        parse(&self.get::<String>(column)?).ok_or_else(|| corrupt(column))
    }

    /// A column with an id, or none.
    pub(crate) fn id<T: std::str::FromStr>(&self, column: &str) -> Result<Option<T>> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| text.parse().map_err(|_| corrupt(column))).transpose()
    }

    /// A column of JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<T> {
        self.parsed(column, |text| serde_json::from_str(text).ok())
    }

    /// A column with a JSON list, without the items that this version does not know.
    pub(crate) fn known<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<Vec<T>> {
        let items: Vec<serde_json::Value> = self.json(column)?;
        Ok(items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect())
    }

    /// A column that counts something.
    pub(crate) fn count<T: TryFrom<i64>>(&self, column: &str) -> Result<T> {
        T::try_from(self.get::<i64>(column)?).map_err(|_| corrupt(column))
    }
}

/// What can be read of some rows of a table. A row that holds what this version does not know is left to one that does: it
/// is passed by and counted, and keeps nobody from the others.
pub(crate) fn readable<'a, T>(
    rows: &'a [Row],
    table: &'static str,
    read: impl Fn(&'a Row) -> Result<T>,
) -> Result<Vec<T>> {
    let known = |row: &'a Row| match read(row) {
        Err(Error::Corrupt { what }) => {
            row.is_passed_by(table, &what);
            None
        }
        outcome => Some(outcome),
    };
    rows.iter().filter_map(known).collect()
}

/// A page of rows that can be read, in the order of their ids, as `sql` gives them behind an id and up to a number. Goes on
/// for rows that were passed by: a short page would be taken for the last one.
pub(crate) async fn page<T>(
    db: &impl ConnectionTrait,
    (attempted, table): (&'static str, &'static str),
    sql: &str,
    (mut behind, limit): (String, u64),
    values: impl Fn(&str, u64) -> Vec<Value>,
    read: fn(&Row) -> Result<T>,
) -> Result<Vec<T>> {
    let mut page = Vec::new();
    while (page.len() as u64) < limit {
        let rest = limit - page.len() as u64;
        let rows = rows(db, attempted, sql, values(&behind, rest)).await?;
        page.extend(readable(&rows, table, read)?);
        let Some(last) = rows.last().filter(|_| rows.len() as u64 == rest) else { break };
        behind = last.get("id")?;
    }
    Ok(page)
}

/// A column whose content is not understood. The content stays out: it may be anything.
pub(crate) fn corrupt(column: &str) -> Error {
    Error::Corrupt { what: format!("a value in `{column}`") }
}

/// A statement for many rows, with their values.
pub(crate) type Bulk = (String, Vec<Value>);

/// A table that is written many rows at a time.
pub(crate) struct Table<'a> {
    pub(crate) name: &'static str,
    /// The first columns that make the primary key.
    pub(crate) key: usize,
    pub(crate) columns: Cow<'a, [&'static str]>,
}

impl Table<'_> {
    /// An insert of one row that takes the place of the one with its key.
    pub(crate) fn upsert(&self, backend: DbBackend) -> String {
        let (columns, values) = (self.columns.join(", "), dialect::tuple(backend, 1, self.columns.len()));
        format!("insert into {} ({columns}) values {values}{}", self.name, self.on_conflict())
    }

    fn on_conflict(&self) -> String {
        let (key, rest) = self.columns.split_at(self.key);
        let updates: Vec<_> = rest.iter().map(|column| format!("{column} = excluded.{column}")).collect();
        let action =
            if rest.is_empty() { "nothing".to_owned() } else { format!("update set {}", updates.join(", ")) };
        format!(" on conflict ({}) do {action}", key.join(", "))
    }

    /// An end of the upsert that lets rows alone which stay the same: on PostgreSQL, writing them would make new versions
    /// of them, and work for vacuum.
    fn where_other(&self) -> String {
        let differs = |column| format!("{}.{column} is distinct from excluded.{column}", self.name);
        let differences: Vec<_> = self.columns[self.key..].iter().map(differs).collect();
        if differences.is_empty() { String::new() } else { format!(" where {}", differences.join(" or ")) }
    }

    /// Inserts rows, or updates those whose key is there and which differ; tells how many those are. No key may come
    /// twice. In the order of their keys, two writers cannot deadlock.
    ///
    /// The rows become statements before the first wait, so that no caller's iterator has to cross it.
    pub(crate) fn put<'b>(
        &'b self,
        db: &'b impl ConnectionTrait,
        attempted: &'static str,
        rows: impl IntoIterator<Item = Vec<Value>>,
    ) -> Pin<Box<dyn Future<Output = Result<u64>> + Send + 'b>> {
        let upserts = self.upserts(db.get_database_backend(), rows);
        Box::pin(async move {
            let mut written = 0;
            for (sql, values) in upserts {
                written += execute(db, attempted, sql, values).await?;
            }
            Ok(written)
        })
    }

    /// Like [`put`](Self::put), but gives the column `tell` of those that were written.
    pub(crate) fn put_changed<'b, T: TryGetable + Send>(
        &'b self,
        db: &'b impl ConnectionTrait,
        attempted: &'static str,
        tell: &'static str,
        rows: impl IntoIterator<Item = Vec<Value>>,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<T>>> + Send + 'b>> {
        let upserts = self.upserts(db.get_database_backend(), rows);
        Box::pin(async move {
            let mut written = Vec::new();
            for (sql, values) in upserts {
                let sql = format!("{sql} returning {tell}");
                let told = crate::statement::rows(db, attempted, sql, values).await?;
                written.extend(told.iter().map(|row| row.get(tell)).collect::<Result<Vec<T>>>()?);
            }
            Ok(written)
        })
    }

    /// Statements for all rows, with as many in each as one takes.
    fn upserts(&self, backend: DbBackend, rows: impl IntoIterator<Item = Vec<Value>>) -> Vec<Bulk> {
        let batches = batches(rows, dialect::upsert_size(backend, self.columns.len()));
        let upsert = |batch: Vec<Vec<Value>>| {
            let size = batch.len();
            let (insert, values) =
                dialect::insert(backend, self.name, &self.columns, size, batch.into_iter());
            (insert + &self.on_conflict() + &self.where_other(), values)
        };
        batches.map(upsert).collect()
    }

    /// Statements that make rows whose keys are there what `values` says of these items. The first column of the key is the
    /// same in all of them, and left out of the values; the items come in the order of the second. Rows are locked in no
    /// order: of two writers, one has to wait somewhere before.
    pub(crate) fn updates<I>(
        &self,
        backend: DbBackend,
        of: &Value,
        items: &[I],
        values: fn(&I) -> Vec<Value>,
    ) -> Vec<Bulk> {
        let key = (self.key, &*self.columns);
        let batches = items.chunks(dialect::update_size(backend, self.columns.len()));
        let update = |batch: &[I]| {
            let values = batch.iter().map(values);
            dialect::update(backend, self.name, key, batch.len(), of.clone(), values)
        };
        batches.map(update).collect()
    }

    /// Inserts rows, of any number and always by the same few statements, so that each is prepared once. A key that is
    /// there already is an error.
    pub(crate) fn insert<'b>(
        &'b self,
        db: &'b impl ConnectionTrait,
        attempted: &'static str,
        rows: Vec<Vec<Value>>,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'b>> {
        Box::pin(async move {
            let backend = db.get_database_backend();
            let mut rows = rows.into_iter();
            while let Some(size) = dialect::insert_size(backend, rows.len()) {
                let values = rows.by_ref().take(size);
                let (sql, values) = dialect::insert(backend, self.name, &self.columns, size, values);
                execute(db, attempted, sql, values).await?;
            }
            Ok(())
        })
    }
}

/// Rows, so many at a time.
fn batches(rows: impl IntoIterator<Item = Vec<Value>>, size: usize) -> impl Iterator<Item = Vec<Vec<Value>>> {
    let mut rows = rows.into_iter();
    std::iter::from_fn(move || {
        let batch: Vec<_> = rows.by_ref().take(size).collect();
        (!batch.is_empty()).then_some(batch)
    })
}
