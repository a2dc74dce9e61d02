//! The store and its transactions.

use std::{fmt, sync::Arc};

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use tidemark_runtime::config;

use crate::{
    dialect::{self, Dialect},
    error::{Result, failed},
    migration::Migrator,
    statement::row,
};

/// The record: everything Tidemark knows, in PostgreSQL or SQLite. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) db: DatabaseConnection,
    dialect: Arc<Dialect>,
}

/// One transaction. Dropped without a commit, it never happened.
///
/// SQLite has one connection: while a transaction is open, its task must use the transaction only, not the store.
pub struct Tx {
    pub(crate) tx: DatabaseTransaction,
}

/// Which database answers, and what it still lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseInfo {
    /// Product and version, for a person.
    pub version: String,
    /// Names of the migrations that are not applied yet.
    pub pending_migrations: Vec<String>,
}

impl Store {
    /// Opens the database of that URL; a SQLite file is created if it is missing. Migrates nothing.
    pub async fn connect(settings: &config::Database) -> Result<Self> {
        let dialect = Dialect::parse(settings)?;
        let db = dialect.open(settings.max_connections).await?;
        Ok(Self { db, dialect: Arc::new(dialect) })
    }

    /// Applies what is missing of the schema, all or nothing; gives the names. Any number of processes may call it at
    /// once: one migrates, the others wait and find nothing to do.
    pub async fn migrate(&self) -> Result<Vec<String>> {
        let attempt = failed("migrate its schema");
        let own = self.dialect.open_for_ddl().await?;
        let applied = migrate(own.as_ref().unwrap_or(&self.db)).await.map_err(attempt);
        if let Some(own) = own {
            // All is committed or rolled back by now: an error of closing changes nothing.
            let _ = own.close().await;
        }
        applied
    }

    /// Closes all connections, for every clone: a SQLite file is left whole, without its log beside it.
    pub async fn close(&self) -> Result<()> {
        self.db.close_by_ref().await.map_err(failed("close the database"))
    }

    /// Asks the database for its version and for pending migrations, and changes nothing.
    pub async fn check(&self) -> Result<DatabaseInfo> {
        let attempted = "tell its version";
        let version =
            row(&self.db, attempted, dialect::version_query(self.db.get_database_backend()), []).await?;
        let pending = Migrator::get_pending_migrations_read_only(&self.db).await;
        let pending = pending.map_err(failed("tell its migrations"))?;
        Ok(DatabaseInfo {
            version: version.map_or(Ok(String::new()), |row| row.get("version"))?,
            pending_migrations: pending.iter().map(|migration| migration.name().to_owned()).collect(),
        })
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> Result<Tx> {
        let tx = self.db.begin_with_options(for_writing()).await.map_err(failed("begin a transaction"))?;
        Ok(Tx { tx })
    }
}

impl Tx {
    /// Makes everything in it happen.
    pub async fn commit(self) -> Result<()> {
        self.tx.commit().await.map_err(failed("commit a transaction"))
    }
}

/// SQLite: takes the write lock at once. A reader that turns writer fails at once when another process was faster.
fn for_writing() -> TransactionOptions {
    TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    }
}

/// In one transaction, so that the lock lives exactly as long as the work and half a schema is never seen.
async fn migrate(db: &DatabaseConnection) -> std::result::Result<Vec<String>, sea_orm::DbErr> {
    let tx = db.begin_with_options(for_writing()).await?;
    dialect::lock_migrations(&tx).await?;
    let pending = Migrator::get_pending_migrations(&tx).await?;
    let names = pending.iter().map(|migration| migration.name().to_owned()).collect();
    Migrator::up(&tx, None).await?;
    tx.commit().await?;
    Ok(names)
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.dialect)
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tx")
    }
}
