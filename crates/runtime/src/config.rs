//! The settings of a process, read and checked as a whole.

mod invitations;
mod reader;
#[cfg(test)]
mod tests;
mod variables;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use tidemark_domain::webhook::TrustedHost;
use url::Url;

pub use invitations::{Console, Invitations, Mail};
use reader::Reader;

use crate::{server::Server, tls::ClientTls};
pub use reader::{Fault, Faults};

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
    pub rpc_token: SecretString,
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

/// The database.
#[derive(Debug, Clone)]
pub struct Database {
    /// `postgres:` or `sqlite:`; may hold a password.
    pub url: SecretString,
    /// The pool's size.
    pub max_connections: u32,
    /// Holds the password, in place of the URL; read for new connections, so that it may change.
    pub password_file: Option<PathBuf>,
    /// Whether a server on another machine may be spoken to without encryption.
    pub allow_plaintext: bool,
}

/// A database in memory, of one process.
impl Default for Database {
    fn default() -> Self {
        let url = SecretString::from("sqlite::memory:");
        Self { url, max_connections: 1, password_file: None, allow_plaintext: false }
    }
}

/// The message bus.
#[derive(Debug, Clone)]
pub struct Bus {
    /// `amqp:`, `amqps:` or `inproc:`.
    pub server: Server,
    /// In front of every name.
    pub prefix: String,
}

/// The leases.
#[derive(Debug, Clone)]
pub struct Leases {
    /// `redis:`, `rediss:` or `inproc:`.
    pub server: Server,
    /// In front of every key.
    pub prefix: String,
    /// How long a lease lasts without renewal.
    pub ttl: Duration,
}

/// What is let in.
#[derive(Debug, Clone)]
pub struct Rpc {
    /// Whether servers tell which methods they have.
    pub reflection: bool,
    /// Whether a server without TLS may be reached from other machines.
    pub plaintext: bool,
    /// In one process.
    pub calls_at_once: u32,
    /// Of one caller; 0 for no limit.
    pub calls_per_second: u32,
    /// Of one caller, after a pause.
    pub calls_burst: u32,
    /// Of one organization's secrets to one caller; 0 for no limit.
    pub releases_per_second: u32,
    /// The same, after a pause.
    pub releases_burst: u32,
    /// On the wire.
    pub tls: Tls,
}

/// TLS: PEM files.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The server's certificate and its key; plain HTTP/2 without.
    pub server: Option<(PathBuf, PathBuf)>,
    /// Authorities of callers' certificates; callers need none without.
    pub client_ca: Option<PathBuf>,
    /// Authorities of the servers that are called.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown to servers, and its key.
    pub client: Option<(PathBuf, PathBuf)>,
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

/// The application registered with the vendor.
#[derive(Debug, Clone)]
pub struct OAuth {
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: SecretString,
    /// How the two are sent.
    pub authentication: ClientAuthentication,
    /// Where the vendor sends people back to.
    pub redirect_url: Url,
    /// Where people of the default region consent.
    pub us_host: Url,
    /// Where people of the European region consent.
    pub eu_host: Url,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// What signs assertions, as PEM.
    pub assertion_key: Option<SecretString>,
}

/// How the application proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// Id and secret in the form.
    Post,
    /// HTTP Basic.
    Basic,
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

/// Nothing without a client id: the rest then stands for nothing.
fn oauth(read: &mut Reader) -> Option<OAuth> {
    let (client_id, redirect) = (read.text("oauth.client_id"), read.text("oauth.redirect_url"));
    let authentication = |text: &str| match text {
        "post" => Some(ClientAuthentication::Post),
        "basic" => Some(ClientAuthentication::Basic),
        _ => None,
    };
    let wanted = !client_id.is_empty();
    let assertion_key = read.text("oauth.assertion_key");
    let settings = OAuth {
        client_secret: read.secret("oauth.client_secret"),
        authentication: read.choice(
            "oauth.authentication",
            "`post` or `basic`",
            authentication,
            ClientAuthentication::Post,
        ),
        us_host: read.url("oauth.us_host", &["https", "http"]),
        eu_host: read.url("oauth.eu_host", &["https", "http"]),
        scopes: read.text("oauth.scopes").split_whitespace().map(str::to_owned).collect(),
        assertion_key: (!assertion_key.is_empty()).then(|| assertion_key.into()),
        redirect_url: if wanted || !redirect.is_empty() {
            read.url("oauth.redirect_url", &["https", "http"])
        } else {
            read.url("oauth.us_host", &["https", "http"])
        },
        client_id,
    };
    wanted.then_some(settings)
}

fn traces(read: &mut Reader) -> Option<Traces> {
    let otlp_url = read.optional_url("traces.otlp_url", &["http"]);
    let sampled_percent = read.number("traces.sampled_percent", 0..=100);
    otlp_url.map(|otlp_url| Traces { otlp_url, sampled_percent })
}

/// The URL of a server of this host that listens there.
pub fn here(listen: SocketAddr, tls: bool) -> Url {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let url = match tls {
        // By name, since that is what a certificate has.
        true if ip.is_loopback() => format!("https://localhost:{}", listen.port()),
        true => format!("https://{}", SocketAddr::new(ip, listen.port())),
        false => format!("http://{}", SocketAddr::new(ip, listen.port())),
    };
    url.parse().expect("an address and a port are a URL")
}

/// Where a server listens, and where others find it: without a word about it, on this host and without TLS.
fn server(read: &mut Reader, name: &str, example: &str) -> (SocketAddr, Url) {
    let listen = read.parsed(&format!("{name}.listen"), &format!("an address such as {example}"));
    let url = read.optional_url(&format!("{name}.url"), &["http", "https"]);
    (listen, url.unwrap_or_else(|| here(listen, false)))
}

/// A server that this process connects to.
fn connected(read: &mut Reader, section: &'static str, schemes: &[&str]) -> Server {
    let key = |name: &str| format!("{section}.{name}");
    read.url_with_secret(&key("url"), schemes);
    Server {
        section,
        url: read.value(&key("url")),
        password: read.value(&key("password")),
        tls: ClientTls {
            ca: read.path(&key("ca_file")),
            own: read.pair(&key("client_certificate_file"), &key("client_key_file")),
        },
        allow_plaintext: read.flag(&key("allow_plaintext")),
    }
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
            database: Database {
                url: read.url_with_secret("database.url", &["postgres", "postgresql", "sqlite"]),
                max_connections: read.number("database.max_connections", 1..=1_000),
                password_file: read.path("database.password_file"),
                allow_plaintext: read.choice(
                    "database.allow_plaintext",
                    "`true` or `false`",
                    |text| text.parse().ok(),
                    false,
                ),
            },
            bus: Bus {
                server: connected(&mut read, "bus", &["amqp", "amqps", "inproc"]),
                prefix: read.name("bus.prefix"),
            },
            leases: Leases {
                server: connected(&mut read, "leases", &["redis", "rediss", "inproc"]),
                prefix: read.name("leases.prefix"),
                ttl: read.millis("leases.ttl_ms", 500..=600_000),
            },
            rpc_token: read.secret("rpc.token"),
            rpc: Rpc {
                reflection: read.flag("rpc.reflection"),
                plaintext: read.flag("rpc.plaintext"),
                calls_at_once: read.number("rpc.calls_at_once", 1..=100_000),
                calls_per_second: read.number("rpc.calls_per_second", 0..=1_000_000),
                calls_burst: read.number("rpc.calls_burst", 1..=1_000_000),
                releases_per_second: read.number("rpc.releases_per_second", 0..=1_000_000),
                releases_burst: read.number("rpc.releases_burst", 1..=1_000_000),
                tls: Tls {
                    server: read.pair("rpc.tls.certificate_file", "rpc.tls.key_file"),
                    client_ca: read.path("rpc.tls.client_ca_file"),
                    ca: read.path("rpc.tls.ca_file"),
                    client: read.pair("rpc.tls.client_certificate_file", "rpc.tls.client_key_file"),
                },
            },
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
            oauth: oauth(&mut read),
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
