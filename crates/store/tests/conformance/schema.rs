//! Opening, migrating, checking; and what a transaction that was given up leaves behind.

use std::time::Duration;

use tidemark_store::{Error, RosterMember, Settings, Store};
use tidemark_testkit::{TestDatabase, open_store};

use crate::fixture::*;

on_both_databases! {
    a_second_migration_finds_nothing_to_do,
    a_dropped_transaction_never_happened,
    a_cancelled_begin_poisons_nothing,
    what_the_schema_refuses_is_named_without_values,
    everything_runs_in_a_task_of_its_own,
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

/// A handler's database work runs in its own task, so every future must be `Send`: this compiles.
async fn everything_runs_in_a_task_of_its_own(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    let work = async move {
        let tx = store.begin().await?;
        tx.insert_run(&queued(&id, 1)).await?;
        tx.apply_roster(&id, &[], day(1)).await?;
        tx.replace_teams(&id, &[]).await?;
        tx.upsert_member_days(&id, &[member_day(1, 1, 1)]).await?;
        tx.cover_days(&id, &[day(1)], day(2), &run_id(1)).await?;
        tx.commit().await?;
        store.check().await?;
        store.migrate().await?;
        store.mark_sent(&[1], now()).await?;
        store.release_outgoing(&[1]).await?;
        store.member_facts(&id, None, 1, day(0)).await?;
        store.windows_on(&id, day(1)).await?;
        store.facts_digest(&id).await
    };
    tokio::spawn(work).await.unwrap().unwrap();
}

/// Two processes that start at once, on a database without a schema.
async fn migrate_at_once(database: &TestDatabase) {
    let pending = database.store().check().await.unwrap().pending_migrations;
    assert_eq!(pending.first().map(String::as_str), Some("0001_record"));
    let stores = [database.store(), open_store(&database.url()).await, open_store(&database.url()).await];
    let tasks = stores.map(|store| tokio::spawn(async move { store.migrate().await }));
    let mut applied = 0;
    for task in tasks {
        applied += task.await.unwrap().unwrap().len();
    }
    assert_eq!(applied, pending.len(), "one migrates, the others wait");
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

/// Reads that turn into writes, from two processes at once: neither may be refused for being second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_write_to_one_file() {
    let database = TestDatabase::sqlite_file().await;
    let writers = [database.store(), open_store(&database.url()).await].map(|store| {
        tokio::spawn(async move {
            for round in 0..40 {
                let member =
                    RosterMember { member_id: member(1), name: None, email: None, standing: maker() };
                let tx = store.begin().await.unwrap();
                tx.apply_roster(&connection_id(round), &[member], day(1)).await.unwrap();
                tx.commit().await.unwrap();
            }
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
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
        let settings = Settings { url: url.to_owned().into(), max_connections: 1, ..Settings::default() };
        let error = Store::connect(&settings).await.unwrap_err();
        let text = format!("{error:?} {error}");
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_named_at_once() {
    let url = "postgres://u:canary@127.0.0.1:1/tidemark".to_owned().into();
    let error =
        Store::connect(&Settings { url, max_connections: 1, ..Settings::default() }).await.unwrap_err();
    let Error::Unavailable(cause) = error else { panic!("{error:?}") };
    let cause = cause.to_string();
    assert!(cause.contains("127.0.0.1:1/tidemark") && cause.contains("refused"), "{cause}");
}
