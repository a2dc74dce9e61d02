//! The connection to Redis: opened when needed, shared, and left when it seems dead.
//!
//! Every wait ends: connecting after [`CONNECT`], an answer after [`RESPONSE`].

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo,
    RedisError, TlsCertificates,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use secrecy::ExposeSecret;
use tidemark_runtime::{
    server::{Server, Target},
    tls::ClientPem,
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use crate::leases::InvalidUrl;

const CONNECT: Duration = Duration::from_secs(1);
const RESPONSE: Duration = Duration::from_millis(600);

/// So many unanswered commands in a row, and the connection counts as dead.
const PATIENCE: u32 = 3;

/// Why a command has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
    /// The command was not sent.
    #[error("the settings of {address} cannot be used")]
    Settings { address: String, source: Arc<InvalidUrl> },
    /// The command was not sent.
    #[error("no connection to {address} within {CONNECT:?}")]
    ConnectTimeout { address: String },
    /// The command was not sent.
    #[error("no connection to {address}")]
    Connect { address: String, source: Arc<RedisError> },
    /// The command may have taken effect.
    #[error("no answer from {address} within {RESPONSE:?}")]
    ResponseTimeout { address: String },
    /// The command may have taken effect.
    #[error("command failed at {address}")]
    Command { address: String, source: Arc<RedisError> },
}

impl Failure {
    pub(crate) fn may_have_taken_effect(&self) -> bool {
        matches!(self, Self::ResponseTimeout { .. } | Self::Command { .. })
    }
}

#[derive(Debug)]
pub(crate) struct Link {
    server: Server,
    address: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Tells the present connection from earlier ones.
    generation: u64,
    timeouts: u32,
    /// When and how the last attempt to connect failed.
    failed: Option<(Instant, Failure)>,
}

impl Link {
    pub(crate) fn new(server: Server) -> Result<Self, InvalidUrl> {
        let client = client(&server)?;
        let address = client.get_connection_info().addr().to_string();
        Ok(Self { server, address, state: Mutex::default() })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        let (generation, mut connection) = self.connection().await?;
        let answer = timeout(RESPONSE, command.query_async(&mut connection)).await;
        let mut state = self.state.lock().await;
        let current = state.generation == generation;
        let address = self.address.clone();
        match answer {
            Ok(Ok(value)) => {
                if current {
                    state.timeouts = 0;
                }
                Ok(value)
            }
            // Whatever it was, a new connection does not make it worse.
            Ok(Err(error)) => {
                if current {
                    self.leave(&mut state, "a command failed");
                }
                Err(Failure::Command { address, source: Arc::new(error) })
            }
            Err(_) => {
                if current {
                    state.timeouts += 1;
                    if state.timeouts >= PATIENCE {
                        self.leave(&mut state, "it does not answer");
                    }
                }
                Err(Failure::ResponseTimeout { address })
            }
        }
    }

    async fn connection(&self) -> Result<(u64, MultiplexedConnection), Failure> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok((state.generation, connection.clone()));
        }
        // Whoever waited for somebody else's failed attempt takes its result, so that waits do not add up.
        if let Some((at, failure)) = &state.failed
            && *at >= asked
        {
            return Err(failure.clone());
        }
        match self.connect().await {
            Ok(connection) => {
                state.generation += 1;
                state.timeouts = 0;
                state.failed = None;
                state.connection = Some(connection.clone());
                Ok((state.generation, connection))
            }
            Err(failure) => {
                state.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, Failure> {
        let address = self.address.clone();
        let client = client(&self.server)
            .map_err(|source| Failure::Settings { address: address.clone(), source: Arc::new(source) })?;
        // The time-outs are ours, around everything.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        match timeout(CONNECT, client.get_multiplexed_async_connection_with_config(&config)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(Failure::Connect { address, source: Arc::new(error) }),
            Err(_) => Err(Failure::ConnectTimeout { address }),
        }
    }

    fn leave(&self, state: &mut State, why: &str) {
        if state.connection.take().is_some() {
            state.generation += 1;
            tidemark_runtime::metrics::leases::rebuilt();
            tracing::warn!(
                address = self.address,
                why,
                "left the connection to Redis, the next command opens another"
            );
        }
    }
}

/// The server as its settings say it now; connects to nothing.
fn client(server: &Server) -> Result<Client, InvalidUrl> {
    let Target { url, password, tls } = server.read()?;
    let unusable = |source| InvalidUrl::Unusable { source };
    let info = url.into_connection_info().map_err(unusable)?;
    let settings = TcpSettings::default()
        // Commands are small and somebody waits for each.
        .set_nodelay(true)
        // The kernel finds a peer that vanished while nothing is sent…
        .set_keepalive(
            TcpKeepalive::new()
                .with_time(Duration::from_secs(5))
                .with_interval(Duration::from_secs(2))
                .with_retries(3),
        )
        // …and one that does not acknowledge what is.
        .set_user_timeout(Duration::from_secs(5));
    let mut redis = info.redis_settings().clone();
    if let Some(password) = password {
        redis = redis.set_password(password.expose_secret());
    }
    let info = info.set_tcp_settings(settings).set_redis_settings(redis);
    let Some(ClientPem { ca, own }) = tls else { return Client::open(info).map_err(unusable) };
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        // A certificate that is not verified keeps nobody out.
        return Err(InvalidUrl::Insecure);
    }
    // redis asks for the process's own; a second one is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client_tls =
        own.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key: client_key.to_vec() });
    Client::build_with_tls(info, TlsCertificates { client_tls, root_cert: ca }).map_err(unusable)
}
