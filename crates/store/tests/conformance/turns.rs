//! Whose turn it is, and when a connection is due.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tidemark_domain::{
    run::{self, Priority},
    stream,
};
use tidemark_store::{Connection, Look, Run, Schedule, Store, StreamProgress};
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

on_both_databases! {
    the_first_by_priority_then_fairness_then_service_goes,
    the_organization_with_the_fewest_workers_goes_first,
    who_waits_long_comes_right_behind_people,
    a_run_that_waits_for_an_attempt_is_hurried_and_one_at_work_is_not,
    of_many_claimers_each_gets_another_run,
    a_run_keeps_its_place_and_is_raised_but_never_put_back,
    a_connection_is_due_once_per_cadence,
    a_connection_of_its_own_cadence,
}

fn at(seconds: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(seconds)
}

/// A ready run of a connection of its own.
async fn ready(store: &Store, offset: u64, priority: Priority, since: i64) -> Run {
    let run = Run { priority, ..queued(&connected(store, offset).await.id, offset) };
    let tx = store.begin().await.unwrap();
    assert!(tx.insert_run(&run).await.unwrap());
    tx.make_ready(&run.id, at(since)).await.unwrap();
    tx.commit().await.unwrap();
    run
}

async fn next(store: &Store, aged: i64) -> Option<Run> {
    store.claim_ready(at(1_000), at(aged), at(1_060)).await.unwrap()
}

async fn the_first_by_priority_then_fairness_then_service_goes(database: &TestDatabase) {
    let store = database.store();
    let backfill = ready(&store, 1, Priority::Backfill, 0).await;
    let scheduled = ready(&store, 2, Priority::Schedule, 1).await;
    let person = ready(&store, 3, Priority::Person, 2).await;
    let served = ready(&store, 4, Priority::Schedule, 0).await;
    let tx = store.begin().await.unwrap();
    tx.leave_run(&served.id, 60_000, Priority::Person).await.unwrap();
    tx.commit().await.unwrap();
    let look = store.look(&person.id).await.unwrap();
    assert_eq!(look, Some(Look { state: run::State::Queued, others_wait: true }));
    let mut order = Vec::new();
    while let Some(run) = next(&store, -1).await {
        assert_eq!((run.ready_at, run.wake_at), (None, Some(at(1_060))));
        order.push(run.id);
    }
    assert_eq!(order, [person.id.clone(), scheduled.id, served.id, backfill.id]);
    assert!(!store.look(&person.id).await.unwrap().unwrap().others_wait);
    assert_eq!(store.look(&run_id(99)).await.unwrap(), None);
}

async fn the_organization_with_the_fewest_workers_goes_first(database: &TestDatabase) {
    let store = database.store();
    for offset in 1..=3 {
        ready(&store, offset, Priority::Schedule, 0).await;
    }
    let small = Connection { organization_id: organization_id(2), ..connection(9) };
    let run = Run { priority: Priority::Schedule, ..queued(&small.id, 9) };
    let tx = store.begin().await.unwrap();
    tx.insert_connection(&small).await.unwrap();
    assert!(tx.insert_run(&run).await.unwrap());
    tx.make_ready(&run.id, at(100)).await.unwrap();
    tx.commit().await.unwrap();
    let order = [next(&store, -1).await.unwrap().id, next(&store, -1).await.unwrap().id];
    assert_eq!(order, [run_id(1), run.id], "it asked last and has no worker yet");
}

async fn who_waits_long_comes_right_behind_people(database: &TestDatabase) {
    let store = database.store();
    let backfill = ready(&store, 1, Priority::Backfill, 0).await;
    let scheduled = ready(&store, 2, Priority::Schedule, 10).await;
    let person = ready(&store, 3, Priority::Person, 20).await;
    for expected in [person.id, backfill.id, scheduled.id] {
        assert_eq!(next(&store, 5).await.unwrap().id, expected);
    }
}

async fn a_run_that_waits_for_an_attempt_is_hurried_and_one_at_work_is_not(database: &TestDatabase) {
    let store = database.store();
    let run = ready(&store, 1, Priority::Schedule, 0).await;
    let hurry = async || {
        let tx = store.begin().await.unwrap();
        tx.retry_streams(&run.id).await.unwrap();
        let is_hurried = tx.hurry_run(&run.id, at(5)).await.unwrap();
        tx.commit().await.unwrap();
        is_hurried
    };
    assert!(!hurry().await, "it is in the queue");
    let claimed = next(&store, -1).await.unwrap();
    assert!(!hurry().await, "a worker has it");
    let mut progress = store.streams(&run.id).await.unwrap();
    let tx = store.begin().await.unwrap();
    progress[0] = StreamProgress { attempts: 3, retry_at: Some(at(900)), ..progress[0].clone() };
    progress[1].state = stream::State::Unavailable;
    progress[2].state = stream::State::Suspect;
    for progress in &progress {
        tx.put_stream(&run.id, progress).await.unwrap();
    }
    let waiting = Run { attempts: 4, state: run::State::Running, ..claimed };
    assert!(tx.update_run(&waiting, run::State::Queued).await.unwrap());
    tx.leave_run(&run.id, 1, Priority::Person).await.unwrap();
    tx.commit().await.unwrap();
    assert!(hurry().await);
    let streams = store.streams(&run.id).await.unwrap();
    assert_eq!((streams[0].attempts, streams[0].retry_at), (0, None));
    assert_eq!(streams[1].state, stream::State::Pending, "another credential may read it");
    assert_eq!(streams[2].state, stream::State::Suspect);
    let taken = next(&store, -1).await.unwrap();
    assert_eq!((taken.id.clone(), taken.attempts), (run.id, 0));
    store.keep_run(&taken.id, at(2_000)).await.unwrap();
    store.keep_run(&taken.id, at(1_500)).await.unwrap();
    assert_eq!(store.run(&taken.id).await.unwrap().unwrap().wake_at, Some(at(2_000)));
}

async fn of_many_claimers_each_gets_another_run(database: &TestDatabase) {
    let store = database.store();
    for offset in 1..=8 {
        ready(&store, offset, Priority::Schedule, 0).await;
    }
    let mut claims = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let store = store.clone();
        claims.spawn(async move { next(&store, -1).await });
    }
    let mut claimed: Vec<_> = claims.join_all().await.into_iter().flatten().map(|run| run.id).collect();
    while let Some(run) = next(&store, -1).await {
        claimed.push(run.id);
    }
    claimed.sort();
    claimed.dedup();
    assert_eq!(claimed.len(), 8);
}

async fn a_run_keeps_its_place_and_is_raised_but_never_put_back(database: &TestDatabase) {
    let store = database.store();
    let run = ready(&store, 1, Priority::Schedule, 0).await;
    let tx = store.begin().await.unwrap();
    tx.make_ready(&run.id, at(50)).await.unwrap();
    tx.raise_run(&run.id, Priority::Backfill).await.unwrap();
    tx.commit().await.unwrap();
    let kept = store.run(&run.id).await.unwrap().unwrap();
    assert_eq!((kept.ready_at, kept.priority), (Some(at(0)), Priority::Schedule));
    let tx = store.begin().await.unwrap();
    tx.raise_run(&run.id, Priority::Person).await.unwrap();
    tx.leave_run(&run.id, 1_500, Priority::Person).await.unwrap();
    tx.leave_run(&run.id, 1_500, Priority::Backfill).await.unwrap();
    tx.commit().await.unwrap();
    let left = store.run(&run.id).await.unwrap().unwrap();
    assert_eq!((left.served_ms, left.priority), (3_000, Priority::Backfill));
}

async fn a_connection_is_due_once_per_cadence(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    let claim = async |time: i64, settled: i64| {
        store.claim_due_connections(at(time), at(settled), at(time + 60), 10).await.unwrap()
    };
    assert!(claim(0, -1_000_000).await.is_empty(), "it was made just now");
    let due = claim(200, 200).await;
    assert_eq!((due.len(), &due[0].connection_id, due[0].every), (1, &id, None));
    assert!(claim(200, 200).await.is_empty(), "claimed");
    assert_eq!(claim(260, 260).await.len(), 1, "whoever claimed it died");
    let tx = store.begin().await.unwrap();
    tx.set_next_sync(&id, at(5_000)).await.unwrap();
    tx.commit().await.unwrap();
    assert!(claim(4_999, 4_999).await.is_empty());
    assert_eq!(claim(5_000, 5_000).await.len(), 1);
}

async fn a_connection_of_its_own_cadence(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    assert_eq!(store.schedule(&id).await.unwrap(), Schedule { every: None, next_at: None });
    let set = async |schedule| {
        let tx = store.begin().await.unwrap();
        tx.set_schedule(&id, schedule).await.unwrap();
        tx.commit().await.unwrap();
    };
    let daily = Schedule { every: Some(Duration::from_secs(86_400)), next_at: Some(at(10)) };
    set(daily).await;
    assert_eq!(store.schedule(&id).await.unwrap(), daily);
    let due = store.claim_due_connections(at(10), at(10), at(70), 10).await.unwrap();
    assert_eq!(due[0].every, daily.every);
    set(Schedule { every: Some(Duration::ZERO), next_at: None }).await;
    assert!(store.claim_due_connections(at(1_000_000), at(1_000_000), at(70), 10).await.unwrap().is_empty());
}
