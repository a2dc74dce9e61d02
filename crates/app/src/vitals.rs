//! Looks after what a process stands on, every few seconds: for `/readyz`, and for the metrics that tell how much waits
//! and since when. Whoever asks the port gets what was found last.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use tidemark_bus_amqp::Sounder;
use tidemark_domain::{Clock, connection::State};
use tidemark_leases_redis::RedisLeases;
use tidemark_runtime::{
    Config, Shutdown,
    metrics::{self, Condition, Health},
};
use tidemark_store::{Backlog, Store, WaitsFor};
use tokio::{net::TcpListener, task::JoinSet, time::timeout};

use crate::{
    node::{Ground, Roles},
    wiring::{self, BusChoice, LeasesChoice},
};

const EVERY: Duration = Duration::from_secs(5);
/// A server that is silent must not keep the others from being looked at.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the port for whoever watches, where there is one.
pub(crate) async fn open_port(
    config: &Config,
    shutdown: &Shutdown,
    tasks: &mut JoinSet<Result<()>>,
) -> Result<Option<Health>> {
    let Some(address) = config.metrics_listen else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot serve metrics at {address} (metrics.listen)"))?;
    let mut registry = metrics::registry();
    tidemark_rpc::metrics::register(&mut registry);
    tidemark_productboard::metrics::register(&mut registry);
    let health = Health::default();
    let (known, stop) = (health.clone(), shutdown.soft().clone());
    tasks.spawn(async move {
        metrics::serve(listener, registry, known, stop).await.context("the port of metrics failed")
    });
    tracing::info!(%address, "serving metrics");
    Ok(Some(health))
}

/// What is looked at.
pub(crate) struct Vitals {
    store: Store,
    clock: Arc<dyn Clock>,
    roles: Roles,
    broker: Option<Sounder>,
    leases: Option<Box<RedisLeases>>,
    health: Health,
}

impl Vitals {
    /// Over adapters of its own: a publisher that is stuck must not hide that the broker answers.
    pub(crate) fn new(config: &Config, ground: &Ground, roles: Roles, health: Health) -> Result<Self> {
        let broker = match wiring::bus(config)? {
            BusChoice::Amqp(bus) => Some(bus.sounder()),
            BusChoice::Inproc(_) => None,
        };
        let leases = match wiring::leases(config)? {
            LeasesChoice::Redis(leases) => Some(leases),
            LeasesChoice::Inproc(_) => None,
        };
        let (store, clock) = (ground.store.clone(), Arc::clone(&ground.clock));
        Ok(Self { store, clock, roles, broker, leases, health })
    }

    /// Looks until the shutdown.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        loop {
            tokio::join!(self.record(), self.broker(), self.leases());
            if self.roles.releases_secrets() {
                self.audit();
            }
            if !shutdown.pause(EVERY).await {
                return;
            }
        }
    }

    async fn record(&self) {
        let asked = Instant::now();
        // Apart from the counts: one that is slow must not make the process unready.
        let found = match timeout(PATIENCE, self.store.clock()).await {
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
            Ok(Err(error)) => Err(chain(&error)),
            Ok(Ok(_)) => Ok("it answers".to_owned()),
        };
        metrics::record::answered(found.is_ok().then(|| asked.elapsed()));
        let pool = self.store.pool();
        metrics::record::pool(pool.used, pool.idle, pool.most);
        let answers = found.is_ok();
        self.note("database", true, found);
        if answers && let Err(error) = self.counts().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "what waits could not be counted");
        }
    }

    async fn counts(&self) -> tidemark_store::Result<()> {
        let (store, now) = (&self.store, self.clock.now());
        let unsent = store.unsent().await?;
        metrics::bus::unsent(unsent.count, age(now, unsent.oldest));
        metrics::bus::set_aside(store.dead_outgoing().await?.count);
        if self.roles.releases_secrets() {
            let known = store.connections_by_state().await?;
            for state in State::ALL {
                let number = known.get(state.as_str()).copied().unwrap_or_default();
                metrics::credentials::connections(state.as_str(), number);
            }
            let overdue = store.overdue(now).await?;
            metrics::credentials::overdue(
                overdue.in_doubt,
                age(now, overdue.refresh),
                age(now, overdue.probe),
            );
            let webhooks = store.pending_webhooks(now).await?;
            metrics::credentials::webhooks(webhooks.count, age(now, webhooks.oldest));
        }
        if self.roles.syncs() {
            let open = store.open_runs().await?;
            for waits in WaitsFor::ALL {
                let Backlog { count, oldest } = open.get(&waits).copied().unwrap_or_default();
                metrics::sync::open(waits.as_str(), count, age(now, oldest));
            }
            let (ready, forgotten) = (store.ready_runs().await?, store.forgotten_runs(now).await?);
            metrics::sync::waiting(age(now, ready.oldest), age(now, forgotten.oldest));
        }
        if self.roles.aggregates() {
            let behind = store.rollups_behind().await?;
            metrics::utilization::behind(behind.count, age(now, behind.oldest));
        }
        Ok(())
    }

    async fn broker(&self) {
        let found = match &self.broker {
            None => Ok("in this process".to_owned()),
            Some(sounder) => match timeout(PATIENCE, sounder.depths()).await {
                Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
                Ok(Err(error)) => Err(chain(&error)),
                Ok(Ok(depths)) => {
                    for depth in &depths {
                        metrics::bus::depth(depth.queue, depth.messages, depth.consumers);
                        metrics::bus::dead(depth.queue, depth.dead);
                    }
                    Ok(format!("{} queues", depths.iter().filter(|depth| depth.exists).count()))
                }
            },
        };
        metrics::bus::up(found.is_ok());
        self.note("broker", false, found);
    }

    async fn leases(&self) {
        let found = match &self.leases {
            None => Ok("in this process".to_owned()),
            Some(leases) => match timeout(PATIENCE, leases.check()).await {
                Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
                Ok(Err(error)) => Err(chain(&error)),
                Ok(Ok(version)) => Ok(format!("Redis {version}")),
            },
        };
        metrics::leases::up(found.is_ok());
        self.note("leases", false, found);
    }

    fn audit(&self) {
        let found = if metrics::credentials::audit_is_healthy() {
            Ok("it takes entries".to_owned())
        } else {
            Err("it does not take entries: no secret is released".to_owned())
        };
        self.note("audit log", true, found);
    }

    fn note(&self, subject: &'static str, essential: bool, found: std::result::Result<String, String>) {
        let healthy = found.is_ok();
        let detail = found.unwrap_or_else(|problem| problem);
        self.health.note(subject, Condition { healthy, essential, detail });
    }
}

/// A console stands on nothing that it could look at: what the services answer, it shows to whoever asks.
pub(crate) async fn of_console(health: &Health, shutdown: &Shutdown) {
    loop {
        let detail = "it serves; the services answer for themselves".to_owned();
        health.note("console", Condition { healthy: true, essential: true, detail });
        if !shutdown.pause(EVERY).await {
            return;
        }
    }
}

fn age(now: DateTime<Utc>, since: Option<DateTime<Utc>>) -> Duration {
    since.and_then(|since| (now - since).to_std().ok()).unwrap_or_default()
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
