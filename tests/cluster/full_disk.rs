//! A SQLite file on a disk that fills and grows again, that goes away, or that may not be written: what was acknowledged
//! is stored, and what is wrong is said.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tidemark_domain::id::{ConnectionId, OrganizationId};
use tidemark_productboard_sim::{Workspace, WorkspaceSpec};
use tidemark_rpc::{
    connections::{CreateConnectionRequest, GetConnectionRequest},
    syncs::{GetSyncRequest, RunState, StartSyncRequest},
    utilization::GetSummaryRequest,
};
use tidemark_runtime::{OsEntropy, SystemClock};
use tidemark_store::sqlite_url;
use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::{
    cluster::{BINARY, Cluster, Wiring, today, until, until_within},
    console::web::Web,
};

const KEY: &str = "cAnArY-key-of-a-full-disk";
const ROOM: u64 = 256 << 20;
/// With the checks every three seconds.
const SOON: Duration = Duration::from_secs(20);

/// A disk of a size that can be changed. Where nobody may mount one, the size of each file is limited instead, which is an
/// error of the same kind to a process that writes.
struct Disk {
    folder: TempDir,
    is_mounted: bool,
    bytes: u64,
}

impl Disk {
    fn of(bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(folder.path());
        let is_mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        Self { folder, is_mounted, bytes }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("tidemark.sqlite")
    }

    /// `tidemark migrate` on it.
    fn migrate(&self) -> Output {
        let limit = if self.is_mounted { "unlimited".to_owned() } else { self.bytes.to_string() };
        let ignored = "trap '' XFSZ; exec \"$0\" migrate";
        let mut command = Command::new("prlimit");
        command.arg(format!("--fsize={limit}:")).args(["sh", "-c", ignored, BINARY]);
        command.env("TIDEMARK_DATABASE__URL", sqlite_url(&self.database())).output().unwrap()
    }

    /// False where more is in use.
    fn resize(&mut self, bytes: u64, cluster: Option<&Cluster>) -> bool {
        self.bytes = bytes;
        if self.is_mounted {
            let mut mount = Command::new("mount");
            mount.args(["-o", &format!("remount,size={bytes}")]).arg(self.folder.path());
            return mount.stderr(Stdio::null()).status().unwrap().success();
        }
        for id in cluster.map(Cluster::ids).unwrap_or_default() {
            let mut limit = Command::new("prlimit");
            limit.args(["--pid", &id.to_string(), &format!("--fsize={bytes}:")]);
            assert!(limit.status().unwrap().success());
        }
        true
    }

    /// Leaves no room.
    fn fill(&mut self, cluster: &Cluster) {
        while !self.resize(self.used(), Some(cluster)) {}
    }

    fn used(&self) -> u64 {
        let files = || std::fs::read_dir(self.folder.path()).unwrap().flatten();
        let length =
            |file: std::fs::DirEntry| file.metadata().map_or(0, |it| it.len().next_multiple_of(4_096));
        if self.is_mounted { files().map(length).sum() } else { files().map(length).max().unwrap_or(0) }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            Command::new("umount").arg("-l").arg(self.folder.path()).status().ok();
        }
    }
}

/// What the services said is so.
#[derive(Default)]
struct Acknowledged {
    connections: Vec<ConnectionId>,
    runs: BTreeMap<String, Option<RunState>>,
    summaries: BTreeMap<String, String>,
}

impl Acknowledged {
    /// Connects, syncs and reads until somebody refuses, or so often.
    async fn work(&mut self, cluster: &Cluster, rounds: usize) -> Result<(), tonic::Status> {
        for _ in 0..rounds {
            let request = CreateConnectionRequest {
                organization_id: OrganizationId::generate(&SystemClock, &OsEntropy).to_string(),
                api_key: KEY.to_owned(),
                ..Default::default()
            };
            let created = cluster.caller(0).connections().create_connection(request).await?.into_inner();
            let id: ConnectionId = created.connection.unwrap().id.parse().unwrap();
            self.connections.push(id.clone());
            self.sync(cluster, &id, Duration::from_secs(4)).await?;
        }
        Ok(())
    }

    /// Asks for a sync and for its numbers. What does not end in time is left.
    async fn sync(
        &mut self,
        cluster: &Cluster,
        id: &ConnectionId,
        patience: Duration,
    ) -> Result<bool, tonic::Status> {
        let request = StartSyncRequest { connection_id: id.to_string(), ..Default::default() };
        let started = cluster.caller(1).syncs().start_sync(request).await?.into_inner().run.unwrap();
        self.runs.entry(started.id.clone()).or_default();
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            let request = GetSyncRequest { run_id: started.id.clone() };
            let run = cluster.caller(1).syncs().get_sync(request).await?.into_inner().run.unwrap();
            if matches!(run.state(), RunState::Succeeded | RunState::Partial | RunState::Failed) {
                self.runs.insert(run.id.clone(), Some(run.state()));
                let request = GetSummaryRequest { connection_id: id.to_string() };
                if let Ok(answer) = cluster.caller(2).utilization().get_summary(request).await {
                    self.summaries.insert(id.to_string(), answer.into_inner().summary.unwrap().run_id);
                }
                return Ok(run.state() == RunState::Succeeded);
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(false)
    }

    /// All of it is there.
    async fn is_stored(&self, cluster: &Cluster) {
        for id in &self.connections {
            let request = GetConnectionRequest { connection_id: id.to_string() };
            let found = cluster.caller(0).connections().get_connection(request).await;
            assert!(found.is_ok(), "{id} was acknowledged: {found:?}");
        }
        for (id, state) in &self.runs {
            let request = GetSyncRequest { run_id: id.clone() };
            let found = cluster.caller(1).syncs().get_sync(request).await.unwrap().into_inner().run.unwrap();
            assert!(state.is_none_or(|state| state == found.state()), "{id} was {state:?}: {found:?}");
        }
        for (id, run) in &self.summaries {
            let request = GetSummaryRequest { connection_id: id.clone() };
            let found = cluster.caller(2).utilization().get_summary(request).await.unwrap().into_inner();
            // A newer one may have taken its place.
            assert!(found.summary.is_some_and(|found| found.run_id >= *run), "the numbers of {id}");
        }
    }
}

async fn readiness(cluster: &Cluster, process: &str) -> Value {
    let report = Web::new(cluster.watched()[process]).get("/readyz").await.text;
    serde_json::from_str(&report).unwrap_or_default()
}

/// Works until the full disk is noticed, and waits until each process says so.
async fn until_full(disk: &mut Disk, cluster: &Cluster, acknowledged: &mut Acknowledged) {
    disk.fill(cluster);
    let refused = until("somebody is refused", async || acknowledged.work(cluster, 1).await.err()).await;
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    for process in cluster.watched().keys() {
        until_within(SOON, &format!("{process} says that the disk is full"), async || {
            // Those that wait for the others meet it only where they write.
            let _ = acknowledged.work(cluster, 1).await;
            let report = readiness(cluster, process).await;
            let detail = report["conditions"]["database"]["detail"].as_str()?.to_owned();
            (report["status"] == "unready" && detail.contains("full")).then_some(())
        })
        .await;
    }
}

async fn across_a_full_disk(wiring: Wiring, bytes: u64, signal: &str) {
    let mut disk = Disk::of(bytes);
    let migrated = disk.migrate();
    if !migrated.status.success() {
        let said = String::from_utf8(migrated.stderr).unwrap();
        assert!(said.contains("full; ") || said.contains("fails or is full"), "{said}");
        disk.resize(ROOM, None);
        assert!(disk.migrate().status.success(), "there is room");
    }
    let url = sqlite_url(&disk.database());
    let mut cluster = Cluster::start(wiring, &[("DATABASE__URL", &url), ("LOG__FILTER", "info")]).await;
    let workspace = Workspace::generate(&WorkspaceSpec::new("acme", 60, today()).days(30));
    cluster.simulator.add(workspace, KEY);
    let processes: Vec<_> = cluster.watched().keys().cloned().collect();
    let mut acknowledged = Acknowledged::default();
    // Where the schema fits, some work may.
    let _ = acknowledged.work(&cluster, 2).await;
    until_full(&mut disk, &cluster, &mut acknowledged).await;
    for process in &processes {
        cluster.end(process, signal).await;
    }
    disk.resize(ROOM, None);
    processes.iter().for_each(|process| cluster.spawn(process));
    cluster.ready().await;
    acknowledged.is_stored(&cluster).await;

    // Once more, and this time without a restart.
    until("there is room", async || acknowledged.work(&cluster, 1).await.ok()).await;
    until_full(&mut disk, &cluster, &mut acknowledged).await;
    disk.resize(ROOM, Some(&cluster));
    for process in &processes {
        until(&format!("{process} goes on"), async || {
            (readiness(&cluster, process).await["status"] != "unready").then_some(())
        })
        .await;
    }
    let id = acknowledged.connections.last().unwrap().clone();
    until("a sync succeeds", async || {
        acknowledged.sync(&cluster, &id, Duration::from_secs(60)).await.ok()?.then_some(())
    })
    .await;
    processes.iter().for_each(|process| cluster.kill(process));
    processes.iter().for_each(|process| cluster.spawn(process));
    cluster.ready().await;
    acknowledged.is_stored(&cluster).await;
    assert!(acknowledged.runs.values().flatten().any(|state| *state == RunState::Succeeded));
    eprintln!(
        "{bytes} bytes: {} connections, {} runs and {} summaries were acknowledged, and all are stored",
        acknowledged.connections.len(),
        acknowledged.runs.len(),
        acknowledged.summaries.len(),
    );
}

macro_rules! sizes {
    ($($test:ident: $wiring:ident, $bytes:literal, $signal:literal;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() { across_a_full_disk(Wiring::$wiring, $bytes, $signal).await; })*
    };
}

sizes! {
    what_was_acknowledged_on_700_kb_is_stored: Embedded, 700_000, "KILL";
    what_was_acknowledged_on_1100_kb_is_stored: Embedded, 1_100_000, "TERM";
    what_was_acknowledged_on_1500_kb_is_stored: Embedded, 1_500_000, "KILL";
    what_was_acknowledged_on_2_mb_is_stored: Embedded, 2_000_000, "TERM";
    what_was_acknowledged_on_4_mb_is_stored: Embedded, 4_000_000, "KILL";
    what_separate_services_acknowledged_on_2_mb_is_stored: Real, 2_000_000, "KILL";
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_moved_away_makes_a_process_unready_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (path, aside) = (folder.path().join("tidemark.sqlite"), folder.path().join("aside"));
    let url = sqlite_url(&path);
    let migrated = command(&["migrate"], &url).output().await.unwrap();
    assert!(migrated.status.success());
    let cluster = Cluster::start(Wiring::Embedded, &[("DATABASE__URL", &url), ("LOG__FILTER", "info")]).await;
    cluster.simulator.add(Workspace::generate(&WorkspaceSpec::new("acme", 8, today()).days(20)), KEY);
    let mut acknowledged = Acknowledged::default();
    acknowledged.work(&cluster, 1).await.unwrap();
    std::fs::rename(&path, &aside).unwrap();
    let refused = until("somebody is refused", async || acknowledged.work(&cluster, 1).await.err()).await;
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    until_within(SOON, "it is unready", async || {
        let report = readiness(&cluster, "all").await;
        let detail = report["conditions"]["database"]["detail"].as_str()?.to_owned();
        (report["status"] == "unready" && detail.contains("file")).then_some(())
    })
    .await;
    assert!(!path.exists(), "no empty database takes its place");
    std::fs::rename(&aside, &path).unwrap();
    until("it goes on", async || acknowledged.work(&cluster, 1).await.ok()).await;
    acknowledged.is_stored(&cluster).await;
}

/// The command on that database.
fn command(arguments: &[&str], url: &str) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(BINARY);
    command.args(arguments).env("TIDEMARK_DATABASE__URL", url);
    command
}

/// Without the right of root to write everywhere.
fn restricted(arguments: &[&str], url: &str) -> tokio::process::Command {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !root {
        return command(arguments, url);
    }
    let mut command = tokio::process::Command::new("setpriv");
    command.args(["--bounding-set=-dac_override,-dac_read_search", BINARY]).args(arguments);
    command.env("TIDEMARK_DATABASE__URL", url);
    command
}

fn allow(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_folder_and_a_read_only_file_are_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidemark.sqlite");
    let url = sqlite_url(&path);
    allow(folder.path(), 0o555);
    let output = restricted(&["migrate"], &url).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("read-only"), "a folder: {said}");
    allow(folder.path(), 0o755);
    assert!(restricted(&["migrate"], &url).output().await.unwrap().status.success());
    allow(&path, 0o444);
    let output = restricted(&["doctor"], &url).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && said.contains("read-only"), "a file: {said}");
    allow(&path, 0o644);
    allow(folder.path(), 0o555);
    let output = restricted(&["doctor"], &url).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && said.contains("read-only"), "a folder with a file: {said}");
    allow(folder.path(), 0o755);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_another_process_has_locked_is_called_so_at_migrate() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(&folder.path().join("tidemark.sqlite"));
    let store = tidemark_testkit::open_store(&url).await;
    store.migrate().await.unwrap();
    let held = store.begin().await.unwrap();
    let asked = Instant::now();
    let output = command(&["migrate"], &url).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("another process has the database locked; wait until it is done or stop it"),
        "{said}"
    );
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    drop(held);
    assert!(command(&["migrate"], &url).output().await.unwrap().status.success());
    store.close().await.unwrap();
}
