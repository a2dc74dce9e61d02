//! A record, the service over it, and events.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use tidemark_credentials::{
    CredentialService, Settings, SubscriptionService, SubscriptionSettings, Vault,
    audit::{Audit, AuditKey},
};
use tidemark_domain::{
    Clock, Entropy,
    connection::{Region, Standing},
    event::{Data, Event, Reconnected, SyncFailed},
    id::{ConnectionId, OrganizationId, RunId},
};
use tidemark_inproc::InprocLeases;
use tidemark_rpc::{
    connections::{
        CreateWebhookEndpointRequest, CreateWebhookEndpointResponse, GetWebhookEndpointRequest,
        ListWebhookDeliveriesRequest, WebhookDelivery, WebhookEndpoint,
        webhooks_service_server::WebhooksService,
    },
    identity::Identity,
};
use tidemark_runtime::Shutdown;
use tidemark_store::{Connection, Store};
use tidemark_testkit::{ManualClock, SeededEntropy, TestDatabase, open_store};
use tonic::{Request, Status};

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) entropy: Arc<SeededEntropy>,
    pub(crate) service: SubscriptionService,
    pub(crate) shutdown: Shutdown,
    pub(crate) database: TestDatabase,
}

/// A caller that sees everything.
pub(crate) fn platform() -> Identity {
    Identity::new("the-platform", None)
}

/// A caller that sees one organization.
pub(crate) fn limited(organization: &OrganizationId) -> Identity {
    Identity::new("a-customers", Some([organization.clone()].into()))
}

pub(crate) fn by<T>(caller: &Identity, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(caller.clone());
    request
}

pub(crate) fn keys() -> String {
    format!("k1:{}", STANDARD.encode([42; 32]))
}

fn trusting(hosts: &[&str]) -> SubscriptionSettings {
    SubscriptionSettings {
        poll: Duration::from_millis(10),
        heartbeat: Duration::from_millis(300),
        ..SubscriptionSettings::new(hosts.iter().map(|host| host.parse().unwrap()).collect())
    }
}

impl World {
    /// With a service that trusts this machine, and runs.
    pub(crate) async fn new() -> Self {
        Self::on(TestDatabase::sqlite_memory().await).await
    }

    pub(crate) async fn on(database: TestDatabase) -> Self {
        let clock = Arc::new(ManualClock::noon("2026-08-12".parse().unwrap()));
        let entropy = Arc::new(SeededEntropy::new(1));
        let shutdown = Shutdown::new();
        let store = database.store();
        let service = service(store.clone(), &clock, &entropy, trusting(&["127.0.0.1"]), &shutdown);
        run(&service);
        Self { store, clock, entropy, service, shutdown, database }
    }

    /// Another process on the same record, which runs.
    pub(crate) async fn replica(&self) -> SubscriptionService {
        let store = open_store(&self.database.url()).await;
        let entropy = Arc::new(SeededEntropy::new(2));
        let service = service(store, &self.clock, &entropy, trusting(&["127.0.0.1"]), &self.shutdown);
        run(&service);
        service
    }

    /// Another process on the same record, which trusts nobody, and runs when told.
    pub(crate) fn distrusting(&self) -> (SubscriptionService, Shutdown) {
        let shutdown = Shutdown::new();
        let service = service(self.store.clone(), &self.clock, &self.entropy, trusting(&[]), &shutdown);
        (service, shutdown)
    }

    pub(crate) fn organization(&self) -> OrganizationId {
        OrganizationId::generate(&*self.clock, &*self.entropy)
    }

    /// A connection of that organization.
    pub(crate) async fn connection(&self, organization: &OrganizationId) -> ConnectionId {
        let now = self.clock.now();
        let id = ConnectionId::generate(&*self.clock, &*self.entropy);
        let connection = Connection {
            generation: 1,
            ..Connection::begun(id, organization.clone(), Region::Us, now).standing_as(Standing::connected())
        };
        let tx = self.store.begin().await.unwrap();
        tx.insert_connection(&connection).await.unwrap();
        tx.commit().await.unwrap();
        connection.id
    }

    /// An organization with a connection.
    pub(crate) async fn customer(&self) -> (OrganizationId, ConnectionId) {
        let organization = self.organization();
        let connection = self.connection(&organization).await;
        (organization, connection)
    }

    /// `connection.reconnected` happens; the number tells one from the other.
    pub(crate) async fn happens(&self, connection: &ConnectionId, number: i64) -> Event {
        let organization_id = self.organization();
        self.emit(connection, Data::Reconnected(Reconnected { organization_id, generation: number })).await
    }

    /// `sync.failed` happens.
    pub(crate) async fn sync_fails(&self, connection: &ConnectionId) -> Event {
        let run_id = RunId::generate(&*self.clock, &*self.entropy);
        self.emit(connection, Data::SyncFailed(SyncFailed { run_id, reason: "it rained".to_owned() })).await
    }

    async fn emit(&self, connection: &ConnectionId, data: Data) -> Event {
        let event = Event::new(&*self.clock, &*self.entropy, connection.clone(), data);
        let tx = self.store.begin().await.unwrap();
        tx.emit(&event).await.unwrap();
        tx.commit().await.unwrap();
        event
    }

    pub(crate) async fn create(
        &self,
        organization: &str,
        url: &str,
        types: &[&str],
    ) -> Result<CreateWebhookEndpointResponse, Status> {
        let request = CreateWebhookEndpointRequest {
            organization_id: organization.to_owned(),
            url: url.to_owned(),
            event_types: types.iter().map(|kind| (*kind).to_owned()).collect(),
        };
        let response = self.service.create_webhook_endpoint(by(&platform(), request)).await?;
        Ok(response.into_inner())
    }

    /// An endpoint for everything; gives its id and its secret.
    pub(crate) async fn endpoint(&self, url: &str) -> (String, String) {
        let created = self.create("", url, &[]).await.unwrap();
        (created.endpoint.unwrap().id, created.secret)
    }

    pub(crate) async fn get(&self, id: &str) -> WebhookEndpoint {
        let request = by(&platform(), GetWebhookEndpointRequest { endpoint_id: id.to_owned() });
        self.service.get_webhook_endpoint(request).await.unwrap().into_inner().endpoint.unwrap()
    }

    /// What the endpoint's log says, newest first.
    pub(crate) async fn log(&self, endpoint: &str) -> Vec<WebhookDelivery> {
        let request = ListWebhookDeliveriesRequest { endpoint_id: endpoint.to_owned(), ..Default::default() };
        let response = self.service.list_webhook_deliveries(by(&platform(), request)).await.unwrap();
        response.into_inner().deliveries
    }

    /// Waits until the endpoint's log is as it should be.
    pub(crate) async fn wait_for_log(
        &self,
        endpoint: &str,
        wanted: impl Fn(&[WebhookDelivery]) -> bool,
    ) -> Vec<WebhookDelivery> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let log = self.log(endpoint).await;
            if wanted(&log) {
                return log;
            }
            assert!(tokio::time::Instant::now() < deadline, "the log stays {log:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn service(
    store: Store,
    clock: &Arc<ManualClock>,
    entropy: &Arc<SeededEntropy>,
    settings: SubscriptionSettings,
    shutdown: &Shutdown,
) -> SubscriptionService {
    let entropy: Arc<dyn Entropy> = entropy.clone();
    let vault = Vault::from_keys(&SecretString::from(keys()), Arc::clone(&entropy)).unwrap();
    let nowhere = "http://127.0.0.1:9/";
    let vendor = Settings {
        us_url: nowhere.parse().unwrap(),
        eu_url: nowhere.parse().unwrap(),
        requests_per_second: 1,
        probe_interval: Duration::from_secs(3600),
        oauth: None,
    };
    let leases = Arc::new(InprocLeases::new());
    let key = AuditKey::parse(&SecretString::from(STANDARD.encode([43; 32]))).unwrap();
    let (audit, _) = Audit::start(store.clone(), key, clock.clone());
    let credentials = CredentialService::new(store, vault, audit, leases, vendor, clock.clone(), entropy);
    SubscriptionService::new(&credentials, settings, shutdown.clone())
}

pub(crate) fn run(service: &SubscriptionService) -> tokio::task::JoinHandle<()> {
    let service = service.clone();
    tokio::spawn(async move { service.run().await })
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.stop();
    }
}
