//! A database of its own for each test, migrated and gone afterwards.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    sync::LazyLock,
};

use tempfile::TempDir;
use tidemark_store::{Settings, Store, admin};

const DEFAULT_SERVER: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// A fresh database with the whole schema. It is dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    store: Store,
    url: String,
    /// Declared last: the store closes first.
    _remains: Remains,
}

/// What is left to clear away.
#[derive(Debug)]
enum Remains {
    Nothing,
    Folder { _folder: TempDir },
    Database { server: String, name: String },
}

impl TestDatabase {
    /// SQLite in memory: the fastest.
    pub async fn sqlite_memory() -> Self {
        Self::open("sqlite::memory:".to_owned(), Remains::Nothing).await.migrated().await
    }

    /// SQLite in a file, which a second store can open by [`url`](Self::url).
    pub async fn sqlite_file() -> Self {
        Self::empty_sqlite_file().await.migrated().await
    }

    /// A database on the PostgreSQL server of `TIDEMARK_TEST_POSTGRES_URL`. Fails without one: a test that skips
    /// proves nothing.
    pub async fn postgres() -> Self {
        let (server, name) = (server(), new_name());
        let template = TEMPLATE.as_str();
        let url = loop {
            let copied = admin::copy_database(&server, template, &name).await;
            match copied.unwrap_or_else(|error| no_server(&error)) {
                Some(url) => break url,
                None => make_template(&server, template).await,
            }
        };
        Self::open(url, Remains::Database { server, name }).await
    }

    /// A file without the schema.
    pub async fn empty_sqlite_file() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = sqlite_url(&folder.path().join("tidemark.sqlite"));
        Self::open(url, Remains::Folder { _folder: folder }).await
    }

    /// A PostgreSQL database without the schema.
    pub async fn empty_postgres() -> Self {
        let (url, remains) = create_postgres().await;
        Self::open(url, remains).await
    }

    async fn open(url: String, remains: Remains) -> Self {
        Self { store: open_store(&url).await, url, _remains: remains }
    }

    async fn migrated(self) -> Self {
        let outcome = self.store.migrate().await;
        outcome.unwrap_or_else(|error| panic!("the schema could not be made: {}", chain(&error)));
        self
    }

    /// The store.
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// Where a second store finds the same database; in memory there is none.
    pub fn url(&self) -> String {
        self.url.clone()
    }
}

/// Opens another store on that URL.
pub async fn open_store(url: &str) -> Store {
    let settings = Settings { url: url.to_owned().into(), max_connections: 4, ..Settings::default() };
    Store::connect(&settings).await.unwrap_or_else(|error| panic!("no database: {}", chain(&error)))
}

fn sqlite_url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// A database with the schema, copied by every test: the migrations take longer than most tests. Its name changes with the
/// schema's source.
static TEMPLATE: LazyLock<String> = LazyLock::new(|| {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/src");
    let mut files: Vec<_> = [store.join("migration.rs"), store.join("dialect.rs")].into();
    let folders = [store.join("migration"), store.join("dialect")];
    for folder in folders {
        let entries = std::fs::read_dir(&folder).expect("the store's sources are there");
        files.extend(entries.map(|entry| entry.expect("a readable folder").path()));
    }
    files.sort_unstable();
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(&file).expect("a readable file").hash(&mut hasher);
    }
    format!("tidemark_template_{:016x}", hasher.finish())
});

/// Makes the template, unless somebody else has done so in the meantime.
async fn make_template(server: &str, template: &str) {
    let name = new_name();
    let url = admin::create_database(server, &name).await.unwrap_or_else(|error| no_server(&error));
    let store = open_store(&url).await;
    let outcome = store.migrate().await;
    outcome.unwrap_or_else(|error| panic!("the schema could not be made: {}", chain(&error)));
    store.close().await.unwrap_or_else(|error| panic!("{}", chain(&error)));
    match admin::make_template(server, &name, template).await {
        Ok(true) => {}
        Ok(false) => {
            admin::drop_database(server, &name).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
        }
        Err(error) => panic!("no template could be made: {}", chain(&error)),
    }
}

fn server() -> String {
    std::env::var("TIDEMARK_TEST_POSTGRES_URL").unwrap_or_else(|_| DEFAULT_SERVER.to_owned())
}

fn new_name() -> String {
    format!("tidemark_test_{}", uuid::Uuid::new_v4().simple())
}

fn no_server(error: &dyn std::error::Error) -> ! {
    panic!(
        "PostgreSQL is needed by this test: start one, or point TIDEMARK_TEST_POSTGRES_URL at one where the \
         user may create databases: {}",
        chain(error)
    )
}

async fn create_postgres() -> (String, Remains) {
    let (server, name) = (server(), new_name());
    let url = admin::create_database(&server, &name).await.unwrap_or_else(|error| no_server(&error));
    (url, Remains::Database { server, name })
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl Drop for Remains {
    fn drop(&mut self) {
        let Self::Database { server, name } = self else { return };
        let (server, name) = (std::mem::take(server), std::mem::take(name));
        // A thread of its own: the test's runtime must not be blocked on itself.
        let outcome = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime
                .map_err(|error| error.to_string())?
                .block_on(admin::drop_database(&server, &name))
                .map_err(|error| format!("{name}: {}", chain(&error)))
        });
        let outcome = outcome.join();
        if !std::thread::panicking() {
            assert!(matches!(outcome, Ok(Ok(()))), "a test database was left behind: {outcome:?}");
        }
    }
}
