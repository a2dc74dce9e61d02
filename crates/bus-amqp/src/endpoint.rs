//! Where the broker is, and how a connection to it is made.

use std::{fmt, time::Duration};

use lapin::{Channel, Connection, ConnectionProperties, uri::AMQPUri};
use tokio::time::{sleep, timeout};

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
    uri: AMQPUri,
    /// The URL without user and password.
    address: String,
}

impl Endpoint {
    pub(crate) fn new(url: &str) -> Result<Self, InvalidUrl> {
        if url.contains("//[") || url.contains("@[") {
            // lapin's parser would take such an address for localhost.
            return Err(InvalidUrl("an IPv6 address must be given as a name"));
        }
        // The parser's text may repeat the URL.
        let mut uri: AMQPUri = url.parse().map_err(|_text| InvalidUrl("it does not parse"))?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        let authority = &uri.authority;
        let address = format!("{}://{}:{}/{}", uri.scheme, authority.host, authority.port, uri.vhost);
        Ok(Self { uri, address })
    }

    pub(crate) async fn probe(&self) -> Result<Option<String>, ConnectError> {
        probe(&self.uri, &self.address).await
    }

    /// A new connection; the role is its name in the broker's management page.
    pub(crate) async fn connect(&self, role: &str) -> Result<Connection, ConnectError> {
        self.probe().await?;
        // Recovery and lapin's own retries are off by default and must stay so: the supervisors do it.
        let properties =
            ConnectionProperties::default().with_connection_name(format!("tidemark {role}").into());
        let attempt = "complete the handshake";
        match timeout(CONNECT, Connection::connect_uri(self.uri.clone(), properties)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(source)) => Err(ConnectError::Refused { address: self.address.clone(), attempt, source }),
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

    fn timed_out(&self, attempt: &'static str, after: Duration) -> ConnectError {
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

/// Returns once connection or channel are down.
///
/// What begins to wait at the moment a connection breaks may never be told by lapin (measured: acknowledgements hung in
/// about every second run of a test that cuts four times). So whoever waits also looks.
pub(crate) async fn down(connection: &Connection, channel: &Channel) {
    while connection.status().connected() && channel.status().connected() {
        sleep(LOOK).await;
    }
}
