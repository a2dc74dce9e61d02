//! Member days, coverage, and the facts the rollup reads.

use std::collections::BTreeMap;

use tidemark_domain::activity::MemberDay;
use tidemark_store::{CoveredDay, Effect, RosterMember, Store, Vanished};
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

on_both_databases! {
    member_days_read_back_and_again_changes_nothing,
    the_last_of_two_days_counts,
    three_thousand_rows_go_in_at_once,
    coverage_remembers_the_latest_fetch,
    what_changed_on_a_covered_day_is_late,
    what_vanished_from_a_day_is_removed,
    a_day_that_lost_most_rows_is_doubted,
    facts_come_in_pages_of_members_with_a_history,
    the_digest_does_not_depend_on_the_order,
}

async fn put(store: &Store, days: &[MemberDay]) -> u64 {
    let tx = store.begin().await.unwrap();
    let written = tx.upsert_member_days(&connection_id(1), days).await.unwrap();
    tx.commit().await.unwrap();
    written
}

async fn list(store: &Store, numbers: impl IntoIterator<Item = u128>) {
    let listing: Vec<_> = numbers
        .into_iter()
        .map(|number| RosterMember { member_id: member(number), name: None, email: None, standing: maker() })
        .collect();
    let tx = store.begin().await.unwrap();
    tx.apply_roster(&connection_id(1), &listing, day(0)).await.unwrap();
    tx.commit().await.unwrap();
}

async fn days_of(store: &Store, number: u128) -> Vec<MemberDay> {
    let facts = store.member_facts(&connection_id(1), None, 100, day(0)).await.unwrap();
    facts.into_iter().find(|facts| facts.member_id == member(number)).unwrap().days
}

async fn member_days_read_back_and_again_changes_nothing(database: &TestDatabase) {
    let store = database.store();
    list(&store, [1]).await;
    let days = [member_day(1, 1, 7), member_day(1, 2, u32::MAX)];
    assert_eq!(put(&store, &days).await, 2);
    assert_eq!(days_of(&store, 1).await, days);
    let digest = store.facts_digest(&connection_id(1)).await.unwrap();
    assert_eq!(put(&store, &days).await, 0, "what is the same is not written");
    assert_eq!(store.facts_digest(&connection_id(1)).await.unwrap(), digest);
    put(&store, &[member_day(1, 2, 1)]).await;
    assert_eq!(days_of(&store, 1).await, [member_day(1, 1, 7), member_day(1, 2, 1)]);
    assert_ne!(store.facts_digest(&connection_id(1)).await.unwrap(), digest);
}

async fn the_last_of_two_days_counts(database: &TestDatabase) {
    let store = database.store();
    list(&store, [1]).await;
    assert_eq!(put(&store, &[member_day(1, 1, 1), member_day(1, 1, 2)]).await, 1);
    assert_eq!(days_of(&store, 1).await, [member_day(1, 1, 2)]);
    assert_eq!(put(&store, &[]).await, 0);
}

async fn three_thousand_rows_go_in_at_once(database: &TestDatabase) {
    let store = database.store();
    let days: Vec<_> = (0..3_000).map(|number| member_day(number % 100, (number / 100) as u64, 1)).collect();
    assert_eq!(put(&store, &days).await, 3_000);
    assert_eq!(store.member_day_count(&connection_id(1)).await.unwrap(), 3_000);
    assert_eq!(store.member_day_count(&connection_id(2)).await.unwrap(), 0);
}

async fn coverage_remembers_the_latest_fetch(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let tx = store.begin().await.unwrap();
    tx.cover_days(&id, &[day(2), day(1), day(2)], day(3), &run_id(1)).await.unwrap();
    tx.cover_days(&id, &[day(2)], day(4), &run_id(2)).await.unwrap();
    tx.commit().await.unwrap();
    let expected = [
        CoveredDay { day: day(1), fetched_on: day(3), run_id: run_id(1) },
        CoveredDay { day: day(2), fetched_on: day(4), run_id: run_id(2) },
    ];
    assert_eq!(store.coverage(&id).await.unwrap(), expected);
}

async fn write(store: &Store, days: &[MemberDay]) -> Effect {
    let tx = store.begin().await.unwrap();
    let effect = tx.write_member_days(&connection_id(1), days, &run_id(1), now()).await.unwrap();
    tx.commit().await.unwrap();
    effect
}

async fn remove(store: &Store, at: u64, members: std::ops::Range<u128>, accepts: bool) -> Vanished {
    let fetched = BTreeMap::from([(day(at), members.map(member).collect())]);
    let tx = store.begin().await.unwrap();
    let vanished = tx.remove_vanished(&connection_id(1), &fetched, accepts).await.unwrap();
    tx.commit().await.unwrap();
    vanished
}

async fn what_changed_on_a_covered_day_is_late(database: &TestDatabase) {
    let store = database.store();
    let tx = store.begin().await.unwrap();
    tx.cover_days(&connection_id(1), &[day(1)], day(3), &run_id(1)).await.unwrap();
    tx.commit().await.unwrap();
    let rows = [member_day(1, 1, 1), member_day(2, 1, 1), member_day(1, 2, 1)];
    let effect = |written, unchanged, late| Effect { written, unchanged, removed: 0, late };
    assert_eq!(write(&store, &rows).await, effect(3, 0, 2));
    assert_eq!(write(&store, &rows).await, effect(0, 3, 0));
    let rows = [member_day(1, 1, 1), member_day(2, 1, 9), member_day(1, 2, 9)];
    assert_eq!(write(&store, &rows).await, effect(2, 1, 1));
    assert_eq!(write(&store, &[]).await, Effect::default());
}

async fn what_vanished_from_a_day_is_removed(database: &TestDatabase) {
    let store = database.store();
    let rows: Vec<_> =
        (0..12).flat_map(|number| [member_day(number, 1, 1), member_day(number, 2, 1)]).collect();
    put(&store, &rows).await;
    let vanished = remove(&store, 1, 0..9, false).await;
    assert_eq!(vanished, Vanished { removed: 3, doubted: Vec::new() });
    assert_eq!(store.member_day_count(&connection_id(1)).await.unwrap(), 21, "the other day keeps its rows");
    assert_eq!(remove(&store, 3, 0..5, false).await, Vanished::default());
}

async fn a_day_that_lost_most_rows_is_doubted(database: &TestDatabase) {
    let store = database.store();
    let rows: Vec<_> = (0..12).map(|number| member_day(number, 1, 1)).collect();
    put(&store, &rows).await;
    for members in [0..0, 0..6] {
        let vanished = remove(&store, 1, members, false).await;
        assert_eq!(vanished, Vanished { removed: 0, doubted: vec![day(1)] });
    }
    assert_eq!(remove(&store, 1, 0..6, true).await, Vanished { removed: 6, doubted: Vec::new() });
    assert_eq!(store.member_day_count(&connection_id(1)).await.unwrap(), 6);
}

async fn facts_come_in_pages_of_members_with_a_history(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    list(&store, [5, 0, 3, 1]).await;
    // Member 2 was never on the list; member 3 did nothing.
    let days: Vec<_> =
        [0, 1, 2, 5].into_iter().flat_map(|number| [1, 5].map(|at| member_day(number, at, 1))).collect();
    put(&store, &days).await;
    let first = store.member_facts(&id, None, 3, day(5)).await.unwrap();
    let numbers: Vec<_> = first.iter().map(|facts| facts.member_id).collect();
    assert_eq!(numbers, [member(0), member(1), member(3)]);
    assert_eq!(first[1].days, [member_day(1, 5, 1)]);
    assert_eq!(first[1].versions.len(), 1);
    assert!(first[2].days.is_empty());
    let second = store.member_facts(&id, Some(member(3)), 3, day(0)).await.unwrap();
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].days, [member_day(5, 1, 1), member_day(5, 5, 1)]);
    assert!(store.member_facts(&id, Some(member(5)), 3, day(0)).await.unwrap().is_empty());
}

async fn the_digest_does_not_depend_on_the_order(database: &TestDatabase) {
    let (store, other) = (database.store(), TestDatabase::sqlite_memory().await.store());
    let mut days: Vec<_> = (0..40).map(|number| member_day(number % 7, number as u64, 3)).collect();
    list(&store, [1, 2, 3]).await;
    put(&store, &days).await;
    days.reverse();
    days.rotate_left(11);
    for days in days.chunks(3) {
        put(&other, days).await;
    }
    list(&other, [3, 1, 2]).await;
    let id = connection_id(1);
    assert_eq!(store.facts_digest(&id).await.unwrap(), other.facts_digest(&id).await.unwrap());
}
