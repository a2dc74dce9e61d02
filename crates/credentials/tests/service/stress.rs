//! Many connections, several replicas over one record, everything failing at once. The numbers are small enough for
//! every change; `TIDEMARK_STRESS=1` takes those of the real thing, on PostgreSQL.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, future::join_all, stream};
use tidemark_credentials::CredentialService;
use tidemark_domain::{Clock, connection::CredentialKind};
use tidemark_ports::Leases;
use tidemark_rpc::{
    connections::ConnectionState,
    credentials::{ReportRejectedRequest, Verdict, credentials_service_server::CredentialsService as _},
};
use tidemark_testkit::{ManualClock, TestDatabase};
use tonic::Status;

use crate::{
    leases::FlakyLeases,
    world::{CLIENT, World, from_inside, replica, settings, token_from},
};

const CALLERS: usize = 64;

fn size(small: usize, whole: usize) -> usize {
    if std::env::var_os("TIDEMARK_STRESS").is_some() { whole } else { small }
}

async fn database() -> TestDatabase {
    match std::env::var_os("TIDEMARK_STRESS") {
        Some(_) => TestDatabase::postgres().await,
        None => TestDatabase::sqlite_file().await,
    }
}

/// A clock that is wrong by always the same.
#[derive(Debug)]
struct Skewed(Arc<ManualClock>, TimeDelta);

impl Clock for Skewed {
    fn now(&self) -> DateTime<Utc> {
        self.0.now() + self.1
    }
}

/// Four processes over the record, the first two with clocks two minutes behind and ahead.
fn replicas(world: &World, skew: i64) -> Vec<CredentialService> {
    let leases: Arc<dyn Leases> = Arc::new(FlakyLeases::default());
    let url = world.simulator.base_url();
    let process = |(number, skew): (u64, i64)| {
        let clock = Arc::new(Skewed(Arc::clone(&world.clock), TimeDelta::seconds(skew)));
        let settings = settings(&world.simulator, &url, &url);
        replica(&world.store, Arc::clone(&leases), settings, clock, 100 + number)
    };
    (0..4).zip([-skew, skew, 0, 0]).map(process).collect()
}

async fn consented(world: &World, count: usize) -> Vec<String> {
    let made = stream::iter(0..count).map(|_| async { world.consented("acme").await.id }).buffer_unordered(8);
    made.collect().await
}

/// Every connection asked for by some of 64 callers at once, in turn at each replica.
async fn everybody_asks(
    replicas: &[CredentialService],
    ids: &[String],
) -> Vec<(String, Result<i64, Status>)> {
    let calls = (0..ids.len() * 3).map(|number| {
        let (id, service) = (&ids[number % ids.len()], &replicas[(number / 7) % replicas.len()]);
        async move { (id.clone(), token_from(service, id).await.map(|token| token.generation)) }
    });
    stream::iter(calls).buffer_unordered(CALLERS).collect().await
}

async fn rounds(world: &World, replicas: &[CredentialService], seconds: i64, times: usize) {
    for _ in 0..times {
        world.advance(TimeDelta::seconds(seconds));
        join_all(replicas.iter().map(CredentialService::detect)).await;
    }
}

async fn reconnects(world: &World, id: &str) -> usize {
    world.events(id).await.iter().filter(|name| *name == "connection.reconnect_required").count()
}

/// 500 grants, 4 replicas, 64 callers, leases failing half of the time, answers lost after the vendor rotated, processes
/// dead after the beginning of a refresh.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_refresh_token_is_used_once_or_within_its_grace_and_none_is_lost() {
    let (database, count) = (database().await, size(40, 500));
    let world = World::on(&database.url()).await;
    let ids = consented(&world, count).await;
    let replicas = replicas(&world, 0);
    world.advance(TimeDelta::hours(23));
    // A tenth of the processes dies between the beginning and the request.
    for id in ids.iter().step_by(10) {
        let version = world.version(id, CredentialKind::Oauth).await;
        assert!(world.store.begin_refresh(&version, world.now()).await.unwrap());
    }
    world.simulator.app_faults(CLIENT, |faults| faults.token_answer_lost = count as u64 / 2);
    let began = Instant::now();
    let answers = everybody_asks(&replicas, &ids).await;
    let failed = answers.iter().filter(|(_, token)| token.is_err()).count();
    assert_eq!(failed, 0, "the old tokens still work for an hour");
    let asked = began.elapsed();
    rounds(&world, &replicas, 60, 8).await;

    for id in &ids {
        let version = world.version(id, CredentialKind::Oauth).await;
        assert_eq!((version.generation, version.in_doubt), (2, false), "renewed once");
        assert_eq!(world.events(id).await, ["connection.connected"]);
    }
    let uses = world.simulator.refresh_uses(CLIENT);
    let again: u64 = uses.iter().map(|token| token.uses.saturating_sub(1)).sum();
    let in_grace: u64 = uses.iter().map(|token| token.in_grace).sum();
    assert_eq!(again, in_grace, "whatever was used again was used within its grace");
    assert_eq!(uses.iter().map(|token| token.reuse_detected).sum::<u64>(), 0);
    assert_eq!(uses.iter().filter(|token| token.uses > 0).count(), count, "each was spent");
    println!(
        "{count} grants, {} calls in {asked:.1?}; {in_grace} used again within the grace",
        answers.len()
    );
}

/// What stays in doubt for longer than the vendor's grace ends in one reconnect each, however many ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_stays_in_doubt_ends_in_one_reconnect_each() {
    let (database, count) = (database().await, size(12, 100));
    let world = World::on(&database.url()).await;
    let ids = consented(&world, count).await;
    let replicas = replicas(&world, 0);
    world.advance(TimeDelta::hours(23));
    world.simulator.app_faults(CLIENT, |faults| faults.token_answer_lost = 10_000);
    everybody_asks(&replicas, &ids).await;
    world.simulator.app_faults(CLIENT, |faults| faults.token_answer_lost = 0);
    world.advance(TimeDelta::minutes(61));
    let (answers, _) = tokio::join!(
        everybody_asks(&replicas, &ids),
        join_all(replicas.iter().map(CredentialService::detect))
    );
    assert!(answers.iter().all(|(_, token)| token.is_err()));
    for id in &ids {
        let connection = world.get(id).await.unwrap();
        assert_eq!(connection.state(), ConnectionState::ReconnectRequired);
        assert_eq!(connection.reason.unwrap().code, "refresh_in_doubt");
        assert_eq!(reconnects(&world, id).await, 1);
        let episodes = world.store.episodes(&id.parse().unwrap()).await.unwrap();
        assert_eq!(episodes.len(), 1);
    }
}

/// 1,000 connections: some withdrawn, some with a flapping 401, some revoked; clocks two minutes off.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_episode_for_each_that_ended_and_none_for_those_that_flap() {
    let (database, third) = (database().await, size(12, 333));
    let world = World::on(&database.url()).await;
    let (withdrawn, replicas) = (consented(&world, third).await, replicas(&world, 120));
    let key = |number: usize| format!("acme-stress-key-{number}");
    let mut keyed = Vec::new();
    for number in 0..2 * third {
        world.simulator.issue_token("acme", key(number));
        keyed.push(world.create(&key(number)).await.unwrap().id);
    }
    let (flapping, revoked) = keyed.split_at(third);
    (third..2 * third).for_each(|number| assert!(world.simulator.revoke(&key(number))));
    world.advance(TimeDelta::minutes(10));
    world.simulator.app_faults(CLIENT, |faults| faults.token_fail_next = vec![400; 10_000].into());

    let all: Vec<_> = withdrawn.iter().chain(flapping).chain(revoked).collect();
    let reports = (0..all.len() * 3).map(|number| {
        let (id, service) = (all[number % all.len()], &replicas[(number / 5) % 4]);
        async move {
            let request = ReportRejectedRequest { connection_id: id.clone(), generation: 1 };
            let began = Instant::now();
            let verdict = service.report_rejected(from_inside(request)).await.unwrap().into_inner().verdict();
            (id, verdict, began.elapsed())
        }
    });
    let verdicts: Vec<_> = stream::iter(reports).buffer_unordered(CALLERS).collect().await;
    let mut latencies = BTreeMap::new();
    for (id, verdict, took) in verdicts {
        let expected = if flapping.contains(id) { Verdict::StillValid } else { Verdict::ReconnectRequired };
        assert_eq!(verdict, expected);
        let longest: &mut Duration = latencies.entry(id).or_default();
        *longest = took.max(*longest);
    }
    for id in withdrawn.iter().chain(revoked) {
        assert_eq!(reconnects(&world, id).await, 1);
        assert_eq!(world.store.episodes(&id.parse().unwrap()).await.unwrap().len(), 1);
    }
    for id in flapping {
        assert_eq!(world.events(id).await, ["connection.connected"]);
    }
    let mut sorted: Vec<_> = latencies.into_values().collect();
    sorted.sort_unstable();
    let at = |share: usize| sorted[(sorted.len() * share / 100).min(sorted.len() - 1)];
    println!(
        "{} connections, {} reports: from report to event p50 {} ms, p99 {} ms",
        all.len(),
        all.len() * 3,
        at(50).as_millis(),
        at(99).as_millis()
    );
}

/// With clocks two minutes off either way and renewals that fail, no token outlives its end in a caller's hands.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_token_is_handed_out_past_its_end_whatever_the_clocks_say() {
    let (database, count) = (database().await, size(8, 100));
    let world = World::on(&database.url()).await;
    let (ids, replicas) = (consented(&world, count).await, replicas(&world, 120));
    let end = world.now() + TimeDelta::hours(24);
    world.advance(TimeDelta::hours(23) + TimeDelta::minutes(40));
    let (mut handed_out, mut refused) = (0, 0);
    for round in 0..50 {
        // Every other time the vendor renews nothing.
        let failing = if round < 40 { vec![503; 100_000] } else { Vec::new() };
        world.simulator.app_faults(CLIENT, |faults| faults.token_fail_next = failing.into());
        for (id, token) in everybody_asks(&replicas, &ids).await {
            match token {
                Ok(1) => {
                    assert!(world.now() < end, "{id} got a token past its end");
                    handed_out += 1;
                }
                Ok(_) => {}
                Err(_) => refused += 1,
            }
        }
        world.advance(TimeDelta::seconds(40));
    }
    assert!(handed_out > 0 && refused > 0, "both were seen");
    rounds(&world, &replicas, 3600, 3).await;
    for id in &ids {
        assert!(token_from(&replicas[0], id).await.unwrap().generation > 1, "all heal");
        assert_eq!(world.events(id).await, ["connection.connected"]);
    }
}
