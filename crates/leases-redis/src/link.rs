//! The connection to Redis: opened when needed, shared, and left when it seems dead.
//!
//! Every wait ends: connecting after [`CONNECT`], an answer after [`RESPONSE`].

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo, RedisError, RedisResult,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

const CONNECT: Duration = Duration::from_secs(1);
const RESPONSE: Duration = Duration::from_millis(600);

/// So many unanswered commands in a row, and the connection counts as dead.
const PATIENCE: u32 = 3;

/// Why a command has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
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
    client: Client,
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
    pub(crate) fn new(url: &str) -> RedisResult<Self> {
        let info = url.into_connection_info()?;
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
        let address = info.addr().to_string();
        let client = Client::open(info.set_tcp_settings(settings))?;
        Ok(Self { client, address, state: Mutex::default() })
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
        // The time-outs are ours, around everything.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        match timeout(CONNECT, self.client.get_multiplexed_async_connection_with_config(&config)).await {
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
