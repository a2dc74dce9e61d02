//! Opening, migrating, checking; and what a transaction that was given up leaves behind.

use std::time::Duration;

use tidemark_store::{Error, Settings, Store};
use tidemark_testkit::{TestDatabase, open_store};

use crate::fixture::*;

on_both_databases! {
    a_second_migration_finds_nothing_to_do,
    a_dropped_transaction_never_happened,
    a_cancelled_begin_poisons_nothing,
    what_the_schema_refuses_is_named_without_values,
}

async fn a_second_migration_finds_nothing_to_do(database: &TestDatabase) {
    let store = database.store();
    assert!(store.migrate().await.unwrap().is_empty());
    let info = store.check().await.unwrap();
    let product = if database.url().starts_with("sqlite") { "SQLite 3." } else { "PostgreSQL 1" };
    assert!(info.version.starts_with(product), "{info:?}");
    assert!(info.pending_migrations.is_empty());
}

async fn a_dropped_transaction_never_happened(database: &TestDatabase) {
    let store = database.store();
    let tx = store.begin().await.unwrap();
    tx.insert_connection(&connection(1)).await.unwrap();
    drop(tx);
    assert_eq!(store.connection(&connection_id(1)).await.unwrap(), None);
}

/// sqlx#4393: writes after a cancelled `begin` were answered with success and lost.
async fn a_cancelled_begin_poisons_nothing(database: &TestDatabase) {
    let (store, witness) = (database.store(), open_store(&database.url()).await);
    for round in 0..60 {
        // Cancelled at ever later steps of its way.
        let _ = tokio::time::timeout(Duration::from_micros(round * 25), store.begin()).await;
        let id = connection_id(round);
        store.take_fence(&id, "one", now(), Duration::from_secs(60)).await.unwrap();
        let seen = witness.take_fence_if_free(&id, "two", now(), Duration::from_secs(60)).await.unwrap();
        assert_eq!(seen, None, "the write of round {round} is lost");
    }
}

async fn what_the_schema_refuses_is_named_without_values(database: &TestDatabase) {
    let store = database.store();
    connected(&store, 1).await;
    let tx = store.begin().await.unwrap();
    let error = tx.insert_connection(&connection(1)).await.unwrap_err();
    assert!(matches!(error, Error::Query { attempted: "insert a connection", .. }), "{error:?}");
    let text = format!("{error:?} {error}");
    assert!(!text.contains("acme") && !text.contains(connection_id(1).as_str()), "{text}");
}

/// Two processes that start at once, on a database without a schema.
async fn migrate_at_once(database: &TestDatabase) {
    assert_eq!(database.store().check().await.unwrap().pending_migrations, ["0001_record"]);
    let stores = [database.store(), open_store(&database.url()).await, open_store(&database.url()).await];
    let tasks = stores.map(|store| tokio::spawn(async move { store.migrate().await }));
    let mut applied = 0;
    for task in tasks {
        applied += task.await.unwrap().unwrap().len();
    }
    assert_eq!(applied, 1, "one migrates, the others wait");
    connected(&database.store(), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_migrate_a_file_at_once() {
    migrate_at_once(&TestDatabase::empty_sqlite_file().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_migrate_postgres_at_once() {
    migrate_at_once(&TestDatabase::empty_postgres().await).await;
}

#[tokio::test]
async fn a_database_in_memory_lives_as_long_as_its_store() {
    let database = TestDatabase::sqlite_memory().await;
    connected(&database.store(), 1).await;
    drop(database.store().begin().await.unwrap());
    assert!(database.store().connection(&connection_id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn no_password_is_ever_shown() {
    let urls = [
        "mysql://root:canary@db/x",
        "postgres://u:canary@localhost:99999/x",
        "postgres://u:canary@127.0.0.1:1/x?application_name=canary",
        "canary",
    ];
    for url in urls {
        let settings = Settings { url: url.to_owned().into(), max_connections: 1 };
        let error = Store::connect(&settings).await.unwrap_err();
        let text = format!("{error:?} {error}");
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_named_at_once() {
    let url = "postgres://u:canary@127.0.0.1:1/tidemark".to_owned().into();
    let error = Store::connect(&Settings { url, max_connections: 1 }).await.unwrap_err();
    let Error::Unavailable(cause) = error else { panic!("{error:?}") };
    let cause = cause.to_string();
    assert!(cause.contains("127.0.0.1:1/tidemark") && cause.contains("refused"), "{cause}");
}
