//! What waits, and since when.

use chrono::TimeDelta;
use tidemark_domain::{
    event::{Data, Event, Reconnected},
    run,
};
use tidemark_store::{Backlog, RollupSettlement, Run, WaitsFor};
use tidemark_testkit::{ManualClock, SeededEntropy, TestDatabase};

use crate::fixture::*;

on_both_databases! {
    an_empty_record_has_nothing_that_waits,
    messages_wait_until_they_are_sent,
    runs_wait_for_different_things,
    connections_are_counted_by_their_state,
    a_first_rollup_that_nobody_computes_is_behind,
}

async fn an_empty_record_has_nothing_that_waits(database: &TestDatabase) {
    let store = database.store();
    let nothing = Backlog::default();
    assert_eq!(store.unsent().await.unwrap(), nothing);
    assert_eq!(store.ready_runs().await.unwrap(), nothing);
    assert_eq!(store.forgotten_runs(now()).await.unwrap(), nothing);
    assert_eq!(store.pending_webhooks(now()).await.unwrap(), nothing);
    assert_eq!(store.rollups_behind().await.unwrap(), nothing);
    assert!(store.open_runs().await.unwrap().is_empty());
    assert!(store.connections_by_state().await.unwrap().is_empty());
    assert_eq!(store.overdue(now()).await.unwrap(), tidemark_store::Overdue::default());
    store.try_write(now()).await.unwrap();
    assert_eq!(store.unsent().await.unwrap(), nothing, "it was taken back");
    assert!(store.pool().most >= 1);
    assert!(store.clock().await.unwrap() > now(), "the cases live in the past");
}

async fn messages_wait_until_they_are_sent(database: &TestDatabase) {
    let store = database.store();
    let data = Data::Reconnected(Reconnected { organization_id: organization_id(1), generation: 2 });
    let event = Event::new(&ManualClock::noon(day(100)), &SeededEntropy::new(5), connection_id(1), data);
    let tx = store.begin().await.unwrap();
    tx.emit(&event).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.unsent().await.unwrap(), Backlog { count: 1, oldest: Some(now()) });
    let sent = store.claim_outgoing(now(), 10, std::time::Duration::from_secs(30)).await.unwrap();
    assert_eq!(sent[0].traceparent, None, "traces are off");
    store.mark_sent(&[sent[0].id], now()).await.unwrap();
    assert_eq!(store.unsent().await.unwrap(), Backlog::default());
}

async fn runs_wait_for_different_things(database: &TestDatabase) {
    let store = database.store();
    let (a, b) = (connected(&store, 1).await, connected(&store, 2).await);
    let (first, second) = (queued(&a.id, 1), queued(&b.id, 2));
    let tx = store.begin().await.unwrap();
    assert!(tx.insert_run(&first).await.unwrap() && tx.insert_run(&second).await.unwrap());
    tx.make_ready(&first.id, now()).await.unwrap();
    let waiting = Run { state: run::State::ReconnectRequired, ..second.clone() };
    assert!(tx.update_run(&waiting, run::State::Queued).await.unwrap());
    tx.commit().await.unwrap();
    let one = Backlog { count: 1, oldest: Some(now()) };
    let open = store.open_runs().await.unwrap();
    assert_eq!(open, [(WaitsFor::Worker, one), (WaitsFor::Reconnect, one)].into());
    assert_eq!(store.ready_runs().await.unwrap(), one);
    // Both are to be looked after now.
    assert_eq!(store.forgotten_runs(now()).await.unwrap(), Backlog { count: 2, oldest: Some(now()) });
    let later = now() + TimeDelta::seconds(60);
    store
        .claim_ready(now(), now(), later, tidemark_domain::run::Priority::Backfill, &[])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(store.open_runs().await.unwrap()[&WaitsFor::Nothing], one);
    assert_eq!(store.ready_runs().await.unwrap(), Backlog::default());
    assert_eq!(store.forgotten_runs(now()).await.unwrap().count, 1);
}

async fn connections_are_counted_by_their_state(database: &TestDatabase) {
    let store = database.store();
    connected(&store, 1).await;
    connected(&store, 2).await;
    assert_eq!(store.connections_by_state().await.unwrap(), [("connected", 2)].into());
    let overdue = store.overdue(now()).await.unwrap();
    assert_eq!((overdue.in_doubt, overdue.refresh), (0, None));
}

async fn a_first_rollup_that_nobody_computes_is_behind(database: &TestDatabase) {
    let store = database.store();
    let (id, other) = (connected(&store, 1).await.id, connected(&store, 2).await.id);
    let tx = store.begin().await.unwrap();
    for (run, connection) in [(queued(&id, 1), &id), (queued(&other, 2), &other)] {
        assert!(tx.insert_run(&run).await.unwrap());
        let ended =
            Run { state: run::State::Partial, finished_at: Some(now()), wake_at: None, ..run.clone() };
        assert!(tx.update_run(&ended, run::State::Queued).await.unwrap());
        if connection == &id {
            tx.cover_days(connection, &[day(1)], day(2), &run.id).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
    let one = Backlog { count: 1, oldest: Some(now()) };
    assert_eq!(store.rollups_behind().await.unwrap(), one, "the other one has no days");
    let claim =
        async || store.claim_rollup(&id, now(), now() + TimeDelta::seconds(20)).await.unwrap().unwrap();
    let failed = RollupSettlement::Failed(now());
    store.settle_rollup(&claim().await, failed).await.unwrap();
    assert_eq!(store.rollups_behind().await.unwrap(), one, "it failed");
    // There may be none to be had: without a list of members, for one.
    store.settle_rollup(&claim().await, RollupSettlement::Looked(day(2))).await.unwrap();
    assert_eq!(store.rollups_behind().await.unwrap(), Backlog::default());
    let tx = store.begin().await.unwrap();
    tx.cover_days(&id, &[day(3)], day(4), &run_id(1)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.rollups_behind().await.unwrap(), one, "there are other facts since");
}
