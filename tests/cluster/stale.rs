//! Two workers, and the one that has the workspace loses it without noticing: stopped for longer than its lease lasts, or
//! the lease service forgets everything. No stale write is taken, and the end is the same.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use tidemark_domain::{Clock, command::SyncRun, id::ConnectionId};
use tidemark_ports::{Bus, Message, Route};
use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::syncs::RunState;
use tidemark_runtime::SystemClock;
use tidemark_testkit::reserve_port;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    cluster::{Cluster, Wiring, today, until, until_within},
    console::web::Web,
};

const LEASE: Duration = Duration::from_millis(1_500);
/// What a worker counts whose write came too late.
const REFUSED: &str = "tidemark_sync_stale_commits_refused_total";

/// A Redis of the test's own: nobody else must lose their keys.
struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    async fn start() -> Self {
        let port = reserve_port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        let process = command.stdout(Stdio::null()).spawn().expect("redis-server is installed");
        let redis = Self { process, port };
        until("Redis answers", async || redis.ask("PING").await.ok()).await;
        redis
    }

    async fn ask(&self, command: &str) -> std::io::Result<()> {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        stream.read_exact(&mut [0; 5]).await.map(drop)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn rows_grow(cluster: &Cluster, connection: &ConnectionId) {
    let before = cluster.store.member_day_count(connection).await.unwrap();
    until("the sync goes on", async || {
        let rows = cluster.store.member_day_count(connection).await.ok()?;
        (rows > before).then_some(())
    })
    .await;
}

/// How many writes the fence refused to the two workers.
async fn refused(cluster: &Cluster) -> f64 {
    let mut sum = 0.0;
    for worker in ["worker", "worker-2"] {
        let text = Web::new(cluster.watched()[worker]).get("/metrics").await.text;
        let lines = text.lines().filter_map(|line| line.strip_prefix(REFUSED)?.trim().parse::<f64>().ok());
        sum += lines.sum::<f64>();
    }
    sum
}

/// Wakes a worker up for the run as if its message had come again.
async fn poke(cluster: &Cluster, run_id: &str, connection: &ConnectionId) {
    let command = SyncRun { run_id: run_id.parse().unwrap(), connection_id: connection.clone() };
    let tx = cluster.store.begin().await.unwrap();
    tx.make_ready(&command.run_id, SystemClock.now()).await.unwrap();
    tx.commit().await.unwrap();
    let message = Message {
        id: format!("poke-{}", uuid::Uuid::new_v4().simple()),
        route: Route::Command(SyncRun::NAME.to_owned()),
        headers: std::collections::BTreeMap::new(),
        body: serde_json::to_vec(&command).unwrap().into(),
    };
    cluster.bus.as_ref().unwrap().publish(vec![message]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_was_stopped_or_forgotten_writes_nothing_stale() {
    let redis = Redis::start().await;
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let settings = [("LEASES__URL", url.as_str()), ("PRODUCTBOARD__REQUESTS_PER_SECOND", "25")];
    let mut cluster = Cluster::start(Wiring::Real, &settings).await;
    let workspace = Workspace::generate(&WorkspaceSpec::new("stale", 150, today()));
    cluster.simulator.add(workspace, "cAnArY-calm");
    cluster.simulator.issue_token("stale", "cAnArY-stale");
    let stale = cluster.connect("cAnArY-stale").await;
    let run_id = cluster.sync(&stale).await;
    rows_grow(&cluster, &stale).await;

    // The first worker has it. It stops for twice as long as its lease lasts, and the second one goes on.
    let elsewhere = [("WORKER__LISTEN", format!("127.0.0.1:{}", reserve_port()))];
    cluster.spawn_as("worker-2", "worker", &elsewhere);
    cluster.signal("worker", "STOP");
    tokio::time::sleep(LEASE * 2).await;
    rows_grow(&cluster, &stale).await;
    cluster.signal("worker", "CONT");
    rows_grow(&cluster, &stale).await;

    // Whether it comes to a write or hears first that its lease is gone, nothing of it is in. Then the lease service
    // forgets everything, and somebody else takes the workspace before the holder asks again.
    let before = refused(&cluster).await;
    // It takes a moment in which the holder writes just then; a slow machine may need many tries.
    until_within(Duration::from_secs(300), "a stale write is refused", async || {
        redis.ask("FLUSHALL").await.unwrap();
        poke(&cluster, &run_id, &stale).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        (refused(&cluster).await > before).then_some(())
    })
    .await;
    cluster.run_in(&run_id, RunState::Succeeded).await;

    let calm = cluster.connect("cAnArY-calm").await;
    let calm_run = cluster.sync(&calm).await;
    cluster.run_in(&calm_run, RunState::Succeeded).await;
    cluster.summary(&stale, &run_id).await;
    cluster.summary(&calm, &calm_run).await;
    let (one, other) = (cluster.store.facts_digest(&calm).await, cluster.store.facts_digest(&stale).await);
    assert_eq!(one.unwrap(), other.unwrap(), "the same as an undisturbed sync");
    cluster.stop().await;
}
