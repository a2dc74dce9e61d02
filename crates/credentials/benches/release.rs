//! `GetAccessToken` beside a bare tonic echo of the same message size: throughput and latency of 64 callers over TCP, in
//! turns in the same run. `cargo bench -p tidemark-credentials --bench release [-- postgres|sqlite]`

#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::unwrap_used, reason = "a benchmark says with a panic what it did not expect")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use tidemark_credentials::{
    CredentialService, Settings, Vault,
    audit::{Audit, AuditKey, verify},
};
use tidemark_domain::id::{OrganizationId, TokenId};
use tidemark_inproc::InprocLeases;
use tidemark_productboard_sim::{Options, Simulator, Workspace, WorkspaceSpec};
use tidemark_rpc::{
    client::Caller,
    connections::{CreateConnectionRequest, Region},
    credentials::{
        GetAccessTokenRequest, GetAccessTokenResponse, ReportForbiddenRequest, ReportForbiddenResponse,
        ReportRejectedRequest, ReportRejectedResponse,
        credentials_service_server::{CredentialsService, CredentialsServiceServer},
    },
    guard::{Denial, Directory, Guard, Registered, Standing, Unanswered},
    limit::{Limits, Rate},
    scope::Scope,
    server::{Listen, Server},
    token,
};
use tidemark_runtime::{
    OsEntropy, SystemClock,
    config::{Database, Log, LogFormat},
};
use tidemark_store::Store;
use tidemark_testkit::TestDatabase;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, transport::server::TcpIncoming};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CALLERS: usize = 64;
const CHANNELS: usize = 4;
const CONNECTIONS: usize = 32;
const ORGANIZATIONS: usize = 4;
const TURNS: usize = 3;
const TURN: Duration = Duration::from_secs(5);
/// As long as a vendor's key.
const KEY: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJiZW5jaG1hcmsifQ.0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

/// Answers what it is told to, and does nothing else.
#[derive(Clone)]
struct Echo(GetAccessTokenResponse);

#[tonic::async_trait]
impl CredentialsService for Echo {
    async fn get_access_token(
        &self,
        _: Request<GetAccessTokenRequest>,
    ) -> Result<Response<GetAccessTokenResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn report_rejected(
        &self,
        _: Request<ReportRejectedRequest>,
    ) -> Result<Response<ReportRejectedResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn report_forbidden(
        &self,
        _: Request<ReportForbiddenRequest>,
    ) -> Result<Response<ReportForbiddenResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

#[derive(Debug)]
struct Book(BTreeMap<TokenId, Registered>);

#[tonic::async_trait]
impl Directory for Book {
    async fn find(&self, id: &TokenId) -> Result<Option<Registered>, Unanswered> {
        Ok(self.0.get(id).cloned())
    }

    fn used(&self, _: &TokenId) {}
    fn denied(&self, _: Denial) {}
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

/// The whole service as a process serves it; gives its address, the token to call it with, and its connections.
async fn service(store: &Store) -> (String, SecretString, Vec<String>) {
    let simulator = Simulator::start(
        "127.0.0.1:0".parse().unwrap(),
        Options { requests_per_second: 0, ..Options::default() },
    )
    .await
    .unwrap();
    simulator
        .add(Workspace::generate(&WorkspaceSpec::new("acme", 5, "2026-08-12".parse().unwrap()).days(5)), KEY);
    let url: url::Url = simulator.base_url().parse().unwrap();
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let keys = SecretString::from(format!("k1:{}", STANDARD.encode([1; 32])));
    let vault = Vault::from_keys(&keys, entropy.clone()).unwrap();
    let (audit, _) = Audit::start(store.clone(), audit_key(), clock.clone());
    let settings = Settings {
        us_url: url.clone(),
        eu_url: url,
        requests_per_second: 1000,
        probe_interval: Duration::from_secs(6 * 3600),
        oauth: None,
    };
    let leases = Arc::new(InprocLeases::new());
    let service =
        CredentialService::new(store.clone(), vault, audit, leases, settings, clock.clone(), entropy.clone());
    let minted = token::mint(&*clock, &*entropy);
    let registered = Registered {
        hash: minted.hash,
        name: "benchmark".to_owned(),
        scopes: Scope::ALL.into(),
        organizations: None,
        standing: Standing::Valid,
    };
    let book = Book(BTreeMap::from([(minted.id, registered)]));
    let rate = Rate { per_second: 1_000_000, burst: 1_000_000 };
    let guard = Guard::with(&SecretString::from(""), Arc::new(book), Limits::new(1024, rate, rate));
    let server = Server::new(guard).with(service.connections_server()).with(service.credentials_server());
    let (listener, address) = listen().await;
    tokio::spawn(server.serve(Listen::Tcp(listener), CancellationToken::new()));
    let caller = Caller::new(&address, &minted.text).unwrap();
    let organizations: Vec<_> =
        (0..ORGANIZATIONS).map(|_| OrganizationId::generate(&*clock, &*entropy).to_string()).collect();
    let mut connections = Vec::new();
    for number in 0..CONNECTIONS {
        let request = CreateConnectionRequest {
            organization_id: organizations[number % ORGANIZATIONS].clone(),
            region: Region::Us.into(),
            api_key: KEY.to_owned(),
            ..CreateConnectionRequest::default()
        };
        let made = caller.connections().create_connection(request).await.unwrap().into_inner();
        connections.push(made.connection.unwrap().id);
    }
    (address, minted.text, connections)
}

fn audit_key() -> AuditKey {
    AuditKey::parse(&SecretString::from(STANDARD.encode([2; 32]))).unwrap()
}

/// All latencies of one turn.
async fn turn(address: &str, token: &SecretString, connections: &[String]) -> Vec<Duration> {
    let channels: Vec<_> = (0..CHANNELS).map(|_| Caller::new(address, token).unwrap()).collect();
    let until = Instant::now() + TURN;
    let all = Arc::new(Mutex::new(Vec::new()));
    let tasks = (0..CALLERS).map(|number| {
        let mut client = channels[number % CHANNELS].credentials();
        let (all, connections) = (Arc::clone(&all), connections.to_vec());
        tokio::spawn(async move {
            let mut own = Vec::new();
            let mut next = number;
            while Instant::now() < until {
                let connection_id = connections[next % connections.len()].clone();
                next += 1;
                let started = Instant::now();
                client
                    .get_access_token(GetAccessTokenRequest { connection_id, ..Default::default() })
                    .await
                    .unwrap();
                own.push(started.elapsed());
            }
            all.lock().unwrap().extend(own);
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    Arc::into_inner(all).unwrap().into_inner().unwrap()
}

/// Calls per second, and how long the slowest of a hundred takes.
fn figures(name: &str, latencies: &mut [Duration]) -> f64 {
    latencies.sort_unstable();
    let throughput = latencies.len() as f64 / (TURN * u32::try_from(TURNS).unwrap()).as_secs_f64();
    let at = |part: f64| latencies[(latencies.len() as f64 * part) as usize].as_secs_f64() * 1000.0;
    println!("{name:<24} {throughput:>8.0}/s   p50 {:>6.2} ms   p99 {:>6.2} ms", at(0.5), at(0.99));
    throughput
}

async fn compare(name: &str, database: &TestDatabase) {
    let settings = Database { url: database.url().into(), max_connections: 10, ..Database::default() };
    let store = Store::connect(&settings).await.unwrap();
    let (address, token, connections) = service(&store).await;
    let mut first = Caller::new(&address, &token).unwrap().credentials();
    let request = GetAccessTokenRequest { connection_id: connections[0].clone(), ..Default::default() };
    let answer = first.get_access_token(request).await.unwrap().into_inner();
    assert_eq!(answer.access_token, KEY);
    let (listener, echo) = listen().await;
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(CredentialsServiceServer::new(Echo(answer)))
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true))),
    );
    let (mut bare, mut real) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        bare.extend(turn(&echo, &token, &connections).await);
        real.extend(turn(&address, &token, &connections).await);
    }
    let bare = figures("bare tonic echo", &mut bare);
    let real_throughput = figures(&format!("GetAccessToken, {name}"), &mut real);
    println!("{:<24} {:>7.0} %", "of the echo", 100.0 * real_throughput / bare);
    // All turns, and the one before them.
    let released = real.len() + 1;
    let written = tokio::time::timeout(Duration::from_secs(10), async {
        while releases(&store).await < released {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    written.await.expect("every release is in the audit log");
    let checked = verify(&store, &audit_key(), None, &[]).await.unwrap();
    assert_eq!(checked.broken, []);
    println!("{:<24} {:>8} entries for {released} releases, all confirmed\n", "audit log", checked.entries);
}

/// How many releases the audit log tells of.
async fn releases(store: &Store) -> usize {
    let mut count = 0;
    for chain in store.audit_chains().await.unwrap() {
        let mut after = 0;
        loop {
            let page = store.audit_entries(&chain, after, 10_000).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.sequence;
            let releases = page.iter().filter(|entry| entry.action == "secret.release");
            let times = releases.map(|entry| {
                let details: serde_json::Value = serde_json::from_str(&entry.details).unwrap();
                details["times"].as_u64().map_or(1, |times| times as usize)
            });
            count += times.sum::<usize>();
        }
    }
    count
}

#[tokio::main]
async fn main() {
    let only = std::env::args().nth(1).filter(|name| !name.starts_with('-'));
    // As a process logs: every call has its span.
    let log = Log { filter: "info".to_owned(), format: LogFormat::Json };
    tidemark_runtime::trace::init(&log, None, "bench");
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    println!("{CALLERS} callers, {CHANNELS} TCP connections, {TURNS} turns of {TURN:?} each\n");
    if wanted("postgres") {
        compare("PostgreSQL", &TestDatabase::postgres().await).await;
    }
    if wanted("sqlite") {
        compare("SQLite", &TestDatabase::sqlite_file().await).await;
    }
}
