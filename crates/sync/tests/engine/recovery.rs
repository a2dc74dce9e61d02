//! Credentials that die, workers that lose their workspace, messages that get lost, processes that stop.

use std::{sync::atomic::Ordering, time::Duration};

use chrono::TimeDelta;
use tidemark_domain::{
    Clock,
    connection::Reason,
    event::{Data, Disconnected, Reconnected},
    id::OrganizationId,
};
use tidemark_rpc::syncs::{Run, RunState, StartSyncRequest};

use crate::support::{Harness, TOKEN};

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
    assert!(whole < slices + 40, "what was there was not fetched again: {whole} requests, {slices} pages");
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
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::from_millis(20));
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
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(harness.run(&run.id).await.state(), RunState::Queued);
    harness.clock.advance(TimeDelta::seconds(61));
    assert_eq!(harness.wait_for_end(&run.id).await.state(), RunState::Succeeded);
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn a_soft_stop_leaves_a_checkpoint_that_the_next_process_goes_on_from() {
    let mut harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::from_millis(20));
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
