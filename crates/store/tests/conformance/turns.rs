//! Whose turn it is, and when a connection is due.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tidemark_domain::{
    connection::Region,
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
    many_due_connections_all_get_their_turn,
    a_spared_region_waits,
    what_another_version_wrote_is_passed_by_and_listed,
    a_kept_slot_takes_only_what_a_person_waits_for,
    a_claim_that_nobody_holds_any_more_counts_for_nobody,
    late_and_pausing_runs_are_listed,
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
    store
        .claim_ready(at(1_000), at(aged), at(1_060), Priority::Backfill, &[])
        .await
        .unwrap()
        .map(|(run, _)| run)
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
    assert!(hurry().await, "its message may be lost");
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

async fn a_spared_region_waits(database: &TestDatabase) {
    let store = database.store();
    let us = Connection { region: Region::Us, ..connection(1) };
    let tx = store.begin().await.unwrap();
    tx.insert_connection(&us).await.unwrap();
    tx.commit().await.unwrap();
    let eu = connected(&store, 2).await;
    let tx = store.begin().await.unwrap();
    for (connection, offset) in [(&us, 1), (&eu, 2)] {
        let run = queued(&connection.id, offset);
        assert!(tx.insert_run(&run).await.unwrap());
        tx.make_ready(&run.id, at(i64::try_from(offset).unwrap())).await.unwrap();
    }
    tx.commit().await.unwrap();
    let claim = async |spared: &[&str]| {
        let spared: Vec<_> = spared.iter().map(|region| (*region).to_owned()).collect();
        let least = Priority::Backfill;
        let claimed = store.claim_ready(at(1_000), at(-1), at(1_060), least, &spared).await.unwrap();
        claimed.map(|(run, region)| (run.connection_id, region))
    };
    assert_eq!(claim(&["us", "eu"]).await, None);
    assert_eq!(claim(&["us"]).await, Some((eu.id, "eu".to_owned())), "although it came later");
    assert_eq!(claim(&["us"]).await, None);
    assert_eq!(claim(&["eu"]).await, Some((us.id, "us".to_owned())));
}

/// Those that never had a time are among the others by their age, so that nobody comes first for ever.
async fn many_due_connections_all_get_their_turn(database: &TestDatabase) {
    let store = database.store();
    let mut ids = BTreeSet::new();
    for seed in 1..=9 {
        ids.insert(connected(&store, seed).await.id);
    }
    let mut claimed = BTreeSet::new();
    for round in 0..3 {
        // Nothing comes of any of them: they are due again when the claim has run out.
        let now = at(1_000 + round * 60);
        let due = store.claim_due_connections(now, now, now + TimeDelta::seconds(60), 3).await.unwrap();
        assert_eq!(due.len(), 3);
        claimed.extend(due.into_iter().map(|due| due.connection_id));
    }
    assert_eq!(claimed, ids);
}

/// What no statement of this version writes.
fn raw(database: &TestDatabase, sql: &str) {
    let url = database.url();
    let output = match url.strip_prefix("sqlite://") {
        Some(path) => std::process::Command::new("sqlite3").args([path, sql]).output(),
        None => std::process::Command::new("psql").args(["--no-psqlrc", "-q", &url, "-c", sql]).output(),
    };
    let output = output.expect("the database's own client is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn what_another_version_wrote_is_passed_by_and_listed(database: &TestDatabase) {
    let store = database.store();
    let mut runs = Vec::new();
    for offset in 1..=4 {
        runs.push(ready(&store, offset, Priority::Schedule, 0).await.id);
    }
    let set = async |sql: &str, run: &tidemark_domain::id::RunId| {
        raw(database, &sql.replace("$1", &format!("'{run}'")));
    };
    set("update runs set state = 'paused_by_admin' where id = $1", &runs[0]).await;
    set("update runs set priority = 7 where id = $1", &runs[1]).await;
    set("update run_streams set stream = 'comments' where run_id = $1 and stream = 'teams'", &runs[2]).await;
    set("update run_streams set state = 'sampled' where run_id = $1 and stream = 'members'", &runs[2]).await;
    let due: Vec<_> = store.due_runs(at(5_000), 9).await.unwrap().into_iter().map(|(run, _)| run).collect();
    assert_eq!(due, runs[2..], "the others go on");
    assert_eq!(store.streams(&runs[2]).await.unwrap().len(), 1, "what is known of it");
    assert_eq!(store.stream_count(&runs[2]).await.unwrap(), 3);
    let taken = [next(&store, -1).await.unwrap().id, next(&store, -1).await.unwrap().id];
    assert_eq!(taken, runs[2..]);
    assert_eq!(next(&store, -1).await, None, "what is unknown is left");
    let unknown: Vec<_> = store.unknown_runs(9).await.unwrap().into_iter().map(|run| run.run).collect();
    assert_eq!(unknown, [runs[0].as_str(), runs[1].as_str()]);
}

async fn a_kept_slot_takes_only_what_a_person_waits_for(database: &TestDatabase) {
    let store = database.store();
    ready(&store, 1, Priority::Schedule, 0).await;
    let kept = async || {
        store
            .claim_ready(at(1_000), at(-1), at(1_060), Priority::Person, &[])
            .await
            .unwrap()
            .map(|(run, _)| run)
    };
    assert_eq!(kept().await, None);
    let person = ready(&store, 2, Priority::Person, 0).await;
    assert_eq!(kept().await.unwrap().id, person.id);
}

async fn a_claim_that_nobody_holds_any_more_counts_for_nobody(database: &TestDatabase) {
    let store = database.store();
    ready(&store, 1, Priority::Schedule, 0).await;
    let stopped = next(&store, -1).await.unwrap();
    let tx = store.begin().await.unwrap();
    assert!(!tx.hurry_run(&stopped.id, at(1_001)).await.unwrap(), "a worker has it");
    tx.release_claim(&Run { updated_at: at(7), ..stopped.clone() }).await.unwrap();
    assert!(!tx.hurry_run(&stopped.id, at(1_001)).await.unwrap(), "that was another claim");
    tx.release_claim(&stopped).await.unwrap();
    assert!(tx.hurry_run(&stopped.id, at(1_001)).await.unwrap());
    tx.commit().await.unwrap();
    let postponed = next(&store, -1).await.unwrap();
    let tx = store.begin().await.unwrap();
    assert!(tx.postpone_run(&postponed.id, Some("another has it"), at(2_000), at(1_001)).await.unwrap());
    assert!(tx.hurry_run(&postponed.id, at(1_002)).await.unwrap());
    tx.commit().await.unwrap();
    let dead = next(&store, -1).await.unwrap();
    assert_eq!(dead.reason.as_deref(), Some("another has it"));
    let tx = store.begin().await.unwrap();
    assert!(tx.hurry_run(&dead.id, at(1_060)).await.unwrap(), "its worker should have been heard of");
}

async fn late_and_pausing_runs_are_listed(database: &TestDatabase) {
    let store = database.store();
    let late = ready(&store, 1, Priority::Schedule, 0).await;
    assert!(store.late_runs(at(-1), 9).await.unwrap().is_empty());
    let found = store.late_runs(at(60), 9).await.unwrap();
    assert_eq!((found.len(), found[0].run.as_str(), found[0].since), (1, late.id.as_str(), at(0)));
    let taken = next(&store, -1).await.unwrap();
    assert!(store.late_runs(at(1_059), 9).await.unwrap().is_empty());
    let progress = StreamProgress {
        retry_at: Some(at(3_600)),
        detail: Some("Productboard asked to wait".to_owned()),
        ..store.streams(&taken.id).await.unwrap().remove(0)
    };
    let tx = store.begin().await.unwrap();
    tx.put_stream(&taken.id, &progress).await.unwrap();
    tx.postpone_run(&taken.id, None, at(1_900), at(1_001)).await.unwrap();
    tx.commit().await.unwrap();
    let pausing = store.pausing(at(1_500), 9).await.unwrap();
    let untils: Vec<_> = pausing.iter().map(|it| (it.stream.as_deref(), it.until)).collect();
    assert_eq!(untils, [(Some("members"), at(3_600)), (None, at(1_900))]);
    assert_eq!(pausing[0].reason, progress.detail);
}
