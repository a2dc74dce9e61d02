//! Who hears of events without the broker: watchers over gRPC, and webhooks.
//!
//! Both read the feed. One loop gives events their positions and, in the same transaction, makes a delivery for every
//! endpoint that wants the event: exactly one, however many replicas run.

mod attempt;
mod dispatcher;
mod endpoints;
mod feeder;
mod handlers;
mod history;
mod sender;
mod shown;
mod signature;
mod target;
mod watch;

use std::{fmt, sync::Arc, time::Duration};

use tidemark_domain::webhook::TrustedHost;
use tidemark_rpc::{
    connections::{
        events_service_server::EventsServiceServer, webhooks_service_server::WebhooksServiceServer,
    },
    server::{RECEIVE_LIMIT, SEND_LIMIT},
};
use tidemark_runtime::Shutdown;
use tokio::sync::watch as channel;

use crate::{CredentialService, service::Parts};
use sender::Outlets;

/// How events are told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Hosts that webhooks may be sent to although they have a private address or no TLS.
    pub trusted_hosts: Vec<TrustedHost>,
    /// How often new events and due deliveries are looked for.
    pub poll: Duration,
    /// After how long without an event a stream says that it lives.
    pub heartbeat: Duration,
}

impl Settings {
    /// The usual settings.
    pub fn new(trusted_hosts: Vec<TrustedHost>) -> Self {
        Self { trusted_hosts, poll: Duration::from_millis(200), heartbeat: Duration::from_secs(10) }
    }
}

/// Tells watchers and webhooks of events. Cheap to clone.
#[derive(Clone)]
pub struct SubscriptionService(Arc<Shared>);

struct Shared {
    credentials: CredentialService,
    settings: Settings,
    outlets: Outlets,
    /// The last position that may be read; streams wait for it to move.
    head: channel::Sender<i64>,
    shutdown: Shutdown,
}

impl SubscriptionService {
    /// The service beside the credential service, whose record and vault it uses. Does nothing until it is served or run;
    /// its streams end when the shutdown is asked for.
    pub fn new(credentials: &CredentialService, settings: Settings, shutdown: Shutdown) -> Self {
        Self(Arc::new(Shared {
            credentials: credentials.clone(),
            outlets: Outlets::new(&settings.trusted_hosts),
            settings,
            head: channel::Sender::new(0),
            shutdown,
        }))
    }

    /// The server of the events service. Whoever serves it puts a guard in front.
    pub fn events_server(&self) -> EventsServiceServer<Self> {
        EventsServiceServer::new(self.clone())
            .max_decoding_message_size(RECEIVE_LIMIT)
            .max_encoding_message_size(SEND_LIMIT)
    }

    /// The server of the webhooks service. Whoever serves it puts a guard in front.
    pub fn webhooks_server(&self) -> WebhooksServiceServer<Self> {
        WebhooksServiceServer::new(self.clone())
            .max_decoding_message_size(RECEIVE_LIMIT)
            .max_encoding_message_size(SEND_LIMIT)
    }

    /// Works until the shutdown: gives events their positions, sends webhooks. Attempts in hand are
    /// brought to their end.
    pub async fn run(&self) {
        let work = async { tokio::join!(feeder::feed(&self.0), dispatcher::dispatch(Arc::clone(&self.0))) };
        self.0.shutdown.hard().run_until_cancelled(work).await;
    }
}

impl Shared {
    fn parts(&self) -> &Parts {
        self.credentials.parts()
    }
}

impl fmt::Debug for SubscriptionService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionService").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}
