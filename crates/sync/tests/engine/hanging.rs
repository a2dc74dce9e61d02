//! Vendors that answer nothing, and vendors that ask for long pauses: whoever waits for another workspace, or asks again,
//! does not wait for them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use tidemark_domain::connection::Region;
use tidemark_inproc::InprocLeases;
use tidemark_productboard_sim::{Route, Storm, Workspace, WorkspaceSpec};
use tidemark_rpc::syncs::{Run, RunState, StartSyncRequest, StreamState};
use tidemark_sync::Settings;

use crate::support::{Harness, TOKEN, connect, connect_in, settings, today};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_persons_sync_does_not_wait_for_workspaces_whose_vendor_hangs() {
    let settings = Settings { concurrency: 16, ..settings() };
    let harness = Harness::with(settings, Arc::new(InprocLeases::new())).await;
    let mut hanging = Vec::new();
    for number in 0..24 {
        let (domain, token) = (format!("hangs-{number}"), format!("hangs-{number}"));
        harness.simulator.add(Workspace::generate(&WorkspaceSpec::new(&domain, 5, today())), &token);
        harness.simulator.faults(&token, |faults| faults.latency = Duration::from_secs(3_600));
        let connection = connect(&harness.store, &harness.clock, &harness.entropy).await;
        harness.vault.answers().others.insert(connection.to_string(), token);
        let request =
            StartSyncRequest { connection_id: connection.to_string(), ..StartSyncRequest::default() };
        let started = harness.syncs.syncs().start_sync(request).await.unwrap().into_inner();
        hanging.push(started.run.unwrap().id);
    }
    // All slots are theirs.
    loop {
        let mut at_work = 0;
        for id in &hanging {
            at_work += usize::from(harness.run(id).await.state() == RunState::Running);
        }
        if at_work >= 16 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..3 {
        let asked = Instant::now();
        let (run, _) = harness.start_sync().await;
        let begun = harness.wait_for(&run.id, "a slot", |run| {
            harness.clock.advance(TimeDelta::milliseconds(10));
            run.started_at.is_some()
        });
        begun.await;
        assert!(asked.elapsed() < Duration::from_secs(5), "a slot after {:?}", asked.elapsed());
        let ended = harness.wait_for_end_in_time(&run.id).await;
        assert_eq!(ended.state(), RunState::Succeeded);
        harness.clock.advance(TimeDelta::minutes(1));
    }
    harness.assert_facts().await;
    harness.stop_worker_now().await;
}

/// One region hangs as a whole, with more workspaces than there are slots; people ask for syncs in the other one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_hangs_does_not_stop_another() {
    let settings = Settings { concurrency: 16, ..settings() };
    let harness = Harness::with(settings, Arc::new(InprocLeases::new())).await;
    for number in 0..48 {
        let token = format!("eu-{number}");
        harness.simulator.add(Workspace::generate(&WorkspaceSpec::new(&token, 5, today())), &token);
        harness.simulator.faults(&token, |faults| faults.latency = Duration::from_secs(3_600));
        let connection = connect_in(Region::Eu, &harness.store, &harness.clock, &harness.entropy).await;
        harness.vault.answers().others.insert(connection.to_string(), token);
        let request =
            StartSyncRequest { connection_id: connection.to_string(), ..StartSyncRequest::default() };
        harness.syncs.syncs().start_sync(request).await.unwrap();
    }
    let mut waits = Vec::new();
    for _ in 0..20 {
        let asked = Instant::now();
        let (run, _) = harness.start_sync().await;
        let begun = harness.wait_for(&run.id, "a slot", |run| {
            harness.clock.advance(TimeDelta::milliseconds(10));
            run.started_at.is_some()
        });
        begun.await;
        waits.push(asked.elapsed());
        let ended = harness.wait_for_end_in_time(&run.id).await;
        assert_eq!(ended.state(), RunState::Succeeded);
        harness.clock.advance(TimeDelta::minutes(1));
    }
    waits.sort();
    assert!(waits[18] < Duration::from_secs(2), "p95: {waits:?}");
    assert!(waits[10] < Duration::from_millis(500), "p50: {waits:?}");
    println!("p50 {:.0?}, p95 {:.0?}", waits[10], waits[18]);
    harness.stop_worker_now().await;
}

#[tokio::test]
async fn a_person_and_a_reconnect_break_a_freeze_and_the_run_says_how_long_it_is() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| {
        faults.storm_429 = Some(Storm { requests: 1_000, retry_after_secs: 86_400 });
    });
    let (run, _) = harness.start_sync().await;
    let frozen = harness.wait_for(&run.id, "a freeze", |run| {
        run.reason.starts_with("Productboard asked to wait 6") && run.reason.contains(" min; ")
    });
    let frozen = frozen.await;
    assert_eq!(frozen.state(), RunState::Running);
    let from = today().and_hms_opt(12, 30, 0).unwrap().and_utc();
    let pausing = harness.store.pausing(from, 9).await.unwrap();
    assert!(!pausing.is_empty() && pausing.iter().all(|it| it.until <= from + TimeDelta::minutes(31)));
    harness.simulator.faults(TOKEN, |faults| faults.storm_429 = None);
    let (again, coalesced) = harness.start_sync().await;
    assert!(coalesced && again.id == run.id);
    assert_eq!(harness.wait_for_end(&run.id).await.state(), RunState::Succeeded);
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn a_person_wakes_a_run_whose_message_was_lost() {
    let harness = Harness::start().await;
    harness.relay.lose.store(1, std::sync::atomic::Ordering::SeqCst);
    let (run, _) = harness.start_sync().await;
    let asked = Instant::now();
    let (again, coalesced) = harness.start_sync().await;
    assert!(coalesced && again.id == run.id);
    harness.wait_for_end(&run.id).await;
    assert!(asked.elapsed() < Duration::from_secs(14), "not by the look of a free slot");
    harness.finish().await;
}

#[tokio::test]
async fn a_free_slot_finds_a_run_that_nobody_rang_for() {
    let harness = Harness::start().await;
    harness.relay.lose.store(1, std::sync::atomic::Ordering::SeqCst);
    let asked = Instant::now();
    let (run, _) = harness.start_sync().await;
    harness.wait_for(&run.id, "a start", |run| run.started_at.is_some()).await;
    assert!(asked.elapsed() < Duration::from_secs(40), "{:?}", asked.elapsed());
    harness.wait_for_end(&run.id).await;
    harness.finish().await;
}

/// The others are at work, so that a worker has the run.
#[tokio::test]
async fn a_person_ends_the_wait_of_a_stream_while_a_worker_has_the_run() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| {
        faults.latency = Duration::from_millis(500);
        faults.broken = [Route::Teams].into();
    });
    let (run, _) = harness.start_sync().await;
    let waits = |run: &Run| {
        let [_, teams, activities] = &run.streams[..] else { panic!("{run:?}") };
        teams.retry_at.is_some() && activities.state() == StreamState::Running
    };
    harness.wait_for(&run.id, "a stream that waits", waits).await;
    harness.simulator.faults(TOKEN, |faults| faults.broken.clear());
    let (_, coalesced) = harness.start_sync().await;
    assert!(coalesced);
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::ZERO);
    // Time stands still: nothing comes due.
    assert_eq!(harness.wait_for_end(&run.id).await.state(), RunState::Succeeded);
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn a_list_that_goes_on_with_empty_pages_says_what_it_does() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| {
        faults.latency = Duration::from_millis(150);
        faults.endless_empty_pages = [Route::Members].into();
    });
    let (run, _) = harness.start_sync().await;
    let says = |run: &Run| run.streams[0].detail.starts_with("Productboard sends empty pages of members");
    harness.wait_for(&run.id, "a word about empty pages", says).await;
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::ZERO);
    let run = harness.wait_for_end(&run.id).await;
    assert_eq!((run.state(), run.streams[0].detail.as_str()), (RunState::Succeeded, ""));
    harness.assert_facts().await;
    harness.finish().await;
}
