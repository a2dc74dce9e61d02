//! Checks what a process needs, every few seconds: for `/readyz`, and for the metrics that say how much waits and since when.
//! A request at the port gets what was found last.
//!
//! Unready is a process that cannot do its work: its database takes no writes, or its audit log no entries. Everything else
//! only degrades it: others can do the work, or it is done as soon as the fault ends.

mod certificates;
mod waiting;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use tidemark_bus_amqp::Sounder;
use tidemark_domain::Clock;
use tidemark_leases_redis::RedisLeases;
use tidemark_runtime::{
    Config, Shutdown,
    config::Database,
    metrics::{self, Condition, Health},
    tasks,
};
use tidemark_store::Store;
use tokio::{net::TcpListener, task::JoinSet, time::timeout};

use crate::{
    cause::{chain, explain, explain_database, is_file},
    roles::Roles,
    wiring::{self, BusChoice, LeasesChoice},
};
pub(crate) use waiting::SHORT_PAUSE;

/// With the patience, whatever changes is known within ten seconds.
const EVERY: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(4);
/// An outage that this process met is over when it has met none for so long.
const SETTLED: Duration = Duration::from_secs(15);
/// Leases, expiries and due times are compared across processes.
const MOST_SKEW: TimeDelta = TimeDelta::seconds(5);
/// What is well, or what is wrong.
type Found = std::result::Result<String, String>;

/// Opens the port of metrics and health, where there is one.
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

/// What is checked.
pub(crate) struct Checks {
    store: Store,
    database: Database,
    clock: Arc<dyn Clock>,
    roles: Roles,
    broker: Option<Sounder>,
    leases: Option<Box<RedisLeases>>,
    health: Health,
    certificates: Vec<(&'static str, PathBuf)>,
}

impl Checks {
    /// Over adapters of its own: a publisher that is stuck must not hide that the broker answers.
    pub(crate) fn new(
        config: &Config,
        store: Store,
        clock: Arc<dyn Clock>,
        roles: Roles,
        health: Health,
    ) -> Result<Self> {
        let broker = match wiring::bus(config)? {
            BusChoice::Amqp(bus) => Some(bus.sounder()),
            BusChoice::Inproc(_) => None,
        };
        let leases = match wiring::leases(config)? {
            LeasesChoice::Redis(leases) => Some(leases),
            LeasesChoice::Inproc(_) => None,
        };
        let (database, certificates) = (config.database.clone(), certificates::shown(config));
        Ok(Self { store, database, clock, roles, broker, leases, health, certificates })
    }

    /// Checks until the shutdown, each thing on its own: what is silent or slow hides nothing else.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let this = &self;
        tokio::join!(
            again(&shutdown, || this.record()),
            again(&shutdown, || this.waiting()),
            again(&shutdown, || this.broker()),
            again(&shutdown, || this.leases()),
            certificates::watch(&this.certificates, &shutdown),
            again(&shutdown, || async {
                this.tasks();
                if this.roles.credentials {
                    this.audit();
                }
            }),
        );
    }

    /// A database that answers may still take no writes: then the process is of no use.
    async fn record(&self) {
        let asked = Instant::now();
        let before = self.clock.now();
        let check = async {
            self.store.try_write(before).await?;
            self.store.clock().await
        };
        let found = match timeout(PATIENCE, check).await {
            Err(_) => Err(self.without_answer()),
            Ok(Err(error)) => Err(explain_database(&self.database, &error)),
            Ok(Ok(theirs)) => {
                self.compare(theirs, before);
                self.outage().map_or_else(|| Ok("it answers and takes writes".to_owned()), Err)
            }
        };
        metrics::record::answered(found.is_ok().then(|| asked.elapsed()));
        let pool = self.store.pool();
        metrics::record::pool(pool.used, pool.idle, pool.most);
        self.note("database", true, found);
    }

    /// A SQLite file on a full disk may have room for a small write, and none for what the services have to write.
    fn outage(&self) -> Option<String> {
        let since = Instant::now().checked_sub(SETTLED).filter(|_| is_file(&self.database))?;
        tidemark_store::outage_since(since).map(|outage| outage.to_string())
    }

    /// A process that cannot even ask says so of itself, not of the database.
    fn without_answer(&self) -> String {
        let pool = self.store.pool();
        if pool.used < pool.most {
            return silent();
        }
        format!(
            "no connection is left: all {} of this process are in use (database.max_connections), or hang ({})",
            pool.most,
            silent()
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

    /// Answering and taking messages are two things: its alarms block those who publish, and nobody else.
    async fn broker(&self) {
        let Some(sounder) = &self.broker else {
            metrics::bus::up(true);
            return self.note("broker", false, Ok("in this process".to_owned()));
        };
        let (depths, blocked) =
            tokio::join!(timeout(PATIENCE, sounder.depths()), timeout(PATIENCE, sounder.blocked()));
        let depths = match depths {
            Err(_) => Err(silent()),
            Ok(Err(error)) => Err(explain(&chain(&error), "RabbitMQ", "bus")),
            Ok(Ok(depths)) => Ok(depths),
        };
        metrics::bus::up(depths.is_ok());
        let blocked = match blocked {
            Err(_) => Err("it answers, but confirms no message".to_owned()),
            Ok(Err(error)) => Err(explain(&chain(&error), "RabbitMQ", "bus")),
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
            self.dead_letters(depths.iter().map(|depth| depth.dead).sum());
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
                Ok(Err(error)) => Err(explain(&chain(&error), "Redis", "leases")),
                Ok(Ok(version)) => Ok(format!("Redis {version} takes writes")),
            },
        };
        metrics::leases::up(found.is_ok());
        self.note("leases", false, found);
    }

    fn dead_letters(&self, messages: u64) {
        let found = match messages {
            0 => Ok("none".to_owned()),
            _ => Err(format!(
                "{messages} message(s) that no service could handle; `tidemark queue dead list` shows them with the reason"
            )),
        };
        self.note("dead letters", false, found);
    }

    fn tasks(&self) {
        let restarted = tasks::troubled();
        let found = if restarted.is_empty() {
            Ok("all of them run".to_owned())
        } else {
            let names = restarted.join(", ");
            Err(format!("ended within the last two minutes and started again: {names}; the log says why"))
        };
        self.note("tasks", false, found);
    }

    fn audit(&self) {
        let found = if metrics::credentials::audit_is_healthy() {
            Ok("it takes entries".to_owned())
        } else {
            Err("it does not take entries: no secret is released".to_owned())
        };
        self.note("audit log", true, found);
    }

    fn note(&self, subject: &'static str, essential: bool, found: Found) {
        let healthy = found.is_ok();
        let detail = found.unwrap_or_else(|problem| problem);
        self.health.note(subject, Condition { healthy, essential, detail });
    }
}

/// A console needs nothing that it could check: what the services answer, it shows.
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

#[cfg(test)]
mod tests;
