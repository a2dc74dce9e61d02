//! Everything that differs between PostgreSQL and SQLite: how to open a pool, the names of types in DDL, locks, codes.

use std::{str::FromStr, time::Duration};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr, SqlxError,
    SqlxPostgresConnector, SqlxSqliteConnector, Value,
    sea_query::ArrayType,
    sqlx::{
        self, ConnectOptions as _, Connection as _, PgConnection,
        postgres::{PgConnectOptions, PgPoolOptions},
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};
use url::Url;
use uuid::Uuid;

use crate::{
    error::{Cause, Error, Result},
    statement::{Row, corrupt, placeholders},
    vitals::Pool,
};

/// How long a caller waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// SQLite has one connection, so that a caller waits for every transaction before its own.
const SQLITE_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);
/// Of values in one parameter.
const LONGEST_LIST: usize = 10_000;
/// Of an insert into SQLite.
const MOST_TUPLES: usize = 256;
/// Of an upsert into SQLite.
const MOST_UPSERTED: usize = 500;
/// Names the migrators' lock among all advisory locks: "tidemark" in ASCII.
const MIGRATION_LOCK: i64 = 0x7469_6465_6d61_726b;

/// Which database, and how to reach it.
#[derive(Clone)]
pub(crate) enum Dialect {
    Postgres(Box<PgConnectOptions>),
    Sqlite(Box<SqliteConnectOptions>),
}

impl Dialect {
    /// Reads a URL. Its error names the host and the database, never a password.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let invalid = |why: &dyn std::fmt::Display| Error::InvalidUrl(format!("`{}` ({why})", shown(url)));
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => {
                let options = PgConnectOptions::from_str(url).map_err(|error| invalid(&error))?;
                // A cache of the default size would hold many large bulk statements on every connection.
                let options = options.disable_statement_logging().statement_cache_capacity(64);
                Ok(Self::Postgres(Box::new(options.application_name("tidemark"))))
            }
            Some("sqlite") => {
                let options = SqliteConnectOptions::from_str(url).map_err(|error| invalid(&error))?;
                let options = options
                    .create_if_missing(true)
                    .foreign_keys(true)
                    .busy_timeout(Duration::from_secs(10))
                    .disable_statement_logging();
                let in_memory = url.contains(":memory:") || url.contains("mode=memory");
                Ok(Self::Sqlite(Box::new(if in_memory {
                    options
                } else {
                    options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal)
                })))
            }
            _ => Err(invalid(&"unknown scheme")),
        }
    }

    /// Opens the pool every statement runs through.
    pub(crate) async fn open(&self, max_connections: u32) -> Result<DatabaseConnection> {
        match self {
            Self::Postgres(options) => {
                let options = (**options)
                    .clone()
                    .options([("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "10s")]);
                open_postgres(options, max_connections).await
            }
            Self::Sqlite(options) => open_sqlite((**options).clone()).await,
        }
        .map_err(|error| Error::Unavailable(Cause::new(format!("{self}: {error}"))))
    }

    /// A connection of its own for DDL, which must not queue behind long statements for ever: everybody else would
    /// queue behind it. SQLite has nothing to offer but its one connection.
    pub(crate) async fn open_for_ddl(&self) -> Result<Option<DatabaseConnection>> {
        let Self::Postgres(options) = self else { return Ok(None) };
        let options = (**options).clone().options([("lock_timeout", "3s")]);
        let connection = open_postgres(options, 1).await;
        connection.map(Some).map_err(|error| Error::Unavailable(Cause::new(format!("{self}: {error}"))))
    }
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Postgres(options) => {
                let name = options.get_database().unwrap_or_else(|| options.get_username());
                write!(f, "postgres://{}:{}/{name}", options.get_host(), options.get_port())
            }
            Self::Sqlite(options) => write!(f, "sqlite:{}", options.get_filename().display()),
        }
    }
}

/// The URL without user, password and parameters.
fn shown(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) if url.has_host() => {
            format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
        }
        Ok(url) => format!("{}:{}", url.scheme(), if url.username().is_empty() { url.path() } else { "…" }),
        Err(_) => "the URL".to_owned(),
    }
}

async fn open_postgres(
    options: PgConnectOptions,
    max_connections: u32,
) -> std::result::Result<DatabaseConnection, SqlxError> {
    // A pool repeats a refused connection until it times out, and then says no more than that. This one says why.
    let first = tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(&options)).await;
    first.map_err(|_| SqlxError::PoolTimedOut)??.close().await?;
    let pool = PgPoolOptions::new()
        .max_connections(max_connections.max(1))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // The hook below is a ping, too.
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(is_outside_transaction(connection)));
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool.connect_lazy_with(options)))
}

/// A `begin` whose caller was cancelled leaves its connection inside a transaction (sqlx#4393), where the next caller's
/// writes would be answered with success and lost: `false` discards the connection. As one simple query, because the
/// steps of a prepared one each have a time of their own. SQLite's driver takes such a `begin` back by itself.
async fn is_outside_transaction(connection: &mut PgConnection) -> std::result::Result<bool, SqlxError> {
    let row = sqlx::raw_sql("select now() = statement_timestamp()").fetch_one(connection).await?;
    let is_outside: bool = sqlx::Row::try_get(&row, 0)?;
    if !is_outside {
        tidemark_runtime::metrics::record::poisoned();
    }
    Ok(is_outside)
}

async fn open_sqlite(options: SqliteConnectOptions) -> std::result::Result<DatabaseConnection, SqlxError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(SQLITE_ACQUIRE_TIMEOUT)
        // A database in memory lives as long as its connection.
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false);
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool.connect_with(options).await?))
}

/// Keeps other migrators out until the transaction ends. On SQLite, beginning it has already done so.
pub(crate) async fn lock_migrations(tx: &DatabaseTransaction) -> std::result::Result<(), DbErr> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let lock = format!(
            "set local lock_timeout = '60s'; select pg_advisory_xact_lock({MIGRATION_LOCK}); \
             set local lock_timeout = '3s';"
        );
        tx.execute_unprepared(&lock).await?;
    }
    Ok(())
}

/// Fills in what stands in braces in the DDL files. Descriptions of tables and columns, each on a line of its own, are
/// for people who look around in PostgreSQL; SQLite has no place for them.
pub(crate) fn ddl(backend: DbBackend, template: &str) -> String {
    let described = |line: &&str| backend == DbBackend::Postgres || !line.starts_with("comment on ");
    let template: String = template.split_inclusive('\n').filter(described).collect();
    let names = match backend {
        // Ids are compared as bytes, whatever the database's locale.
        DbBackend::Postgres => [
            ("{id}", "text collate \"C\""),
            ("{uuid}", "uuid"),
            ("{time}", "timestamptz"),
            ("{date}", "date"),
            ("{bytes}", "bytea"),
            // The vendor's JSON is what costs: lz4 is twice as fast as the default.
            ("{document}", "text compression lz4"),
            ("{packed}", "bytea compression lz4"),
            ("{serial}", "bigint generated always as identity primary key"),
            ("{postgres}", ""),
            ("{sqlite}", "-- SQLite only:"),
            ("{or_replace}", "or replace"),
        ],
        _ => [
            ("{id}", "text"),
            ("{uuid}", "blob"),
            ("{time}", "text"),
            ("{date}", "text"),
            ("{bytes}", "blob"),
            ("{document}", "text"),
            ("{packed}", "blob"),
            ("{serial}", "integer primary key autoincrement"),
            ("{postgres}", "-- PostgreSQL only:"),
            ("{sqlite}", ""),
            ("{or_replace}", ""),
        ],
    };
    names.iter().fold(template, |sql, (name, meaning)| sql.replace(name, meaning))
}

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
) -> (String, Vec<Value>) {
    let names = columns.join(", ");
    if backend != DbBackend::Postgres {
        let tuples = vec![tuple(backend, 1, columns.len()); size].join(", ");
        return (format!("insert into {table} ({names}) values {tuples}"), rows.flatten().collect());
    }
    let (rows, lists) = unnested(columns, size, rows, 1);
    (format!("insert into {table} ({names}) {rows}"), lists)
}

/// An update of those of that many rows that are there and say something else; `key` columns make the key, the first of
/// which is the same for all rows. Rows that stay the same are not even locked, as an upsert would.
pub(crate) fn update(
    table: &str,
    (key, columns): (usize, &[&str]),
    size: usize,
    of: Value,
    rows: impl Iterator<Item = Vec<Value>>,
) -> (String, Vec<Value>) {
    let (owner, columns) = (columns[0], &columns[1..]);
    let (keys, rest) = columns.split_at(key - 1);
    let (rows, mut lists) = unnested(columns, size, rows, 2);
    lists.insert(0, of);
    let each = |of: &[&str], one: &dyn Fn(&str) -> String, between: &str| {
        of.iter().map(|column| one(column)).collect::<Vec<_>>().join(between)
    };
    let sql = format!(
        "update {table} set {} from ({rows}) n where {table}.{owner} = $1 and {} and ({})",
        each(rest, &|column| format!("{column} = n.{column}"), ", "),
        each(keys, &|column| format!("{table}.{column} = n.{column}"), " and "),
        each(rest, &|column| format!("{table}.{column} is distinct from n.{column}"), " or "),
    );
    (sql, lists)
}

/// A `select` that gives the rows, from lists of parameters of which the first has that number.
///
/// Only lists of texts and the like, which are of any length, are unnested: of all others, PostgreSQL finds the nth value
/// at once, four times as fast as it makes a set of them.
fn unnested(
    columns: &[&str],
    size: usize,
    rows: impl Iterator<Item = Vec<Value>>,
    first: usize,
) -> (String, Vec<Value>) {
    let mut lists: Vec<Vec<Value>> = columns.iter().map(|_| Vec::with_capacity(size)).collect();
    for row in rows {
        lists.iter_mut().zip(row).for_each(|(list, value)| list.push(value));
    }
    let (mut sources, mut nulls, mut shown) = (Vec::new(), Vec::new(), Vec::with_capacity(columns.len()));
    let behind = first + columns.len();
    let lists = lists.into_iter().zip(columns).enumerate().map(|(at, (mut list, column))| {
        let kind = list.first().map_or(ArrayType::String, Value::array_type);
        let parameter = first + at;
        let value = if is_of_one_size(&kind) {
            format!("${parameter}[place]")
        } else {
            sources.push(parameter);
            format!("c{parameter}")
        };
        // A list knows no null: what is null is told beside it, by a list of its own.
        let absent: Vec<bool> = list.iter().map(|value| *value == value.as_null()).collect();
        if absent.contains(&true) {
            let nullable = list.iter_mut().zip(&absent).filter(|(_, absent)| **absent);
            nullable.for_each(|(value, _)| *value = value.dummy_value());
            let null = behind + nulls.len();
            shown.push(format!("case when ${null}[place] then null else {value} end as {column}"));
            nulls.push(array(ArrayType::Bool, absent.into_iter().map(Value::from).collect()));
        } else {
            shown.push(format!("{value} as {column}"));
        }
        array(kind, list)
    });
    let lists: Vec<_> = lists.collect();
    let places = if sources.is_empty() {
        format!("generate_subscripts(${first}, 1) as rows (place)")
    } else {
        let each = |name: &str| {
            let names: Vec<_> = sources.iter().map(|number| format!("{name}{number}")).collect();
            names.join(", ")
        };
        format!("unnest({}) with ordinality as rows ({}, place)", each("$"), each("c"))
    };
    let sql = format!("select {} from {places}", shown.join(", "));
    (sql, lists.into_iter().chain(nulls).collect())
}

fn array(kind: ArrayType, values: Vec<Value>) -> Value {
    Value::Array(kind, Some(Box::new(values)))
}

/// Whether PostgreSQL keeps all values of that type in as many bytes.
fn is_of_one_size(kind: &ArrayType) -> bool {
    use ArrayType::{BigInt, Bool, ChronoDate, ChronoDateTimeUtc, Int, Uuid};
    matches!(kind, Bool | Int | BigInt | Uuid | ChronoDate | ChronoDateTimeUtc)
}

/// All ids of a group in one value, for answers that would have a row for each.
pub(crate) fn ids(backend: DbBackend, column: &str) -> String {
    match backend {
        DbBackend::Postgres => format!("string_agg(uuid_send({column}), ''::bytea)"),
        _ => format!("group_concat(hex({column}), '')"),
    }
}

/// Reads what [`ids`] gave.
pub(crate) fn read_ids(backend: DbBackend, row: &Row, place: usize) -> Result<Vec<Uuid>> {
    const SIZE: usize = 16;
    let ids: Option<Vec<Uuid>> = match backend {
        DbBackend::Postgres => {
            let bytes: Vec<u8> = row.at(place)?;
            let whole = bytes.len().is_multiple_of(SIZE);
            whole.then(|| bytes.chunks_exact(SIZE).filter_map(|id| Uuid::from_slice(id).ok()).collect())
        }
        _ => {
            let digits: String = row.at(place)?;
            let ids = digits.as_bytes().chunks(2 * SIZE).map(|id| Uuid::try_parse_ascii(id).ok());
            ids.collect()
        }
    };
    ids.ok_or_else(|| corrupt("a list of ids"))
}

/// How a claiming `select` passes by rows that another claimer holds; SQLite has no second claimer.
pub(crate) fn skip_locked(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Postgres { "for update skip locked" } else { "" }
}

/// How a `select` keeps its rows for itself until the end of the transaction; on SQLite, a transaction keeps everything.
pub(crate) fn lock(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Postgres { "for update" } else { "" }
}

/// How a `select` keeps its rows from being deleted until the end of the transaction.
pub(crate) fn hold(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Postgres { "for key share" } else { "" }
}

/// The connections of a pool.
pub(crate) fn pool(db: &DatabaseConnection) -> Pool {
    let (size, idle, most) = match db.get_database_backend() {
        DbBackend::Postgres => {
            let pool = db.get_postgres_connection_pool();
            (pool.size(), pool.num_idle(), pool.options().get_max_connections())
        }
        _ => {
            let pool = db.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle(), pool.options().get_max_connections())
        }
    };
    let idle = idle as u64;
    Pool { used: u64::from(size).saturating_sub(idle), idle, most: most.into() }
}

/// Asks for the time.
pub(crate) fn clock_query(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "select clock_timestamp() as now",
        _ => "select strftime('%Y-%m-%dT%H:%M:%fZ', 'now') as now",
    }
}

/// Asks for the version, for a person.
pub(crate) fn version_query(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "select 'PostgreSQL ' || current_setting('server_version') as version",
        _ => "select 'SQLite ' || sqlite_version() as version",
    }
}

/// Whether the same statement may work later. SQLSTATEs have five characters, SQLite's codes are short numbers.
pub(crate) fn is_transient(code: &str) -> bool {
    if code.len() == 5 {
        // Connection lost, resources, shutdown; serialization, deadlock, lock time-out, statement time-out, idle.
        return ["08", "53", "57P"].iter().any(|class| code.starts_with(class))
            || ["40001", "40P01", "55P03", "57014", "25P03"].contains(&code);
    }
    // Busy, locked, I/O, full, cannot open; the low byte is the class.
    code.parse::<u32>().is_ok_and(|code| [5, 6, 10, 13, 14].contains(&(code & 0xff)))
}

/// What a failed administrative statement on the server was.
pub(crate) fn wrap(error: SqlxError) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}
