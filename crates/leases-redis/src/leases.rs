//! The port over the link: three commands, and the reading back of an acquire that timed out.

use std::{error::Error, fmt, time::Duration};

use async_trait::async_trait;
use redis::{Cmd, cmd};
use tidemark_ports::{Lease, Leases, Unavailable};
use tidemark_runtime::server::{Server, ServerError};
use uuid::Uuid;

use crate::link::{Failure, Link};

const RENEW: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) else return 0 end";

const RELEASE: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end";

/// The URL cannot be used. It is not repeated here: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each says what it is")]
pub enum InvalidUrl {
    #[error("not a usable Redis URL, expected redis[s]://[[user]:password@]host[:port][/database]")]
    Unusable { source: redis::RedisError },
    #[error("a Redis URL with `#insecure` is not taken: name the certificate's authority instead")]
    Insecure,
    #[error(transparent)]
    Settings(#[from] ServerError),
}

/// Leases kept by a Redis server.
pub struct RedisLeases {
    link: Link,
    prefix: String,
}

impl RedisLeases {
    /// Leases under that prefix. Connects when first used.
    pub fn new(server: impl Into<Server>, prefix: &str) -> Result<Self, InvalidUrl> {
        let link = Link::new(server.into())?;
        Ok(Self { link, prefix: prefix.to_owned() })
    }

    /// The version of the server, if it answers and takes writes: a replica or one without memory only answers.
    pub async fn check(&self) -> Result<String, Unavailable> {
        let mut write = cmd("SET");
        write.arg(format!("{}:probe", self.prefix)).arg("1").arg("PX").arg(1_000);
        self.link.query::<()>(&write).await.map_err(unavailable)?;
        let info: String = self.link.query(cmd("INFO").arg("server")).await.map_err(unavailable)?;
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(version.unwrap_or("unknown").trim().to_owned())
    }

    fn name(&self, key: &str) -> String {
        format!("{}:lease:{key}", self.prefix)
    }

    fn script(&self, script: &str, lease: &Lease) -> Cmd {
        let mut command = cmd("EVAL");
        command.arg(script).arg(1).arg(self.name(&lease.key)).arg(&lease.token);
        command
    }

    /// What a failed acquire has come to: ours, somebody else's, or still unknown.
    async fn read_back(&self, lease: Lease, failure: Failure) -> Result<Option<Lease>, Unavailable> {
        if !failure.may_have_taken_effect() {
            return Err(unavailable(failure));
        }
        match self.link.query::<Option<String>>(cmd("GET").arg(self.name(&lease.key))).await {
            Ok(Some(token)) if token == lease.token => Ok(Some(lease)),
            Ok(Some(_)) => Ok(None),
            // Not there, or not to be known. Should it still arrive, it runs out by itself.
            Ok(None) | Err(_) => Err(unavailable(failure)),
        }
    }
}

impl fmt::Debug for RedisLeases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLeases")
            .field("address", &self.link.address())
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Leases for RedisLeases {
    async fn acquire(&self, key: &str, ttl: Duration) -> Result<Option<Lease>, Unavailable> {
        let lease = Lease { key: key.to_owned(), token: Uuid::new_v4().to_string() };
        let mut command = cmd("SET");
        command.arg(self.name(key)).arg(&lease.token).arg("NX").arg("PX").arg(millis(ttl));
        match self.link.query::<Option<String>>(&command).await {
            Ok(Some(_ok)) => Ok(Some(lease)),
            Ok(None) => Ok(None),
            Err(failure) => self.read_back(lease, failure).await,
        }
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, Unavailable> {
        self.link.query(self.script(RENEW, lease).arg(millis(ttl))).await.map_err(unavailable)
    }

    async fn release(&self, lease: &Lease) -> Result<bool, Unavailable> {
        self.link.query(&self.script(RELEASE, lease)).await.map_err(unavailable)
    }
}

/// Redis refuses zero.
pub(crate) fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The port's error is a text: the whole chain, then.
#[expect(clippy::needless_pass_by_value, reason = "goes into map_err")]
pub(crate) fn unavailable(failure: Failure) -> Unavailable {
    let mut text = failure.to_string();
    let mut source = failure.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    Unavailable(text)
}
