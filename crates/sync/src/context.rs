//! What every part of the service works with: the ports, the settings, time and randomness. Also the one place that
//! puts a `sync.run` command into the outbox.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tidemark_domain::{
    Clock, Entropy,
    command::SyncRun,
    id::{ConnectionId, RunId},
};
use tidemark_ports::{Bus, Leases};
use tidemark_rpc::client::Caller;
use tidemark_store::{Store, Tx};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{Ports, Settings, budgets::Budgets, regions::Regions, transports::Transports};

/// No time that is kept lies further ahead: the longest cadence and some more.
const FURTHEST: Duration = Duration::from_secs(500 * 86_400);

/// Of the vendor's documents, so many KiB of text wait in this process to be written; one page may have more.
pub(crate) const DOCUMENTS_KIB: u32 = 4 * 1024;

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) store: Store,
    pub(crate) credentials: Caller,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) leases: Arc<dyn Leases>,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) budgets: Budgets,
    pub(crate) transports: Transports,
    pub(crate) regions: Arc<Regions>,
    /// Fires when the service stops: calls without an end of their own end then.
    pub(crate) stopping: CancellationToken,
    /// The room for documents that wait to be written, in KiB.
    pub(crate) documents: Arc<Semaphore>,
    /// This process, for whoever wonders who holds a workspace.
    pub(crate) holder: String,
}

impl Context {
    pub(crate) fn new(
        store: Store,
        credentials: Caller,
        ports: Ports,
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let budgets = Budgets::new(ports.rate_limits, settings.requests_per_second);
        let holder = format!("worker-{:016x}", random(&*entropy));
        Self {
            store,
            credentials,
            regions: Arc::new(Regions::new(settings.concurrency)),
            bus: ports.bus,
            leases: ports.leases,
            settings,
            clock,
            entropy,
            budgets,
            transports: Transports::default(),
            stopping: CancellationToken::new(),
            documents: Arc::new(Semaphore::new(DOCUMENTS_KIB as usize)),
            holder,
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// When a run is looked for again, should its message or its worker get lost: not before the lease of a worker
    /// that died has run out. With the sweep on top this stays under a minute.
    pub(crate) fn rescue_at(&self) -> DateTime<Utc> {
        let ttl = self.settings.lease_ttl;
        self.after(ttl.saturating_add(ttl / 2))
    }

    /// So long after now. What is further away than any of our times is cut.
    pub(crate) fn after(&self, pause: Duration) -> DateTime<Utc> {
        let pause = TimeDelta::from_std(pause.min(FURTHEST)).unwrap_or_default();
        self.now().checked_add_signed(pause).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// A random part of `most`.
    pub(crate) fn jitter(&self, most: Duration) -> Duration {
        let share = random(&*self.entropy) >> 32;
        most.min(FURTHEST).mul_f64(share as f64 / f64::from(u32::MAX))
    }

    /// Lets a worker take the run, and wakes one up, with the transaction.
    pub(crate) async fn send_off(
        &self,
        tx: &Tx,
        run: &RunId,
        connection: &ConnectionId,
    ) -> tidemark_store::Result<()> {
        tx.make_ready(run, self.now()).await?;
        let command = SyncRun { run_id: run.clone(), connection_id: connection.clone() };
        let body = serde_json::to_vec(&command).expect("a command has string keys only");
        // Each sending is a message of its own: a run is sent off many times.
        let message_id = format!("cmd_{:016x}{:016x}", random(&*self.entropy), random(&*self.entropy));
        tx.command(&message_id, connection.as_str(), SyncRun::NAME, body, self.now()).await
    }
}

fn random(entropy: &dyn Entropy) -> u64 {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    u64::from_be_bytes(bytes)
}
