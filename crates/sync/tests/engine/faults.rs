//! Vendor, credential service and lease service in trouble.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tidemark_ports::{Lease, Leases, Unavailable};
use tidemark_productboard_sim::{NextLink, Route};
use tidemark_rpc::{
    credentials::Verdict,
    syncs::{RunState, StreamState},
};

use tidemark_sync::Settings;

use crate::support::{Harness, TOKEN, settings};

#[tokio::test]
async fn outages_and_limits_are_survived() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| {
        // More than one page is asked for: the delivery fails and the run comes again.
        faults.fail_next.extend([503, 429, 503, 503, 503, 408, 502, 503, 500]);
    });
    let (run, _) = harness.start_sync().await;
    let run = harness.wait_for_end_in_time(&run.id).await;
    assert_eq!((run.state(), run.attempts), (RunState::Succeeded, 0));
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn the_vendors_quirks_are_survived() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| {
        faults.next_link = NextLink::Relative;
        faults.unknown_fields = true;
    });
    assert_eq!(harness.sync().await.state(), RunState::Succeeded);
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn a_list_that_goes_round_in_circles_is_read_once_and_complete() {
    let harness = Harness::start().await;
    harness.simulator.faults(TOKEN, |faults| faults.repeat_last_cursor = true);
    assert_eq!(harness.sync().await.state(), RunState::Succeeded);
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn twelve_attempts_without_progress_are_the_end() {
    let harness = Harness::start().await;
    harness.vault.answers().is_broken = true;
    let (run, _) = harness.start_sync().await;
    let run = harness.wait_for(&run.id, "an end", |run| {
        harness.clock.advance(chrono::TimeDelta::seconds(10));
        run.finished_at.is_some()
    });
    let run = run.await;
    assert_eq!(run.state(), RunState::Failed);
    assert!(run.reason.starts_with("Given up after 12 attempts without progress"), "{}", run.reason);
    assert_eq!(harness.events("sync.failed").await.len(), 1);
    harness.finish().await;
}

#[tokio::test]
async fn an_unconfirmed_refusal_is_tried_again() {
    let harness = Harness::start().await;
    harness.vault.answers().verdict = Some(Verdict::StillValid);
    harness.simulator.faults(TOKEN, |faults| faults.fail_next.push_back(401));
    let (run, _) = harness.start_sync().await;
    let run = harness.wait_for_end_in_time(&run.id).await;
    assert_eq!(run.state(), RunState::Succeeded);
    assert_eq!(harness.vault.answers().reports, 1);
    harness.finish().await;
}

/// A lease service that never answers.
#[derive(Debug)]
struct NoLeases;

#[async_trait]
impl Leases for NoLeases {
    async fn acquire(&self, _: &str, _: Duration) -> Result<Option<Lease>, Unavailable> {
        Err(Unavailable("it is away".to_owned()))
    }
    async fn renew(&self, _: &Lease, _: Duration) -> Result<bool, Unavailable> {
        Err(Unavailable("it is away".to_owned()))
    }
    async fn release(&self, _: &Lease) -> Result<bool, Unavailable> {
        Err(Unavailable("it is away".to_owned()))
    }
}

#[tokio::test]
async fn without_a_lease_service_the_database_keeps_workers_apart() {
    let harness = Harness::with(settings(), Arc::new(NoLeases)).await;
    // Somebody else holds the workspace: the run waits until that has run out.
    let ttl = Duration::from_secs(30);
    let now = tidemark_domain::Clock::now(&*harness.clock);
    harness.store.take_fence(&harness.connection, "elsewhere", now, ttl).await.unwrap();
    let (run, _) = harness.start_sync().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(harness.run(&run.id).await.state(), RunState::Queued);
    assert_eq!(harness.simulator.requests(TOKEN), 0);
    let run = harness.wait_for_end_in_time(&run.id).await;
    assert_eq!(run.state(), RunState::Succeeded);
    harness.assert_facts().await;
    harness.finish().await;
}

#[tokio::test]
async fn one_forbidden_team_list_keeps_the_teams_as_they_were() {
    let harness = Harness::start().await;
    harness.sync().await;
    let digest = harness.digest().await;
    harness.clock.advance(chrono::TimeDelta::minutes(1));
    harness.simulator.faults(TOKEN, |faults| {
        faults.forbidden.insert(Route::TeamMembers);
    });
    let run = harness.sync().await;
    assert_eq!(run.streams[1].state(), StreamState::Unavailable);
    assert_eq!(harness.digest().await, digest);
    harness.finish().await;
}

#[tokio::test]
async fn the_databases_lease_is_kept_through_a_long_fetch() {
    let ttl = Duration::from_millis(900);
    let harness = Harness::with(Settings { lease_ttl: ttl, ..settings() }, Arc::new(NoLeases)).await;
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::from_secs(3));
    let (run, _) = harness.start_sync().await;
    while harness.simulator.requests(TOKEN) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    harness.simulator.faults(TOKEN, |faults| faults.latency = Duration::ZERO);
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        harness.clock.advance(chrono::TimeDelta::milliseconds(100));
        let now = tidemark_domain::Clock::now(&*harness.clock);
        let taken = harness.store.take_fence_if_free(&harness.connection, "thief", now, ttl).await.unwrap();
        assert_eq!(taken, None, "the worker still fetches");
    }
    assert_eq!(harness.wait_for_end(&run.id).await.state(), RunState::Succeeded);
    harness.assert_facts().await;
    harness.finish().await;
}
