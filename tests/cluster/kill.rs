//! SIGKILL in the middle of a sync, and a database that lets nobody claim one.

use std::{
    collections::BTreeMap,
    process::Command,
    time::{Duration, Instant},
};

use rand::Rng;
use tidemark_domain::{Clock, command::SyncRun, id::RunId, run::Priority};
use tidemark_ports::{Bus, Message, Route};
use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::syncs::RunState;
use tidemark_runtime::{OsEntropy, SystemClock};
use tidemark_store::Run;

use crate::{
    cluster::{Cluster, Wiring, today, until, until_within},
    naive,
};

/// Due work is found within so long after any fault has ended.
const MINUTE: Duration = Duration::from_secs(60);

/// With the times that are in force where nobody sets any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_run_of_a_killed_worker_goes_on_within_a_minute() {
    let times = [("LEASES__TTL_MS", "30000"), ("WORKER__SWEEP_MS", "1000")];
    let mut cluster = Cluster::start(Wiring::Real, &times).await;
    cluster.simulator.add(Workspace::generate(&WorkspaceSpec::new("killed", 40, today())), "cAnArY-killed");
    cluster.simulator.faults("cAnArY-killed", |faults| faults.latency = Duration::from_millis(2_000));
    let connection = cluster.connect("cAnArY-killed").await;
    let run_id = cluster.sync(&connection).await;
    cluster.run_in(&run_id, RunState::Running).await;
    let requests = || cluster.simulator.requests("cAnArY-killed");
    let first = requests();
    until("it is at work", async || (requests() > first + 2).then_some(())).await;
    cluster.kill("worker");
    let killed = Instant::now();
    cluster.spawn("worker");
    cluster.ready().await;
    let before = cluster.simulator.requests("cAnArY-killed");
    until_within(MINUTE, "another worker has it", async || {
        (cluster.simulator.requests("cAnArY-killed") > before).then_some(())
    })
    .await;
    assert!(killed.elapsed() <= MINUTE, "{:?}", killed.elapsed());
    println!("taken over after {:.1?}", killed.elapsed());
    cluster.simulator.faults("cAnArY-killed", |faults| faults.latency = Duration::ZERO);
    cluster.run_in(&run_id, RunState::Succeeded).await;
    cluster.stop().await;
}

/// Its message comes while no claim is answered, and the sweeper would not look after it for an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_claim_failed_begins_soon_after_the_database_is_back() {
    let cluster = Cluster::start(Wiring::Real, &[]).await;
    cluster.simulator.add(Workspace::generate(&WorkspaceSpec::new("claimed", 20, today())), "cAnArY-claimed");
    let connection = cluster.connect("cAnArY-claimed").await;
    let first = cluster.sync(&connection).await;
    cluster.run_in(&first, RunState::Succeeded).await;
    let (id, now) = (RunId::generate(&SystemClock, &OsEntropy), SystemClock.now());
    let later = now + chrono::TimeDelta::hours(1);
    let run = Run::queued(id.clone(), connection.clone(), Priority::Person, now, later);
    let tx = cluster.store.begin().await.unwrap();
    assert!(tx.insert_run(&run).await.unwrap());
    tx.commit().await.unwrap();
    // Nobody gets at the runs for 25 s.
    let sql = format!(
        "begin; lock table runs in access exclusive mode; update runs set ready_at = now() where id = '{id}';
        select pg_sleep(25); commit"
    );
    let mut locked =
        Command::new("psql").args(["-X", "-q", "-c", &sql, &cluster.database_url()]).spawn().unwrap();
    let command = SyncRun { run_id: id.clone(), connection_id: connection.clone() };
    let message = Message {
        id: "cmd_claimed".to_owned(),
        route: Route::Command(SyncRun::NAME.to_owned()),
        headers: BTreeMap::new(),
        body: serde_json::to_vec(&command).unwrap().into(),
    };
    cluster.bus.as_ref().unwrap().publish(vec![message]).await;
    let ended = tokio::task::spawn_blocking(move || locked.wait()).await.unwrap().unwrap();
    assert!(ended.success());
    let back = Instant::now();
    cluster.run_in(id.as_str(), RunState::Succeeded).await;
    assert!(back.elapsed() <= MINUTE, "{:?}", back.elapsed());
    println!("ended {:.1?} after the database was back", back.elapsed());
    cluster.stop().await;
}

pub(crate) async fn five_kills_end_with_the_same_rows_and_rollups(wiring: Wiring) {
    let mut cluster = Cluster::start(wiring, &[("WORKER__HISTORY_DAYS", "200")]).await;
    let today = today();
    let workspace = Workspace::generate(&WorkspaceSpec::new("killed", 150, today));
    cluster.simulator.add(workspace.clone(), "cAnArY-calm");
    cluster.simulator.issue_token("killed", "cAnArY-killed");

    // The same workspace, once in peace.
    let calm = cluster.connect("cAnArY-calm").await;
    let run_id = cluster.sync(&calm).await;
    cluster.run_in(&run_id, RunState::Succeeded).await;
    cluster.summary(&calm, &run_id).await;

    let killed = cluster.connect("cAnArY-killed").await;
    let run_id = cluster.sync(&killed).await;
    let whole = naive::rows_in_history(&workspace, today, 200);
    for round in 0..5_u64 {
        // Past the rows of the round before, and then some: each kill falls into work.
        let store = cluster.store.clone();
        let reached = whole * round / 8;
        until("the sync got on", async || {
            let rows = store.member_day_count(&killed).await.ok()?;
            (rows >= reached.max(1)).then_some(())
        })
        .await;
        let random = rand::rng().random_range(0..150);
        tokio::time::sleep(Duration::from_millis(random)).await;
        cluster.kill(cluster.worker());
        cluster.spawn(cluster.worker());
        cluster.ready().await;
    }
    let run = cluster.run_in(&run_id, RunState::Succeeded).await;
    assert_eq!(run.id, run_id);
    let summary = cluster.summary(&killed, &run_id).await;
    naive::assert_summary(&summary, &workspace, today);
    assert_eq!(cluster.store.member_day_count(&killed).await.unwrap(), whole);
    let (one, other) = (cluster.store.facts_digest(&calm).await, cluster.store.facts_digest(&killed).await);
    assert_eq!(one.unwrap(), other.unwrap(), "rows and rollups are those of an undisturbed sync");
    cluster.stop().await;
}
