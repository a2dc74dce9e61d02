//! How to open a SQLite file, and when to give its connection up: one that is left inside a transaction after a failed
//! `begin`, `commit` or `rollback` would answer later writes with success and lose them all.

use std::{
    fmt,
    future::ready,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    str::FromStr as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sea_orm::{
    DatabaseConnection, SqlxError, SqlxSqliteConnector,
    sqlx::{
        ConnectOptions as _, Connection as _, SqlitePool,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};

use crate::error::{Cause, Error, Outage, Result, unreachable};

/// SQLite has one connection, so that a caller waits for every transaction before its own.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// A file, or a database in memory.
pub(crate) struct File {
    options: SqliteConnectOptions,
    in_memory: bool,
}

impl File {
    pub(super) fn parse(url: &str) -> std::result::Result<Self, SqlxError> {
        let options = SqliteConnectOptions::from_str(url)?;
        let options =
            options.foreign_keys(true).busy_timeout(Duration::from_secs(10)).disable_statement_logging();
        let rest = url.trim_start_matches("sqlite://").trim_start_matches("sqlite:");
        let (name, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let in_memory = name == ":memory:" || parameters.split('&').any(|it| it == "mode=memory");
        let options = if in_memory {
            options
        } else {
            options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal)
        };
        Ok(Self { options, in_memory })
    }

    /// The pool of one connection. The first is made at once, to create the file and to say what is wrong.
    pub(super) async fn open(&self) -> Result<DatabaseConnection> {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false);
        let options = self.options.clone().create_if_missing(true);
        let first = options.connect().await.map_err(|error| self.explain(&error))?;
        let pool = if self.in_memory {
            // What is in memory lives as long as one connection to it does.
            let first = Mutex::new(first);
            let pool = pool.before_acquire(move |connection, _| {
                let _ = &first;
                Box::pin(ready(Ok(!connection.is_in_transaction())))
            });
            pool.connect_lazy_with(options)
        } else {
            first.close().await.map_err(|error| self.explain(&error))?;
            self.open_file(pool)
        };
        Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
    }

    fn open_file(&self, pool: SqlitePoolOptions) -> SqlitePool {
        let opened = Arc::new(Opened::new(self.options.get_filename()));
        let at_connect = Arc::clone(&opened);
        pool.after_connect(move |_, _| {
            at_connect.remember();
            Box::pin(ready(Ok(())))
        })
        .before_acquire(move |connection, _| {
            let usable = !connection.is_in_transaction() && opened.is_there();
            Box::pin(ready(Ok(usable)))
        })
        // Never created again: a file that was deleted must not come back empty.
        .connect_lazy_with(self.options.clone().create_if_missing(false))
    }

    /// SQLite says "unable to open database file" for everything.
    fn explain(&self, error: &SqlxError) -> Error {
        let error = unreachable(self, error);
        match (error.outage(), obstacle(self.options.get_filename())) {
            (Some(Outage::CannotOpen | Outage::ReadOnly | Outage::DiskFailed), Some((outage, what))) => {
                Error::Unavailable(Cause::new(outage, format!("{self}: {what}")))
            }
            _ => error,
        }
    }
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqlite:{}", self.options.get_filename().display())
    }
}

/// The URL of that SQLite file, whatever signs are in its name.
pub fn url(path: &Path) -> String {
    // Without a folder in front, `:memory:` and `file:…` are no names of files to SQLite.
    let here = if path.is_absolute() { PathBuf::new() } else { PathBuf::from(".") };
    let path = here.join(path);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte);
    let sign = |byte: &u8| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    let path: String = path.as_os_str().as_encoded_bytes().iter().map(sign).collect();
    format!("sqlite:{path}")
}

/// The file that is open.
struct Opened {
    path: PathBuf,
    /// Device and inode.
    identity: Mutex<Option<(u64, u64)>>,
}

impl Opened {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), identity: Mutex::new(None) }
    }

    fn found(&self) -> Option<(u64, u64)> {
        std::fs::metadata(&self.path).ok().map(|file| (file.dev(), file.ino()))
    }

    fn remember(&self) {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = self.found();
    }

    /// Whether the path still leads to it: what is written to a deleted file is lost without an error.
    fn is_there(&self) -> bool {
        let found = self.found();
        found.is_some() && found == *self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What keeps the file from being opened, and what that is to the caller.
fn obstacle(path: &Path) -> Option<(Outage, &'static str)> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() {
        return Some((Outage::CannotOpen, "it is a folder"));
    }
    if !folder.is_dir() {
        return Some((Outage::CannotOpen, "its folder does not exist"));
    }
    let read_only = |error: std::io::Error| {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
    };
    if path.exists() && std::fs::OpenOptions::new().append(true).open(path).is_err_and(read_only) {
        return Some((Outage::ReadOnly, "the file is read-only for this user"));
    }
    // SQLite needs files of its own beside the database.
    let probe = folder.join(format!(".tidemark-probe-{}", std::process::id()));
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&probe);
    let is_read_only = made.is_err_and(read_only);
    let _ = std::fs::remove_file(probe);
    is_read_only.then_some((Outage::ReadOnly, "its folder is read-only for this user"))
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait as _;
    use tidemark_runtime::config::Database;

    use super::*;
    use crate::{error::outage_since, statement, store::Store};

    async fn open(url: String) -> Result<Store> {
        Store::connect(&Database { url: url.into(), ..Database::default() }).await
    }

    async fn with_table(url: String) -> Store {
        let store = open(url).await.unwrap();
        store.db.execute_unprepared("create table told (text text)").await.unwrap();
        store
    }

    async fn write(store: &Store, size: usize) -> Result<()> {
        let tx = store.begin().await?;
        let text = "x".repeat(size);
        statement::execute(&tx.tx, "write", "insert into told values ($1)", [text.into()]).await?;
        tx.commit().await
    }

    async fn count(store: &Store) -> Result<u64> {
        statement::count(&store.db, "count", "select count(*) as count from told", []).await
    }

    async fn limit(store: &Store, pages: u32) {
        store.db.execute_unprepared(&format!("pragma max_page_count = {pages}")).await.unwrap();
    }

    /// Writes until the database is full, and more; gives room, and writes again.
    async fn acknowledged_across_a_full_disk(store: &Store, url: Option<String>, size: usize, pages: u32) {
        let asked = std::time::Instant::now();
        let (mut acknowledged, mut refused) = (0, 0);
        for round in 0..60 {
            if round < 40 {
                limit(store, pages).await;
            } else {
                limit(store, 1_000_000).await;
            }
            match write(store, size).await {
                Ok(()) => acknowledged += 1,
                Err(error) => {
                    assert_eq!(error.outage(), Some(Outage::DiskFull), "{error:?}");
                    assert!(round < 40, "there is room again");
                    refused += 1;
                }
            }
        }
        assert!(refused > 0 && acknowledged >= 20, "{acknowledged} written, {refused} refused");
        assert_eq!(outage_since(asked), Some(Outage::DiskFull));
        assert_eq!(count(store).await.unwrap(), acknowledged);
        // As after a SIGKILL: another process, while this one still runs.
        if let Some(url) = url {
            assert_eq!(count(&open(url).await.unwrap()).await.unwrap(), acknowledged);
        }
    }

    #[tokio::test]
    async fn what_a_full_file_acknowledged_is_stored() {
        for (size, pages) in [(700, 6), (9_000, 40), (70_000, 200)] {
            let folder = tempfile::tempdir().unwrap();
            let url = url(&folder.path().join("full.sqlite"));
            let store = with_table(url.clone()).await;
            acknowledged_across_a_full_disk(&store, Some(url), size, pages).await;
        }
    }

    #[tokio::test]
    async fn what_a_full_memory_acknowledged_is_stored() {
        for (size, pages) in [(700, 6), (9_000, 40), (70_000, 200)] {
            let store = with_table("sqlite::memory:".to_owned()).await;
            acknowledged_across_a_full_disk(&store, None, size, pages).await;
        }
    }

    /// SQLite ends the transaction, and the driver goes on believing in it.
    #[tokio::test]
    async fn a_transaction_that_ended_early_does_not_swallow_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let file = url(&folder.path().join("left.sqlite"));
        for url in [file, "sqlite::memory:".to_owned()] {
            let store = with_table(url).await;
            let tx = store.begin().await.unwrap();
            tx.tx.execute_unprepared("rollback").await.unwrap();
            tx.commit().await.unwrap_err();
            for _ in 0..3 {
                write(&store, 1).await.unwrap();
            }
            drop(store.begin().await.unwrap());
            let tx = store.begin().await.unwrap();
            tx.tx.execute_unprepared("insert into told values ('taken back')").await.unwrap();
            drop(tx);
            assert_eq!(count(&store).await.unwrap(), 3);
        }
    }

    #[tokio::test]
    async fn a_file_that_was_deleted_takes_no_writes_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, aside) = (folder.path().join("gone.sqlite"), folder.path().join("aside"));
        let store = with_table(url(&path)).await;
        write(&store, 1).await.unwrap();
        store.db.execute_unprepared("pragma wal_checkpoint(truncate)").await.unwrap();
        std::fs::rename(&path, &aside).unwrap();
        let error = write(&store, 1).await.unwrap_err();
        assert_eq!(error.outage(), Some(Outage::CannotOpen), "{error:?}");
        assert!(!path.exists(), "an empty database took its place");
        std::fs::rename(&aside, &path).unwrap();
        write(&store, 1).await.unwrap();
        assert_eq!(count(&store).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_path_is_a_path_whatever_signs_are_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let names =
            ["a?mode=memory", "b#c", "100%", "%41", "with space", "übermaß €", ":memory:", "file:x?y"];
        for name in names {
            let path = folder.path().join(name);
            let store = with_table(url(&path)).await;
            write(&store, 1).await.unwrap();
            assert!(path.is_file(), "{name}");
        }
        assert!(url(Path::new(":memory:")).starts_with("sqlite:./"));
        assert!(url(Path::new("file:x")).starts_with("sqlite:./"));
    }

    #[tokio::test]
    async fn what_cannot_be_opened_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("letter.txt");
        std::fs::write(&text, "Dear database, ".repeat(100)).unwrap();
        let cases = [
            (folder.path().to_owned(), Outage::CannotOpen, "it is a folder"),
            (folder.path().join("none/x.sqlite"), Outage::CannotOpen, "its folder does not exist"),
            (text, Outage::NotADatabase, "letter.txt"),
        ];
        for (path, outage, words) in cases {
            let error = open(url(&path)).await.unwrap_err();
            assert_eq!(error.outage(), Some(outage), "{error:?}");
            assert!(format!("{error:?}").contains(words), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_another_process_writes_is_called_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locked.sqlite");
        let holder = with_table(url(&path)).await;
        let held = holder.begin().await.unwrap();
        let error = open(url(&path)).await.unwrap().migrate().await.unwrap_err();
        assert_eq!(error.outage(), Some(Outage::Locked), "{error:?}");
        drop(held);
        open(url(&path)).await.unwrap().migrate().await.unwrap();
    }
}
