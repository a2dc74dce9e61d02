//! The sync service over PostgreSQL and the in-process adapters, with a credential service that knows the simulator's
//! tokens.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use secrecy::SecretString;
use tidemark_domain::{
    Clock,
    connection::{Region, Standing},
    event::{Connected, Data, Event},
    id::{ConnectionId, OrganizationId},
    run,
    stream::{Capture, Options, Stream},
};
use tidemark_inproc::{InprocBus, InprocLeases, InprocRateLimits};
use tidemark_ports::{Bus, Message, Route};
use tidemark_rpc::{
    client::Caller,
    credentials::{
        GetAccessTokenRequest, GetAccessTokenResponse, ReportForbiddenRequest, ReportForbiddenResponse,
        ReportRejectedRequest, ReportRejectedResponse,
        credentials_service_server::{CredentialsService, CredentialsServiceServer},
    },
    inproc,
    server::{Guard, Listen, Server},
};
use tidemark_runtime::{OsEntropy, Shutdown, SystemClock};
use tidemark_store::{Connection, OutgoingKind, Run, Store};
use tidemark_sync::{Ports, Settings, SyncService};
use tidemark_testkit::TestDatabase;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{Request, Response, Status};

use crate::vendor::token;

const RPC_TOKEN: &str = "between-services-only";

pub(crate) struct World {
    pub(crate) store: Store,
    /// The connections that the floor writes to.
    pub(crate) floors: Vec<ConnectionId>,
    connections: Vec<ConnectionId>,
    worker: (Shutdown, JoinHandle<()>),
    _relay: AbortOnDropHandle<()>,
    _servers: tokio_util::sync::DropGuard,
    database: TestDatabase,
}

/// Gives each connection its workspace's token.
#[derive(Clone)]
struct Vault {
    base_url: String,
    tokens: Arc<BTreeMap<String, String>>,
}

#[tonic::async_trait]
impl CredentialsService for Vault {
    async fn get_access_token(
        &self,
        request: Request<GetAccessTokenRequest>,
    ) -> Result<Response<GetAccessTokenResponse>, Status> {
        Ok(Response::new(GetAccessTokenResponse {
            access_token: self.tokens[&request.get_ref().connection_id].clone(),
            generation: 1,
            base_url: self.base_url.clone(),
            ..GetAccessTokenResponse::default()
        }))
    }

    async fn report_rejected(
        &self,
        _: Request<ReportRejectedRequest>,
    ) -> Result<Response<ReportRejectedResponse>, Status> {
        Err(Status::unimplemented("no token is refused here"))
    }

    async fn report_forbidden(
        &self,
        _: Request<ReportForbiddenRequest>,
    ) -> Result<Response<ReportForbiddenResponse>, Status> {
        Err(Status::unimplemented("nothing is forbidden here"))
    }
}

pub(crate) fn settings(days: u32, limit: u32) -> Settings {
    Settings {
        concurrency: 32,
        delivery_budget: Duration::from_secs(60),
        lease_ttl: Duration::from_secs(30),
        sweep: Duration::from_secs(1),
        history_days: days,
        trailing_days: 7,
        sync_every: None,
        requests_per_second: limit,
        full_sweep_days: 7,
    }
}

async fn connect(store: &Store) -> ConnectionId {
    let organization = OrganizationId::generate(&SystemClock, &OsEntropy);
    let id = ConnectionId::generate(&SystemClock, &OsEntropy);
    let made = Connection::begun(id.clone(), organization, Region::Us, SystemClock.now());
    let tx = store.begin().await.unwrap();
    tx.insert_connection(&Connection { generation: 1, ..made.standing_as(Standing::connected()) })
        .await
        .unwrap();
    tx.commit().await.unwrap();
    id
}

async fn relay(store: Store, bus: InprocBus) {
    loop {
        // The world has ended.
        let Ok(claimed) = store.claim_outgoing(SystemClock.now(), 100, Duration::from_secs(30)).await else {
            return;
        };
        for outgoing in claimed {
            let route = match outgoing.kind {
                OutgoingKind::Command => Route::Command(outgoing.name),
                OutgoingKind::Event => Route::Event(outgoing.name),
            };
            let (id, headers, body) = (outgoing.message_id, BTreeMap::new(), Bytes::from(outgoing.body));
            bus.publish(vec![Message { id, route, headers, body }]).await;
            if store.mark_sent(&[outgoing.id], SystemClock.now()).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl World {
    pub(crate) async fn start(base_url: String, workspaces: usize, settings: Settings) -> Self {
        let database = TestDatabase::postgres().await;
        let store = database.store();
        let (mut connections, mut floors, mut tokens) = (Vec::new(), Vec::new(), BTreeMap::new());
        for number in 0..workspaces {
            let id = connect(&store).await;
            tokens.insert(id.to_string(), token("engine", number));
            connections.push(id);
            floors.push(connect(&store).await);
        }
        let vault = Vault { base_url, tokens: Arc::new(tokens) };
        let servers = CancellationToken::new();
        let (channel, incoming) = inproc::pair();
        let server = Server::new(Guard::new(&SecretString::from(RPC_TOKEN)));
        let server = server.with(CredentialsServiceServer::new(vault));
        let stop = servers.clone();
        tokio::spawn(async move { server.serve(Listen::Inproc(incoming), stop).await.unwrap() });
        let credentials = Caller::over(channel, &SecretString::from(RPC_TOKEN)).unwrap();
        let bus = InprocBus::new();
        let relaying = AbortOnDropHandle::new(tokio::spawn(relay(store.clone(), bus.clone())));
        let ports = Ports {
            bus: Arc::new(bus),
            leases: Arc::new(InprocLeases::new()),
            rate_limits: Arc::new(InprocRateLimits::new()),
        };
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
        let service = SyncService::new(store.clone(), credentials, ports, settings, clock, entropy);
        let shutdown = Shutdown::new();
        let told = shutdown.clone();
        let worker = (shutdown, tokio::spawn(async move { service.run(told).await }));
        let _servers = servers.drop_guard();
        Self { store, floors, connections, worker, _relay: relaying, _servers, database }
    }

    /// Turns all streams on.
    pub(crate) async fn choose_all(&self, capture: Capture) {
        let tx = self.store.begin().await.unwrap();
        for connection in &self.connections {
            let options = Options::new(Stream::ALL, capture);
            tx.put_sync_options(connection, &options, SystemClock.now()).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// Where its database is.
    pub(crate) fn url(&self) -> String {
        self.database.url()
    }

    /// How many rows the engine has of a stream's resources.
    pub(crate) async fn resources(&self, stream: Stream) -> u64 {
        let mut rows = 0;
        for connection in &self.connections {
            rows += self.store.resource_count(connection, stream).await.unwrap();
        }
        rows
    }

    /// Connects all workspaces and waits until each is synced.
    pub(crate) async fn sync_all(&self) {
        self.sync(0..self.connections.len()).await;
    }

    /// Connects those workspaces, and waits until each is synced; gives their runs.
    pub(crate) async fn sync(&self, which: Range<usize>) -> Vec<Run> {
        let connections = &self.connections[which];
        let mut before = Vec::new();
        for connection in connections {
            before.push(self.newest(connection).await.map(|run| run.id));
        }
        self.connect_again(connections).await;
        let mut runs = Vec::new();
        for (connection, before) in connections.iter().zip(before) {
            runs.push(loop {
                let run = self.newest(connection).await.filter(|run| Some(&run.id) != before.as_ref());
                if let Some(run) = run.filter(|run| run.state.is_final()) {
                    assert_eq!(run.state, run::State::Succeeded, "{run:?}");
                    break run;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            });
        }
        runs
    }

    /// Connects a workspace, and waits until its first rows are in.
    pub(crate) async fn begin(&self, number: usize) {
        let connection = &self.connections[number];
        self.connect_again(std::slice::from_ref(connection)).await;
        while self.store.member_day_count(connection).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn connect_again(&self, connections: &[ConnectionId]) {
        let tx = self.store.begin().await.unwrap();
        for connection in connections {
            let organization_id = OrganizationId::generate(&SystemClock, &OsEntropy);
            let data = Data::Connected(Connected { organization_id, workspace: None });
            tx.emit(&Event::new(&SystemClock, &OsEntropy, connection.clone(), data)).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn newest(&self, connection: &ConnectionId) -> Option<Run> {
        self.store.runs_of(connection, None, 1).await.unwrap().pop()
    }

    /// Engine and floor have the same rows.
    pub(crate) async fn check(&self) {
        for (engine, floor) in self.connections.iter().zip(&self.floors) {
            let count = async |id| self.store.member_day_count(id).await.unwrap();
            let (engine, floor) = (count(engine).await, count(floor).await);
            assert!(engine > 0 && engine == floor, "{engine} rows, {floor} on the floor");
        }
    }

    /// How many rows the engine has written.
    pub(crate) async fn rows(&self) -> u64 {
        let mut rows = 0;
        for connection in &self.connections {
            rows += self.store.member_day_count(connection).await.unwrap();
        }
        rows
    }

    pub(crate) async fn stop(self) {
        self.worker.0.stop();
        self.worker.1.await.unwrap();
        self.store.close().await.unwrap();
    }
}
