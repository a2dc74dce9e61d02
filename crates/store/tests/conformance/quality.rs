//! Fields that are not known.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use tidemark_domain::stream::Stream;
use tidemark_store::VendorFinding;
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

on_both_databases! {
    unknown_fields_are_counted,
    what_is_assumed_stands_until_it_is_seen_otherwise,
}

/// An assumption that does not hold is a flag since the day on which that was first seen.
async fn what_is_assumed_stands_until_it_is_seen_otherwise(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let put = async |hours: i64, holds: Option<bool>, detail: &str| {
        let finding = VendorFinding { assumption: "window_obeyed".into(), holds, detail: detail.to_owned() };
        let tx = store.begin().await.unwrap();
        tx.put_vendor_findings(&id, &[finding], now() + TimeDelta::hours(hours)).await.unwrap();
        tx.commit().await.unwrap();
        let findings = store.vendor_findings(&id).await.unwrap();
        let flags = store.data_flags(&id).await.unwrap();
        let flags: Vec<_> = flags.into_iter().map(|it| (it.flag, (it.since - now()).num_hours())).collect();
        (findings[0].holds, findings[0].detail.clone(), flags)
    };
    let flag = |hours| vec![("assumption.window_obeyed".to_owned(), hours)];
    assert_eq!(put(0, None, "no activity").await, (None, "no activity".to_owned(), vec![]));
    assert_eq!(put(1, Some(false), "other days").await, (Some(false), "other days".to_owned(), flag(1)));
    assert_eq!(put(2, Some(false), "again").await, (Some(false), "again".to_owned(), flag(1)));
    assert_eq!(put(3, None, "no activity").await, (Some(false), "again".to_owned(), flag(1)));
    assert_eq!(put(4, Some(true), "as it should").await, (Some(true), "as it should".to_owned(), vec![]));
    assert_eq!(put(5, Some(false), "other days").await.2, flag(5));
    let long = "ä".repeat(5_000);
    assert!(long.starts_with(&put(6, Some(true), &long).await.1));
    assert!(store.vendor_findings(&connection_id(2)).await.unwrap().is_empty());
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
