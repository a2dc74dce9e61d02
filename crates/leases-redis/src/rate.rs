//! Rate limits kept by the server: one script reserves, by the server's own clock.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use redis::cmd;
use tidemark_ports::{
    Grant, RateLimits, Unavailable,
    rate::{LONGEST_PAUSE, RESERVED_AHEAD, interval},
};

use tidemark_runtime::server::Server;

use crate::{
    InvalidUrl,
    leases::{millis, unavailable},
    link::Link,
};

/// A key that nobody asks for is forgotten after this long.
const KEPT: Duration = Duration::from_secs(60);

/// A time further ahead than any pause and reservation is nobody's: an older version may have written it.
///
/// Gives count, microseconds until the first, and microseconds from one to the next. Numbers this large need a format:
/// Lua would write them with an exponent.
const RESERVE: &str = "\
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local kept = redis.call('HMGET', KEYS[1], 'next', 'interval')
local interval = math.max(tonumber(ARGV[1]), tonumber(kept[2] or 0))
local next = math.max(now, tonumber(kept[1] or 0))
if next - now > tonumber(ARGV[5]) then next = now end
local count = tonumber(ARGV[2])
if next - now > tonumber(ARGV[3]) then return {0, next - now, interval} end
local behind = next + count * interval
redis.call('HSET', KEYS[1], 'next', string.format('%.0f', behind))
redis.call('PEXPIRE', KEYS[1], math.ceil((behind - now) / 1000) + ARGV[4])
return {count, next - now, interval}";

const FREEZE: &str = "\
local time = redis.call('TIME')
local thaw = time[1] * 1000000 + time[2] + ARGV[1]
if thaw > tonumber(redis.call('HGET', KEYS[1], 'next') or 0) then
    redis.call('HSET', KEYS[1], 'next', string.format('%.0f', thaw))
    redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[1] / 1000) + ARGV[2])
end
return 0";

/// What may be reserved already stays so.
const THAW: &str = "\
local time = redis.call('TIME')
local soon = time[1] * 1000000 + time[2] + ARGV[1]
if soon < tonumber(redis.call('HGET', KEYS[1], 'next') or 0) then
    redis.call('HSET', KEYS[1], 'next', string.format('%.0f', soon))
    redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[1] / 1000) + ARGV[2])
end
return 0";

const LOWER: &str = "\
redis.call('HSET', KEYS[1], 'interval', ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0";

/// Rate limits kept by a Redis server.
pub struct RedisRateLimits {
    link: Link,
    prefix: String,
}

impl RedisRateLimits {
    /// Rate limits under that prefix. Connects when first used.
    pub fn new(server: impl Into<Server>, prefix: &str) -> Result<Self, InvalidUrl> {
        let link = Link::new(server.into())?;
        Ok(Self { link, prefix: prefix.to_owned() })
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        script: &str,
        key: &str,
        arguments: &[u64],
    ) -> Result<T, Unavailable> {
        let mut command = cmd("EVAL");
        command.arg(script).arg(1).arg(format!("{}:rate:{key}", self.prefix)).arg(arguments);
        self.link.query(&command).await.map_err(unavailable)
    }
}

impl fmt::Debug for RedisRateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRateLimits")
            .field("address", &self.link.address())
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl RateLimits for RedisRateLimits {
    async fn reserve(&self, key: &str, per_second: u32, count: u32) -> Result<Grant, Unavailable> {
        let arguments = [
            micros(interval(per_second)),
            u64::from(count),
            micros(RESERVED_AHEAD),
            millis(KEPT),
            micros(LONGEST_PAUSE + KEPT),
        ];
        let (count, starts_in, interval): (u32, u64, u64) = self.run(RESERVE, key, &arguments).await?;
        let (starts_in, interval) = (Duration::from_micros(starts_in), Duration::from_micros(interval));
        Ok(Grant { count, starts_in, interval })
    }

    async fn freeze(&self, key: &str, pause: Duration) -> Result<(), Unavailable> {
        self.run::<i64>(FREEZE, key, &[micros(pause.min(LONGEST_PAUSE)), millis(KEPT)]).await.map(drop)
    }

    async fn thaw(&self, key: &str) -> Result<(), Unavailable> {
        self.run::<i64>(THAW, key, &[micros(RESERVED_AHEAD), millis(KEPT)]).await.map(drop)
    }

    async fn lower(&self, key: &str, per_second: u32) -> Result<(), Unavailable> {
        self.run::<i64>(LOWER, key, &[micros(interval(per_second)), millis(KEPT)]).await.map(drop)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
