//! Everything that differs between PostgreSQL and SQLite: how to open a pool, the names of types in DDL, locks, codes.

mod bulk;
mod codes;
mod postgres;
mod sqlite;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr, SqlxError,
};
use tidemark_runtime::config;
use url::Url;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    statement::{Row, corrupt},
    vitals::Pool,
};

pub(crate) use bulk::{
    delete, delete_size, delete_some, few_rows, insert, insert_size, tuple, update, update_size, upsert_size,
};
pub(crate) use codes::kind;
pub use sqlite::url as sqlite_url;

/// Names the migrators' lock among all advisory locks: "tidemark" in ASCII.
const MIGRATION_LOCK: i64 = 0x7469_6465_6d61_726b;

/// Which database, and how to reach it.
pub(crate) enum Dialect {
    Postgres(postgres::Server),
    Sqlite(sqlite::File),
}

impl Dialect {
    /// Reads the settings. Its error names the host and the database, never a password.
    pub(crate) fn parse(settings: &config::Database) -> Result<Self> {
        use secrecy::ExposeSecret as _;
        let url = settings.url.expose_secret();
        let invalid = |why: &dyn std::fmt::Display| Error::InvalidUrl(format!("`{}` ({why})", shown(url)));
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => {
                let server = postgres::Server::parse(settings).map_err(|error| invalid(&error))?;
                server.refuse_plaintext(settings).map(Self::Postgres)
            }
            Some("sqlite") => sqlite::File::parse(url).map(Self::Sqlite).map_err(|error| invalid(&error)),
            _ => Err(invalid(&"unknown scheme")),
        }
    }

    /// Opens the pool every statement runs through.
    pub(crate) async fn open(&self, max_connections: u32) -> Result<DatabaseConnection> {
        match self {
            Self::Postgres(server) => server.open(max_connections).await,
            Self::Sqlite(file) => file.open().await,
        }
    }

    /// A connection of its own for DDL, which must not queue behind long statements for ever: everybody else would
    /// queue behind it. SQLite has nothing to offer but its one connection.
    pub(crate) async fn open_for_ddl(&self) -> Result<Option<DatabaseConnection>> {
        match self {
            Self::Postgres(server) => server.open(1).await.map(Some),
            Self::Sqlite(_) => Ok(None),
        }
    }
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Postgres(server) => server.fmt(f),
            Self::Sqlite(file) => file.fmt(f),
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

/// Keeps other migrators out until the transaction ends. On SQLite, beginning it has already done so.
pub(crate) async fn lock_migrations(tx: &DatabaseTransaction) -> std::result::Result<(), DbErr> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let lock = format!(
            "set local statement_timeout = 0; set local lock_timeout = '60s'; \
             select pg_advisory_xact_lock({MIGRATION_LOCK}); set local lock_timeout = '3s';"
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

/// What an insert of `$1` in its place of order takes its row from: the writers of one key wait for each other's commit,
/// before the row has its id. On SQLite, all writers do.
pub(crate) fn in_order(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "pg_advisory_xact_lock(hashtextextended($1, 0)) as place",
        _ => "(select 1) as place",
    }
}

/// How a `select` keeps its rows for itself until the end of the transaction; on SQLite, a transaction keeps everything.
pub(crate) fn lock(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Postgres { "for update" } else { "" }
}

/// How a `select` keeps its rows from being deleted until the end of the transaction.
pub(crate) fn hold(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Postgres { "for key share" } else { "" }
}

/// How a `select` keeps its rows from being changed by others until the end of the transaction.
pub(crate) fn share(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Postgres { "for share" } else { "" }
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

/// A write that changes nothing, to be committed: what is taken back never reaches the disk of a SQLite file. PostgreSQL
/// writes before the commit.
pub(crate) fn idle_write(backend: DbBackend) -> Option<&'static str> {
    (backend != DbBackend::Postgres).then_some("pragma user_version = 0")
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

/// What a failed administrative statement on the server was.
pub(crate) fn wrap(error: SqlxError) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}
