//! Fields that are not known, and flags.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use tidemark_domain::{activity::MemberDay, stream::Stream};
use tidemark_store::Store;
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

on_both_databases! {
    unknown_fields_are_counted,
    repeated_totals_are_flagged_and_the_flag_goes_again,
    few_days_and_single_members_are_no_repetition,
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

async fn flags(store: &Store, rows: &[MemberDay]) -> Vec<String> {
    let tx = store.begin().await.unwrap();
    tx.upsert_member_days(&connection_id(1), rows).await.unwrap();
    tx.flag_repeated_totals(&connection_id(1), day(1), now()).await.unwrap();
    tx.commit().await.unwrap();
    let flags = store.data_flags(&connection_id(1)).await.unwrap();
    flags.into_iter().map(|flag| flag.flag).collect()
}

/// The same two members with the same sums on some days, and one who does nothing.
fn repeated(days: std::ops::Range<u64>) -> Vec<MemberDay> {
    let rows =
        |at: u64| [member_day(1, at, 5 + at as u32), member_day(2, at, 5 + at as u32), member_day(3, at, 0)];
    days.flat_map(rows).collect()
}

async fn repeated_totals_are_flagged_and_the_flag_goes_again(database: &TestDatabase) {
    let store = database.store();
    assert_eq!(flags(&store, &repeated(1..6)).await, ["repeated_totals"]);
    assert_eq!(flags(&store, &repeated(6..7)).await, ["repeated_totals"]);
    let told = &store.data_flags(&connection_id(1)).await.unwrap()[0];
    assert!(told.detail.starts_with("On each of 6 days") && told.since == now(), "{told:?}");
    assert_eq!(flags(&store, &[member_day(2, 0, 77)]).await, ["repeated_totals"], "an older day");
    assert!(flags(&store, &[member_day(2, 3, 77)]).await.is_empty());
}

async fn few_days_and_single_members_are_no_repetition(database: &TestDatabase) {
    let store = database.store();
    assert!(flags(&store, &repeated(1..5)).await.is_empty());
    let single: Vec<_> = (10..30).map(|at| member_day(1, at, 5)).collect();
    assert!(flags(&store, &single).await.is_empty());
}
