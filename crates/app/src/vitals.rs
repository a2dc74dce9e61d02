//! Looks after what a process stands on, every few seconds: for `/readyz`, and for the metrics that tell how much waits
//! and since when. Whoever asks the port gets what was found last.

mod certificates;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
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
    cause::Cause,
    node::{Ground, Roles},
    wiring::{self, BusChoice, LeasesChoice},
};

/// With the patience, whatever changes is known within ten seconds.
const EVERY: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(4);
/// Leases, expiries and due times are compared across processes.
const MOST_SKEW: TimeDelta = TimeDelta::seconds(5);
/// As the alarms have them.
const LATE_DUE: Duration = Duration::from_secs(180);
const LATE_READY: Duration = Duration::from_secs(900);
const LATE_ROLLUP: Duration = Duration::from_secs(900);

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
    let (known, stop) = (health.clone(), shutdown.clone());
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
    certificates: Vec<(&'static str, PathBuf)>,
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
        let certificates = certificates::shown(config);
        Ok(Self { store, clock, roles, broker, leases, health, certificates })
    }

    /// Looks until the shutdown, at each thing on its own: what is silent or slow hides nothing else.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let this = &self;
        tokio::join!(
            again(&shutdown, || this.record()),
            again(&shutdown, || this.backlogs()),
            again(&shutdown, || this.broker()),
            again(&shutdown, || this.leases()),
            certificates::watch(&this.certificates, &shutdown),
            again(&shutdown, || async {
                if this.roles.releases_secrets() {
                    this.audit();
                }
            }),
        );
    }

    /// A database that answers may still take no writes: then the process is of no use.
    async fn record(&self) {
        let asked = Instant::now();
        let before = self.clock.now();
        let look = async {
            self.store.try_write(before).await?;
            self.store.clock().await
        };
        let found = match timeout(PATIENCE, look).await {
            Err(_) => Err(self.without_answer(&silent())),
            Ok(Err(error)) => Err(self.without_answer(&told(&chain(&error), "PostgreSQL", "database"))),
            Ok(Ok(theirs)) => {
                self.compare(theirs, before);
                Ok("it answers and takes writes".to_owned())
            }
        };
        metrics::record::answered(found.is_ok().then(|| asked.elapsed()));
        let pool = self.store.pool();
        metrics::record::pool(pool.used, pool.idle, pool.most);
        self.note("database", true, found);
    }

    /// Who cannot even ask says so of itself, not of the database.
    fn without_answer(&self, otherwise: &str) -> String {
        let pool = self.store.pool();
        if pool.used < pool.most {
            return otherwise.to_owned();
        }
        format!(
            "no connection is left: all {} of this process are in use (database.max_connections), or hang ({otherwise})",
            pool.most
        )
    }

    /// Our clock against the database's, which was read just now.
    fn compare(&self, theirs: DateTime<Utc>, before: DateTime<Utc>) {
        let after = self.clock.now();
        // Anything between the two moments is right.
        let skew = (theirs - after).max(before - theirs).max(TimeDelta::zero());
        metrics::record::clock(skew.to_std().unwrap_or_default());
        let detail = format!("{} s apart from the database's", skew.num_seconds());
        let found = if skew <= MOST_SKEW {
            Ok(detail)
        } else {
            Err(format!("{detail}: synchronize both machines; leases and due times are compared across them"))
        };
        self.note("clock", false, found);
    }

    async fn backlogs(&self) {
        if let Err(error) = self.counts().await {
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
            metrics::credentials::feed(age(now, store.unnumbered_events().await?.oldest));
            metrics::credentials::mails(age(now, store.overdue_mails(now).await?.oldest));
        }
        if self.roles.syncs() {
            let open = store.open_runs().await?;
            for waits in WaitsFor::ALL {
                let Backlog { count, oldest } = open.get(&waits).copied().unwrap_or_default();
                metrics::sync::open(waits.as_str(), count, age(now, oldest));
            }
            let (ready, forgotten) = (store.ready_runs().await?, store.forgotten_runs(now).await?);
            let (ready, due) = (age(now, ready.oldest), age(now, forgotten.oldest));
            metrics::sync::waiting(ready, due);
            self.note(
                "syncs",
                false,
                late(&[("without a worker", ready, LATE_READY), ("due", due, LATE_DUE)]),
            );
        }
        if self.roles.aggregates() {
            let behind = store.rollups_behind().await?;
            let since = age(now, behind.oldest);
            metrics::utilization::behind(behind.count, since);
            self.note("numbers", false, late(&[("behind a sync", since, LATE_ROLLUP)]));
        }
        Ok(())
    }

    /// Answering and taking messages are two things: its alarms block whoever publishes, and nobody else.
    async fn broker(&self) {
        let Some(sounder) = &self.broker else {
            metrics::bus::up(true);
            return self.note("broker", false, Ok("in this process".to_owned()));
        };
        let (depths, blocked) =
            tokio::join!(timeout(PATIENCE, sounder.depths()), timeout(PATIENCE, sounder.blocked()));
        let depths = match depths {
            Err(_) => Err(silent()),
            Ok(Err(error)) => Err(told(&chain(&error), "RabbitMQ", "bus")),
            Ok(Ok(depths)) => Ok(depths),
        };
        metrics::bus::up(depths.is_ok());
        let blocked = match blocked {
            Err(_) => Err("it answers, but confirms no message".to_owned()),
            Ok(Err(error)) => Err(told(&chain(&error), "RabbitMQ", "bus")),
            Ok(Ok(why)) => {
                metrics::bus::blocked(why.is_some());
                why.map_or(Ok(()), |why| Err(format!("it runs, but takes no messages: it is {why}")))
            }
        };
        let found = depths.and_then(|depths| {
            for depth in &depths {
                metrics::bus::depth(depth.queue, depth.messages, depth.consumers);
                metrics::bus::dead(depth.queue, depth.dead);
            }
            let queues = depths.iter().filter(|depth| depth.exists).count();
            blocked.map(|()| format!("{queues} queues"))
        });
        self.note("broker", false, found);
    }

    async fn leases(&self) {
        let found = match &self.leases {
            None => Ok("in this process".to_owned()),
            Some(leases) => match timeout(PATIENCE, leases.check()).await {
                Err(_) => Err(silent()),
                Ok(Err(error)) => Err(told(&chain(&error), "Redis", "leases")),
                Ok(Ok(version)) => Ok(format!("Redis {version} takes writes")),
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
pub(crate) async fn of_console(config: &Config, health: &Health, shutdown: &Shutdown) {
    let certificates = certificates::shown(config);
    tokio::join!(certificates::watch(&certificates, shutdown), console(health, shutdown));
}

async fn console(health: &Health, shutdown: &Shutdown) {
    loop {
        let detail = "it serves; the services answer for themselves".to_owned();
        health.note("console", Condition { healthy: true, essential: true, detail });
        if !shutdown.pause(EVERY).await {
            return;
        }
    }
}

async fn again<F: Future<Output = ()>>(shutdown: &Shutdown, look: impl Fn() -> F) {
    loop {
        look().await;
        if !shutdown.pause(EVERY).await {
            return;
        }
    }
}

fn silent() -> String {
    format!("no answer within {} s", PATIENCE.as_secs())
}

/// An error in a sentence with its remedy, where its cause is known.
fn told(error: &str, name: &str, section: &str) -> String {
    match Cause::of(error) {
        Some(cause) => format!("{}; {} ({error})", cause.sentence(), cause.remedy(name, section)),
        None => error.to_owned(),
    }
}

/// Whether something has waited for longer than it may.
fn late(waits: &[(&str, Duration, Duration)]) -> std::result::Result<String, String> {
    let late: Vec<_> = waits
        .iter()
        .filter(|(_, age, most)| age > most)
        .map(|(what, age, _)| format!("one is {what} for {} s", age.as_secs()))
        .collect();
    if late.is_empty() { Ok("none is late".to_owned()) } else { Err(late.join("; ")) }
}

fn age(now: DateTime<Utc>, since: Option<DateTime<Utc>>) -> Duration {
    since.and_then(|since| (now - since).to_std().ok()).unwrap_or_default()
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests;
