//! Stores of tests that look inside, and the same tests on both databases.

use tidemark_runtime::config::Database;

use crate::store::Store;

/// A store on a database that has its schema.
pub(crate) async fn opened(url: &str) -> Store {
    let settings = Database { url: url.to_owned().into(), max_connections: 4, ..Database::default() };
    Store::connect(&settings).await.unwrap()
}

/// A store in memory.
pub(crate) async fn memory() -> Store {
    let store = opened("sqlite::memory:").await;
    store.migrate().await.unwrap();
    store
}

/// Makes tests of cases that take a store: one for each database.
macro_rules! on_both_databases {
    ($($case:ident,)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&crate::test_databases::memory().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let database = tidemark_testkit::TestDatabase::postgres().await;
                super::$case(&crate::test_databases::opened(&database.url()).await).await;
            })*
        }
    };
}
pub(crate) use on_both_databases;
