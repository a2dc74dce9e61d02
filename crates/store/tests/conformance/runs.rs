//! Runs and their streams.

use chrono::TimeDelta;
use tidemark_domain::{
    run,
    stream::{self, Capture, Options, Stream},
};
use tidemark_store::{Effect, Run, Store, StreamProgress};
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

on_both_databases! {
    a_connection_has_one_open_run,
    runs_are_listed_newest_first,
    an_update_compares_the_state,
    a_due_run_is_claimed_once,
    a_stream_keeps_its_progress,
    a_run_has_the_streams_that_are_on,
}

async fn insert(store: &Store, run: &Run) -> bool {
    let tx = store.begin().await.unwrap();
    let inserted = tx.insert_run(run).await.unwrap();
    tx.commit().await.unwrap();
    inserted
}

fn finished(run: &Run) -> Run {
    Run { state: run::State::Partial, finished_at: Some(now()), wake_at: None, ..run.clone() }
}

async fn finish(store: &Store, run: &Run) {
    let tx = store.begin().await.unwrap();
    assert!(tx.update_run(&finished(run), run.state).await.unwrap());
    tx.commit().await.unwrap();
}

async fn a_connection_has_one_open_run(database: &TestDatabase) {
    let store = database.store();
    let (a, b) = (connected(&store, 1).await.id, connected(&store, 2).await.id);
    let first = queued(&a, 1);
    assert!(insert(&store, &first).await);
    let tx = store.begin().await.unwrap();
    assert!(!tx.insert_run(&queued(&a, 2)).await.unwrap());
    assert!(tx.insert_run(&queued(&b, 3)).await.unwrap(), "the transaction is usable");
    tx.commit().await.unwrap();
    assert_eq!(store.run(&run_id(2)).await.unwrap(), None);
    assert!(store.streams(&run_id(2)).await.unwrap().is_empty());
    assert_eq!(store.open_run(&a).await.unwrap(), Some(first.clone()));
    finish(&store, &first).await;
    assert_eq!(store.open_run(&a).await.unwrap(), None);
    assert!(insert(&store, &queued(&a, 4)).await);
}

async fn runs_are_listed_newest_first(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    for offset in 1..=4 {
        assert!(insert(&store, &queued(&id, offset)).await);
        finish(&store, &queued(&id, offset)).await;
    }
    let page = async |before, limit| {
        let page = store.runs_of(&id, before, limit).await.unwrap();
        page.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 3).await, [run_id(4), run_id(3), run_id(2)]);
    assert_eq!(page(Some(&run_id(2)), 3).await, [run_id(1)]);
}

async fn an_update_compares_the_state(database: &TestDatabase) {
    let store = database.store();
    let mut run = queued(&connected(&store, 1).await.id, 1);
    assert!(insert(&store, &run).await);
    run.state = run::State::Running;
    run.reason = Some("429 from the vendor".to_owned());
    run.attempts = 3;
    run.started_at = Some(now());
    let tx = store.begin().await.unwrap();
    assert!(!tx.update_run(&run, run::State::Running).await.unwrap());
    assert!(tx.update_run(&run, run::State::Queued).await.unwrap());
    assert!(!tx.update_run(&run, run::State::Queued).await.unwrap(), "once");
    tx.commit().await.unwrap();
    assert_eq!(store.run(&run.id).await.unwrap(), Some(run.clone()));
    let tx = store.begin().await.unwrap();
    let half = Run { state: run::State::Succeeded, ..run };
    assert!(tx.update_run(&half, run::State::Running).await.is_err(), "final without an end");
}

async fn a_due_run_is_claimed_once(database: &TestDatabase) {
    let store = database.store();
    let run = queued(&connected(&store, 1).await.id, 1);
    assert!(insert(&store, &run).await);
    let later = now() + TimeDelta::seconds(60);
    assert!(store.due_runs(now() - TimeDelta::seconds(1), 9).await.unwrap().is_empty());
    assert_eq!(store.due_runs(now(), 9).await.unwrap(), [(run.id.clone(), run.connection_id.clone())]);
    let tx = store.begin().await.unwrap();
    assert!(tx.claim_due_run(&run.id, now(), later, later).await.unwrap());
    assert!(!tx.claim_due_run(&run.id, now(), later, later).await.unwrap());
    tx.commit().await.unwrap();
    assert!(store.due_runs(now(), 9).await.unwrap().is_empty());
    let tx = store.begin().await.unwrap();
    assert!(tx.postpone_run(&run.id, None, now(), now()).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(store.due_runs(now(), 9).await.unwrap().len(), 1);
    finish(&store, &run).await;
    let tx = store.begin().await.unwrap();
    assert!(!tx.postpone_run(&run.id, None, now(), now()).await.unwrap(), "a finished run sleeps for ever");
    assert!(!tx.claim_due_run(&run.id, now(), later, later).await.unwrap());
}

async fn a_stream_keeps_its_progress(database: &TestDatabase) {
    let store = database.store();
    let run = queued(&connected(&store, 1).await.id, 1);
    assert!(insert(&store, &run).await);
    let pending: Vec<_> = Options::default().streams().map(StreamProgress::pending).collect();
    assert_eq!(store.streams(&run.id).await.unwrap(), pending);
    let progress = StreamProgress {
        stream: Stream::Teams,
        state: stream::State::Suspect,
        rows: 5_000_000_000,
        pages: 3,
        done: 1,
        total: 2,
        detail: Some("far shorter than before".to_owned()),
        requests: 5,
        waited_ms: 700,
        attempts: 2,
        retry_at: Some(now()),
        effect: Effect { written: 1, unchanged: 2, removed: 3, late: 4 },
    };
    let tx = store.begin().await.unwrap();
    tx.put_stream(&run.id, &progress).await.unwrap();
    tx.commit().await.unwrap();
    let expected = [pending[0].clone(), progress, pending[2].clone()];
    assert_eq!(store.streams(&run.id).await.unwrap(), expected);
}

async fn a_run_has_the_streams_that_are_on(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    assert_eq!(store.sync_options(&id).await.unwrap(), Options::default());
    let chosen = Options::new([Stream::Notes], Capture::Full);
    for options in [Options::new(Stream::ALL, Capture::Metadata), chosen.clone()] {
        let tx = store.begin().await.unwrap();
        tx.put_sync_options(&id, &options, now()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.sync_options(&id).await.unwrap(), options);
    }
    assert!(insert(&store, &queued(&id, 1)).await);
    let streams = store.streams(&run_id(1)).await.unwrap();
    assert!(streams.iter().map(|progress| progress.stream).eq(chosen.streams()));
}
