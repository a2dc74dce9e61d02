//! Settings of the servers that a process connects to, and of where services are.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use secrecy::SecretString;
use url::Url;

use super::reader::Reader;
use crate::{server::Server, tls::ClientTls};

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

impl Database {
    pub(super) fn read(read: &mut Reader) -> Self {
        Self {
            url: read.url_with_secret("database.url", &["postgres", "postgresql", "sqlite"]),
            max_connections: read.number("database.max_connections", 1..=1_000),
            password_file: read.path("database.password_file"),
            allow_plaintext: read.flag("database.allow_plaintext"),
        }
    }
}

impl Bus {
    pub(super) fn read(read: &mut Reader) -> Self {
        Self { server: connected(read, "bus", &["amqp", "amqps", "inproc"]), prefix: read.name("bus.prefix") }
    }
}

impl Leases {
    pub(super) fn read(read: &mut Reader) -> Self {
        Self {
            server: connected(read, "leases", &["redis", "rediss", "inproc"]),
            prefix: read.name("leases.prefix"),
            ttl: read.millis("leases.ttl_ms", 500..=600_000),
        }
    }
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
pub(super) fn server(read: &mut Reader, name: &str, example: &str) -> (SocketAddr, Url) {
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
