//! The service with everything around it, and what the tests ask of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chrono::{Days, NaiveDate, TimeDelta};
use secrecy::SecretString;
use tidemark_domain::{
    Clock,
    activity::{COUNTER_TABLE, MemberDay},
    connection,
    event::{Data, Event},
    id::{ConnectionId, OrganizationId, RunId},
};
use tidemark_inproc::{InprocBus, InprocLeases, InprocRateLimits};
use tidemark_ports::{
    Bus, Leases, Message, Receipt, Route,
    topology::{SYNC_CONNECTIONS, SYNC_RUN},
};
use tidemark_productboard_sim::{COUNTER_NAMES, Options, Simulator, Workspace, WorkspaceSpec};
use tidemark_rpc::{
    client::Caller,
    connections::connections_service_server::ConnectionsServiceServer,
    credentials::credentials_service_server::CredentialsServiceServer,
    inproc,
    server::{Guard, Listen, Server},
    syncs::{GetSyncRequest, Run, RunState, StartSyncRequest},
};
use tidemark_runtime::{Shutdown, config::Database};
use tidemark_store::{Connection, Outgoing, OutgoingKind, Store};
use tidemark_sync::{Ports, Settings, SyncService};
use tidemark_testkit::SeededEntropy;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{clock::TestClock, vault::Vault};

pub(crate) const TOKEN: &str = "token-1";
const RPC_TOKEN: &str = "between-services-only";
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 8, 12).unwrap()
}

pub(crate) fn settings() -> Settings {
    Settings {
        concurrency: 4,
        delivery_budget: Duration::from_secs(60),
        lease_ttl: Duration::from_secs(30),
        sweep: Duration::from_millis(20),
        history_days: 365,
        trailing_days: 7,
        sync_every: None,
        requests_per_second: 10_000,
        full_sweep_days: 7,
    }
}

/// Moves messages from the outbox to the bus; loses as many as it is told to.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    pub(crate) lose: AtomicU32,
}

impl Relay {
    /// Waits until nothing is left to send.
    async fn has_drained(&self, store: &Store, clock: &TestClock) {
        let drained = async {
            while !store.claim_outgoing(clock.now(), 1, Duration::ZERO).await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, drained).await.expect("messages are left in the outbox");
    }
}

pub(crate) struct Harness {
    pub(crate) store: Store,
    pub(crate) bus: InprocBus,
    pub(crate) leases: Arc<dyn Leases>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) entropy: Arc<SeededEntropy>,
    pub(crate) simulator: Simulator,
    pub(crate) vault: Vault,
    pub(crate) relay: Arc<Relay>,
    pub(crate) connection: ConnectionId,
    pub(crate) syncs: Caller,
    pub(crate) settings: Settings,
    credentials: Caller,
    rate_limits: InprocRateLimits,
    worker: Option<(Shutdown, JoinHandle<()>)>,
    servers: CancellationToken,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Harness {
    pub(crate) async fn start() -> Self {
        Self::with(settings(), Arc::new(InprocLeases::new())).await
    }

    pub(crate) async fn with(settings: Settings, leases: Arc<dyn Leases>) -> Self {
        Self::over(settings, leases, 100, &WorkspaceSpec::new("acme", 60, today())).await
    }

    /// Over a workspace of that kind, which answers so many rows a page.
    pub(crate) async fn over(
        settings: Settings,
        leases: Arc<dyn Leases>,
        page_size: usize,
        spec: &WorkspaceSpec,
    ) -> Self {
        let clock = Arc::new(TestClock::noon(today()));
        let entropy = Arc::new(SeededEntropy::new(7));
        let options = Options { requests_per_second: 0, page_size };
        let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
        simulator.add(Workspace::generate(spec), TOKEN);
        let database = Database {
            url: SecretString::from("sqlite::memory:"),
            max_connections: 1,
            ..Database::default()
        };
        let store = Store::connect(&database).await.unwrap();
        store.migrate().await.unwrap();
        let connection = connect(&store, &clock, &entropy).await;
        let vault = Vault::new(connection.clone(), simulator.base_url(), TOKEN);
        let servers = CancellationToken::new();
        let credentials = serve_vault(&vault, &servers);
        let bus = InprocBus::new();
        let relay = Arc::new(Relay::default());
        let relaying = relay_for_ever(store.clone(), bus.clone(), Arc::clone(&clock), Arc::clone(&relay));
        let mut tasks = vec![AbortOnDropHandle::new(tokio::spawn(relaying))];
        let (channel, incoming) = inproc::pair();
        let rate_limits = InprocRateLimits::new();
        let service = service(&store, &credentials, &bus, &leases, &settings, &clock, &entropy, &rate_limits);
        let server = Server::new(Guard::new(&SecretString::from(RPC_TOKEN))).with(service.server());
        let serving = serve(server, incoming, servers.clone());
        tasks.push(AbortOnDropHandle::new(tokio::spawn(serving)));
        let syncs = Caller::over(channel, &SecretString::from(RPC_TOKEN)).unwrap();
        let mut harness = Self {
            store,
            bus,
            leases,
            clock,
            entropy,
            simulator,
            vault,
            relay,
            connection,
            syncs,
            settings,
            credentials,
            rate_limits,
            worker: None,
            servers,
            _tasks: tasks,
        };
        harness.start_worker();
        harness
    }

    pub(crate) fn start_worker(&mut self) {
        let Self { store, credentials, bus, leases, settings, clock, entropy, rate_limits, .. } = self;
        let service = service(store, credentials, bus, leases, settings, clock, entropy, rate_limits);
        let shutdown = Shutdown::new();
        let told = shutdown.clone();
        let running = tokio::spawn(async move { service.run(told).await });
        self.worker = Some((shutdown, running));
    }

    /// Asks the worker to stop softly, and waits for it.
    pub(crate) async fn stop_worker(&mut self) {
        let (shutdown, running) = self.worker.take().unwrap();
        shutdown.stop();
        tokio::time::timeout(DEADLINE, running).await.expect("the worker did not stop").unwrap();
    }

    /// The worker stops at once, as if its process had died; another one comes up.
    pub(crate) async fn replace_worker(&mut self) {
        let (shutdown, running) = self.worker.take().unwrap();
        shutdown.hard().cancel();
        shutdown.stop();
        tokio::time::timeout(DEADLINE, running).await.expect("the worker did not stop").unwrap();
        self.start_worker();
    }

    /// Stops at once: what hangs is not waited for.
    pub(crate) async fn stop_worker_now(mut self) {
        let (shutdown, running) = self.worker.take().unwrap();
        shutdown.stop();
        shutdown.hard().cancel();
        tokio::time::timeout(DEADLINE, running).await.expect("the worker did not stop").unwrap();
        self.servers.cancel();
    }

    /// Stops everything and looks for leftovers.
    pub(crate) async fn finish(mut self) {
        self.stop_worker().await;
        self.relay.has_drained(&self.store, &self.clock).await;
        for queue in [SYNC_RUN, SYNC_CONNECTIONS] {
            assert!(self.bus.dead_letters(&queue).is_empty(), "dead letters in {}", queue.name);
        }
        self.assert_lease_is_free().await;
        self.servers.cancel();
        self.simulator.shutdown().await;
    }

    pub(crate) async fn assert_lease_is_free(&self) {
        let key = format!("workspace:{}", self.connection);
        // A lease service that is away has no leases.
        if let Ok(lease) = self.leases.acquire(&key, Duration::from_secs(1)).await {
            self.leases.release(&lease.expect("a lease was left behind")).await.unwrap();
        }
    }

    pub(crate) async fn start_sync(&self) -> (Run, bool) {
        let request =
            StartSyncRequest { connection_id: self.connection.to_string(), ..StartSyncRequest::default() };
        let started = self.syncs.syncs().start_sync(request).await.unwrap().into_inner();
        (started.run.unwrap(), started.coalesced)
    }

    pub(crate) async fn sync(&self) -> Run {
        let (run, coalesced) = self.start_sync().await;
        assert!(!coalesced);
        self.wait_for_end(&run.id).await
    }

    pub(crate) async fn run(&self, id: &str) -> Run {
        let request = GetSyncRequest { run_id: id.to_owned() };
        self.syncs.syncs().get_sync(request).await.unwrap().into_inner().run.unwrap()
    }

    pub(crate) async fn wait_for_end(&self, id: &str) -> Run {
        self.wait_for(id, "an end", |run| run.finished_at.is_some()).await
    }

    /// Waits for the run to end while time goes by: retries come due.
    pub(crate) async fn wait_for_end_in_time(&self, id: &str) -> Run {
        self.wait_for(id, "an end", |run| {
            self.clock.advance(TimeDelta::seconds(1));
            run.finished_at.is_some()
        })
        .await
    }

    pub(crate) async fn wait_for_state(&self, id: &str, state: RunState) -> Run {
        self.wait_for(id, state.as_str_name(), |run| run.state() == state).await
    }

    pub(crate) async fn wait_for(&self, id: &str, what: &str, is_there: impl Fn(&Run) -> bool) -> Run {
        let started = tokio::time::Instant::now();
        loop {
            let run = self.run(id).await;
            if is_there(&run) {
                return run;
            }
            assert!(started.elapsed() < DEADLINE, "no {what}: {run:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the run has covered some days.
    pub(crate) async fn wait_for_days(&self, id: &str) {
        self.wait_for(id, "days", |run| run.streams[2].done > 0).await;
    }

    pub(crate) async fn emit(&self, data: Data) -> Event {
        let event = Event::new(&*self.clock, &*self.entropy, self.connection.clone(), data);
        let tx = self.store.begin().await.unwrap();
        tx.emit(&event).await.unwrap();
        tx.commit().await.unwrap();
        event
    }

    /// What the service has sent, by name.
    pub(crate) async fn sent(&self, name: &str) -> Vec<Outgoing> {
        let mut sent = self.store.outgoing_of(&self.connection).await.unwrap();
        sent.retain(|outgoing| outgoing.name == name);
        sent
    }

    pub(crate) async fn events(&self, name: &str) -> Vec<Data> {
        self.sent(name).await.iter().map(|outgoing| Event::decode(&outgoing.body).unwrap().data).collect()
    }

    pub(crate) async fn digest(&self) -> String {
        self.store.facts_digest(&self.connection).await.unwrap()
    }

    /// The database holds exactly what the workspace has, for the days up to yesterday.
    pub(crate) async fn assert_facts(&self) {
        let workspace = self.simulator.workspace("acme").unwrap();
        let yesterday = self.clock.today() - Days::new(1);
        let first = yesterday - Days::new(u64::from(self.settings.history_days) - 1);
        let in_window = |day: NaiveDate| (first..=yesterday).contains(&day);
        let coverage = self.store.coverage(&self.connection).await.unwrap();
        let days: Vec<_> = coverage.iter().map(|covered| covered.day).collect();
        assert_eq!(days, first.iter_days().take_while(|day| *day <= yesterday).collect::<Vec<_>>());
        let rows = workspace.activities.iter().filter(|row| in_window(row.date)).count() as u64;
        assert_eq!(self.store.member_day_count(&self.connection).await.unwrap(), rows);
        let facts = self.store.member_facts(&self.connection, None, 1_000, first).await.unwrap();
        assert_eq!(facts.len(), workspace.members.len());
        for member in &workspace.members {
            let kept = facts.iter().find(|kept| kept.member_id == member.id).expect("a member is missing");
            let standing = kept.versions.last().unwrap().standing.as_ref().unwrap();
            assert_eq!(standing.role.as_str(), member.role);
            assert_eq!((standing.disabled, standing.pending), (member.disabled, member.invitation_pending));
            let rows = workspace.activities.iter().filter(|row| row.member_id == member.id);
            let expected: Vec<_> = rows.filter(|row| in_window(row.date)).map(member_day).collect();
            assert_eq!(kept.days, expected);
        }
    }
}

pub(crate) fn member_day(row: &tidemark_productboard_sim::Activity) -> MemberDay {
    assert_eq!(COUNTER_TABLE.map(|counter| counter.field), COUNTER_NAMES, "the counters have one order");
    MemberDay {
        member_id: row.member_id,
        day: row.date,
        role: row.role.as_str().into(),
        active_flag: row.active_flag,
        counters: tidemark_domain::activity::Counters(row.counters),
    }
}

pub(crate) async fn connect(store: &Store, clock: &TestClock, entropy: &SeededEntropy) -> ConnectionId {
    connect_in(connection::Region::Us, store, clock, entropy).await
}

pub(crate) async fn connect_in(
    region: connection::Region,
    store: &Store,
    clock: &TestClock,
    entropy: &SeededEntropy,
) -> ConnectionId {
    let id = ConnectionId::generate(clock, entropy);
    let organization = OrganizationId::generate(clock, entropy);
    let connection = Connection {
        workspace: Some("acme".to_owned()),
        generation: 1,
        ..Connection::begun(id.clone(), organization, region, clock.now())
            .standing_as(connection::Standing::connected())
    };
    let tx = store.begin().await.unwrap();
    tx.insert_connection(&connection).await.unwrap();
    tx.commit().await.unwrap();
    id
}

#[expect(clippy::too_many_arguments, reason = "everything a service stands on")]
fn service(
    store: &Store,
    credentials: &Caller,
    bus: &InprocBus,
    leases: &Arc<dyn Leases>,
    settings: &Settings,
    clock: &Arc<TestClock>,
    entropy: &Arc<SeededEntropy>,
    rate_limits: &InprocRateLimits,
) -> SyncService {
    SyncService::new(
        store.clone(),
        credentials.clone(),
        Ports {
            bus: Arc::new(bus.clone()),
            leases: Arc::clone(leases),
            rate_limits: Arc::new(rate_limits.clone()),
        },
        settings.clone(),
        Arc::clone(clock) as _,
        Arc::clone(entropy) as _,
    )
}

fn serve_vault(vault: &Vault, servers: &CancellationToken) -> Caller {
    let (channel, incoming) = inproc::pair();
    let server = Server::new(Guard::new(&SecretString::from(RPC_TOKEN)))
        .with(ConnectionsServiceServer::new(vault.clone()))
        .with(CredentialsServiceServer::new(vault.clone()));
    tokio::spawn(serve(server, incoming, servers.clone()));
    Caller::over(channel, &SecretString::from(RPC_TOKEN)).unwrap()
}

async fn serve(server: Server, incoming: inproc::Incoming, stop: CancellationToken) {
    server.serve(Listen::Inproc(incoming), stop).await.unwrap();
}

async fn relay_for_ever(store: Store, bus: InprocBus, clock: Arc<TestClock>, relay: Arc<Relay>) {
    loop {
        for outgoing in store.claim_outgoing(clock.now(), 100, Duration::from_secs(30)).await.unwrap() {
            let id = outgoing.id;
            let lost =
                relay.lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if lost.is_err() {
                assert_eq!(bus.publish(vec![message(outgoing)]).await, [Receipt::Accepted]);
            }
            store.mark_sent(&[id], clock.now()).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn message(outgoing: Outgoing) -> Message {
    let route = match outgoing.kind {
        OutgoingKind::Command => Route::Command(outgoing.name),
        OutgoingKind::Event => Route::Event(outgoing.name),
    };
    let (id, headers) = (outgoing.message_id, BTreeMap::new());
    Message { id, route, headers, body: Bytes::from(outgoing.body) }
}

/// A message of that route, as somebody else might send it.
pub(crate) fn foreign(id: &str, route: Route, body: impl Into<Vec<u8>>) -> Message {
    Message { id: id.to_owned(), route, headers: BTreeMap::new(), body: Bytes::from(body.into()) }
}

pub(crate) fn run_id(run: &Run) -> RunId {
    run.id.parse().unwrap()
}
