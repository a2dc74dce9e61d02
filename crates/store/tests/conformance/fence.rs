//! The fence.

use std::time::Duration;

use chrono::TimeDelta;
use tidemark_store::Error;
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

const TTL: Duration = Duration::from_secs(60);

on_both_databases! {
    a_stale_holder_writes_nothing,
    a_held_workspace_is_not_free,
    taking_waits_for_the_guarded_transaction,
}

async fn a_stale_holder_writes_nothing(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let stale = store.take_fence(&id, "a", now(), TTL).await.unwrap();
    let fresh = store.take_fence(&id, "b", now(), TTL).await.unwrap();
    assert!(fresh.number > stale.number);
    let tx = store.begin().await.unwrap();
    assert!(matches!(tx.guard(&stale, now(), TTL).await, Err(Error::FenceLost)));
    drop(tx);
    let tx = store.begin().await.unwrap();
    tx.upsert_member_days(&id, &[member_day(1, 1, 1)]).await.unwrap();
    assert!(matches!(tx.guard(&stale, now(), TTL).await, Err(Error::FenceLost)));
    drop(tx);
    assert_eq!(store.member_day_count(&id).await.unwrap(), 0);
    let tx = store.begin().await.unwrap();
    tx.guard(&fresh, now(), TTL).await.unwrap();
    tx.upsert_member_days(&id, &[member_day(1, 1, 1)]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.member_day_count(&id).await.unwrap(), 1);
}

async fn a_held_workspace_is_not_free(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let at = |seconds| now() + TimeDelta::seconds(seconds);
    let first = store.take_fence_if_free(&id, "a", at(0), TTL).await.unwrap().expect("never held");
    assert_eq!(store.take_fence_if_free(&id, "b", at(59), TTL).await.unwrap(), None);
    let tx = store.begin().await.unwrap();
    tx.guard(&first, at(30), TTL).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.take_fence_if_free(&id, "b", at(60), TTL).await.unwrap(), None, "guarding extends it");
    let second = store.take_fence_if_free(&id, "b", at(90), TTL).await.unwrap().expect("expired");
    assert!(second.number > first.number);
    store.release_fence(&first).await.unwrap();
    assert_eq!(store.take_fence_if_free(&id, "a", at(91), TTL).await.unwrap(), None, "not a's to release");
    store.release_fence(&second).await.unwrap();
    assert!(store.take_fence_if_free(&id, "a", at(91), TTL).await.unwrap().is_some());
}

async fn taking_waits_for_the_guarded_transaction(database: &TestDatabase) {
    let (store, id) = (database.store(), connection_id(1));
    let first = store.take_fence(&id, "a", now(), TTL).await.unwrap();
    let tx = store.begin().await.unwrap();
    tx.guard(&first, now(), TTL).await.unwrap();
    let taker = tokio::spawn({
        let (store, id) = (store.clone(), id.clone());
        async move {
            let fence = store.take_fence(&id, "b", now(), TTL).await.unwrap();
            (fence.number, store.member_day_count(&id).await.unwrap())
        }
    });
    tx.upsert_member_days(&id, &[member_day(1, 1, 1)]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(taker.await.unwrap(), (first.number + 1, 1), "b sees all that a wrote");
}
