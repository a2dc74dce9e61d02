//! Where the broker is, and how a connection to it is made.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_rs::Runtime;
use lapin::{
    AsyncTcpStream, Channel, Connection, ConnectionProperties, options::BasicNackOptions,
    runtime::default_runtime, tcp::RustlsConnector, uri::AMQPUri,
};
use rustls::ClientConfig;
use secrecy::ExposeSecret;
use tidemark_runtime::server::{self, Server, ServerError};
use tokio::time::{sleep, timeout};
use url::Host;

use crate::{
    error::{ConnectError, InvalidUrl},
    probe::probe,
};

/// lapin has no deadline for the handshake.
const CONNECT: Duration = Duration::from_secs(10);

/// For one step on an open connection: declaring a queue, say.
const STEP: Duration = Duration::from_secs(10);

/// Seconds. A dead peer is found after two of them.
const HEARTBEAT: u16 = 10;

/// How often a waiting task looks whether its connection is still up.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) struct Endpoint {
    server: Server,
    /// The URL without user and password, as it was first.
    address: String,
    /// As the broker said it last.
    version: Mutex<Option<String>>,
    /// Queues about which something was logged already.
    reported: Mutex<BTreeSet<String>>,
}

/// The broker as the settings say it now.
struct Target {
    uri: AMQPUri,
    address: String,
    tls: Option<Arc<ClientConfig>>,
}

impl Target {
    fn read(server: &Server) -> Result<Self, InvalidUrl> {
        let server::Target { url, password, tls } = server.read()?;
        // The parser's text may repeat the URL.
        let mut uri: AMQPUri = url.as_str().parse().map_err(|_text| InvalidUrl::Unusable)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        if let Some(Host::Ipv6(address)) = url.host() {
            // The parser takes it for none, which is localhost.
            uri.authority.host = address.to_string();
        }
        if let Some(password) = password {
            password.expose_secret().clone_into(&mut uri.authority.userinfo.password);
        }
        let authority = &uri.authority;
        let host = url.host_str().unwrap_or(&authority.host);
        let address = format!("{}://{host}:{}/{}", uri.scheme, authority.port, uri.vhost);
        let tls = tls.map(|pem| pem.config()).transpose();
        let tls = tls.map_err(|source| ServerError::Tls { section: server.section, source })?;
        Ok(Self { uri, address, tls })
    }
}

impl Endpoint {
    pub(crate) fn new(server: Server) -> Result<Self, InvalidUrl> {
        let Target { address, .. } = Target::read(&server)?;
        Ok(Self { server, address, version: Mutex::default(), reported: Mutex::default() })
    }

    pub(crate) async fn probe(&self) -> Result<Option<String>, ConnectError> {
        self.look(&self.target()?).await
    }

    fn target(&self) -> Result<Target, ConnectError> {
        Target::read(&self.server)
            .map_err(|source| ConnectError::Settings { address: self.address.clone(), source })
    }

    async fn look(&self, target: &Target) -> Result<Option<String>, ConnectError> {
        let version = probe(&target.uri, target.tls.clone(), &target.address).await?;
        self.heard(version.clone());
        Ok(version)
    }

    pub(crate) fn heard(&self, version: Option<String>) {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = version;
    }

    /// Whether the broker that was reached last is of that version or later; false where it did not say.
    pub(crate) fn is_at_least(&self, major: u32, minor: u32) -> bool {
        let version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        let mut numbers = version.iter().flat_map(|version| version.split('.')).map(str::parse::<u32>);
        matches!((numbers.next(), numbers.next()), (Some(Ok(is)), Some(Ok(also))) if (is, also) >= (major, minor))
    }

    /// Whether it is the first time that somebody asks about that queue.
    pub(crate) fn is_news(&self, queue: &str) -> bool {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.to_owned())
    }

    /// A new connection; the role is its name in the broker's management page.
    pub(crate) async fn connect(&self, role: &str) -> Result<Connection, ConnectError> {
        let target = self.target()?;
        self.look(&target).await?;
        let Target { uri, address, tls } = target;
        // Recovery and lapin's own retries are off by default and must stay so: the supervisors do it.
        let properties =
            ConnectionProperties::default().with_connection_name(format!("tidemark {role}").into());
        let attempt = "complete the handshake";
        let connected = async {
            // lapin's own way to TLS trusts the machine's authorities besides a private one, and fails without any.
            let open = async move |uri: AMQPUri, runtime: Runtime<_>| {
                let host = (uri.authority.host.clone(), uri.authority.port);
                let stream = AsyncTcpStream::connect(&runtime, runtime.to_socket_addrs(host)).await?;
                match &tls {
                    None => Ok(stream),
                    Some(tls) => {
                        let connector = RustlsConnector::from(Arc::clone(tls));
                        Ok(stream.into_rustls(&connector, &uri.authority.host).await?)
                    }
                }
            };
            Connection::connector(uri, default_runtime()?, open, properties).await
        };
        match timeout(CONNECT, connected).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(source)) => Err(ConnectError::Refused { address, attempt, source }),
            Err(_) => Err(self.timed_out(attempt, CONNECT)),
        }
    }

    /// One step on an open connection, under a deadline.
    pub(crate) async fn step<T>(
        &self,
        attempt: &'static str,
        step: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, ConnectError> {
        match timeout(STEP, step).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(source)) => Err(ConnectError::Refused { address: self.address.clone(), attempt, source }),
            Err(_) => Err(self.timed_out(attempt, STEP)),
        }
    }

    pub(crate) fn timed_out(&self, attempt: &'static str, after: Duration) -> ConnectError {
        ConnectError::TimedOut { address: self.address.clone(), attempt, seconds: after.as_secs() }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// Says goodbye where the peer still listens.
pub(crate) async fn close(connection: &Connection) {
    // A connection that cannot be closed is dead already, or dies with its heartbeat.
    let _ = timeout(Duration::from_secs(2), connection.close(200, "done".into())).await;
}

/// Puts back all that the channel delivered and nobody settled. Since RabbitMQ 4.3 a nack does not count as a failed
/// delivery, while ending the channel does.
pub(crate) async fn give_back(channel: &Channel) -> lapin::Result<()> {
    let options = BasicNackOptions { multiple: true, requeue: true };
    // Zero stands for all.
    channel.basic_nack(0, options).await.map(drop)
}

/// Returns once connection or channel are down.
///
/// What begins to wait at the moment a connection breaks may never be told by lapin (measured: acknowledgements hung in
/// about every second run of a test that cuts four times). So whoever waits also looks.
pub(crate) async fn down(connection: &Connection, channel: &Channel) {
    while connection.status().connected() && channel.status().connected() {
        sleep(LOOK).await;
    }
}

/// Returns once connection or channel are down, or the broker takes nothing more from it.
pub(crate) async fn stalled(connection: &Connection, channel: &Channel) {
    while connection.status().connected() && channel.status().connected() && !connection.status().blocked() {
        sleep(LOOK).await;
    }
}
