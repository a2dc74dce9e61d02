//! Fields that are not known.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use tidemark_domain::stream::Stream;
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

on_both_databases! {
    unknown_fields_are_counted,
}

async fn unknown_fields_are_counted(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let paths = BTreeMap::from([("fields.beta".to_owned(), 7), ("beta".to_owned(), 1)]);
    for hours in [0, 1] {
        let tx = store.begin().await.unwrap();
        tx.add_drift(&id, Stream::Notes, &paths, now() + TimeDelta::hours(hours)).await.unwrap();
        tx.commit().await.unwrap();
    }
    let drift = store.drift(&id).await.unwrap();
    let told: Vec<_> = drift.iter().map(|it| (it.stream, it.path.as_str(), it.rows)).collect();
    assert_eq!(told, [(Stream::Notes, "beta", 2), (Stream::Notes, "fields.beta", 14)]);
    assert_eq!(drift[0].first_seen_at, now());
    assert_eq!(drift[0].last_seen_at, now() + TimeDelta::hours(1));
    assert!(store.drift(&connection_id(2)).await.unwrap().is_empty());
}
