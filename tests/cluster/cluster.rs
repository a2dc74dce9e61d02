//! A cluster of real processes on free ports, with a prefix and a database of its own, and a simulated vendor.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::NaiveDate;
use secrecy::SecretString;
use tempfile::TempDir;
use tidemark_bus_amqp::AmqpBus;
use tidemark_domain::{
    Clock,
    id::{ConnectionId, OrganizationId},
};
use tidemark_productboard_sim::{Options, Simulator};
use tidemark_rpc::{client::Caller, connections, syncs, utilization};
use tidemark_runtime::{OsEntropy, SystemClock};
use tidemark_store::Store;
use tidemark_testkit::{TestDatabase, reserve_port};
use tokio::time::{Instant, sleep};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tidemark");
/// In every secret a test uses; must show up nowhere.
pub(crate) const CANARY: &str = "cAnArY";
pub(crate) const SERVICE_TOKEN: &str = "cAnArY-service-token-0123456789";
pub(crate) const KEYS: &str = "k1:Y0FuQXJZLWtleS1lbmNyeXB0aW9uLWtleS0wMDAwMDA=";
/// The canary is in it, in base64.
pub(crate) const AUDIT_KEY: &str = "Y0FuQXJZLWF1ZGl0LWtleS0wMDAwMDAwMDAwMDAwMDA=";

const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wiring {
    /// One process, SQLite, in-process bus and leases.
    Embedded,
    /// Three processes, PostgreSQL, RabbitMQ, Redis.
    Real,
}

pub(crate) struct Cluster {
    pub(crate) wiring: Wiring,
    pub(crate) simulator: Simulator,
    pub(crate) store: Store,
    /// The test's own ear on the broker, where there is one.
    pub(crate) bus: Option<AmqpBus>,
    environment: BTreeMap<String, String>,
    ports: [u16; 3],
    /// Where each process shows its metrics and its health.
    watched: BTreeMap<String, u16>,
    processes: Mutex<BTreeMap<String, Child>>,
    folder: TempDir,
    starts: u32,
    database: TestDatabase,
}

pub(crate) fn amqp_url() -> String {
    let url = std::env::var("TIDEMARK_TEST_AMQP_URL");
    url.unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned())
}

pub(crate) fn redis_url() -> String {
    std::env::var("TIDEMARK_TEST_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned())
}

/// By the machine's clock, which the binary under test reads.
pub(crate) fn today() -> NaiveDate {
    SystemClock.today()
}

impl Cluster {
    pub(crate) async fn start(wiring: Wiring, extra: &[(&str, &str)]) -> Self {
        Self::start_at([reserve_port(), reserve_port(), reserve_port()], wiring, extra).await
    }

    /// With its processes at these ports: credentials, worker, aggregator.
    pub(crate) async fn start_at(ports: [u16; 3], wiring: Wiring, extra: &[(&str, &str)]) -> Self {
        let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), Options::default()).await.unwrap();
        let database = match wiring {
            Wiring::Embedded => TestDatabase::sqlite_file().await,
            Wiring::Real => TestDatabase::postgres().await,
        };
        let prefix = format!("t{}", uuid::Uuid::new_v4().simple());
        let (bus, leases) = match wiring {
            Wiring::Embedded => ("inproc:".to_owned(), "inproc:".to_owned()),
            Wiring::Real => (amqp_url(), redis_url()),
        };
        let mut environment = BTreeMap::new();
        let mut set = |key: &str, value: String| environment.insert(format!("TIDEMARK_{key}"), value);
        set("DATABASE__URL", database.url());
        set("BUS__URL", bus);
        set("BUS__PREFIX", prefix.clone());
        set("LEASES__URL", leases);
        set("LEASES__PREFIX", prefix.clone());
        set("LEASES__TTL_MS", "1500".to_owned());
        set("WORKER__SWEEP_MS", "200".to_owned());
        set("RPC__TOKEN", SERVICE_TOKEN.to_owned());
        set("CREDENTIALS__KEYS", KEYS.to_owned());
        set("AUDIT__KEY", AUDIT_KEY.to_owned());
        set("CREDENTIALS__LISTEN", format!("127.0.0.1:{}", ports[0]));
        set("WORKER__LISTEN", format!("127.0.0.1:{}", ports[1]));
        set("AGGREGATOR__LISTEN", format!("127.0.0.1:{}", ports[2]));
        set("CONSOLE__LISTEN", format!("127.0.0.1:{}", reserve_port()));
        set("PRODUCTBOARD__US_URL", simulator.base_url());
        set("PRODUCTBOARD__EU_URL", simulator.eu_base_url());
        set("OAUTH__US_HOST", simulator.base_url());
        set("OAUTH__EU_HOST", simulator.base_url());
        set("LOG__FILTER", "trace".to_owned());
        extra.iter().for_each(|(key, value)| {
            set(key, (*value).to_owned());
        });
        let mut cluster = Self {
            wiring,
            simulator,
            store: database.store(),
            bus: (wiring == Wiring::Real).then(|| AmqpBus::new(&amqp_url(), &prefix).unwrap()),
            environment,
            ports,
            watched: BTreeMap::new(),
            processes: Mutex::default(),
            folder: tempfile::tempdir().unwrap(),
            starts: 0,
            database,
        };
        let roles: &[&'static str] = match wiring {
            Wiring::Embedded => &["all"],
            Wiring::Real => &["credentials", "worker", "aggregator"],
        };
        roles.iter().for_each(|role| cluster.spawn(role));
        cluster.ready().await;
        cluster
    }

    /// The process that syncs.
    pub(crate) fn worker(&self) -> &'static str {
        if self.wiring == Wiring::Embedded { "all" } else { "worker" }
    }

    pub(crate) fn spawn(&mut self, role: &str) {
        self.spawn_as(role, role, &[]);
    }

    /// One more process of a role, with settings of its own.
    pub(crate) fn spawn_as(&mut self, name: &str, role: &str, settings: &[(&str, String)]) {
        self.starts += 1;
        let log = File::create(self.folder.path().join(format!("{:02}-{name}.log", self.starts))).unwrap();
        // A limit of the size of files is an error to it, and not its end.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", BINARY]);
        let port = reserve_port();
        self.watched.insert(name.to_owned(), port);
        command.env("TIDEMARK_METRICS__LISTEN", format!("127.0.0.1:{port}"));
        command.arg(role).envs(&self.environment).stdout(Stdio::null()).stderr(log);
        command.envs(settings.iter().map(|(key, value)| (format!("TIDEMARK_{key}"), value)));
        self.processes().insert(name.to_owned(), command.spawn().unwrap());
    }

    /// Sends a signal, by its name without `SIG`.
    pub(crate) fn signal(&self, process: &str, signal: &str) {
        let id = self.processes()[process].id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }

    /// Whether any log holds that text.
    pub(crate) fn wrote(&self, text: &str) -> bool {
        self.logs().iter().any(|path| std::fs::read_to_string(path).is_ok_and(|log| log.contains(text)))
    }

    /// SIGKILL: no destructor runs, nothing is given back.
    pub(crate) fn kill(&mut self, name: &str) {
        let mut child = self.processes().remove(name).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Sends a signal and waits until the process has ended.
    pub(crate) async fn end(&mut self, name: &str, signal: &str) {
        self.signal(name, signal);
        let mut child = self.processes().remove(name).unwrap();
        until(&format!("{name} ends"), async || child.try_wait().unwrap()).await;
    }

    /// The ids of the processes.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.processes().values().map(Child::id).collect()
    }

    /// Waits until every port answers.
    pub(crate) async fn ready(&self) {
        let ports = if self.wiring == Wiring::Embedded { &self.ports[..1] } else { &self.ports[..] };
        for port in ports {
            self.listens(*port).await;
        }
    }

    /// Waits until one of the processes listens there; fails at once where a process has died.
    pub(crate) async fn listens(&self, port: u16) {
        until(&format!("a process listens on port {port}"), async || {
            self.require_alive();
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
    }

    fn processes(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Child>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process that has died on its own never does what a test waits for.
    fn require_alive(&self) {
        let died = self.processes().iter_mut().find_map(|(name, child)| {
            let status = child.try_wait().unwrap()?;
            Some(format!("{name} died: {status}"))
        });
        if let Some(died) = died {
            panic!("{died}\n{}", self.tail());
        }
    }

    /// Where each process shows its metrics and its health, by the process's name.
    pub(crate) fn watched(&self) -> &BTreeMap<String, u16> {
        &self.watched
    }

    /// Where the process at that place listens.
    pub(crate) fn port(&self, at: usize) -> u16 {
        if self.wiring == Wiring::Embedded { self.ports[0] } else { self.ports[at] }
    }

    pub(crate) fn caller(&self, at: usize) -> Caller {
        self.caller_with(at, SERVICE_TOKEN)
    }

    /// Calls the process at that place with another token.
    pub(crate) fn caller_with(&self, at: usize, token: &str) -> Caller {
        caller_at(self.port(at), token)
    }

    /// Where the utilization service is.
    pub(crate) fn utilization_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port(2))
    }

    /// Runs a command with the cluster's settings.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Output {
        self.command_with(arguments, &[]).await
    }

    /// The same, with other settings on top.
    pub(crate) async fn command_with(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
        let mut command = tokio::process::Command::new(BINARY);
        command.args(arguments).envs(&self.environment).env("TIDEMARK_LOG__FILTER", "error");
        command.envs(settings.iter().copied());
        command.output().await.unwrap()
    }

    /// What a command prints that must not fail.
    pub(crate) async fn succeed(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.command(arguments).await;
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
        output.stdout
    }

    /// Enters a role's token, as a deployment's job does.
    pub(crate) async fn register(&self, role: &str, token: &str) {
        let file = self.folder.path().join(format!("{role}-token"));
        std::fs::write(&file, format!("{token}\n")).unwrap();
        self.succeed(&["migrate", "--token", &format!("{role}={}", file.display())]).await;
        std::fs::remove_file(&file).unwrap();
    }

    pub(crate) async fn connect(&self, api_key: &str) -> ConnectionId {
        let organization_id = OrganizationId::generate(&SystemClock, &OsEntropy).to_string();
        let request = connections::CreateConnectionRequest {
            organization_id,
            api_key: api_key.to_owned(),
            ..Default::default()
        };
        let response = self.caller(0).connections().create_connection(request).await.unwrap();
        response.into_inner().connection.unwrap().id.parse().unwrap()
    }

    pub(crate) async fn reconnect(&self, id: &ConnectionId, api_key: &str) {
        let request = connections::ReconnectConnectionRequest {
            connection_id: id.to_string(),
            api_key: api_key.to_owned(),
            auth_scheme: 0,
        };
        self.caller(0).connections().reconnect_connection(request).await.unwrap();
    }

    pub(crate) async fn connection(&self, id: &ConnectionId) -> connections::Connection {
        let request = connections::GetConnectionRequest { connection_id: id.to_string() };
        self.caller(0).connections().get_connection(request).await.unwrap().into_inner().connection.unwrap()
    }

    /// Asks for a sync; the run may be open already. Waits out a worker that is just starting again.
    pub(crate) async fn sync(&self, id: &ConnectionId) -> String {
        until("a sync starts", async || {
            let request = syncs::StartSyncRequest {
                connection_id: id.to_string(),
                ..syncs::StartSyncRequest::default()
            };
            self.caller(1).syncs().start_sync(request).await.ok()?.into_inner().run.map(|run| run.id)
        })
        .await
    }

    pub(crate) async fn run_in(&self, run_id: &str, state: syncs::RunState) -> syncs::Run {
        let mut last = None;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let request = syncs::GetSyncRequest { run_id: run_id.to_owned() };
            if let Ok(response) = self.caller(1).syncs().get_sync(request).await {
                let run = response.into_inner().run.unwrap();
                if run.state() == state {
                    return run;
                }
                last = Some(run);
            }
            self.require_alive();
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the run never became {state:?}: {last:#?}\n{}", self.tail());
    }

    /// The summary of that run, once it is there.
    pub(crate) async fn summary(&self, id: &ConnectionId, run_id: &str) -> utilization::Summary {
        self.summary_within(id, run_id, PATIENCE).await
    }

    /// The same, of what takes long.
    pub(crate) async fn summary_within(
        &self,
        id: &ConnectionId,
        run_id: &str,
        patience: Duration,
    ) -> utilization::Summary {
        until_within(patience, "the rollup is there", async || {
            let request = utilization::GetSummaryRequest { connection_id: id.to_string() };
            let response = self.caller(2).utilization().get_summary(request).await.ok()?;
            response.into_inner().summary.filter(|summary| summary.run_id == run_id)
        })
        .await
    }

    fn logs(&self) -> Vec<PathBuf> {
        let mut logs: Vec<_> =
            std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        logs.sort();
        logs
    }

    pub(crate) fn database_url(&self) -> String {
        self.database.url()
    }

    /// All logs: name and text.
    pub(crate) fn written(&self) -> Vec<(String, String)> {
        let text = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
        self.logs().iter().map(|path| (path.display().to_string(), text(path))).collect()
    }

    /// Fails where a log holds that text.
    pub(crate) fn never_wrote(&self, secret: &str) {
        for path in self.logs() {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains(secret), "a secret in {}", path.display());
        }
    }

    /// The last lines of each log, for a failure's message; without the noise of the lowest levels.
    fn tail(&self) -> String {
        let of = |path: &Path| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let told: Vec<_> =
                text.lines().filter(|line| line.contains("tidemark") && !line.contains("TRACE")).collect();
            format!("{}:\n{}", path.display(), told[told.len().saturating_sub(25)..].join("\n"))
        };
        self.logs().iter().map(|path| of(path)).collect::<Vec<_>>().join("\n")
    }

    /// Stops softly, and fails on secrets in the logs, crashes and leftovers.
    pub(crate) async fn stop(self) {
        for child in self.processes().values() {
            let killed = Command::new("kill").arg(child.id().to_string()).status().unwrap();
            assert!(killed.success());
        }
        let processes = std::mem::take(&mut *self.processes());
        for (role, mut child) in processes {
            let status = until("a process ends", async || child.try_wait().unwrap()).await;
            assert!(status.success(), "{role} ended with {status}\n{}", self.tail());
        }
        let logs = self.logs();
        assert!(!logs.is_empty());
        for path in logs {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains("TRACE") || text.len() < 2_000, "{} is not at TRACE", path.display());
            if let Some(line) = text.lines().find(|line| line.contains(CANARY)) {
                panic!("a secret in {}: {line}", path.display());
            }
            assert!(!text.contains("tmk_"), "a service token in {}", path.display());
            assert!(!text.contains("panicked"), "{}: {}", path.display(), self.tail());
        }
        if let Some(bus) = &self.bus {
            bus.delete_topology().await.unwrap();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.processes().values_mut() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Calls the process at that port.
pub(crate) fn caller_at(port: u16, token: &str) -> Caller {
    Caller::new(&format!("http://127.0.0.1:{port}"), &SecretString::from(token)).unwrap()
}

/// Waits for a state, with a deadline.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look).await
}

pub(crate) async fn until_within<T>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited without success until {what}");
        sleep(Duration::from_millis(50)).await;
    }
}
