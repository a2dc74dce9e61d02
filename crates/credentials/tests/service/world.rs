//! A credential service, its record, the vendor, and a caller.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use secrecy::SecretString;
use tidemark_credentials::{
    Application, ClientAuthentication, CredentialService, Settings, Vault,
    audit::{Audit, AuditKey},
};
use tidemark_domain::{Clock, connection::CredentialKind, id::OrganizationId};
use tidemark_inproc::InprocLeases;
use tidemark_ports::Leases;
use tidemark_productboard_sim::{App, Consent, Options, Route, Simulator, Workspace, WorkspaceSpec};
use tidemark_rpc::{
    client::Caller,
    connections::{
        Availability, BeginConsentRequest, BeginConsentResponse, Capability, CompleteConsentRequest,
        Connection, CreateConnectionRequest, GetConnectionRequest, ProbeConnectionRequest,
        ReconnectConnectionRequest, Region,
    },
    credentials::{
        GetAccessTokenRequest, GetAccessTokenResponse, ReportForbiddenRequest, ReportRejectedRequest,
        Verdict, credentials_service_server::CredentialsService as _,
    },
    identity::Identity,
    inproc,
    server::{Guard, Listen, Server},
};
use tidemark_runtime::{SystemClock, config::Database};
use tidemark_store::{SealedCredential, Store};
use tidemark_testkit::{ManualClock, SeededEntropy};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Status};
use url::Url;

/// The key of workspace `acme`.
pub(crate) const ACME: &str = "acme-key-1";
/// The key of workspace `globex`.
pub(crate) const GLOBEX: &str = "globex-key-1";

/// The application that this deployment has registered.
pub(crate) const CLIENT: &str = "tidemark";
pub(crate) const CLIENT_SECRET: &str = "an-application-secret";
/// What ties a consent to its browser session.
pub(crate) const SESSION: &str = "a-browser-session-of-its-own";
pub(crate) const REDIRECT: &str = "https://console.example/oauth/callback";
pub(crate) const SCOPES: &str =
    "members:read members:pii:read teams:read analytics:read notes:read entities:read";
/// A pair made for tests.
const ASSERTION_KEY: &str = include_str!("../../../productboard-sim/tests/keys/rsa-test-only.private.pem");
const ASSERTION_PUBLIC_KEY: &str =
    include_str!("../../../productboard-sim/tests/keys/rsa-test-only.public.pem");

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
        let settings = settings(&simulator, vendor, "http://127.0.0.1:9/eu");
        let database =
            Database { url: SecretString::from(database), max_connections: 8, ..Database::default() };
        let store = Store::connect(&database).await.unwrap();
        store.migrate().await.unwrap();
        let clock = Arc::new(ManualClock::noon(today()));
        let entropy = Arc::new(SeededEntropy::new(1));
        let vault = Vault::from_keys(&SecretString::from(keys()), entropy.clone()).unwrap();
        let organization = OrganizationId::generate(&*clock, &*entropy);
        let leases = Arc::new(InprocLeases::new());
        let key = AuditKey::parse(&SecretString::from(STANDARD.encode([43; 32]))).unwrap();
        let (audit, _) = Audit::start(store.clone(), key, clock.clone());
        let service = CredentialService::new(
            store.clone(),
            vault,
            audit.clone(),
            leases,
            settings,
            clock.clone(),
            entropy,
        );
        let (caller, stop) = serve(&service);
        Self { simulator, store, clock, service, audit, caller, organization, _stop: stop }
    }

    /// With both data centres of the simulator.
    pub(crate) async fn with_both_regions() -> Self {
        let world = Self::new().await;
        let (us, eu) = (world.simulator.base_url(), world.simulator.eu_base_url());
        let settings = settings(&world.simulator, &us, &eu);
        world.served(settings)
    }

    /// The same record and vendor, served by a process with other settings.
    pub(crate) fn served(self, settings: Settings) -> Self {
        let service = replica(&self.store, Arc::new(InprocLeases::new()), settings, self.clock.clone(), 2);
        let (caller, stop) = serve(&service);
        Self { service, caller, _stop: stop, ..self }
    }

    /// Served by a process on the real clock: for what the vendor dates itself.
    pub(crate) fn in_real_time(self) -> Self {
        let url = self.simulator.base_url();
        let settings = settings(&self.simulator, &url, &url);
        let leases = Arc::new(InprocLeases::new());
        let service = replica(&self.store, leases, settings, Arc::new(SystemClock), 3);
        let (caller, stop) = serve(&service);
        Self { service, caller, _stop: stop, ..self }
    }

    /// Served by a process with another ring of keys.
    pub(crate) fn with_vault(self, vault: Vault) -> Self {
        let url = self.simulator.base_url();
        let settings = settings(&self.simulator, &url, &url);
        let (leases, entropy) = (Arc::new(InprocLeases::new()), Arc::new(SeededEntropy::new(4)));
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let audit = self.audit.clone();
        let service = CredentialService::new(store, vault, audit, leases, settings, clock, entropy);
        let (caller, stop) = serve(&service);
        Self { service, caller, _stop: stop, ..self }
    }

    pub(crate) fn without_application(self) -> Self {
        let url = self.simulator.base_url();
        let settings = Settings { oauth: None, ..settings(&self.simulator, &url, &url) };
        self.served(settings)
    }

    /// Moves our clock and the vendor's.
    pub(crate) fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
        self.simulator.advance(by.to_std().unwrap());
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The mail address of somebody who works in the workspace.
    pub(crate) fn admin(&self, domain: &str) -> String {
        let workspace = self.simulator.workspace(domain).unwrap();
        workspace.members.iter().find(|member| !member.disabled).unwrap().email.clone()
    }

    /// Begins a consent, for a new connection where there is no id.
    pub(crate) async fn begin(&self, id: &str) -> Result<BeginConsentResponse, Status> {
        let organization_id = if id.is_empty() { self.organization.to_string() } else { String::new() };
        let (connection_id, session) = (id.to_owned(), SESSION.to_owned());
        let request = BeginConsentRequest { organization_id, connection_id, session, ..Default::default() };
        Ok(self.caller.connections().begin_consent(request).await?.into_inner())
    }

    /// What the browser takes to the vendor.
    pub(crate) fn asked(&self, begun: &BeginConsentResponse) -> BTreeMap<String, String> {
        let url = Url::parse(&begun.authorize_url).unwrap();
        url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    /// What it brings back after somebody consented.
    pub(crate) fn answer(&self, begun: &BeginConsentResponse, domain: &str) -> CompleteConsentRequest {
        let asked = self.asked(begun);
        let consent = Consent {
            scopes: asked["scope"].split(' ').map(str::to_owned).collect(),
            code_challenge: Some(asked["code_challenge"].clone()),
            ..Consent::new(CLIENT, domain)
        };
        CompleteConsentRequest {
            session: SESSION.to_owned(),
            state: asked["state"].clone(),
            code: self.simulator.consent(&consent).unwrap(),
            error: String::new(),
            iss: self.simulator.base_url(),
        }
    }

    pub(crate) async fn completed(&self, answer: CompleteConsentRequest) -> Result<Connection, Status> {
        Ok(self.caller.connections().complete_consent(answer).await?.into_inner().connection.unwrap())
    }

    pub(crate) async fn complete(
        &self,
        begun: &BeginConsentResponse,
        domain: &str,
    ) -> Result<Connection, Status> {
        self.completed(self.answer(begun, domain)).await
    }

    /// A connection by consent.
    pub(crate) async fn consented(&self, domain: &str) -> Connection {
        let begun = self.begin("").await.unwrap();
        self.complete(&begun, domain).await.unwrap()
    }

    /// The present version of a connection's credential.
    pub(crate) async fn version(&self, id: &str, kind: CredentialKind) -> SealedCredential {
        let all = self.store.credentials_of(&id.parse().unwrap()).await.unwrap();
        all.into_iter().find(|version| version.kind == kind).unwrap()
    }

    pub(crate) async fn create(&self, key: &str) -> Result<Connection, Status> {
        self.create_in(Region::Us, key).await
    }

    pub(crate) async fn create_in(&self, region: Region, key: &str) -> Result<Connection, Status> {
        let request = CreateConnectionRequest {
            organization_id: self.organization.to_string(),
            region: region.into(),
            api_key: key.to_owned(),
            ..CreateConnectionRequest::default()
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

    /// As it is listed: without its credentials.
    pub(crate) async fn get(&self, id: &str) -> Result<Connection, Status> {
        Ok(Connection { credentials: Vec::new(), ..self.whole(id).await? })
    }

    pub(crate) async fn whole(&self, id: &str) -> Result<Connection, Status> {
        let request = GetConnectionRequest { connection_id: id.to_owned() };
        Ok(self.caller.connections().get_connection(request).await?.into_inner().connection.unwrap())
    }

    pub(crate) async fn reconnect(&self, id: &str, key: &str) -> Result<Connection, Status> {
        let request = ReconnectConnectionRequest {
            connection_id: id.to_owned(),
            api_key: key.to_owned(),
            auth_scheme: 0,
        };
        let response = self.caller.connections().reconnect_connection(request).await?;
        Ok(response.into_inner().connection.unwrap())
    }

    pub(crate) async fn token(&self, id: &str) -> Result<GetAccessTokenResponse, Status> {
        self.token_for(id, Capability::Unspecified).await
    }

    pub(crate) async fn token_for(
        &self,
        id: &str,
        wanted: Capability,
    ) -> Result<GetAccessTokenResponse, Status> {
        let request = GetAccessTokenRequest { connection_id: id.to_owned(), capability: wanted.into() };
        Ok(self.caller.credentials().get_access_token(request).await?.into_inner())
    }

    pub(crate) async fn report(&self, id: &str, generation: i64) -> Result<Verdict, Status> {
        let request = ReportRejectedRequest { connection_id: id.to_owned(), generation };
        Ok(self.caller.credentials().report_rejected(request).await?.into_inner().verdict())
    }

    pub(crate) async fn report_forbidden(
        &self,
        id: &str,
        generation: i64,
        wanted: Capability,
    ) -> Result<Availability, Status> {
        let (connection_id, capability) = (id.to_owned(), wanted.into());
        let request = ReportForbiddenRequest { connection_id, generation, capability };
        let answer = self.caller.credentials().report_forbidden(request).await?;
        Ok(answer.into_inner().finding.unwrap().availability())
    }

    pub(crate) async fn probe(&self, id: &str) -> Result<Connection, Status> {
        let request = ProbeConnectionRequest { connection_id: id.to_owned() };
        Ok(self.caller.connections().probe_connection(request).await?.into_inner().connection.unwrap())
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

/// A process on that record.
pub(crate) fn replica(
    store: &Store,
    leases: Arc<dyn Leases>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    seed: u64,
) -> CredentialService {
    let entropy = Arc::new(SeededEntropy::new(seed));
    let vault = Vault::from_keys(&SecretString::from(keys()), entropy.clone()).unwrap();
    let key = AuditKey::parse(&SecretString::from(STANDARD.encode([43; 32]))).unwrap();
    let (audit, _) = Audit::start(store.clone(), key, Arc::clone(&clock));
    CredentialService::new(store.clone(), vault, audit, leases, settings, clock, entropy)
}

/// The simulator's OAuth application, and the API at those addresses.
pub(crate) fn settings(simulator: &Simulator, us: &str, eu: &str) -> Settings {
    let application = Application {
        client_id: CLIENT.to_owned(),
        client_secret: SecretString::from(CLIENT_SECRET),
        authentication: ClientAuthentication::Post,
        redirect_url: REDIRECT.parse().unwrap(),
        us_host: simulator.base_url().parse().unwrap(),
        eu_host: simulator.eu_base_url().parse().unwrap(),
        scopes: SCOPES.split(' ').map(str::to_owned).collect(),
        assertion_key: Some(SecretString::from(ASSERTION_KEY)),
    };
    Settings {
        us_url: us.parse().unwrap(),
        eu_url: eu.parse().unwrap(),
        requests_per_second: 1000,
        probe_interval: Duration::from_secs(6 * 3600),
        oauth: Some(application),
    }
}

/// A token of that process.
pub(crate) async fn token_from(
    service: &CredentialService,
    id: &str,
) -> Result<GetAccessTokenResponse, Status> {
    let request = GetAccessTokenRequest { connection_id: id.to_owned(), capability: 0 };
    Ok(service.get_access_token(from_inside(request)).await?.into_inner())
}

/// Two workspaces, each with its key, without a rate limit.
pub(crate) async fn simulator() -> Simulator {
    let options = Options { requests_per_second: 0, ..Options::default() };
    let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    simulator.register_app(App {
        client_id: CLIENT.to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        redirect_uris: vec![REDIRECT.to_owned()],
        scopes: SCOPES.split(' ').map(str::to_owned).collect(),
        public_key_pem: Some(ASSERTION_PUBLIC_KEY.to_owned()),
    });
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

/// A request as it comes through the guard, from a caller that may see everything.
pub(crate) fn from_inside<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Identity::new("test", None));
    request
}

/// Everything a status tells.
pub(crate) fn told(status: &Status) -> String {
    format!("{status} {status:?} {}", String::from_utf8_lossy(status.details()))
}

/// The clock, moved.
pub(crate) fn now(world: &World) -> i64 {
    world.clock.now().timestamp()
}
