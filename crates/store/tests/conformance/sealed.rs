//! Counting and replacing what the vault sealed.

use tidemark_domain::connection::CredentialKind;
use tidemark_store::{SEALED_TABLES, Sealed, SealedCredential, SealedRow, Store};
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

on_both_databases! {
    secrets_are_counted_by_table_and_key,
    pages_go_on_behind_the_last_row,
    only_the_bytes_that_were_read_are_replaced,
}

fn by(key_id: &str, number: u8) -> Sealed {
    Sealed {
        algorithm: "a".to_owned(),
        key_id: key_id.to_owned(),
        wrapped_key: vec![number, 1, 255],
        ciphertext: vec![number, 2, 0],
    }
}

async fn insert(store: &Store, seed: u64, generation: i64, sealed: Sealed) {
    let tx = store.begin().await.unwrap();
    let kind = CredentialKind::ApiKey;
    let version = SealedCredential::new(connection_id(seed), generation, kind, sealed, now());
    tx.insert_credential(&version).await.unwrap();
    tx.commit().await.unwrap();
}

async fn three(store: &Store) {
    for seed in 1..=2 {
        connected(store, seed).await;
    }
    insert(store, 1, 1, by("old", 1)).await;
    insert(store, 1, 2, by("new", 2)).await;
    insert(store, 2, 1, by("old", 3)).await;
}

async fn otherwise(store: &Store, key_id: &str, after: Option<&SealedRow>, limit: u64) -> Vec<SealedRow> {
    store.sealed_otherwise(&SEALED_TABLES[0], key_id, after, limit).await.unwrap()
}

async fn secrets_are_counted_by_table_and_key(database: &TestDatabase) {
    let store = database.store();
    assert_eq!(store.sealed_counts().await.unwrap(), []);
    three(&store).await;
    let counts = store.sealed_counts().await.unwrap();
    let counts: Vec<_> =
        counts.iter().map(|count| (count.table, count.key_id.as_str(), count.rows)).collect();
    assert_eq!(counts, [("credentials", "new", 1), ("credentials", "old", 2)]);
}

async fn pages_go_on_behind_the_last_row(database: &TestDatabase) {
    let store = database.store();
    three(&store).await;
    let all = otherwise(&store, "new", None, 10).await;
    let mut expected = vec![(connection_id(1).to_string(), 1), (connection_id(2).to_string(), 1)];
    expected.sort();
    let places: Vec<_> = all.iter().map(|row| (row.record.clone(), row.version)).collect();
    assert_eq!(places, expected);
    assert!(all.iter().all(|row| row.field == "api_key" && row.organization == organization_id(1)));
    assert_eq!(otherwise(&store, "new", None, 1).await, all[..1]);
    assert_eq!(otherwise(&store, "new", Some(&all[0]), 10).await, all[1..]);
    assert_eq!(otherwise(&store, "another", None, 10).await.len(), 3);
}

async fn only_the_bytes_that_were_read_are_replaced(database: &TestDatabase) {
    let store = database.store();
    three(&store).await;
    let rows = otherwise(&store, "new", None, 10).await;
    let renewed: Vec<_> = rows.iter().cloned().map(|row| (row, by("new", 9))).collect();
    let altered = |change: fn(&mut SealedRow)| {
        let mut renewed = renewed[..1].to_vec();
        change(&mut renewed[0].0);
        renewed
    };
    for others in [
        altered(|row| row.version = 7),
        altered(|row| row.field = "other".to_owned()),
        altered(|row| row.sealed.key_id = "other".to_owned()),
        altered(|row| row.sealed.wrapped_key.push(0)),
        altered(|row| row.sealed.ciphertext.push(0)),
    ] {
        assert_eq!(store.reseal(&SEALED_TABLES[0], &others).await.unwrap(), 0, "{others:?}");
    }
    assert_eq!(store.reseal(&SEALED_TABLES[0], &renewed).await.unwrap(), 2);
    assert_eq!(store.reseal(&SEALED_TABLES[0], &renewed).await.unwrap(), 0, "once");
    assert_eq!(store.reseal(&SEALED_TABLES[0], &[]).await.unwrap(), 0);
    let read = store.credential(&connection_id(1), 1).await.unwrap().unwrap();
    assert_eq!(read.sealed, by("new", 9));
    assert_eq!(store.credential(&connection_id(1), 2).await.unwrap().unwrap().sealed, by("new", 2));
}
