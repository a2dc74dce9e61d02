//! The settings of a process, read and checked as a whole.

mod invitations;
mod oauth;
mod reader;
mod rpc;
mod servers;
#[cfg(test)]
mod tests;
mod variables;

use std::{net::SocketAddr, path::Path, time::Duration};

use secrecy::SecretString;
use tidemark_domain::webhook::TrustedHost;
use url::Url;

pub use invitations::{Console, Invitations, Mail};
pub use oauth::{ClientAuthentication, OAuth};
use reader::Reader;
pub use reader::{Fault, Faults};
pub use rpc::{Rpc, Tls};
use servers::server;
pub use servers::{Bus, Database, Leases, here};

use crate::server::Value;

/// The commented defaults.
pub const DEFAULTS: &str = include_str!("config/defaults.toml");

/// All settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The record.
    pub database: Database,
    /// The wake-up.
    pub bus: Bus,
    /// The saving.
    pub leases: Leases,
    /// What internal services show each other.
    pub rpc_token: Value,
    /// What is let in.
    pub rpc: Rpc,
    /// Hashes the audit log; several, separated by commas: the first hashes.
    pub audit_key: SecretString,
    /// The credential service.
    pub credentials: Credentials,
    /// The sync workers.
    pub worker: Worker,
    /// The aggregator.
    pub aggregator: Aggregator,
    /// Events and those who receive them.
    pub events: Events,
    /// How long things are kept after their end.
    pub retention: Retention,
    /// The vendor.
    pub productboard: Productboard,
    /// The application registered with the vendor, if there is one.
    pub oauth: Option<OAuth>,
    /// The console, as people reach it.
    pub console: Console,
    /// Invitations.
    pub invitations: Invitations,
    /// The mail server.
    pub mail: Mail,
    /// Logs.
    pub log: Log,
    /// How long a process that was asked to stop still serves and says that it is unready.
    pub lame_duck: Duration,
    /// Where metrics and health are served; nowhere without.
    pub metrics_listen: Option<SocketAddr>,
    /// Where traces go, if anywhere.
    pub traces: Option<Traces>,
}

/// The credential service.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where others find it.
    pub url: Url,
    /// `id:base64` pairs, the first seals.
    pub keys: SecretString,
    /// How long a connection that nobody uses goes untried.
    pub probe_interval: Duration,
}

/// The sync workers.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Where the sync service listens.
    pub listen: SocketAddr,
    /// Where others find it.
    pub url: Url,
    /// Workspaces synced at once.
    pub concurrency: u32,
    /// How long one delivery works.
    pub delivery_budget: Duration,
    /// How often due work is looked for.
    pub sweep: Duration,
    /// How often a connection is synced; zero is never.
    pub sync_every: Duration,
    /// Days of activity fetched.
    pub history_days: u32,
    /// Newest days fetched again.
    pub trailing_days: u32,
    /// Days between whole lists of entities and notes.
    pub full_sweep_days: u32,
}

/// The aggregator.
#[derive(Debug, Clone)]
pub struct Aggregator {
    /// Where the utilization service listens.
    pub listen: SocketAddr,
    /// Where others find it.
    pub url: Url,
}

/// Events and those who receive them.
#[derive(Debug, Clone)]
pub struct Events {
    /// How many days events, sent messages and deliveries are kept.
    pub keep_days: u32,
    /// Hosts that webhooks may be sent to although they have a private address or no TLS.
    pub trusted_webhook_hosts: Vec<TrustedHost>,
}

/// How long things are kept after their end.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Links and sessions of people.
    pub links_days: u32,
    /// Invitations, with the names and addresses in them.
    pub invitations_days: u32,
    /// What happened: runs, alerts, interruptions, revoked tokens, connections whose facts were deleted.
    pub history_days: u32,
}

/// The vendor.
#[derive(Debug, Clone)]
pub struct Productboard {
    /// The default region's host.
    pub us_url: Url,
    /// The European region's host.
    pub eu_url: Url,
    /// Requests per second and token.
    pub requests_per_second: u32,
}

/// Logs.
#[derive(Debug, Clone)]
pub struct Log {
    /// As in `RUST_LOG`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

/// Traces.
#[derive(Debug, Clone)]
pub struct Traces {
    /// A collector that takes OTLP over gRPC.
    pub otlp_url: Url,
    /// Of all traces that begin here.
    pub sampled_percent: u32,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

fn traces(read: &mut Reader) -> Option<Traces> {
    let otlp_url = read.optional_url("traces.otlp_url", &["http"]);
    let sampled_percent = read.number("traces.sampled_percent", 0..=100);
    otlp_url.map(|otlp_url| Traces { otlp_url, sampled_percent })
}

fn worker(read: &mut Reader) -> Worker {
    let (listen, url) = server(read, "worker", "127.0.0.1:7402");
    Worker {
        listen,
        url,
        concurrency: read.number("worker.concurrency", 1..=1_000),
        delivery_budget: read.millis("worker.delivery_budget_ms", 100..=600_000),
        sweep: read.millis("worker.sweep_ms", 50..=600_000),
        sync_every: read.millis("worker.sync_every_ms", 0..=2_592_000_000),
        history_days: read.number("worker.history_days", 1..=1_000),
        trailing_days: read.number("worker.trailing_days", 1..=90),
        full_sweep_days: read.number("worker.full_sweep_days", 1..=90),
    }
}

impl Config {
    /// Reads defaults, the file if one is named, the environment, and `overrides` (dotted key, value) on top.
    pub fn load(file: Option<&Path>, overrides: &[(&str, String)]) -> Result<Self, Faults> {
        let mut read = Reader::open(file, overrides);
        let format = |text: &str| match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        };
        let config = Self {
            database: Database::read(&mut read),
            bus: Bus::read(&mut read),
            leases: Leases::read(&mut read),
            rpc_token: read.value("rpc.token"),
            rpc: Rpc::read(&mut read),
            audit_key: read.secret("audit.key"),
            credentials: {
                let (listen, url) = server(&mut read, "credentials", "127.0.0.1:7401");
                let keys = read.secret("credentials.keys");
                let probe_interval = read.millis("credentials.probe_interval_ms", 1_000..=604_800_000);
                Credentials { listen, url, keys, probe_interval }
            },
            worker: worker(&mut read),
            aggregator: {
                let (listen, url) = server(&mut read, "aggregator", "127.0.0.1:7403");
                Aggregator { listen, url }
            },
            events: Events {
                // Webhooks are tried for more than three days.
                keep_days: read.number("events.keep_days", 5..=3_650),
                trusted_webhook_hosts: read.trusted_hosts("webhooks.trusted_hosts"),
            },
            retention: Retention {
                links_days: read.number("retention.links_days", 1..=3_650),
                invitations_days: read.number("retention.invitations_days", 1..=3_650),
                // The newest alerts and runs are what the console shows.
                history_days: read.number("retention.history_days", 30..=3_650),
            },
            productboard: Productboard {
                us_url: read.url("productboard.us_url", &["https", "http"]),
                eu_url: read.url("productboard.eu_url", &["https", "http"]),
                requests_per_second: read.number("productboard.requests_per_second", 1..=10_000),
            },
            oauth: OAuth::read(&mut read),
            console: Console::read(&mut read),
            invitations: Invitations::read(&mut read),
            mail: Mail::read(&mut read),
            log: Log {
                filter: read.text("log.filter"),
                format: read.choice("log.format", "`text` or `json`", format, LogFormat::Text),
            },
            lame_duck: read.millis("shutdown.lame_duck_ms", 0..=600_000),
            metrics_listen: read.optional("metrics.listen", "an address such as 127.0.0.1:9464, or nothing"),
            traces: traces(&mut read),
        };
        read.finish(config)
    }
}
