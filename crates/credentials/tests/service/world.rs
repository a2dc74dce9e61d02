//! A credential service, its record, the vendor, and a caller.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::NaiveDate;
use secrecy::SecretString;
use tidemark_credentials::{
    CredentialService, Settings, Vault,
    audit::{Audit, AuditKey},
};
use tidemark_domain::{Clock, id::OrganizationId};
use tidemark_productboard_sim::{Options, Route, Simulator, Workspace, WorkspaceSpec};
use tidemark_rpc::{
    client::Caller,
    connections::{
        Connection, CreateConnectionRequest, GetConnectionRequest, ReconnectConnectionRequest, Region,
    },
    credentials::{GetAccessTokenRequest, GetAccessTokenResponse, ReportRejectedRequest, Verdict},
    inproc,
    server::{Guard, Listen, Server},
};
use tidemark_runtime::config::Database;
use tidemark_store::Store;
use tidemark_testkit::{ManualClock, SeededEntropy};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;

/// The key of workspace `acme`.
pub(crate) const ACME: &str = "acme-key-1";
/// The key of workspace `globex`.
pub(crate) const GLOBEX: &str = "globex-key-1";

pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) service: CredentialService,
    pub(crate) audit: Audit,
    pub(crate) caller: Caller,
    pub(crate) organization: OrganizationId,
    _stop: DropGuard,
}

pub(crate) fn today() -> NaiveDate {
    "2026-08-12".parse().unwrap()
}

/// One key-encryption key.
pub(crate) fn keys() -> String {
    format!("k1:{}", STANDARD.encode([42; 32]))
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::on("sqlite::memory:").await
    }

    pub(crate) async fn on(database: &str) -> Self {
        let simulator = simulator().await;
        let url = simulator.base_url();
        Self::at(simulator, database, &url).await
    }

    /// With the vendor at that address, whoever listens there.
    pub(crate) async fn at(simulator: Simulator, database: &str, vendor: &str) -> Self {
        let settings = Settings {
            us_url: vendor.parse().unwrap(),
            eu_url: "http://127.0.0.1:9/eu".parse().unwrap(),
            requests_per_second: 1000,
        };
        let database = Database { url: SecretString::from(database), max_connections: 1 };
        let store = Store::connect(&database).await.unwrap();
        store.migrate().await.unwrap();
        let clock = Arc::new(ManualClock::noon(today()));
        let entropy = Arc::new(SeededEntropy::new(1));
        let vault = Vault::from_keys(&SecretString::from(keys()), entropy.clone()).unwrap();
        let organization = OrganizationId::generate(&*clock, &*entropy);
        let key = AuditKey::parse(&SecretString::from(STANDARD.encode([43; 32]))).unwrap();
        let (audit, _) = Audit::start(store.clone(), key, clock.clone());
        let service =
            CredentialService::new(store.clone(), vault, audit.clone(), settings, clock.clone(), entropy);
        let (caller, stop) = serve(&service);
        Self { simulator, store, clock, service, audit, caller, organization, _stop: stop }
    }

    pub(crate) async fn create(&self, key: &str) -> Result<Connection, Status> {
        self.create_in(Region::Us, key).await
    }

    pub(crate) async fn create_in(&self, region: Region, key: &str) -> Result<Connection, Status> {
        let request = CreateConnectionRequest {
            organization_id: self.organization.to_string(),
            region: region.into(),
            api_key: key.to_owned(),
        };
        let response = self.caller.connections().create_connection(request).await?;
        Ok(response.into_inner().connection.unwrap())
    }

    /// The connection to `acme`.
    pub(crate) async fn connected(&self) -> Connection {
        self.create(ACME).await.unwrap()
    }

    /// A connection to `acme` whose key was revoked and found out.
    pub(crate) async fn lost(&self) -> Connection {
        let connection = self.connected().await;
        self.simulator.revoke(ACME);
        assert_eq!(self.report(&connection.id, 1).await.unwrap(), Verdict::ReconnectRequired);
        self.get(&connection.id).await.unwrap()
    }

    pub(crate) async fn get(&self, id: &str) -> Result<Connection, Status> {
        let request = GetConnectionRequest { connection_id: id.to_owned() };
        Ok(self.caller.connections().get_connection(request).await?.into_inner().connection.unwrap())
    }

    pub(crate) async fn reconnect(&self, id: &str, key: &str) -> Result<Connection, Status> {
        let request = ReconnectConnectionRequest { connection_id: id.to_owned(), api_key: key.to_owned() };
        let response = self.caller.connections().reconnect_connection(request).await?;
        Ok(response.into_inner().connection.unwrap())
    }

    pub(crate) async fn token(&self, id: &str) -> Result<GetAccessTokenResponse, Status> {
        let request = GetAccessTokenRequest { connection_id: id.to_owned() };
        Ok(self.caller.credentials().get_access_token(request).await?.into_inner())
    }

    pub(crate) async fn report(&self, id: &str, generation: i64) -> Result<Verdict, Status> {
        let request = ReportRejectedRequest { connection_id: id.to_owned(), generation };
        Ok(self.caller.credentials().report_rejected(request).await?.into_inner().verdict())
    }

    pub(crate) fn forbid(&self, key: &str, route: Route) {
        self.simulator.faults(key, |faults| {
            faults.forbidden.insert(route);
        });
    }

    /// The names of the connection's events, in order.
    pub(crate) async fn events(&self, id: &str) -> Vec<String> {
        let events = self.store.outgoing_of(&id.parse().unwrap()).await.unwrap();
        events.into_iter().map(|event| event.name).collect()
    }

    pub(crate) async fn stored(&self) -> usize {
        self.store.connections_of(&self.organization, None, 1000).await.unwrap().len()
    }
}

/// Two workspaces, each with its key, without a rate limit.
pub(crate) async fn simulator() -> Simulator {
    let options = Options { requests_per_second: 0, ..Options::default() };
    let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    for (domain, key) in [("acme", ACME), ("globex", GLOBEX)] {
        simulator.add(Workspace::generate(&WorkspaceSpec::new(domain, 30, today()).days(30)), key);
    }
    simulator
}

fn serve(service: &CredentialService) -> (Caller, DropGuard) {
    let token = SecretString::from("a-service-token-for-tests");
    let server =
        Server::new(Guard::new(&token)).with(service.connections_server()).with(service.credentials_server());
    let (channel, incoming) = inproc::pair();
    let stop = CancellationToken::new();
    tokio::spawn(server.serve(Listen::Inproc(incoming), stop.clone()));
    (Caller::over(channel, &token).unwrap(), stop.drop_guard())
}

/// Everything a status tells.
pub(crate) fn told(status: &Status) -> String {
    format!("{status} {status:?} {}", String::from_utf8_lossy(status.details()))
}

/// The clock, moved.
pub(crate) fn now(world: &World) -> i64 {
    world.clock.now().timestamp()
}
