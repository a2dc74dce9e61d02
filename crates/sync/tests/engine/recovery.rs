//! Credentials that die, workers that lose their workspace, messages that get lost, processes that stop.

use std::{sync::atomic::Ordering, time::Duration};

use chrono::TimeDelta;
use tidemark_domain::{
    Clock,
    connection::Reason,
    event::{Data, Disconnected, Reconnected},
    id::OrganizationId,
};
use tidemark_productboard_sim::{Route, WorkspaceSpec};
use tidemark_rpc::syncs::{Run, RunState, SetScheduleRequest, StartSyncRequest, StreamState};
use tidemark_sync::Settings;

use crate::support::{Harness, TOKEN, run_id, settings, today};

const NEXT_TOKEN: &str = "token-2";

async fn reconnect(harness: &Harness) {
    harness.simulator.issue_token("acme", NEXT_TOKEN);
    let generation = harness.vault.replace(NEXT_TOKEN);
    let organization_id = OrganizationId::generate(&*harness.clock, &*harness.entropy);
    harness.emit(Data::Reconnected(Reconnected { organization_id, generation })).await;
}

#[tokio::test]
async fn a_dead_credential_stops_the_run_and_a_new_one_completes_it() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| faults.revoke_after = Some(60));
    let (run, _) = harness.start_sync().await;
    let stopped = harness.wait_for_state(&run.id, RunState::ReconnectRequired).await;
    assert_eq!(stopped.reason, Reason::KeyRejected.sentence());
    let covered = harness.store.coverage(&harness.connection).await.unwrap().len();
    assert!((1..365).contains(&covered), "{covered} days");
    assert_eq!(harness.vault.answers().reports, 1);
    assert!(harness.events("sync.failed").await.is_empty(), "waiting is no failure");
    reconnect(&harness).await;
    let run = harness.wait_for_end(&run.id).await;
    assert_eq!((run.state(), run.reason.as_str()), (RunState::Succeeded, ""));
    harness.assert_facts().await;
    let whole = harness.simulator.requests(TOKEN) + harness.simulator.requests(NEXT_TOKEN);
    let slices = run.streams[2].pages;
    assert!(whole < slices + 60, "what was there was not fetched again: {whole} requests, {slices} pages");
    harness.finish().await;
}

#[tokio::test]
async fn a_disconnect_ends_the_run_that_waits_and_lets_no_other_begin() {
    let harness = Harness::start().await;
    harness.simulator.revoke(TOKEN);
    let (run, _) = harness.start_sync().await;
    harness.wait_for_state(&run.id, RunState::ReconnectRequired).await;
    harness.vault.answers().is_disconnected = true;
    let organization_id = OrganizationId::generate(&*harness.clock, &*harness.entropy);
    let (reason, facts_purged, not_revoked) = (Reason::DisconnectedByPerson, false, Vec::new());
    harness
        .emit(Data::Disconnected(Disconnected { organization_id, reason, facts_purged, not_revoked }))
        .await;
    let run = harness.wait_for_end(&run.id).await;
    assert_eq!((run.state(), run.reason.as_str()), (RunState::Failed, "The workspace was disconnected."));
    let request =
        StartSyncRequest { connection_id: harness.connection.to_string(), ..StartSyncRequest::default() };
    let refused = harness.syncs.syncs().start_sync(request).await.unwrap_err();
    assert_eq!(tidemark_rpc::status::reason(&refused).as_deref(), Some("DISCONNECTED"));
    harness.finish().await;
}

#[tokio::test]
async fn a_lost_reconnected_event_heals() {
    let harness = Harness::start().await;
    harness.simulator.revoke(TOKEN);
    let (run, _) = harness.start_sync().await;
    harness.wait_for_state(&run.id, RunState::ReconnectRequired).await;
    harness.relay.lose.store(1, Ordering::SeqCst);
    reconnect(&harness).await;
    while harness.relay.lose.load(Ordering::SeqCst) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    harness.clock.advance(TimeDelta::minutes(5));
    assert_eq!(harness.wait_for_end(&run.id).await.state(), RunState::Succeeded);
    harness.finish().await;
}

#[tokio::test]
async fn a_run_that_waits_looks_for_a_credential_every_five_minutes_and_goes_on_waiting() {
    let harness = Harness::start().await;
    harness.simulator.revoke(TOKEN);
    let (run, _) = harness.start_sync().await;
    harness.wait_for_state(&run.id, RunState::ReconnectRequired).await;
    harness.clock.advance(TimeDelta::seconds(3));
    // The first look came at once, in case the reconnect was faster than this run. The next one takes its time.
    loop {
        let waiting = harness.store.run(&run_id(&run)).await.unwrap().unwrap();
        assert_eq!(waiting.state, tidemark_domain::run::State::ReconnectRequired);
        if waiting.wake_at.is_some_and(|at| at >= harness.clock.now() + TimeDelta::seconds(300)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(harness.vault.answers().reports, 1);
    harness.finish().await;
}

#[tokio::test]
async fn a_reconnect_lets_an_open_run_read_what_the_old_credential_could_not() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| {
        faults.forbidden.insert(Route::Teams);
        faults.latency = Duration::from_millis(50);
    });
    let (run, _) = harness.start_sync().await;
    harness.wait_for(&run.id, "a refusal", |run| run.streams[1].state() == StreamState::Unavailable).await;
    reconnect(&harness).await;
    harness.simulator.faults(NEXT_TOKEN, |faults| faults.latency = Duration::ZERO);
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::ZERO);
    let run = harness.wait_for_end(&run.id).await;
    assert_eq!((run.state(), run.streams[1].state()), (RunState::Succeeded, StreamState::Complete));
    harness.finish().await;
}

#[tokio::test]
async fn a_reconnect_and_a_person_do_not_wait_for_the_next_attempt() {
    let harness = Harness::start().await;
    for by_person in [true, false] {
        harness.simulator.faults(TOKEN, |faults| {
            faults.broken.extend([Route::Members, Route::Teams, Route::MemberActivities]);
        });
        let (run, _) = harness.start_sync().await;
        let waits = |run: &Run| run.streams.iter().all(|stream| stream.attempts > 0);
        harness.wait_for(&run.id, "failed attempts", waits).await;
        harness.simulator.faults(TOKEN, |faults| faults.broken.clear());
        // Time stands still: nothing comes due.
        if by_person {
            let (_, coalesced) = harness.start_sync().await;
            assert!(coalesced);
        } else {
            reconnect(&harness).await;
        }
        assert_eq!(harness.wait_for_end(&run.id).await.state(), RunState::Succeeded);
        harness.clock.advance(TimeDelta::days(1));
    }
    harness.finish().await;
}

#[tokio::test]
async fn a_reconnect_keeps_the_connections_own_cadence() {
    let every = Duration::from_secs(24 * 3_600);
    let leases = std::sync::Arc::new(tidemark_inproc::InprocLeases::new());
    let harness = Harness::with(Settings { sync_every: Some(every), ..settings() }, leases).await;
    for (every_seconds, latest) in [(Some(3_600), Some(TimeDelta::seconds(3_960))), (Some(0), None)] {
        let connection_id = harness.connection.to_string();
        let request = SetScheduleRequest { connection_id: connection_id.clone(), every_seconds };
        harness.syncs.syncs().set_schedule(request).await.unwrap();
        reconnect(&harness).await;
        let begun = async || harness.store.open_run(&harness.connection).await.unwrap();
        let run = loop {
            if let Some(run) = begun().await {
                break run;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        harness.wait_for_end(run.id.as_str()).await;
        let next_at = harness.store.schedule(&harness.connection).await.unwrap().next_at;
        assert_eq!(next_at.is_some(), latest.is_some());
        assert!(next_at.is_none_or(|at| at - harness.clock.now() <= latest.unwrap()), "{next_at:?}");
    }
    harness.finish().await;
}

#[tokio::test]
async fn a_list_that_was_begun_long_ago_is_begun_anew() {
    let spec = WorkspaceSpec::new("acme", 300, today()).days(10);
    let settings = Settings { history_days: 7, delivery_budget: Duration::ZERO, ..settings() };
    let leases = std::sync::Arc::new(tidemark_inproc::InprocLeases::new());
    let harness = Harness::over(settings, leases, 10, &spec).await;
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::from_millis(15));
    let (run, _) = harness.start_sync().await;
    let run = harness.wait_for(&run.id, "some pages", |run| run.streams[0].pages >= 4).await;
    assert!(run.streams[0].pages < 30, "{run:?}");
    harness.clock.advance(TimeDelta::minutes(20));
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::ZERO);
    let run = harness.wait_for_end(&run.id).await;
    assert_eq!(run.state(), RunState::Succeeded);
    assert!(run.streams[0].pages > 33, "{} pages of 30", run.streams[0].pages);
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn a_reconnect_without_an_open_run_starts_one() {
    let harness = Harness::start().await;
    reconnect(&harness).await;
    let run = loop {
        if let Some(run) = harness.store.runs_of(&harness.connection, None, 1).await.unwrap().pop() {
            break run;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(harness.wait_for_end(run.id.as_str()).await.state(), RunState::Succeeded);
    harness.finish().await;
}

#[tokio::test]
async fn a_replaced_token_is_taken_up_without_a_stop() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::from_millis(100));
    let (run, _) = harness.start_sync().await;
    harness.wait_for_days(&run.id).await;
    harness.simulator.issue_token("acme", NEXT_TOKEN);
    harness.vault.replace(NEXT_TOKEN);
    harness.simulator.revoke(TOKEN);
    let run = harness.wait_for_end(&run.id).await;
    assert_eq!(run.state(), RunState::Succeeded);
    assert_eq!(harness.vault.answers().reports, 1);
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn a_stale_holder_writes_nothing_more() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::from_millis(50));
    let (run, _) = harness.start_sync().await;
    harness.wait_for_days(&run.id).await;
    let now = harness.clock.now();
    let ttl = Duration::from_secs(30);
    let thief = harness.store.take_fence(&harness.connection, "thief", now, ttl).await.unwrap();
    let digest = harness.digest().await;
    let key = format!("workspace:{}", harness.connection);
    // The stale worker notices at its next write, stops, and gives its lease back.
    let lease = loop {
        if let Some(lease) = harness.leases.acquire(&key, ttl).await.unwrap() {
            break lease;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(harness.digest().await, digest);
    assert_eq!(harness.run(&run.id).await.state(), RunState::Running);
    harness.leases.release(&lease).await.unwrap();
    harness.store.release_fence(&thief).await.unwrap();
    harness.clock.advance(TimeDelta::seconds(61));
    assert_eq!(harness.wait_for_end(&run.id).await.state(), RunState::Succeeded);
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn a_lost_message_is_found_by_the_sweeper() {
    let harness = Harness::start().await;
    harness.relay.lose.store(1, Ordering::SeqCst);
    let (run, _) = harness.start_sync().await;
    while harness.relay.lose.load(Ordering::SeqCst) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A free slot may have found it by now, which looks without a message; if not, the sweeper does within a minute.
    harness.clock.advance(TimeDelta::seconds(61));
    assert_eq!(harness.wait_for_end(&run.id).await.state(), RunState::Succeeded);
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn a_soft_stop_leaves_a_checkpoint_that_the_next_process_goes_on_from() {
    let mut harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::from_millis(100));
    let (run, _) = harness.start_sync().await;
    harness.wait_for_days(&run.id).await;
    harness.stop_worker().await;
    harness.assert_lease_is_free().await;
    let stopped = harness.run(&run.id).await;
    assert_eq!(stopped.state(), RunState::Running);
    let done = stopped.streams[2].done;
    assert!((1..365).contains(&done), "{done} days");
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::ZERO);
    harness.start_worker();
    assert_eq!(harness.wait_for_end(&run.id).await.state(), RunState::Succeeded);
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn a_soft_stop_does_not_wait_for_a_vendor_that_does_not_answer() {
    let mut harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::from_secs(100));
    let (run, _) = harness.start_sync().await;
    while harness.simulator.requests(TOKEN) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    harness.stop_worker().await;
    harness.assert_lease_is_free().await;
    assert_eq!(harness.sent("sync.run").await.len(), 2, "the rest is for another worker, at once");
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::ZERO);
    harness.start_worker();
    assert_eq!(harness.wait_for_end(&run.id).await.state(), RunState::Succeeded);
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn a_panic_is_a_failure_like_any_other() {
    let harness = Harness::start().await;
    harness.clock.breaks.store(true, Ordering::SeqCst);
    let (run, _) = harness.start_sync().await;
    let is_seen = |run: &Run| run.streams.iter().any(|stream| stream.attempts == 1) && !run.reason.is_empty();
    let failed = harness.wait_for(&run.id, "failed attempt", is_seen).await;
    assert_eq!(failed.reason, "Trying again: the worker failed on this run; the cause was logged.");
    assert_eq!(failed.attempts, 1);
    let stumbled = failed.streams.iter().filter(|stream| stream.attempts > 0).count();
    assert_eq!(stumbled, 1, "the others went on");
    harness.assert_lease_is_free().await;
    let run = harness.wait_for_end_in_time(&run.id).await;
    assert_eq!((run.state(), run.attempts), (RunState::Succeeded, 0));
    harness.assert_facts().await;
    harness.finish().await;
}
