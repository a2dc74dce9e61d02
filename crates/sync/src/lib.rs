#![doc = include_str!("../README.md")]

mod attempt;
mod budgets;
mod choices;
mod closing;
mod connections;
mod context;
mod credentials;
mod decision;
mod engine;
mod hold;
mod regions;
mod scheduler;
mod service;
mod start;
mod sweeper;
mod transports;
mod worker;

use std::{sync::Arc, time::Duration};

use tidemark_domain::{Clock, Entropy};
use tidemark_ports::{Bus, Leases, RateLimits};
use tidemark_rpc::{
    client::Caller,
    server::{RECEIVE_LIMIT, SEND_LIMIT},
    syncs::syncs_service_server::SyncsServiceServer,
};
use tidemark_runtime::{Shutdown, tasks::supervise};
use tidemark_store::Store;

use context::Context;

/// How the service works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Workspaces synced at once by this process.
    pub concurrency: u32,
    /// How long one delivery works before it makes room for others.
    pub delivery_budget: Duration,
    /// How long a worker that died without a word still holds its workspace.
    pub lease_ttl: Duration,
    /// How often runs without a message are looked for.
    pub sweep: Duration,
    /// How many days of activity are wanted, ending yesterday.
    pub history_days: u32,
    /// How many of the newest days are fetched again by each run, since they may still change.
    pub trailing_days: u32,
    /// How often a connection is synced that has no cadence of its own; nothing is never, for all connections.
    pub sync_every: Option<Duration>,
    /// What the vendor allows per token.
    pub requests_per_second: u32,
    /// After how many days entities and notes are listed as a whole again, to find what is gone.
    pub full_sweep_days: u32,
}

/// What the service shares with other processes, beside the database.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Wakes workers up.
    pub bus: Arc<dyn Bus>,
    /// Keeps workers of one workspace apart.
    pub leases: Arc<dyn Leases>,
    /// Keeps the pace of each workspace.
    pub rate_limits: Arc<dyn RateLimits>,
}

/// The sync service: its gRPC side and its worker side. Clones are the same service.
#[derive(Debug, Clone)]
pub struct SyncService {
    context: Arc<Context>,
}

impl SyncService {
    /// The service over these adapters. Does nothing until it is served or run.
    pub fn new(
        store: Store,
        credentials: Caller,
        ports: Ports,
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let context = Context::new(store, credentials, ports, settings, clock, entropy);
        Self { context: Arc::new(context) }
    }

    /// The gRPC service.
    pub fn server(&self) -> SyncsServiceServer<Self> {
        SyncsServiceServer::new(self.clone())
            .max_decoding_message_size(RECEIVE_LIMIT)
            .max_encoding_message_size(SEND_LIMIT)
    }

    /// Works until the shutdown: runs, connection events, lost work. Returns once the work in hand has reached a
    /// checkpoint, and at the latest when the hard stop fires.
    pub async fn run(&self, shutdown: Shutdown) {
        let stopping = self.context.stopping.clone();
        let soft = shutdown.soft().clone();
        let announced = async move {
            soft.cancelled().await;
            stopping.cancel();
        };
        let work = async {
            tokio::join!(
                supervise("sync.worker", &shutdown, || worker::consume(&self.context, &shutdown)),
                supervise("sync.connections", &shutdown, || connections::consume(&self.context, &shutdown)),
                supervise("sync.sweeper", &shutdown, || sweeper::sweep(&self.context, &shutdown)),
                announced,
            )
        };
        Box::pin(shutdown.hard().run_until_cancelled(work)).await;
    }
}
