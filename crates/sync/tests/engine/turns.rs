//! Whose turn it is, who is stopped, and what a caller sees of it.

use std::time::Duration;

use chrono::TimeDelta;
use futures::StreamExt;
use tidemark_domain::{
    connection::Reason,
    event::{Data, Disconnected, ReconnectRequired},
    id::OrganizationId,
};
use tidemark_productboard_sim::Route;
use tidemark_rpc::syncs::{
    CancelSyncRequest, GetScheduleRequest, Priority, RunState, SetScheduleRequest, StartSyncRequest,
    StreamState, WatchSyncRequest,
};
use tidemark_sync::Settings;
use tonic::Code;

use crate::support::{Harness, TOKEN, settings};

/// A run that takes its time.
async fn slow() -> (Harness, String) {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::from_millis(100));
    let (run, _) = harness.start_sync().await;
    harness.wait_for_state(&run.id, RunState::Running).await;
    (harness, run.id)
}

#[tokio::test]
async fn a_cancelled_run_stops_and_keeps_what_is_in() {
    let (harness, run_id) = slow().await;
    harness.wait_for_days(&run_id).await;
    let request = CancelSyncRequest { run_id: run_id.clone() };
    let run = harness.syncs.syncs().cancel_sync(request.clone()).await.unwrap().into_inner().run.unwrap();
    assert_eq!((run.state(), run.reason.as_str()), (RunState::Cancelled, "Somebody cancelled the sync."));
    assert!(run.finished_at.is_some());
    // The worker gives the workspace back.
    let key = format!("workspace:{}", harness.connection);
    let lease = loop {
        if let Some(lease) = harness.leases.acquire(&key, Duration::from_secs(1)).await.unwrap() {
            break lease;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    harness.leases.release(&lease).await.unwrap();
    assert!(run.coverage.unwrap().days > 0, "what is in stays");
    let again = harness.syncs.syncs().cancel_sync(request).await.unwrap().into_inner().run.unwrap();
    assert_eq!(again.state(), RunState::Cancelled, "a second wish changes nothing");
    assert_eq!(harness.events("sync.failed").await.len(), 1, "exactly one event");
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::ZERO);
    harness.clock.advance(TimeDelta::minutes(1));
    assert_eq!(harness.sync().await.state(), RunState::Succeeded, "the next one goes on");
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn a_running_sync_stops_at_once_when_the_connection_needs_a_person() {
    let (harness, run_id) = slow().await;
    let organization_id = OrganizationId::generate(&*harness.clock, &*harness.entropy);
    let reason = Reason::KeyRejected;
    harness.emit(Data::ReconnectRequired(ReconnectRequired { organization_id, reason, generation: 1 })).await;
    let run = harness.wait_for_state(&run_id, RunState::ReconnectRequired).await;
    assert_eq!(run.reason, Reason::KeyRejected.sentence());
    let asked = harness.simulator.requests(TOKEN);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let later = harness.simulator.requests(TOKEN);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(harness.simulator.requests(TOKEN), later, "nothing is asked any more, after {asked}");
    // The event was wrong: the first look for a credential finds that there is one.
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::ZERO);
    let run = harness.wait_for_end_in_time(&run_id).await;
    assert_eq!(run.state(), RunState::Succeeded);
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn a_disconnect_ends_the_run_that_works() {
    let (harness, run_id) = slow().await;
    let organization_id = OrganizationId::generate(&*harness.clock, &*harness.entropy);
    let (reason, facts_purged, not_revoked) = (Reason::DisconnectedByPerson, false, Vec::new());
    let data = Disconnected { organization_id, reason, facts_purged, not_revoked };
    harness.emit(Data::Disconnected(data)).await;
    let run = harness.wait_for_end(&run_id).await;
    assert_eq!((run.state(), run.reason.as_str()), (RunState::Failed, "The workspace was disconnected."));
    harness.finish().await;
}

#[tokio::test]
async fn a_stream_that_lastingly_fails_ends_alone() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| {
        faults.broken.insert(Route::Teams);
    });
    let (run, _) = harness.start_sync().await;
    let is_there = |run: &tidemark_rpc::syncs::Run| {
        run.streams[0].state() == StreamState::Complete && run.streams[2].state() == StreamState::Complete
    };
    let half = harness.wait_for(&run.id, "the other streams", is_there).await;
    assert_eq!(half.state(), RunState::Running, "the others did not wait for it");
    let run = harness.wait_for(&run.id, "an end", |run| {
        harness.clock.advance(TimeDelta::seconds(10));
        run.finished_at.is_some()
    });
    let run = run.await;
    assert_eq!(run.state(), RunState::Partial);
    assert_eq!((run.streams[1].state(), run.streams[1].attempts), (StreamState::Failed, 0));
    assert!(run.reason.starts_with("teams: Given up after 6 attempts"), "{}", run.reason);
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn a_401_on_one_route_only_holds_up_nobody() {
    let harness = Harness::start().await;
    harness.vault.answers().verdict = Some(tidemark_rpc::credentials::Verdict::StillValid);
    harness.simulator.faults(TOKEN, |faults| {
        faults.unauthorized_on.insert(Route::Teams);
    });
    let (run, _) = harness.start_sync().await;
    let run = harness.wait_for(&run.id, "an end", |run| {
        harness.clock.advance(TimeDelta::seconds(10));
        run.finished_at.is_some()
    });
    let run = run.await;
    assert_eq!((run.state(), run.streams[1].state()), (RunState::Partial, StreamState::Failed));
    assert!(run.reason.contains("could not be confirmed"), "{}", run.reason);
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn a_watch_tells_every_step_until_the_end() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::from_millis(40));
    let (run, _) = harness.start_sync().await;
    let request = WatchSyncRequest { run_id: run.id.clone() };
    let mut watch = harness.syncs.syncs().watch_sync(request.clone()).await.unwrap().into_inner();
    let mut told = Vec::new();
    while let Some(step) = watch.next().await {
        told.push(step.unwrap().run.unwrap());
    }
    let end = told.last().unwrap();
    assert_eq!((end.state(), end.coverage.clone().unwrap().days), (RunState::Succeeded, 365));
    assert!(told.windows(2).all(|pair| pair[0].streams[2].done <= pair[1].streams[2].done));
    assert!(end.streams.iter().all(|stream| stream.requests > 0), "{end:?}");
    let again = harness.syncs.syncs().watch_sync(request).await.unwrap().into_inner();
    let again: Vec<_> = again.collect().await;
    assert_eq!(again.len(), 1, "a run that has ended is told once");
    let unknown = WatchSyncRequest { run_id: "run_01jd0000000000000000000000".to_owned() };
    assert_eq!(harness.syncs.syncs().watch_sync(unknown).await.unwrap_err().code(), Code::NotFound);
    harness.finish().await;
}

#[tokio::test]
async fn a_persons_request_raises_the_open_run() {
    let (harness, run_id) = slow().await;
    let connection_id = harness.connection.to_string();
    let start = |priority: Priority| {
        let request = StartSyncRequest { connection_id: connection_id.clone(), priority: priority.into() };
        let mut client = harness.syncs.syncs();
        async move { client.start_sync(request).await.unwrap().into_inner() }
    };
    assert_eq!(harness.run(&run_id).await.priority(), Priority::Person);
    let started = start(Priority::Schedule).await;
    assert!(started.coalesced);
    assert_eq!(started.run.unwrap().priority(), Priority::Person, "nobody is put back");
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::ZERO);
    harness.wait_for_end(&run_id).await;
    harness.clock.advance(TimeDelta::minutes(1));
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::from_millis(100));
    let run = start(Priority::Backfill).await.run.unwrap();
    assert_eq!(run.priority(), Priority::Backfill);
    assert_eq!(start(Priority::Unspecified).await.run.unwrap().priority(), Priority::Person);
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::ZERO);
    harness.wait_for_end(&run.id).await;
    harness.finish().await;
}

#[tokio::test]
async fn a_connection_is_synced_when_its_time_has_come() {
    let every = Duration::from_secs(3_600);
    let leases = std::sync::Arc::new(tidemark_inproc::InprocLeases::new());
    let harness = Harness::with(Settings { sync_every: Some(every), ..settings() }, leases).await;
    let runs = async || harness.store.runs_of(&harness.connection, None, 10).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(runs().await.is_empty(), "a new connection is left to its event");
    harness.clock.advance(TimeDelta::seconds(121));
    let first = loop {
        if let Some(run) = runs().await.pop() {
            break run;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let run = harness.wait_for_end(first.id.as_str()).await;
    assert_eq!((run.state(), run.priority()), (RunState::Succeeded, Priority::Schedule));
    harness.clock.advance(TimeDelta::minutes(53));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(runs().await.len(), 1, "not before nine tenths of the time");
    harness.clock.advance(TimeDelta::minutes(14));
    while runs().await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let second = runs().await.remove(0);
    harness.wait_for_end(second.id.as_str()).await;
    // From now on never.
    let connection_id = harness.connection.to_string();
    let mut client = harness.syncs.syncs();
    let never = SetScheduleRequest { connection_id: connection_id.clone(), every_seconds: Some(0) };
    let schedule = client.set_schedule(never).await.unwrap().into_inner().schedule.unwrap();
    assert_eq!((schedule.every_seconds, schedule.next_at), (Some(0), None));
    harness.clock.advance(TimeDelta::days(30));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(runs().await.len(), 2);
    let hasty = SetScheduleRequest { connection_id: connection_id.clone(), every_seconds: Some(5) };
    assert_eq!(client.set_schedule(hasty).await.unwrap_err().code(), Code::InvalidArgument);
    let daily = SetScheduleRequest { connection_id: connection_id.clone(), every_seconds: Some(86_400) };
    client.set_schedule(daily).await.unwrap();
    let found = client.get_schedule(GetScheduleRequest { connection_id }).await.unwrap().into_inner();
    assert_eq!(found.schedule.unwrap().every_seconds, Some(86_400));
    harness.finish().await;
}
